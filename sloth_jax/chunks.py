"""A function of many rows, so many rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

CHUNK = 16  # rows at a time: bounds the memory


def map_in_chunks(function: Callable[[Any], Any], rows: Any, chunk: int = CHUNK) -> Any:
    """Apply a function to every row of a tree of arrays, so many at a time.

    What ``jax.lax.map(..., batch_size=chunk)`` does, but with the last rows repeated to fill the
    last chunk: another shape there would be a second program to compile.
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    chunk = min(chunk, count)
    places = np.minimum(np.arange(-(-count // chunk) * chunk), count - 1).reshape(-1, chunk)
    found = jax.lax.map(lambda at: jax.vmap(function)(jax.tree.map(lambda a: a[at], rows)), places)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:count], found)
