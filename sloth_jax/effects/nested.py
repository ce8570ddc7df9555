"""Lineages of many models: families one by one, and their lineage's effects as a few coefficients.

:mod:`sloth_jax.effects.elimination` costs the cube of a lineage's models. But the families of a
lineage hang together only by its level and walk. These are functions of size: on the sizes that a
lineage has, they are a sum of a few functions ``t_c`` (:class:`NestedBins`) with normal
coefficients. With ``Z`` those functions at each score, and ``F`` a root of the covariance of their
coefficients::

    r = Z F g + rest,    g ~ N(0, I),    rest ~ N(0, W^-1),    W block by block, one for each family

    P = Z' W Z,   M = I + F' P F,   E[g] = M^-1 F' Z' W r,   e = r - Z F E[g]
    log N(r) = log N(e; 0, W^-1) - |E[g]|^2 / 2 - log|M| / 2

This is exact, and costs the cube of each family and of the coefficients (Woodbury's identity;
Rasmussen and Williams 2006, appendix A.3). Another latent that a whole lineage shares would be one
more column of ``Z``, its loading at each score.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.bins import Bins, NestedBins
from sloth_jax.effects.elimination import (
    Latent,
    Solved,
    density_change,
    inverse,
    solve,
    to_benchmarks,
    weigh,
)
from sloth_jax.products import einsum, matmul

# arguments of solve
Block = tuple[tuple[Array, ...], Array, Array, Array, Array, Latent | None, Bins]


class Families(NamedTuple):
    """Families in bins of one size, given their scores and the effects of their lineages.

    Attributes:
        solved: of families and models alone, but for weights and units, which are of all effects.
        design: W Z.
        left: e, residuals without the expected effects of lineages.
    """

    solved: Solved
    design: Float[Array, "bin benchmark place coefficient benchmark"]
    left: Float[Array, "bin benchmark place"]


class SolvedNested(NamedTuple):
    """What the scores of large lineages say about their effects.

    Attributes:
        families: bins of each size.
        log_density: of the residuals of each lineage.
        pull: Z' V^-1 r.
        coefficient: E[g]; units are skills, then benchmarks.
        gain: P F M^-1.
        covariance: F M^-1 F', of lineages' effects on benchmarks given the scores.
    """

    families: tuple[Families, ...]
    log_density: Float[Array, " lineage"]
    pull: Float[Array, "lineage coefficient benchmark"]
    coefficient: Float[Array, "lineage coefficient unit"]
    gain: Float[Array, "lineage coefficient benchmark coefficient unit"]
    covariance: Float[Array, "lineage coefficient benchmark coefficient benchmark"]


def prior_root(
    level: Float[Array, "lineage coefficient"],
    loading: Float[Array, "benchmark skill"],
    skill: tuple[Array, Array],
    benchmark: tuple[Array, Array],
) -> Float[Array, "lineage coefficient benchmark unit"]:
    """F, of the spreads of level and walk on skills, ``(skill,)``, and on benchmarks."""

    def scale(pair: tuple[Array, Array]) -> Array:
        a, b = (part[None, None] for part in pair)
        share = level[:, :, None]
        return jnp.sqrt(share * a**2 + (1.0 - share) * b**2)[:, :, None]

    own = jnp.eye(loading.shape[0], dtype=loading.dtype)[None, None] * scale(benchmark)
    return jnp.concatenate([loading[None, None] * scale(skill), own], axis=-1)


def solve_nested(blocks: tuple[Block, ...], root: Array, bins: NestedBins) -> SolvedNested:
    """Condition the effects of large lineages on their scores.

    Args:
        blocks: for each size of bins the arguments of :func:`solve`, by families and models alone.
        root: :func:`prior_root`.
        bins: where families are, and what the effects of their lineages are made of.
    """
    solved = tuple(solve(*block[:3], jnp.zeros_like(block[3]), *block[4:]) for block in blocks)
    designs = tuple(
        _design(one, block[2], block[5], basis)
        for one, block, basis in zip(solved, blocks, bins.basis, strict=True)
    )
    # M = I + F' P F
    lineages, functions, _, units = root.shape
    spread = einsum("lcjdi,ldiu->lcjdu", _to_lineages(designs, bins), root)
    joint = einsum("lcju,lcjdv->lcudv", root, spread)
    m_inv, log_joint = _inverse_of_any(joint.reshape(lineages, functions * units, -1))
    m_inv = m_inv.reshape(joint.shape)

    def refined(_: Array | int, coefficient: Array) -> Array:
        pull = _taken_out(coefficient, solved, designs, blocks, root, bins)[1]
        change = einsum("lcju,lcj->lcu", root, pull) - coefficient
        return coefficient + einsum("lcudv,ldv->lcu", m_inv, change)

    # The second time refines the first, which single precision needs.
    coefficient = jnp.zeros((lineages, functions, units), root.dtype)
    coefficient = jax.lax.fori_loop(0, 2, refined, coefficient)
    families, pull = _taken_out(coefficient, solved, designs, blocks, root, bins)
    # r' V^-1 r = e' W e + |E[g]|^2
    found = -0.5 * (jnp.sum(coefficient**2, axis=(1, 2)) + log_joint)
    for one, owner in zip(families, bins.owner, strict=True):
        parts = jnp.sum(one.solved.log_density, axis=1)
        parts -= 0.5 * jnp.sum(one.left * one.solved.weight, axis=(1, 2))
        found = found.at[owner].add(jnp.sum(parts.reshape(owner.size, -1), axis=1))
    return SolvedNested(
        families=families,
        log_density=found,
        pull=pull,
        coefficient=coefficient,
        gain=einsum("lcjdu,ldueg->lcjeg", spread, m_inv),
        covariance=einsum("lcju,lcudv,ldiv->lcjdi", root, m_inv, root),
    )


def _inverse_of_any(matrices: Array) -> tuple[Array, Array]:
    """Inverses of I + matrices ``(lineage, row, column)``, and log determinants."""
    size = matrices.shape[-1]
    more = [(0, 0)] * (matrices.ndim - 2) + [(0, size % 2)] * 2
    unit = jnp.eye(size + size % 2, dtype=matrices.dtype)
    inverted, parts = inverse(jnp.pad(matrices, more) + unit[None])
    return inverted[..., :size, :size], jnp.sum(parts, axis=-1)


def _design(solved: Solved, loading: Array, latent: Latent | None, basis: Array) -> Array:
    """W Z, where W = R - R Lambda M^-1 Lambda' R for each family."""
    bins, units, size = solved.unit.shape
    benchmarks = loading.shape[0]
    precision = solved.benchmark_precision
    functions = basis.shape[-1]
    within = matmul(precision, basis.reshape(bins, 1, size, functions))
    pull = einsum("jk,bjnc->bkncj", loading, within)
    if latent is not None:
        more = einsum("bujn,bjnc->buncj", latent.slope, within)
        pull = jnp.concatenate([pull, more], axis=1)
    m_inv = solved.unit_covariance.reshape(bins, units * size, units * size)
    mean = matmul(m_inv, pull.reshape(bins, units * size, functions * benchmarks))
    seen = to_benchmarks(loading, latent, mean.reshape(bins, units, size, -1))
    seen = matmul(precision, seen).reshape(bins, benchmarks, size, functions, benchmarks)
    own = jnp.eye(benchmarks, dtype=loading.dtype)[None, :, None, None, :]
    return own * within[..., None] - seen


