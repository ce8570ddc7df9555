"""Conditioning the effects of lineages on their scores: the linear algebra, bin by bin."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.bins import Bins, ScoreBlocks
from sloth_jax.products import einsum, matmul


@jax.custom_jvp
def inverse(
    matrices: Float[Array, "*batch row row"],
) -> tuple[Float[Array, "*batch row row"], Float[Array, "*batch pair"]]:
    """Inverses of positive definite matrices ``(..., row, column)``, and log determinants.

    The log determinant comes in parts that add up to it, ``(..., row / 2)``: one for each pair of
    rows given those above. In a block diagonal matrix they tell the blocks' determinants.

    By Gauss-Jordan sweeps of two rows at a time, in array operations over the whole batch: calls
    of LAPACK for many small matrices are slow on CPU, and far slower beside another busy process.
    The number of rows must be even.
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


@inverse.defjvp
def _inverse_jvp(primals, tangents):
    (change,) = tangents
    inverted, parts = inverse(*primals)
    # d A^-1 = -A^-1 dA A^-1. The determinant is not differentiated here but in
    # block_log_density.
    moved = matmul(matmul(inverted, change), inverted)
    return (inverted, parts), (-moved, jnp.zeros_like(parts))


class Latent(NamedTuple):
    """Unknown covariates of the models of bins: a further unit beside the skills.

    Unlike a skill it moves each score by a slope of its own: that of the surface at the model.

    Attributes:
        covariance: before scores, a unit matrix where there is none, ``(bin, unit, place, place)``.
        slope: of predictors, 0 where a covariate is known, ``(bin, unit, benchmark, place)``.
    """

    covariance: Float[Array, "bin unit place place"]
    slope: Float[Array, "bin unit benchmark place"]


class Solved(NamedTuple):
    """What the scores of lineages say about their effects.

    Units are skills, then unknown covariates.

    Attributes:
        weight: V^-1 r, residuals over their whole covariance, ``(bin, benchmark, place)``.
        unit: expected effects on skills, and expected covariates, ``(bin, unit, place)``.
        log_density: of the residuals of each pair of places given pairs before it, which add up
            to that of a lineage, ``(bin, place / 2)``.
        benchmark_precision: inverse covariance of residuals given units, 0 where not observed,
            ``(bin, benchmark, place, place)``.
        block_precision: the same, block by block, ``(block, score, score)`` for each size.
        unit_precision: inverse covariance of units before scores, ``(bin, unit, place, place)``.
        unit_covariance: of units after scores, ``(bin, unit, place, unit, place)``.
    """

    weight: Float[Array, "bin benchmark place"]
    unit: Float[Array, "bin unit place"]
    log_density: Float[Array, "bin pair"]
    benchmark_precision: Float[Array, "bin benchmark place place"]
    block_precision: tuple[Float[Array, "block score score"], ...]
    unit_precision: Float[Array, "bin unit place place"]
    unit_covariance: Float[Array, "bin unit place unit place"]


