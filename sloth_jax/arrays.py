"""From NumPy's arrays to JAX's."""

from __future__ import annotations

import jax
import numpy as np
from jax import Array


def on_device(**arrays: np.ndarray) -> dict[str, Array]:
    """Arrays by name, moved all at once: ``jnp.asarray`` compiles a program for every one."""
    return jax.device_put(arrays)
