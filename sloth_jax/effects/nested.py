"""Lineages of many models: families one by one, given their lineage's effects as coefficients.

:mod:`sloth_jax.effects.elimination` costs the cube of a lineage's models. But the families of a
lineage have only its level and walk in common. These are functions of size: on the sizes that a
lineage has, they are a sum of a few functions ``t_c`` (:class:`NestedBins`) with normal
coefficients. With ``Z`` those functions at each score, and ``F`` a root of the prior covariance of
their coefficients (:func:`prior_root`)::

    r = Z F g + rest,    g ~ N(0, I),    rest ~ N(0, W^-1),    W block diagonal, families its blocks

    P = Z' W Z,   M = I + F' P F,   E[g] = M^-1 F' Z' W r,   e = r - Z F E[g]
    log N(r) = log N(e; 0, W^-1) - |E[g]|^2 / 2 - log|M| / 2

This is exact, and costs the cube of each family and of the coefficients (Woodbury's identity;
Rasmussen and Williams 2006, appendix A.3). A *unit* is a skill or a benchmark: the coefficients of
a lineage are one for each function and unit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.batched_inverse import batched_inverse
from sloth_jax.effects.bins import NestedBins
from sloth_jax.effects.elimination import (
    BinProblem,
    Solved,
    apply_precision,
    log_density_change,
    solve,
    to_benchmarks,
)
from sloth_jax.products import einsum, matmul


class Families(NamedTuple):
    """Families in bins of one size, given their scores and the effects of their lineages.

    Attributes:
        solved: without the effects of lineages, but for ``weight`` and ``latent_mean``, which are
            given the expected ones.
        design: W Z, ``(bin, benchmark, slot, coefficient, benchmark)``.
        remaining: e, residuals without the expected effects of lineages, ``(bin, benchmark,
            slot)``.
    """

    solved: Solved
    design: Float[Array, "bin benchmark slot coefficient benchmark"]
    remaining: Float[Array, "bin benchmark slot"]


class SolvedNested(NamedTuple):
    """Large lineages given their scores.

    Attributes:
        families: bins of each size.
        log_density: of the residuals of each lineage, ``(lineage,)``.
        pull: Z' V^-1 r, ``(lineage, coefficient, benchmark)``.
        coefficient: E[g]; units are skills, then benchmarks, ``(lineage, coefficient, unit)``.
        gain: P F M^-1, ``(lineage, coefficient, benchmark, coefficient, unit)``.
        covariance: F M^-1 F', of lineages' effects on benchmarks given the scores, ``(lineage,
            coefficient, benchmark, coefficient, benchmark)``.
    """

    families: tuple[Families, ...]
    log_density: Float[Array, " lineage"]
    pull: Float[Array, "lineage coefficient benchmark"]
    coefficient: Float[Array, "lineage coefficient unit"]
    gain: Float[Array, "lineage coefficient benchmark coefficient unit"]
    covariance: Float[Array, "lineage coefficient benchmark coefficient benchmark"]


def prior_root(
    level_share: Float[Array, "lineage coefficient"],
    loading: Float[Array, "benchmark skill"],
    skill: tuple[Array, Array],
    benchmark: tuple[Array, Array],
) -> Float[Array, "lineage coefficient benchmark unit"]:
    """F: what a lineage's coefficients, in standard deviations, do to each benchmark.

    Args:
        level_share: :attr:`NestedBins.level_share`.
        loading: ``(benchmark, skill)``.
        skill: spreads of level and of walk on skills, ``(skill,)`` each.
        benchmark: likewise on single benchmarks, ``(benchmark,)`` each.
    """

    def scale(pair: tuple[Array, Array]) -> Array:
        # sqrt(q a^2 + (1 - q) b^2)
        a, b = (part[None, None] for part in pair)
        share = level_share[:, :, None]
        return jnp.sqrt(share * a**2 + (1.0 - share) * b**2)[:, :, None]

    own = jnp.eye(loading.shape[0], dtype=loading.dtype)[None, None] * scale(benchmark)
    return jnp.concatenate([loading[None, None] * scale(skill), own], axis=-1)


def solve_nested(
    problems: tuple[BinProblem, ...],
    root: Float[Array, "lineage coefficient benchmark unit"],
    bins: NestedBins,
) -> SolvedNested:
    """Condition the effects of large lineages on their scores, and find the scores' density.

    Args:
        problems: for each size of bins, that of families without the effects of their lineages.
        root: F, :func:`prior_root`.
        bins: where families are, and what the effects of their lineages are made of.
    """
    # Without residuals: they come in once the effects of lineages are known.
    solved = tuple(solve(one._replace(residual=jnp.zeros_like(one.residual))) for one in problems)
    designs = tuple(
        _design(one, problem, basis)
        for one, problem, basis in zip(solved, problems, bins.basis, strict=True)
    )
    # M = I + F' P F
    lineages, functions, _, units = root.shape
    spread = einsum("lcjdi,ldiu->lcjdu", _to_lineages(designs, bins), root)
    joint = einsum("lcju,lcjdv->lcudv", root, spread)
    m_inv, log_joint = _inverse_plus_identity(joint.reshape(lineages, functions * units, -1))
    m_inv = m_inv.reshape(joint.shape)

    def refined(_: Array | int, coefficient: Array) -> Array:
        # E[g] + M^-1 (F' Z' W e - E[g]),  e = r - Z F E[g]
        pull = _without_lineages(coefficient, solved, designs, problems, root, bins)[1]
        change = einsum("lcju,lcj->lcu", root, pull) - coefficient
        return coefficient + einsum("lcudv,ldv->lcu", m_inv, change)

    # The second step is iterative refinement, which single precision needs.
    coefficient = jnp.zeros((lineages, functions, units), root.dtype)
    coefficient = jax.lax.fori_loop(0, 2, refined, coefficient)
    families, pull = _without_lineages(coefficient, solved, designs, problems, root, bins)
    # log N(r) = log N(e; 0, W^-1) - |E[g]|^2 / 2 - log|M| / 2
    found = -0.5 * (jnp.sum(coefficient**2, axis=(1, 2)) + log_joint)
    for one, owner in zip(families, bins.owner, strict=True):
        parts = jnp.sum(one.solved.log_density, axis=1)
        parts -= 0.5 * jnp.sum(one.remaining * one.solved.weight, axis=(1, 2))
        found = found.at[owner].add(jnp.sum(parts.reshape(owner.size, -1), axis=1))
    return SolvedNested(
        families=families,
        log_density=found,
        pull=pull,
        coefficient=coefficient,
        gain=einsum("lcjdu,ldueg->lcjeg", spread, m_inv),
        covariance=einsum("lcju,lcudv,ldiv->lcjdi", root, m_inv, root),
    )


def _inverse_plus_identity(matrices: Array) -> tuple[Array, Array]:
    """Inverses of I + matrices ``(lineage, row, column)`` of any size, and log determinants."""
    size = matrices.shape[-1]
    to_even = [(0, 0)] * (matrices.ndim - 2) + [(0, size % 2)] * 2
    identity = jnp.eye(size + size % 2, dtype=matrices.dtype)
    inverted, parts = batched_inverse(jnp.pad(matrices, to_even) + identity[None])
    return inverted[..., :size, :size], jnp.sum(parts, axis=-1)


def _design(solved: Solved, problem: BinProblem, basis: Array) -> Array:
    """W Z, where W = R - R l M^-1 l' R for each family."""
    loading, unknown = problem.loading, problem.unknown
    bins, latents, size = solved.latent_mean.shape
    benchmarks, functions = loading.shape[0], basis.shape[-1]
    # R Z, on the benchmark of each column of Z alone
    own = matmul(solved.precision, basis.reshape(bins, 1, size, functions))
    pull = einsum("jk,bjnc->bkncj", loading, own)
    if unknown is not None:
        more = einsum("bujn,bjnc->buncj", unknown.slope, own)
        pull = jnp.concatenate([pull, more], axis=1)
    m_inv = solved.latent_covariance.reshape(bins, latents * size, latents * size)
    mean = matmul(m_inv, pull.reshape(bins, latents * size, functions * benchmarks))
    by_latents = to_benchmarks(loading, unknown, mean.reshape(bins, latents, size, -1))
    by_latents = matmul(solved.precision, by_latents)
    by_latents = by_latents.reshape(bins, benchmarks, size, functions, benchmarks)
    identity = jnp.eye(benchmarks, dtype=loading.dtype)[None, :, None, None, :]
    return identity * own[..., None] - by_latents


