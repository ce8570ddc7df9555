"""Benchmarks in groups: the parts of one suite share a part of what is believed of them.

What the law believes of each benchmark (loadings, slopes, bias, link, spreads, noise) is standard
normal in its unit. Between two benchmarks of one group it is correlated by ``rho``::

    C = (1 - rho) I + rho 1[same group]

as if each were the group's own value, shared by its parts, plus one of the part. With a triangular
root ``L L' = C``, ``L`` times independent standard normals has that prior, so raw parameters stay
standard normal. Source: exchangeable priors, Gelman et al., Bayesian Data Analysis, chapter 5.

A Cholesky root depends on the order of benchmarks, its product does not. For loadings the pivots
come first, in their order: ``L R`` is then triangular on the pivots with a positive diagonal when
``R`` is, and if ``R`` has the Bartlett prior, ``L R`` is ``L Z`` up to a rotation, ``Z`` being
independent normals. So rotating skills still changes nothing.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from sloth_jax.law.pivots import Pivots


def pivots_first(pivots: Pivots) -> Int[Array, " benchmark"]:
    """Rank of each benchmark, ``(benchmark,)``: pivots in their order, then the others."""
    benchmarks, skills = pivots.diagonal.shape
    pivot = jnp.sum(pivots.diagonal, axis=1) > 0.0
    own = jnp.argmax(pivots.diagonal, axis=1)
    return jnp.where(pivot, own, skills + jnp.arange(benchmarks))


def group_root(
    group: Int[Array, " benchmark"], correlation: float, rank: Int[Array, " benchmark"]
) -> tuple[Float[Array, "benchmark benchmark"], Float[Array, "benchmark benchmark"]]:
    """The root of the prior correlation of benchmarks, and its inverse. Pure.

    In closed form, since a part depends on those before it through their mean only: no LAPACK.

    Args:
        group: equal numbers where benchmarks are of one group, ``(benchmark,)``.
        correlation: between benchmarks of one group, in [0, 1).
        rank: different numbers; the root is lower triangular in their order, ``(benchmark,)``.

    Returns:
        ``L`` with ``L L' = C``, and ``L^-1``, ``(benchmark, benchmark)`` each.
    """
    rho = correlation
    earlier = (group[:, None] == group[None, :]) & (rank[:, None] > rank[None, :])
    before = jnp.sum(earlier, axis=1).astype(jnp.result_type(float))  # parts before, n
    # x_k = b (x_1 + ... + x_n) + s z_k,  b = rho / (1 + (n - 1) rho),  s^2 = 1 - n rho b
    among = 1.0 + (before - 1.0) * rho
    scale = jnp.sqrt((1.0 - rho) * (1.0 + before * rho) / among)
    # every later part k has cov(x_k, z_j) = (rho - n rho b) / s = rho (1 - rho) / (s among)
    below = rho * (1.0 - rho) / (scale * among)
    root = jnp.diag(scale) + jnp.where(earlier, below[None, :], 0.0)
    regression = rho / (among * scale)
    inverse = jnp.diag(1.0 / scale) - jnp.where(earlier, regression[:, None], 0.0)
    return root, inverse
