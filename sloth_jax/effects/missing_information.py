"""The complete log density, of scores and latents together, and what is missing of it.

Given the latents ``e`` (skills and unknown covariates) benchmarks are independent, which the
density of scores alone is not. With the complete log density ``log p(r, e)`` the information of the
scores is what scores and latents would have together, less the missing information (Dempster, Laird
and Rubin 1977; Louis 1982)::

    -d2 log p(r) = E[-d2 log p(r, e) | r] - Var(d log p(r, e) | r)

``e`` is normal given ``r``, with mean ``m`` and covariance ``M^-1``, and the first derivative of
the complete log density by a parameter ``a`` is quadratic in it, so that with ``u = h - M m``,
where ``m`` is held fixed, and ``y ~ N(0, M^-1)``::

    Cov(d_a log p(r, e), d_b log p(r, e)) = d_a u' M^-1 d_b u + E[(d_a M y)' M^-1 (d_b M y)] / 2

``h`` and ``M`` of :mod:`sloth_jax.effects.elimination` are sums over benchmarks, so that one
derivative serves all benchmarks together. :mod:`sloth_jax.law.curvature` puts both together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.batched_inverse import batched_inverse
from sloth_jax.effects.bins import Bins, ScoreBlocks
from sloth_jax.effects.density import Problem, problem_in_bins
from sloth_jax.effects.elimination import (
    BinProblem,
    UnknownCovariates,
    in_blocks,
    solve,
    to_benchmarks,
)
from sloth_jax.products import einsum, matmul


class Latents(NamedTuple):
    """Effects on skills and unknown covariates of the models of bins, given their scores.

    Attributes:
        mean: m, ``(bin, latent, slot)``.
        covariance: M^-1, ``(bin, latent, slot, latent, slot)``.
        block_covariance: the same between the models of each block, ``(latent, latent, block,
            score, score)`` for each size.
    """

    mean: Float[Array, "bin latent slot"]
    covariance: Float[Array, "bin latent slot latent slot"]
    block_covariance: tuple[Float[Array, "latent latent block score score"], ...]


def latents_given_scores(problem: Problem, bins: Bins) -> Latents:
    """Mean and covariance of latents given the scores."""
    solved = solve(problem_in_bins(problem, bins))
    by_slots = solved.latent_covariance.transpose(1, 3, 0, 2, 4)
    by_scores = tuple(by_slots[:, :, *some.pairs] for some in bins.blocks)
    return Latents(solved.latent_mean, solved.latent_covariance, by_scores)


def draw_latents(
    latents: Latents, bins: Bins, key: Array, draws: int
) -> Float[Array, "draw bin latent slot"]:
    """Draws of latents given the scores, less their mean: ``y``.

    A bin's key is that of its first model, so that draws do not depend on where the bin stands.
    """
    count, number, size = latents.mean.shape
    width = number * size
    root = jnp.linalg.cholesky(latents.covariance.reshape(count, width, width))
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(bins.rows[:, 0])
    normal = jax.vmap(lambda one: jax.random.normal(one, (draws, width), root.dtype))(keys)
    drawn = einsum("bij,bdj->dbi", root, normal)
    return drawn.reshape(draws, count, number, size)


def expected_log_density(problem: Problem, bins: Bins, latents: Latents) -> Float[Array, ""]:
    """Complete log density, of scores and latents, expected over latents, scalar.

    Args:
        problem: at the parameters whose density it is.
        bins: whose scores.
        latents: over which the expectation is, perhaps given the scores at other parameters.
    """
    one = problem_in_bins(problem, bins)
    remaining = one.residual - one.seen * to_benchmarks(one.loading, one.unknown, latents.mean)
    found = -0.5 * math.log(2.0 * math.pi) * jnp.sum(one.seen)
    blocks = zip(bins.blocks, one.specific, latents.block_covariance, strict=True)
    for some, covariance, between in blocks:
        off, at = in_blocks(some, remaining), _block_loadings(some, one)
        # E[(r - l e)(r - l e)'] = (r - l m)(r - l m)' + sum_u l_u t_u,  t_u = sum_v C_uv l_v'
        spread = jnp.zeros_like(covariance)
        for u, row in enumerate(between):
            t_u = sum(of_pair * at[v][:, None, :] for v, of_pair in enumerate(row))
            spread += at[u][:, :, None] * jax.lax.stop_gradient(t_u)
        # The derivative by l is twice that with t held fixed, as only the symmetric part counts.
        spread = 2.0 * spread - jax.lax.stop_gradient(spread)
        square = off[:, :, None] * off[:, None, :] + spread
        found += _expected_normal(covariance, square)
    square = latents.mean[:, :, :, None] * latents.mean[:, :, None, :]
    square += jnp.moveaxis(jnp.diagonal(latents.covariance, axis1=1, axis2=3), -1, 1)
    return found + _expected_normal(one.prior, square)


def _block_loadings(blocks: ScoreBlocks, problem: BinProblem) -> list[Float[Array, "block score"]]:
    """Loadings of the scores of blocks, latent by latent; 0 where not observed."""
    observed = in_blocks(blocks, problem.seen)
    found = [of_skill[blocks.benchmark][:, None] * observed for of_skill in problem.loading.T]
    if problem.unknown is not None:
        slopes = jnp.moveaxis(problem.unknown.slope, 1, 0)
        found += [in_blocks(blocks, slope) * observed for slope in slopes]
    return found


@jax.custom_jvp
def _expected_normal(covariance: Array, square: Array) -> Array:
    """-(log|V| + <V^-1, W>) / 2 of covariances and expected squares ``(..., row, row)``, summed."""
    inverted, log_determinant = batched_inverse(covariance)
    return -0.5 * (jnp.sum(log_determinant) + jnp.sum(inverted * square))


@_expected_normal.defjvp
def _expected_normal_jvp(primals, tangents):
    # d = <V^-1 W V^-1 - V^-1, dV> / 2 - <V^-1, dW> / 2
    covariance, square = primals
    inverted, log_determinant = batched_inverse(covariance)
    value = -0.5 * (jnp.sum(log_determinant) + jnp.sum(inverted * square))
    of_covariance = matmul(matmul(inverted, square), inverted) - inverted
    change = jnp.sum(of_covariance * tangents[0]) - jnp.sum(inverted * tangents[1])
    return value, 0.5 * change


def latent_gradient(
    problem: Problem, bins: Bins, latents: Float[Array, "bin latent slot"], *, residuals: bool
) -> tuple[Float[Array, "bin latent benchmark slot"], Float[Array, "bin latent slot"]]:
    """Gradient of the complete log density by latents, h - M e: of each benchmark, and the prior.

    Args:
        problem: see :class:`Problem`.
        bins: of the models.
        latents: values e.
        residuals: whether scores have their residuals; else these are 0, which leaves -M e.
    """
    one = problem_in_bins(problem, bins)
    remaining = -one.seen * to_benchmarks(one.loading, one.unknown, latents)
    if residuals:
        remaining += one.residual
    weight = jnp.zeros_like(remaining)  # R_j (r_j - l_j e)
    for some, specific in zip(bins.blocks, one.specific, strict=True):
        solved = jnp.sum(
            batched_inverse(specific)[0] * in_blocks(some, remaining)[:, None], axis=-1
        )
        at = (some.bin[:, None], some.benchmark[:, None], some.slot)
        weight = weight.at[at].add(solved * in_blocks(some, one.seen) * some.mask)
    of_prior = -jnp.sum(batched_inverse(one.prior)[0] * latents[:, :, None], axis=-1)
    return _by_latent(one.loading, one.unknown, weight), of_prior


def _by_latent(loading: Array, unknown: UnknownCovariates | None, weight: Array) -> Array:
    """Loadings times weights of benchmarks, one by one, ``(bin, latent, benchmark, slot)``."""
    found = loading.T[None, :, :, None] * weight[:, None]
    if unknown is None:
        return found
    return jnp.concatenate([found, unknown.slope * weight[:, None]], axis=1)