def _to_lineages(values: tuple[Array, ...], bins: NestedBins) -> Array:
    """Z' times ``(bin, benchmark, slot, ...)``: ``(lineage, coefficient, benchmark, ...)``."""
    found = jnp.zeros((), values[0].dtype)
    for value, owner, basis in zip(values, bins.owner, bins.basis, strict=True):
        rest = value.shape[3:]
        by_group = value.reshape(owner.size, -1, *value.shape[1:3], math.prod(rest))
        sums = einsum("abnc,abjnu->acju", basis, by_group)
        sums = sums.reshape(*sums.shape[:3], *rest)
        found += jnp.zeros((bins.lineage.size, *sums.shape[1:]), sums.dtype).at[owner].add(sums)
    return found


def _without_lineages(
    coefficient: Array,
    solved: tuple[Solved, ...],
    designs: tuple[Array, ...],
    problems: tuple[BinProblem, ...],
    root: Array,
    bins: NestedBins,
) -> tuple[tuple[Families, ...], Array]:
    """Families given coefficients of lineages ``(lineage, coefficient, unit)``, and Z' W e."""
    effect = einsum("lcju,lcu->lcj", root, coefficient)
    found = []
    for at, (one, problem) in enumerate(zip(solved, problems, strict=True)):
        of_lineage = einsum("abnc,acj->abjn", bins.basis[at], effect[bins.owner[at]])
        remaining = problem.residual - of_lineage.reshape(problem.residual.shape)
        weight, mean = apply_precision(
            one.precision, one.latent_covariance, problem.loading, problem.unknown, remaining
        )
        given = one._replace(weight=weight, latent_mean=mean)
        found.append(Families(given, designs[at], remaining))
    return tuple(found), _to_lineages(tuple(one.solved.weight for one in found), bins)


