"""Products in full precision: accelerators would round float32 inputs to about 1e-3."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def matmul(left: Array, right: Array) -> Array:
    """Matrix product in full precision."""
    return jnp.matmul(left, right, precision="highest")


def einsum(formula: str, *arrays: Array) -> Array:
    """Einstein summation in full precision."""
    return jnp.einsum(formula, *arrays, precision="highest")
