"""Weights of several laws by how well each predicts lineages that it leaves out: pure functions.

Which surface is right is an assumption. Stacking (Yao, Vehtari, Simpson and Gelman 2018) weighs
several by the predictive density of what is to be forecast, whole lineages, from the training table
alone.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp
from jaxtyping import Float, Int

_ROUNDS = 500  # of expectation maximisation: far more than weights need


def leave_one_lineage_out(density: Float[Array, "draw lineage"]) -> Float[Array, " lineage"]:
    """Log density of each lineage's scores given all others', in nats: elpd.

    By importance sampling, with ratios truncated (Ionides 2008), which needs no tail to be fitted
    and so can be compiled; :func:`sloth_jax.inference.leave_lineage_out.lineage_elpd`
    smooths them instead, and says how rough they are.

    Args:
        density: log density of each lineage's scores by each draw of the posterior, its effects
            integrated out, ``(draw, lineage)``, nats.

    Returns:
        ``(lineage,)``.
    """
    draws = density.shape[0]
    # p(y_l | y_-l) = sum_d w_d p(y_l | law_d) / sum_d w_d  with  w_d = 1 / p(y_l | law_d)
    log_weight = -density
    mean = logsumexp(log_weight, axis=0) - math.log(draws)
    # no weight above sqrt(draws) times their mean
    log_weight = jnp.minimum(log_weight, mean[None] + 0.5 * math.log(draws))
    return logsumexp(log_weight + density, axis=0) - logsumexp(log_weight, axis=0)


def stack(elpd: Float[Array, "law lineage"]) -> Float[Array, " law"]:
    """Weights that maximise the summed log density of the mixture, ``(law,)``.

    A concave problem: expectation maximisation climbs to its one maximum.

    Args:
        elpd: log density of each lineage by each law, nats, ``(law, lineage)``.
    """
    density = jnp.exp(elpd - jnp.max(elpd, axis=0, keepdims=True))
    even = jnp.full(elpd.shape[0], 1.0 / elpd.shape[0], elpd.dtype)

    def improve(_: Array | int, weights: Array) -> Array:
        # w_k <- mean over lineages of  w_k p_kl / sum_h w_h p_hl
        share = weights[:, None] * density
        return jnp.mean(share / jnp.sum(share, axis=0, keepdims=True), axis=1)

    return jax.lax.fori_loop(0, _ROUNDS, improve, even)


def mixture_rows(
    weights: Float[Array, " law"], draws: int
) -> tuple[Int[Array, " draw"], Int[Array, " draw"]]:
    """Which draws of several laws make up as many of their mixture.

    Args:
        weights: of each law, not negative, that sum to 1, ``(law,)``.
        draws: of each law, and of the mixture.

    Returns:
        Position of the law and of the draw, ``(draws,)`` each: as many of each law as its weight
        says, spread evenly over its draws.
    """
    ends = jnp.round(jnp.cumsum(weights) * draws).astype(int).at[-1].set(draws)
    rank = jnp.arange(draws)
    law = jnp.searchsorted(ends, rank, side="right")
    begin = jnp.concatenate([jnp.zeros(1, ends.dtype), ends[:-1]])[law]
    count = jnp.maximum(ends[law] - begin, 1)
    return law, (rank - begin) * draws // count
