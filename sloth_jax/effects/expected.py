"""Scores and skills together: what the density is made of, given the skills.

Given skills ``e`` benchmarks are independent, which the density of scores alone is not. With the
complete log density ``log p(r, e)`` and ``e`` as the scores suggest it at one place (the
expectation step of Dempster, Laird and Rubin 1977), the information of the scores is what scores
and skills would have together, less what is missing (Louis 1982)::

    -d2 log p(r) = E[-d2 log p(r, e) | r] - Var(d log p(r, e) | r)

``e`` is normal given ``r``, with mean ``m`` and covariance ``M^-1``, and the first derivative of
the complete log density by a parameter ``a`` is quadratic in it, so that with ``u = h - M m``,
where ``m`` is held fixed, and ``y ~ N(0, M^-1)``::

    Cov(d_a log p(r, e), d_b log p(r, e)) = d_a u' M^-1 d_b u + E[(d_a M y)' M^-1 (d_b M y)] / 2

``h`` and ``M`` of :mod:`sloth_jax.effects.elimination` are sums over benchmarks, so that one
derivative serves all benchmarks together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.bins import Bins, ScoreBlocks
from sloth_jax.effects.density import Problem, blocks_of
from sloth_jax.effects.elimination import (
    Latent,
    in_blocks,
    inverse,
    solve,
    to_benchmarks,
)
from sloth_jax.products import einsum, matmul


class Units(NamedTuple):
    """Effects on skills and unknown covariates of the models of bins, given their scores.

    Attributes:
        mean: ``(bin, unit, place)``.
        covariance: M^-1, ``(bin, unit, place, unit, place)``.
        at_blocks: the same between the models of each block, ``(unit, unit, block, score, score)``.
    """

    mean: Float[Array, "bin unit place"]
    covariance: Float[Array, "bin unit place unit place"]
    at_blocks: tuple[Float[Array, "unit unit block score score"], ...]


def units_given(problem: Problem, bins: Bins) -> Units:
    """Units given the scores."""
    solved = solve(*blocks_of(problem, bins))
    covariance = solved.unit_covariance
    by_pair = covariance.transpose(1, 3, 0, 2, 4)
    at_blocks = tuple(
        by_pair[:, :, some.bin[:, None, None], some.place[:, :, None], some.place[:, None, :]]
        for some in bins.blocks
    )
    return Units(solved.unit, covariance, at_blocks)


def draw_units(
    units: Units, bins: Bins, key: Array, draws: int
) -> Float[Array, "draw bin unit place"]:
    """Draws of units given the scores less their mean; by models, wherever their bin is."""
    count, units_, size = units.mean.shape
    root = jnp.linalg.cholesky(units.covariance.reshape(count, units_ * size, units_ * size))
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(bins.rows[:, 0])
    normal = jax.vmap(lambda one: jax.random.normal(one, (draws, units_ * size), root.dtype))(keys)
    drawn = einsum("bij,bdj->dbi", root, normal)
    return drawn.reshape(draws, count, units_, size)


def expected_log_density(problem: Problem, bins: Bins, units: Units) -> Float[Array, ""]:
    """Log density of scores and units together, expected over units, scalar.

    Args:
        problem: what scores say about effects.
        bins: whose scores.
        units: what is expected of them, wherever that is from.
    """
    benchmark, skill, loading, residual, seen, latent, _ = blocks_of(problem, bins)
    left = residual - seen * to_benchmarks(loading, latent, units.mean)
    found = -0.5 * math.log(2.0 * math.pi) * jnp.sum(seen)
    for some, covariance, between in zip(bins.blocks, benchmark, units.at_blocks, strict=True):
        off, at = in_blocks(some, left), _at_scores_of(some, loading, latent, seen)
        # E[(r - l e)(r - l e)'] = (r - l m)(r - l m)' + sum_u l_u t_u,  t_u = sum_v C_uv l_v'
        spread = jnp.zeros_like(covariance)
        for u, row in enumerate(between):
            moved = sum(of_pair * at[v][:, None, :] for v, of_pair in enumerate(row))
            spread += at[u][:, :, None] * jax.lax.stop_gradient(moved)
        # The derivative by l is twice that with t held fixed, as only the symmetric part counts.
        spread = 2.0 * spread - jax.lax.stop_gradient(spread)
        square = off[:, :, None] * off[:, None, :] + spread
        found += _expected_normal(covariance, square)
    prior = skill if latent is None else jnp.concatenate([skill, latent.covariance], axis=1)
    square = units.mean[:, :, :, None] * units.mean[:, :, None, :]
    square += jnp.moveaxis(jnp.diagonal(units.covariance, axis1=1, axis2=3), -1, 1)
    return found + _expected_normal(prior, square)


def _at_scores_of(
    blocks: ScoreBlocks, loading: Array, latent: Latent | None, seen: Array
) -> list[Float[Array, "block score"]]:
    """Loadings of the scores of blocks by unit; 0 where not observed."""
    inside = in_blocks(blocks, seen)
    found = [of_skill[blocks.benchmark][:, None] * inside for of_skill in loading.T]
    if latent is not None:
        found += [
            in_blocks(blocks, of_unit) * inside for of_unit in jnp.moveaxis(latent.slope, 1, 0)
        ]
    return found


@jax.custom_jvp
def _expected_normal(covariance: Array, square: Array) -> Array:
    """-(log|V| + <V^-1, W>) / 2 of covariances and expected squares ``(..., row, row)``, summed."""
    inverted, log_determinant = inverse(covariance)
    return -0.5 * (jnp.sum(log_determinant) + jnp.sum(inverted * square))


@_expected_normal.defjvp
def _expected_normal_jvp(primals, tangents):
    # d = <V^-1 W V^-1 - V^-1, dV> / 2 - <V^-1, dW> / 2
    covariance, square = primals
    inverted, log_determinant = inverse(covariance)
    value = -0.5 * (jnp.sum(log_determinant) + jnp.sum(inverted * square))
    of_covariance = matmul(matmul(inverted, square), inverted) - inverted
    change = jnp.sum(of_covariance * tangents[0]) - jnp.sum(inverted * tangents[1])
    return value, 0.5 * change


def pulls(
    problem: Problem, bins: Bins, units: Float[Array, "bin unit place"], scored: bool
) -> tuple[Float[Array, "bin unit benchmark place"], Float[Array, "bin unit place"]]:
    """What each benchmark, and the prior, pull at units that have these values: h - M e.

    Args:
        problem: what scores say about effects.
        bins: of the models.
        units: values e.
        scored: whether the scores pull; else residuals are taken to be 0, which leaves -M e.
    """
    benchmark, skill, loading, residual, seen, latent, _ = blocks_of(problem, bins)
    left = -seen * to_benchmarks(loading, latent, units)
    if scored:
        left += residual
    weight = jnp.zeros_like(left)
    for some, covariance in zip(bins.blocks, benchmark, strict=True):
        inside = in_blocks(some, seen)
        solved = jnp.sum(inverse(covariance)[0] * in_blocks(some, left)[:, None], axis=-1)
        weight = _put(weight, some, solved * inside)
    prior = skill if latent is None else jnp.concatenate([skill, latent.covariance], axis=1)
    own = -jnp.sum(inverse(prior)[0] * units[:, :, None], axis=-1)
    return _by_unit(loading, latent, weight), own


def _put(into: Array, blocks: ScoreBlocks, values: Array) -> Array:
    """Values of the scores of blocks at their places ``(bin, benchmark, place)``."""
    at = (blocks.bin[:, None], blocks.benchmark[:, None], blocks.place)
    return into.at[at].add(values * blocks.real)


def _by_unit(loading: Array, latent: Latent | None, weight: Array) -> Array:
    """Loadings times weights of benchmarks, one by one, ``(bin, unit, benchmark, place)``."""
    found = loading.T[None, :, :, None] * weight[:, None]
    if latent is None:
        return found
    return jnp.concatenate([found, latent.slope * weight[:, None]], axis=1)