@jax.custom_jvp
def nested_log_density(
    problems: tuple[BinProblem, ...],
    root: Float[Array, "lineage coefficient benchmark unit"],
    bins: NestedBins,
) -> Float[Array, ""]:
    """Log density of all residuals of large lineages, scalar; arguments of :func:`solve_nested`."""
    return jnp.sum(solve_nested(problems, root, bins).log_density)


@nested_log_density.defjvp
def _nested_log_density_jvp(primals, tangents):
    # V^-1 = W - W Z F M^-1 F' Z' W  for a family, and for F:  Z' a E[g]' - P F M^-1
    problems, root, bins = primals
    d_problems, d_root, _ = tangents
    s = solve_nested(problems, root, bins)
    own = einsum("lcjcu->lcju", s.gain)
    change = jnp.sum((s.pull[..., None] * s.coefficient[:, :, None] - own) * d_root)
    parts = zip(s.families, problems, d_problems, bins.owner, strict=True)
    for one, problem, d_problem, owner in parts:
        shape = one.design.shape
        columns = shape[3] * shape[4]
        covariance = s.covariance.reshape(bins.lineage.size, columns, columns)
        by_group = one.design.reshape(owner.size, -1, columns)
        right = matmul(by_group, covariance[owner]).reshape(*shape[:3], columns)
        downdate = (one.design.reshape(right.shape), right)
        change += log_density_change(one.solved, problem, d_problem, downdate)
    return jnp.sum(s.log_density), change