def solve(
    benchmark: tuple[Float[Array, "block score score"], ...],
    skill: Float[Array, "bin skill place place"],
    loading: Float[Array, "benchmark skill"],
    residual: Float[Array, "bin benchmark place"],
    seen: Float[Array, "bin benchmark place"],
    latent: Latent | None,
    bins: Bins,
) -> Solved:
    """Condition the effects of lineages on their scores.

    Args:
        benchmark: covariance of residuals given skills, ``(block, score, score)`` for each size of
            blocks; a unit matrix where not observed.
        skill: covariance of effects on skills, ``(bin, skill, place, place)``; a unit matrix
            where empty.
        loading: ``(benchmark, skill)``.
        residual: 0 where not observed, ``(bin, benchmark, place)``.
        seen: 1 where observed, else 0, ``(bin, benchmark, place)``.
        latent: unknown covariates; None where all are known.
        bins: where the blocks are.
    """
    count, _, size = residual.shape
    prior = skill if latent is None else jnp.concatenate([skill, latent.covariance], axis=1)
    units = prior.shape[1]
    s_inv, log_prior = inverse(prior)
    twice = jnp.sum(log_prior, axis=1)
    blocks = []
    for some, matrices in zip(bins.blocks, benchmark, strict=True):
        inverted, log_determinant = inverse(matrices)
        in_block = in_blocks(some, seen)
        blocks.append(inverted * in_block[:, :, None] * in_block[:, None, :])
        twice = twice.at[some.bin, some.place[:, 0] // 2].add(jnp.sum(log_determinant, axis=1))
    r_inv = _side_by_side(tuple(blocks), bins.entry, residual.dtype)
    # M = S^-1 + sum_j lambda_j lambda_j' (x) R_j,   h = sum_j lambda_j (x) R_j r_j
    gram = _gram(loading, latent, r_inv)
    unit = jnp.eye(units, dtype=gram.dtype)[None, :, None, :, None]
    joint = gram + unit * s_inv[:, :, :, None, :]
    m_inv, log_joint = inverse(joint.reshape(count, units * size, units * size))
    m_inv = m_inv.reshape(count, units, size, units, size)
    weight, mean = weigh(r_inv, m_inv, loading, latent, residual)
    # r' V^-1 r + log|V_r| + log|S| + log|M| + n log(2 pi)
    terms = residual * weight + seen * math.log(2.0 * math.pi)
    twice += jnp.sum(terms, axis=1).reshape(count, -1, 2).sum(axis=-1)
    twice += jnp.sum(log_joint.reshape(count, units, -1), axis=1)
    return Solved(weight, mean, -0.5 * twice, r_inv, tuple(blocks), s_inv, m_inv)


def in_blocks(
    blocks: ScoreBlocks, values: Float[Array, "bin benchmark place ..."]
) -> Float[Array, "block score ..."]:
    """Values of the scores of blocks; 0 where empty."""
    found = values[blocks.bin[:, None], blocks.benchmark[:, None], blocks.place]
    return found * blocks.real.reshape(*blocks.real.shape, *(1,) * (found.ndim - 2))


def pairs_in_blocks(
    blocks: ScoreBlocks, values: Float[Array, "bin benchmark place place"]
) -> Float[Array, "block score score"]:
    """Values of pairs of scores of blocks; any where empty."""
    at = (blocks.bin[:, None, None], blocks.benchmark[:, None, None])
    return values[*at, blocks.place[:, :, None], blocks.place[:, None, :]]


def _side_by_side(blocks: tuple[Array, ...], entry: Array, dtype: Any) -> Array:
    """Blocks at their places, ``(bin, benchmark, place, place)``; 0 elsewhere."""
    flat = [block.reshape(-1) for block in blocks]
    return jnp.concatenate([*flat, jnp.zeros(1, dtype)])[entry]


def weigh(
    r_inv: Array, m_inv: Array, loading: Array, latent: Latent | None, residual: Array
) -> tuple[Array, Array]:
    """V^-1 r and expected units, of the precisions and covariances of :class:`Solved`."""
    scaled = jnp.sum(r_inv * residual[:, :, None, :], axis=-1)
    pull = to_units(loading, latent, scaled)
    mean = jnp.sum(m_inv * pull[:, None, None], axis=(-1, -2))
    moved = to_benchmarks(loading, latent, mean)
    return scaled - jnp.sum(r_inv * moved[:, :, None], axis=-1), mean


def to_units(loading: Array, latent: Latent | None, values: Array) -> Array:
    """Sum over benchmarks of loadings times values ``(bin, benchmark, place, ...)``, by unit."""
    found = einsum("jk,ljn...->lkn...", loading, values)
    if latent is None:
        return found
    return jnp.concatenate([found, einsum("lujn,ljn...->lun...", latent.slope, values)], axis=1)


def to_benchmarks(loading: Array, latent: Latent | None, values: Array) -> Array:
    """Sum over units of loadings times values ``(bin, unit, place, ...)``, of each benchmark."""
    skills = loading.shape[1]
    found = einsum("jk,lkn...->ljn...", loading, values[:, :skills])
    if latent is not None:
        rest = (1,) * (values.ndim - 3)
        for at in range(latent.slope.shape[1]):
            slope = latent.slope[:, at]
            found += slope.reshape(*slope.shape, *rest) * values[:, skills + at][:, None]
    return found


def _gram(loading: Array, latent: Latent | None, r_inv: Array) -> Array:
    """Sum over benchmarks of loadings times precision, ``(bin, unit, place, unit, place)``."""
    (bins, benchmarks, size, _), skills = r_inv.shape, loading.shape[1]
    products = (loading[:, :, None] * loading[:, None, :]).reshape(benchmarks, -1)
    gram = einsum("jk,ljn->lkn", products, r_inv.reshape(bins, benchmarks, -1))
    gram = gram.reshape(bins, skills, skills, size, size).transpose(0, 1, 3, 2, 4)
    if latent is None:
        return gram
    # R_j[m, n] g_j[n]
    right = r_inv[:, None] * latent.slope[:, :, :, None, :]
    beside = einsum("jk,lujmn->lkmun", loading, right)
    below = einsum("lvjm,lujmn->lvmun", latent.slope, right)
    left = jnp.concatenate([gram, jnp.transpose(beside, (0, 3, 4, 1, 2))], axis=1)
    return jnp.concatenate([left, jnp.concatenate([beside, below], axis=1)], axis=3)


@jax.custom_jvp
def block_log_density(*block: Any) -> Array:
    """Log density of all residuals, scalar; arguments as for :func:`solve`."""
    return jnp.sum(solve(*block).log_density)


@block_log_density.defjvp
def _block_log_density_jvp(primals, tangents):
    s = solve(*primals)
    return jnp.sum(s.log_density), density_change(s, primals, tangents)


def density_change(
    s: Solved, block: tuple, change_of: tuple, shared: tuple[Array, Array] | None = None
) -> Array:
    """Change of the log density of all residuals with arguments of :func:`solve`.

    With V the covariance of all residuals r and a = V^-1 r::

        d log N(r; 0, V) = a' dV a / 2 - tr(V^-1 dV) / 2 - a' dr

    block by block: a gradient costs little more than the density. Where bins share effects V^-1
    is less by X Y', which are ``shared``, ``(bin, benchmark, place, column)`` each.
    """
    skill, loading, latent, bins = block[1], block[2], block[5], block[6]
    d_benchmark, d_skill, d_loading, d_residual, _, d_latent, _ = change_of
    skills = loading.shape[1]
    s_inv, m_inv = s.unit_precision, s.unit_covariance
    spread, of_loading, of_slope = _units_after(s, loading, latent)
    change = jnp.zeros((), loading.dtype)
    for some, r_inv, d_block in zip(bins.blocks, s.block_precision, d_benchmark, strict=True):
        # the diagonal blocks of V^-1: R_j - R_j P_j R_j
        added = pairs_in_blocks(some, spread)
        weight = in_blocks(some, s.weight)
        of_block = weight[:, :, None] * weight[:, None, :]
        of_block -= r_inv - matmul(matmul(r_inv, added), r_inv)
        if shared is not None:
            x, y = (in_blocks(some, part) for part in shared)
            of_block += einsum("bmu,bnu->bmn", x, y)
        change += 0.5 * jnp.sum(of_block * d_block)
    # lambda' a = S^-1 E[e],  lambda' V^-1 lambda = S^-1 - S^-1 M^-1 S^-1
    pulled = jnp.sum(s_inv * s.unit[:, :, None, :], axis=-1)
    own = einsum("lkmkn->lkmn", m_inv)
    of_unit = pulled[:, :, :, None] * pulled[:, :, None, :] - s_inv
    of_unit += matmul(matmul(s_inv, own), s_inv)
    # a_j' E[e_k] - tr(R_j P_jk)
    of_loading = einsum("ljn,lkn->jk", s.weight, s.unit[:, :skills]) - of_loading
    if shared is not None:
        x, y = (to_units(loading, latent, part) for part in shared)
        of_unit += einsum("lkmu,lknu->lkmn", x, y)
        of_loading += einsum("ljmu,lkmu->jk", shared[0], matmul(skill, y[:, :skills]))
    change += 0.5 * jnp.sum(of_unit[:, :skills] * d_skill)
    change += jnp.sum(of_loading * d_loading) - jnp.sum(s.weight * d_residual)
    if latent is not None:
        of_slope = s.weight[:, None] * s.unit[:, skills:, None] - of_slope
        if shared is not None:
            moved = matmul(latent.covariance, y[:, skills:])
            of_slope += einsum("ljmu,lkmu->lkjm", shared[0], moved)
        change += 0.5 * jnp.sum(of_unit[:, skills:] * d_latent.covariance)
        change += jnp.sum(of_slope * d_latent.slope)
    return change


def _units_after(
    s: Solved, loading: Array, latent: Latent | None
) -> tuple[Array, Array, Array | float]:
    """P of :func:`at_scores` after scores, and half of tr(R_j P_j) differentiated.

    Returns:
        P, ``(bin, benchmark, place, place)``; the derivative by loadings, ``(benchmark, skill)``,
        and by slopes of unknown covariates, ``(bin, unit, benchmark, place)``, 0 where there are
        none.
    """
    r_inv, skills = s.benchmark_precision, loading.shape[1]
    (bins, benchmarks, size, _) = r_inv.shape
    found = at_scores(loading, latent, s.unit_covariance)
    # sum_h lambda_jh <R_j, M^-1_hk>
    flat = found.between.reshape(bins, -1, size * size)
    inner = einsum("ljn,lcn->jc", r_inv.reshape(bins, benchmarks, -1), flat)
    inner = inner.reshape(benchmarks, skills, skills)
    of_loading = jnp.sum(loading[:, :, None] * inner, axis=1)
    if found.within is None or found.beside is None:
        return found.spread, of_loading, 0.0
    of_loading += einsum("ljmn,ljkmn->jk", r_inv, found.beside)
    return found.spread, of_loading, einsum("ljmn,ljmun->lujn", r_inv, found.within)


class AtScores(NamedTuple):
    """Covariance of predictors by units, and what it is made of.

    Attributes:
        spread: P_j = sum over units u, v of l_ju C_uv l_jv, ``(bin, benchmark, place, place)``.
        between: C of skills, ``(bin, skill, skill, place, place)``.
        within: l' C of unknown covariates, ``(bin, benchmark, place, unit, place)``; None where
            all are known.
        beside: g C between unknown covariates and skills, ``(bin, benchmark, skill, place,
            place)``; None likewise.
    """

    spread: Array
    between: Array
    within: Array | None
    beside: Array | None


def at_scores(loading: Array, latent: Latent | None, covariance: Array) -> AtScores:
    """Covariance of predictors by units of the covariance ``(bin, unit, place, unit, place)``."""
    benchmarks, skills = loading.shape
    between = covariance[:, :skills, :, :skills].transpose(0, 1, 3, 2, 4)
    bins, size = between.shape[0], between.shape[-1]
    products = (loading[:, :, None] * loading[:, None, :]).reshape(benchmarks, -1)
    spread = einsum("jc,lcn->ljn", products, between.reshape(bins, -1, size * size))
    spread = spread.reshape(bins, benchmarks, size, size)
    if latent is None:
        return AtScores(spread, between, None, None)
    within = to_benchmarks(loading, latent, covariance[:, :, :, skills:])
    spread += einsum("lujn,ljmun->ljmn", latent.slope, within)
    beside = einsum("lujm,lumkn->ljkmn", latent.slope, covariance[:, skills:, :, :skills])
    spread += einsum("jk,ljkmn->ljmn", loading, beside)
    return AtScores(spread, between, within, beside)