def _to_lineages(values: tuple[Array, ...], bins: NestedBins) -> Array:
    """Z' times ``(bin, benchmark, place, ...)``: ``(lineage, coefficient, benchmark, ...)``."""
    found = jnp.zeros((), values[0].dtype)
    for value, owner, basis in zip(values, bins.owner, bins.basis, strict=True):
        rest = value.shape[3:]
        by_block = value.reshape(owner.size, -1, *value.shape[1:3], math.prod(rest))
        sums = einsum("abnc,abjnu->acju", basis, by_block)
        sums = sums.reshape(*sums.shape[:3], *rest)
        found += jnp.zeros((bins.lineage.size, *sums.shape[1:]), sums.dtype).at[owner].add(sums)
    return found


def _taken_out(
    coefficient: Array,
    solved: tuple[Solved, ...],
    designs: tuple[Array, ...],
    blocks: tuple[Block, ...],
    root: Array,
    bins: NestedBins,
) -> tuple[tuple[Families, ...], Array]:
    """Families where lineages have these coefficients, and what they say against them: Z' W e."""
    effect = einsum("lcju,lcu->lcj", root, coefficient)
    found = []
    for at, one in enumerate(solved):
        _, _, loading, residual, _, latent, _ = blocks[at]
        of_lineage = einsum("abnc,acj->abjn", bins.basis[at], effect[bins.owner[at]])
        left = residual - of_lineage.reshape(residual.shape)
        known = (one.benchmark_precision, one.unit_covariance)
        weight, unit = weigh(*known, loading, latent, left)
        found.append(Families(one._replace(weight=weight, unit=unit), designs[at], left))
    return tuple(found), _to_lineages(tuple(one.solved.weight for one in found), bins)


@jax.custom_jvp
def nested_log_density(blocks: tuple[Block, ...], root: Array, bins: NestedBins) -> Array:
    """Log density of all residuals of large lineages, scalar; arguments of :func:`solve_nested`."""
    return jnp.sum(solve_nested(blocks, root, bins).log_density)


@nested_log_density.defjvp
def _nested_log_density_jvp(primals, tangents):
    # V^-1 = W - W Z F M^-1 F' Z' W  for a family, and for F:  Z' a E[g]' - P F M^-1
    blocks, root, bins = primals
    d_blocks, d_root, _ = tangents
    s = solve_nested(blocks, root, bins)
    own = einsum("lcjcu->lcju", s.gain)
    change = jnp.sum((s.pull[..., None] * s.coefficient[:, :, None] - own) * d_root)
    for at, (one, block, d_block) in enumerate(zip(s.families, blocks, d_blocks, strict=True)):
        shape = one.design.shape
        whole = s.covariance.reshape(bins.lineage.size, shape[3] * shape[4], -1)
        by_block = one.design.reshape(bins.owner[at].size, -1, shape[3] * shape[4])
        known = matmul(by_block, whole[bins.owner[at]]).reshape(*shape[:3], -1)
        shared = (one.design.reshape(known.shape), known)
        change += density_change(one.solved, block, d_block, shared)
    return jnp.sum(s.log_density), change
