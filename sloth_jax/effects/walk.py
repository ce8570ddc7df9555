"""The random walk in log size by which lineages and families grow apart."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

# Knots of the walk: steps of half a standard deviation of log size, a factor of two in size on most
# tables, and a hundred times beyond most tables either way.
_STEP = 0.5
_FORWARD, _BACKWARD = 18, 6


@jax.jit
def walk_basis(x: Float[Array, "*slot"]) -> Float[Array, "*slot coefficient"]:
    """A random walk in log size: independent normal steps between knots, straight in between.

    ``W(x) = sum_q z_q psi_q(x)`` with standard normal ``z`` and ramps ``psi`` that rise by the
    square root of the step from one knot to the next. ``W(0) = 0`` and ``Var W(x) = |x|`` at knots:
    ``Cov(W(x), W(y)) = min(x, y)`` for two of them on one side of 0. Beyond the last knot it goes
    straight on.

    Args:
        x: log sizes from the table's smallest, standardised, any shape.

    Returns:
        A 1 for the level of a family or lineage, then the ramps: ``(..., coefficient)``.
    """
    ramps = []
    for along, count in ((x, _FORWARD), (-x, _BACKWARD)):
        knots = _STEP * jnp.arange(count, dtype=x.dtype)
        longest = jnp.where(jnp.arange(count) < count - 1, _STEP, jnp.inf).astype(x.dtype)
        away = along[..., None] - knots.reshape((1,) * x.ndim + (-1,))
        ramps.append(jnp.minimum(jnp.maximum(away, 0.0), longest.reshape((1,) * x.ndim + (-1,))))
    return jnp.concatenate([jnp.ones((*x.shape, 1), x.dtype), *(r / _STEP**0.5 for r in ramps)], -1)


def log_size_of_basis(basis: np.ndarray) -> np.ndarray:
    """The inverse of :func:`walk_basis`: log sizes ``(...)`` of a basis ``(..., coefficient)``."""
    forward, backward = basis[..., 1 : 1 + _FORWARD], basis[..., 1 + _FORWARD :]
    return _STEP**0.5 * (forward.sum(axis=-1) - backward.sum(axis=-1))
