"""Inverses of many small positive definite matrices at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.products import matmul


@jax.custom_jvp
def batched_inverse(
    matrices: Float[Array, "*batch row row"],
) -> tuple[Float[Array, "*batch row row"], Float[Array, "*batch pair"]]:
    """Inverses of positive definite matrices ``(..., row, column)``, and log determinants.

    By Gauss-Jordan sweeps of two rows at a time (the sweep operator: Goodnight 1979), in array
    operations over the whole batch: calls of LAPACK for many small matrices are slow on CPU, and
    far slower beside another busy process.

    Args:
        matrices: the number of rows must be even.

    Returns:
        The inverses; and the log determinants in parts that add up to them, ``(..., row / 2)``: one
        for each pair of rows given those above. Of a block diagonal matrix they are the parts of
        its blocks. Derivatives of the parts are left out, and taken to be 0: functions that use
        them have derivatives of their own.
    """
    size = matrices.shape[-1]
    index = jnp.arange(size)

    def sweep(pair: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        a, parts = state
        at = 2 * pair
        rows = jax.lax.dynamic_slice_in_dim(a, at, 2, -2)
        pivot = jax.lax.dynamic_slice_in_dim(rows, at, 2, -1)
        p, q, r = pivot[..., 0, 0], pivot[..., 0, 1], pivot[..., 1, 1]
        determinant = p * r - q * q
        adjugate = jnp.stack([jnp.stack([r, -q], -1), jnp.stack([-q, p], -1)], -2)
        inverted = adjugate / determinant[..., None, None]
        # A_ij - A_ik P^-1 A_kj elsewhere,  P^-1 A_kj in the rows and columns k,  -P^-1 at P
        inside = (index >= at) & (index < at + 2)
        others = jnp.where(jnp.broadcast_to(inside, rows.shape), 0.0, rows)
        scaled = matmul(inverted, others)
        a = a - matmul(jnp.swapaxes(others, -1, -2), scaled)
        scaled = jax.lax.dynamic_update_slice_in_dim(scaled, -inverted, at, -1)
        a = jax.lax.dynamic_update_slice_in_dim(a, scaled, at, -2)
        a = jax.lax.dynamic_update_slice_in_dim(a, jnp.swapaxes(scaled, -1, -2), at, -1)
        parts = jax.lax.dynamic_update_slice_in_dim(
            parts, jnp.log(determinant)[..., None], pair, -1
        )
        return a, parts

    start = (matrices, jnp.zeros((*matrices.shape[:-2], size // 2), matrices.dtype))
    swept, parts = jax.lax.fori_loop(0, size // 2, sweep, start)
    return -swept, parts


@batched_inverse.defjvp
def _batched_inverse_jvp(primals, tangents):
    (change,) = tangents
    inverted, parts = batched_inverse(*primals)
    # d A^-1 = -A^-1 dA A^-1
    moved = matmul(matmul(inverted, change), inverted)
    return (inverted, parts), (-moved, jnp.zeros_like(parts))
