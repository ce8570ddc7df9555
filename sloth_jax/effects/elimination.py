"""Lineages given their scores, effects eliminated: the linear algebra of :class:`BinProblem`.

A *latent* is a skill or an unknown covariate. In one bin let ``r_j`` be the residuals of benchmark
``j`` at the bin's models and ``e_k`` the models' effects on latent ``k``, ``l_jk`` its loadings, a
number for a skill and a diagonal matrix of slopes for an unknown covariate::

    e_k ~ N(0, S_k),    r_j | e ~ N(sum_k l_jk e_k, D_j),    R_j = D_j^-1, 0 where not observed

Given latents the benchmarks are independent. So they are eliminated first, each by a small matrix,
and what they say about latents adds up::

    M = S^-1 + sum_j l_j' R_j l_j           precision of latents given the scores
    h = sum_j l_j' R_j r_j,                 E[e | r] = M^-1 h
    (V^-1 r)_j = R_j (r_j - l_j E[e | r])   with V the covariance of all residuals
    -2 log N(r; 0, V) = r' V^-1 r + sum_j log|D_j| + log|S| + log|M| + n log(2 pi)

(Woodbury's identity and the matrix determinant lemma: Rasmussen and Williams 2006, appendix A.3.)
The cost is models^3 x benchmarks + (models x latents)^3 per bin.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.batched_inverse import batched_inverse
from sloth_jax.effects.bins import Bins, ScoreBlocks
from sloth_jax.products import einsum, matmul


class UnknownCovariates(NamedTuple):
    """Sizes and tokens that are not known: latents beside the skills.

    Unlike a skill they move each score by a slope of its own: that of the surface at the model.

    Attributes:
        covariance: S_k, before scores; the identity where all are known, ``(bin, covariate, slot,
            slot)``.
        slope: of predictors, 0 where a covariate is known, ``(bin, covariate, benchmark, slot)``.
    """

    covariance: Float[Array, "bin covariate slot slot"]
    slope: Float[Array, "bin covariate benchmark slot"]


class BinProblem(NamedTuple):
    """What is to be solved for the lineages in bins of one size.

    Attributes:
        specific: D_j, covariance of residuals given latents, ``(block, score, score)`` for each
            size of blocks; the identity where not observed.
        skill: S_k, covariance of effects on skills, ``(bin, skill, slot, slot)``; the identity
            where empty.
        loading: ``(benchmark, skill)``.
        residual: r; 0 where not observed, ``(bin, benchmark, slot)``.
        seen: 1 where observed, else 0, ``(bin, benchmark, slot)``.
        unknown: covariates that are not known; None where all are.
        bins: where models and scores are.
    """

    specific: tuple[Float[Array, "block score score"], ...]
    skill: Float[Array, "bin skill slot slot"]
    loading: Float[Array, "benchmark skill"]
    residual: Float[Array, "bin benchmark slot"]
    seen: Float[Array, "bin benchmark slot"]
    unknown: UnknownCovariates | None
    bins: Bins

    @property
    def prior(self) -> Float[Array, "bin latent slot slot"]:
        """S, covariance of latents before scores: of skills, then of unknown covariates."""
        if self.unknown is None:
            return self.skill
        return jnp.concatenate([self.skill, self.unknown.covariance], axis=1)


class Solved(NamedTuple):
    """Lineages given their scores.

    Attributes:
        weight: V^-1 r, ``(bin, benchmark, slot)``.
        latent_mean: E[e | r], ``(bin, latent, slot)``.
        log_density: of the residuals of each pair of slots given the pairs before it, which add
            up to that of a lineage, ``(bin, slot / 2)``.
        precision: R_j, ``(bin, benchmark, slot, slot)``.
        block_precision: the same, block by block, ``(block, score, score)`` for each size.
        prior_precision: S^-1, ``(bin, latent, slot, slot)``.
        latent_covariance: M^-1, ``(bin, latent, slot, latent, slot)``.
    """

    weight: Float[Array, "bin benchmark slot"]
    latent_mean: Float[Array, "bin latent slot"]
    log_density: Float[Array, "bin pair"]
    precision: Float[Array, "bin benchmark slot slot"]
    block_precision: tuple[Float[Array, "block score score"], ...]
    prior_precision: Float[Array, "bin latent slot slot"]
    latent_covariance: Float[Array, "bin latent slot latent slot"]


def solve(problem: BinProblem) -> Solved:
    """Condition the latents of lineages on their scores, and find the scores' density."""
    loading, residual, bins = problem.loading, problem.residual, problem.bins
    count, _, size = residual.shape
    s_inv, log_prior = batched_inverse(problem.prior)
    latents = s_inv.shape[1]
    minus_twice = jnp.sum(log_prior, axis=1)  # -2 log density, term by term
    blocks = []
    for some, specific in zip(bins.blocks, problem.specific, strict=True):
        inverted, log_determinant = batched_inverse(specific)
        observed = in_blocks(some, problem.seen)
        blocks.append(inverted * observed[:, :, None] * observed[:, None, :])
        terms = jnp.sum(log_determinant, axis=1)
        minus_twice = minus_twice.at[some.bin, some.slot[:, 0] // 2].add(terms)
    r_inv = _blocks_in_bins(tuple(blocks), bins, residual.dtype)
    # M = S^-1 + sum_j l_j' R_j l_j
    gram = _gram(loading, problem.unknown, r_inv)
    identity = jnp.eye(latents, dtype=gram.dtype)[None, :, None, :, None]
    joint = gram + identity * s_inv[:, :, :, None, :]
    m_inv, log_joint = batched_inverse(joint.reshape(count, latents * size, latents * size))
    m_inv = m_inv.reshape(count, latents, size, latents, size)
    weight, mean = apply_precision(r_inv, m_inv, loading, problem.unknown, residual)
    # r' V^-1 r + sum_j log|D_j| + log|S| + log|M| + n log(2 pi)
    terms = residual * weight + problem.seen * math.log(2.0 * math.pi)
    minus_twice += jnp.sum(terms, axis=1).reshape(count, -1, 2).sum(axis=-1)
    minus_twice += jnp.sum(log_joint.reshape(count, latents, -1), axis=1)
    return Solved(weight, mean, -0.5 * minus_twice, r_inv, tuple(blocks), s_inv, m_inv)


def in_blocks(
    blocks: ScoreBlocks, values: Float[Array, "bin benchmark slot ..."]
) -> Float[Array, "block score ..."]:
    """Values of the scores of blocks; 0 where empty."""
    found = values[blocks.bin[:, None], blocks.benchmark[:, None], blocks.slot]
    return found * blocks.mask.reshape(*blocks.mask.shape, *(1,) * (found.ndim - 2))


def _blocks_in_bins(blocks: tuple[Array, ...], bins: Bins, dtype: Any) -> Array:
    """Matrices of blocks as matrices of bins, ``(bin, benchmark, slot, slot)``; 0 elsewhere."""
    flat = [block.reshape(-1) for block in blocks]
    return jnp.concatenate([*flat, jnp.zeros(1, dtype)])[bins.pair_index]


def apply_precision(
    r_inv: Array,
    m_inv: Array,
    loading: Array,
    unknown: UnknownCovariates | None,
    residual: Float[Array, "bin benchmark slot"],
) -> tuple[Float[Array, "bin benchmark slot"], Float[Array, "bin latent slot"]]:
    """V^-1 r and E[e | r], by ``precision`` and ``latent_covariance`` of :class:`Solved`."""
    scaled = jnp.sum(r_inv * residual[:, :, None, :], axis=-1)
    h = to_latents(loading, unknown, scaled)
    mean = jnp.sum(m_inv * h[:, None, None], axis=(-1, -2))
    explained = to_benchmarks(loading, unknown, mean)
    return scaled - jnp.sum(r_inv * explained[:, :, None], axis=-1), mean


def to_latents(loading: Array, unknown: UnknownCovariates | None, values: Array) -> Array:
    """``sum_j l_j' v_j``, ``(bin, latent, slot, ...)``, of ``v (bin, benchmark, slot, ...)``."""
    found = einsum("jk,ljn...->lkn...", loading, values)
    if unknown is None:
        return found
    return jnp.concatenate([found, einsum("lujn,ljn...->lun...", unknown.slope, values)], axis=1)


def to_benchmarks(loading: Array, unknown: UnknownCovariates | None, values: Array) -> Array:
    """``l_j v``, ``(bin, benchmark, slot, ...)``, of ``v (bin, latent, slot, ...)``."""
    skills = loading.shape[1]
    found = einsum("jk,lkn...->ljn...", loading, values[:, :skills])
    if unknown is not None:
        rest = (1,) * (values.ndim - 3)
        for at in range(unknown.slope.shape[1]):
            slope = unknown.slope[:, at]
            found += slope.reshape(*slope.shape, *rest) * values[:, skills + at][:, None]
    return found


def _gram(loading: Array, unknown: UnknownCovariates | None, r_inv: Array) -> Array:
    """``sum_j l_j' R_j l_j``, ``(bin, latent, slot, latent, slot)``."""
    (bins, benchmarks, size, _), skills = r_inv.shape, loading.shape[1]
    products = (loading[:, :, None] * loading[:, None, :]).reshape(benchmarks, -1)
    gram = einsum("jk,ljn->lkn", products, r_inv.reshape(bins, benchmarks, -1))
    gram = gram.reshape(bins, skills, skills, size, size).transpose(0, 1, 3, 2, 4)
    if unknown is None:
        return gram
    # R_j[m, n] g_j[n]
    right = r_inv[:, None] * unknown.slope[:, :, :, None, :]
    beside = einsum("jk,lujmn->lkmun", loading, right)
    below = einsum("lvjm,lujmn->lvmun", unknown.slope, right)
    left = jnp.concatenate([gram, jnp.transpose(beside, (0, 3, 4, 1, 2))], axis=1)
    return jnp.concatenate([left, jnp.concatenate([beside, below], axis=1)], axis=3)


@jax.custom_jvp
def bin_log_density(problem: BinProblem) -> Float[Array, ""]:
    """Log density of all residuals, scalar."""
    return jnp.sum(solve(problem).log_density)


@bin_log_density.defjvp
def _bin_log_density_jvp(primals, tangents):
    solved = solve(*primals)
    return jnp.sum(solved.log_density), log_density_change(solved, *primals, *tangents)


def log_density_change(
    s: Solved,
    problem: BinProblem,
    change: BinProblem,
    downdate: tuple[Array, Array] | None = None,
) -> Float[Array, ""]:
    """Change of the log density of all residuals with the problem, to first order.

    With V the covariance of all residuals and a = V^-1 r::

        d log N(r; 0, V) = a' dV a / 2 - tr(V^-1 dV) / 2 - a' dr

    block by block: a gradient costs little more than the density.

    Args:
        s: the problem solved.
        problem: see :class:`BinProblem`.
        change: of each of its arrays.
        downdate: X and Y, where V^-1 is less by X Y' than that of the problem, as bins share
            effects, ``(bin, benchmark, slot, column)`` each.
    """
    loading, unknown = problem.loading, problem.unknown
    skills = loading.shape[1]
    s_inv, m_inv = s.prior_precision, s.latent_covariance
    predictor, of_loading, of_slope = _trace_derivatives(s, loading, unknown)
    found = jnp.zeros((), loading.dtype)
    blocks = zip(problem.bins.blocks, s.block_precision, change.specific, strict=True)
    for some, r_inv, d_specific in blocks:
        # the diagonal blocks of V^-1: R_j - R_j P_j R_j
        weight = in_blocks(some, s.weight)
        of_block = weight[:, :, None] * weight[:, None, :]
        of_block -= r_inv - matmul(matmul(r_inv, _pairs_in_blocks(some, predictor)), r_inv)
        if downdate is not None:
            x, y = (in_blocks(some, part) for part in downdate)
            of_block += einsum("bmu,bnu->bmn", x, y)
        found += 0.5 * jnp.sum(of_block * d_specific)
    # l' a = S^-1 E[e],  l' V^-1 l = S^-1 - S^-1 M^-1 S^-1
    pulled = jnp.sum(s_inv * s.latent_mean[:, :, None, :], axis=-1)
    own = einsum("lkmkn->lkmn", m_inv)
    of_prior = pulled[:, :, :, None] * pulled[:, :, None, :] - s_inv
    of_prior += matmul(matmul(s_inv, own), s_inv)
    # a_j' E[e_k] - tr(R_j P_jk)
    of_loading = einsum("ljn,lkn->jk", s.weight, s.latent_mean[:, :skills]) - of_loading
    if downdate is not None:
        x, y = (to_latents(loading, unknown, part) for part in downdate)
        of_prior += einsum("lkmu,lknu->lkmn", x, y)
        moved = matmul(problem.skill, y[:, :skills])
        of_loading += einsum("ljmu,lkmu->jk", downdate[0], moved)
    found += 0.5 * jnp.sum(of_prior[:, :skills] * change.skill)
    found += jnp.sum(of_loading * change.loading) - jnp.sum(s.weight * change.residual)
    if unknown is not None and change.unknown is not None:
        of_slope = s.weight[:, None] * s.latent_mean[:, skills:, None] - of_slope
        if downdate is not None:
            moved = matmul(unknown.covariance, y[:, skills:])
            of_slope += einsum("ljmu,lkmu->lkjm", downdate[0], moved)
        found += 0.5 * jnp.sum(of_prior[:, skills:] * change.unknown.covariance)
        found += jnp.sum(of_slope * change.unknown.slope)
    return found


def _pairs_in_blocks(
    blocks: ScoreBlocks, values: Float[Array, "bin benchmark slot slot"]
) -> Float[Array, "block score score"]:
    """Values of pairs of scores of blocks; any where empty."""
    bin_, first, second = blocks.pairs
    return values[bin_, blocks.benchmark[:, None, None], first, second]


def _trace_derivatives(
    s: Solved, loading: Array, unknown: UnknownCovariates | None
) -> tuple[Array, Array, Array | float]:
    """P_j of :class:`PredictorCovariance` given the scores, and derivatives of tr(R_j P_j) / 2.

    Returns:
        P, ``(bin, benchmark, slot, slot)``; the derivative by loadings, ``(benchmark, skill)``;
        and by slopes of unknown covariates, ``(bin, covariate, benchmark, slot)``, 0 where there
        are none. M^-1 is held fixed.
    """
    r_inv, skills = s.precision, loading.shape[1]
    (bins, benchmarks, size, _) = r_inv.shape
    found = predictor_covariance(loading, unknown, s.latent_covariance)
    # sum_h l_jh <R_j, M^-1_hk>
    flat = found.skills.reshape(bins, -1, size * size)
    inner = einsum("ljn,lcn->jc", r_inv.reshape(bins, benchmarks, -1), flat)
    inner = inner.reshape(benchmarks, skills, skills)
    of_loading = jnp.sum(loading[:, :, None] * inner, axis=1)
    if found.covariates is None or found.cross is None:
        return found.predictor, of_loading, 0.0
    of_loading += einsum("ljmn,ljkmn->jk", r_inv, found.cross)
    return found.predictor, of_loading, einsum("ljmn,ljmun->lujn", r_inv, found.covariates)


class PredictorCovariance(NamedTuple):
    """What a covariance C of latents makes of predictors.

    Attributes:
        predictor: P_j = sum over latents u, v of l_ju C_uv l_jv, ``(bin, benchmark, slot, slot)``.
        skills: C between skills, ``(bin, skill, skill, slot, slot)``.
        covariates: l_j C between all latents and unknown covariates, ``(bin, benchmark, slot,
            covariate, slot)``; None where all are known.
        cross: slopes times C between unknown covariates and skills, ``(bin, benchmark, skill,
            slot, slot)``; None likewise.
    """

    predictor: Array
    skills: Array
    covariates: Array | None
    cross: Array | None


def predictor_covariance(
    loading: Array, unknown: UnknownCovariates | None, covariance: Array
) -> PredictorCovariance:
    """Covariance of predictors by one of latents, ``(bin, latent, slot, latent, slot)``."""
    benchmarks, skills = loading.shape
    between = covariance[:, :skills, :, :skills].transpose(0, 1, 3, 2, 4)
    bins, size = between.shape[0], between.shape[-1]
    products = (loading[:, :, None] * loading[:, None, :]).reshape(benchmarks, -1)
    found = einsum("jc,lcn->ljn", products, between.reshape(bins, -1, size * size))
    found = found.reshape(bins, benchmarks, size, size)
    if unknown is None:
        return PredictorCovariance(found, between, None, None)
    within = to_benchmarks(loading, unknown, covariance[:, :, :, skills:])
    found += einsum("lujn,ljmun->ljmn", unknown.slope, within)
    cross = einsum("lujm,lumkn->ljkmn", unknown.slope, covariance[:, skills:, :, :skills])
    found += einsum("jk,ljkmn->ljmn", loading, cross)
    return PredictorCovariance(found, between, within, cross)
