"""Effects of families, integrated out exactly.

On the scale of the predictor the hierarchical law of :mod:`sloth_jax.prior` is linear in what is
peculiar to families and lineages, and its noise is normal. With the residual ``r_mj`` of a score's
predictor from what the population predicts, for model ``m`` of family ``f`` of lineage ``l``::

    r_mj = lambda_j' (alpha_f + gamma_f w_m) + u_fj + v_fj w_m + N(0, 1 / precision_mj)

    alpha_f ~ N(zeta_l, 1)    gamma_f ~ N(0, growth_scale^2)             on skills
    zeta_l  ~ N(0, lineage_scale^2)
    u_fj    ~ N(0, specific_scale_j^2)                                   on a benchmark
    v_fj    ~ N(0, specific_growth_scale_j^2)

where ``w_m`` is how far the model is from the sizes at which its family was seen. So the density of
all scores given the shared parameters is normal and known in closed form: thousands of effects
that a sampler would have to walk through are gone, and are drawn afterwards from their exact
conditional.

The integral is taken from the leaves of the tree to its root: first the two effects of a family on
a benchmark, then those on skills, then lineages. What a level hands on is Gaussian, in information
form: ``exp(-x' Q x / 2 + k' x)``. No matrix is larger than the number of skills. (Rue and Held
2005, Gaussian Markov Random Fields, sections 2.2 and 2.3; Rasmussen and Williams 2006, Gaussian
Processes for Machine Learning, section 2.7 for the linear case.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from sloth_jax.law import matmul


class Evidence(NamedTuple):
    """What the effects are inferred from.

    Attributes:
        residual: predictor of each score minus what the population predicts, ``(model,
            benchmark)``; any finite number where nothing was observed.
        precision: one over the variance of its noise, ``(model, benchmark)``; 0 where not observed.
        away: w, basis of a family's own growth, ``(model,)``.
        member: 1 where a model is of a family, ``(family, model)``.
        descends: 1 where a family is of a lineage, ``(lineage, family)``.
        loading: ``(benchmark, skill)``.
        lineage_scale: spread of lineages, in units of the spread of families, scalar.
        growth_scale: spread of families' own growth in skills, scalar.
        specific_scale: spread of families' own levels, ``(benchmark,)``.
        specific_growth_scale: spread of their own growth on benchmarks, ``(benchmark,)``.
    """

    residual: Array
    precision: Array
    away: Array
    member: Array
    descends: Array
    loading: Array
    lineage_scale: Array
    growth_scale: Array
    specific_scale: Array
    specific_growth_scale: Array


class Effects(NamedTuple):
    """What is peculiar to lineages and families.

    Attributes:
        lineage: zeta, ``(lineage, skill)``.
        efficiency: alpha, with the lineage's effect in it, ``(family, skill)``.
        growth: gamma, ``(family, skill)``.
        specific: u, ``(family, benchmark)``.
        specific_growth: v, ``(family, benchmark)``.
    """

    lineage: Array
    efficiency: Array
    growth: Array
    specific: Array
    specific_growth: Array


class _Leaves(NamedTuple):
    """What scores say about families, ``(family, benchmark)`` each.

    ``m00, m01, m11``: posterior precision of a family's own level and growth on a benchmark;
    ``s0, s1``: what its scores pull them to; ``g00, g01, g11`` and ``h0, h1``: what is left for
    the family's skills once the two are integrated out.
    """

    m00: Array
    m01: Array
    m11: Array
    s0: Array
    s1: Array
    n00: Array
    n01: Array
    n11: Array
    g00: Array
    g01: Array
    g11: Array
    h0: Array
    h1: Array


def _leaves(evidence: Evidence) -> tuple[_Leaves, Array]:
    """The leaves, and twice what they add to minus the log density."""
    e = evidence
    away = e.away[:, None]
    weighted = e.precision * e.residual
    # One product for all five sums: separate ones took longer to compile.
    n00, n01, n11, s0, s1 = jnp.split(
        matmul(
            e.member,
            jnp.concatenate(
                [
                    e.precision,
                    e.precision * away,
                    e.precision * away**2,
                    weighted,
                    weighted * away,
                ],
                axis=1,
            ),
        ),
        5,
        axis=1,
    )
    p0 = jnp.broadcast_to(1.0 / e.specific_scale**2, n00.shape)
    p1 = jnp.broadcast_to(1.0 / e.specific_growth_scale**2, n00.shape)
    # M = N + diag(p), the precision of (u, v) given everything above them
    m00, m01, m11 = n00 + p0, n01, n11 + p1
    determinant = m00 * m11 - m01**2
    i00, i01, i11 = m11 / determinant, -m01 / determinant, m00 / determinant
    # G = N - N M^-1 N = diag(p) M^-1 N,  h = s - N M^-1 s = diag(p) M^-1 s: no difference of large
    # numbers, so that single precision will do.
    leaves = _Leaves(
        m00=m00, m01=m01, m11=m11, s0=s0, s1=s1, n00=n00, n01=n01, n11=n11,
        g00=p0 * (i00 * n00 + i01 * n01),
        g01=p0 * (i00 * n01 + i01 * n11),
        g11=p1 * (i01 * n01 + i11 * n11),
        h0=p0 * (i00 * s0 + i01 * s1),
        h1=p1 * (i01 * s0 + i11 * s1),
    )  # fmt: skip
    seen = e.precision > 0.0
    log_precision = jnp.log(jnp.where(seen, e.precision, 1.0))
    # -2 log N(r; 0, 1/precision), then -2 log of the integral over (u, v)
    twice = jnp.sum(jnp.where(seen, jnp.log(2.0 * jnp.pi) - log_precision, 0.0))
    twice += jnp.sum(weighted * e.residual)
    twice += jnp.sum(jnp.log(determinant) - jnp.log(p0) - jnp.log(p1))
    twice -= jnp.sum(i00 * s0**2 + 2.0 * i01 * s0 * s1 + i11 * s1**2)
    return leaves, twice


class _Skills(NamedTuple):
    """Information about families' skills: lists over skills of ``(family,)`` arrays.

    ``a00, a01, a11``: of efficiency and growth, lower triangles; ``b0, b1``: their pulls.
    """

    a00: list[list[Array]]
    a01: list[list[Array]]
    a11: list[list[Array]]
    b0: list[Array]
    b1: list[Array]


def _skills(leaves: _Leaves, loading: Array) -> _Skills:
    skills = loading.shape[1]
    pairs = [(i, j) for i in range(skills) for j in range(i + 1)]
    products = jnp.stack([loading[:, i] * loading[:, j] for i, j in pairs], axis=1)
    grams = matmul(jnp.concatenate([leaves.g00, leaves.g01, leaves.g11]), products)
    pulls = matmul(jnp.concatenate([leaves.h0, leaves.h1]), loading)

    def triangle(gram: Array) -> list[list[Array]]:
        return [[gram[:, pairs.index((i, j))] for j in range(i + 1)] for i in range(skills)]

    b0, b1 = ([pull[:, i] for i in range(skills)] for pull in jnp.split(pulls, 2))
    a00, a01, a11 = (triangle(gram) for gram in jnp.split(grams, 3))
    return _Skills(a00, a01, a11, b0, b1)


def log_evidence(evidence: Evidence) -> Array:
    """Log density of the observed residuals with all effects integrated out, scalar.

    Args:
        evidence: residuals, their precision and the scales of the effects.
    """
    e = evidence
    count, families = e.loading.shape[1], e.descends.shape[1]
    leaves, twice = _leaves(e)
    told = _skills(leaves, e.loading)

    def twice_gaussian(factor: list[list[Array]], solved: list[Array], prior: Array) -> Array:
        """-2 log of the integral of exp(-x'Px/2 + k'x) under N(0, 1/prior): P = C C'."""
        log_det = 2.0 * sum((jnp.sum(jnp.log(factor[i][i])) for i in range(count)), jnp.zeros(()))
        batch = factor[0][0].shape[0]
        fit = sum((jnp.sum(value**2) for value in solved), jnp.zeros(()))
        return log_det - batch * count * jnp.log(prior) - fit

    # Growth first: what is left tells of efficiency alone.
    growth_prior = 1.0 / e.growth_scale**2
    factor = _cholesky(_plus(told.a11, growth_prior))
    solved = _solve(factor, told.b1)
    twice += twice_gaussian(factor, solved, growth_prior)
    columns = [_solve(factor, _column(told.a01, i)) for i in range(count)]
    q = [
        [told.a00[i][j] - _dot(columns[i], columns[j]) for j in range(i + 1)] for i in range(count)
    ]
    k = [told.b0[i] - _dot(columns[i], solved) for i in range(count)]
    # Efficiency around its lineage: alpha = zeta + N(0, 1).
    factor = _cholesky(_plus(q, jnp.ones(())))
    solved = _solve(factor, k)
    twice += twice_gaussian(factor, solved, jnp.ones(()))
    # Information about zeta: (I + Q)^-1 Q = I - (I + Q)^-1, pull (I + Q)^-1 k.
    unit = [
        _solve(factor, [jnp.full(families, float(i == a)) for i in range(count)])
        for a in range(count)
    ]
    rows = [float(i == j) - _dot(unit[i], unit[j]) for i in range(count) for j in range(i + 1)] + [
        _dot(unit[i], solved) for i in range(count)
    ]
    summed = matmul(e.descends, jnp.stack(rows, axis=1))
    lineage_prior = 1.0 / e.lineage_scale**2
    place = [[i * (i + 1) // 2 + j for j in range(i + 1)] for i in range(count)]
    factor = _cholesky(_plus([[summed[:, p] for p in row] for row in place], lineage_prior))
    pulls = [summed[:, count * (count + 1) // 2 + i] for i in range(count)]
    twice += twice_gaussian(factor, _solve(factor, pulls), lineage_prior)
    return -0.5 * twice


def expected_effects(evidence: Evidence) -> Effects:
    """Means of the effects given the scores."""
    return _effects(evidence, None)


def draw_effects(evidence: Evidence, key: Array) -> Effects:
    """One draw of all effects from their joint conditional given the scores.

    Args:
        evidence: residuals, their precision and the scales of the effects.
        key: random key.
    """
    return _effects(evidence, key)


def _effects(evidence: Evidence, key: Array | None) -> Effects:
    # From the root to the leaves, each level given those above it. With every draw at its mean
    # the result is the joint mean, because each mean is linear in what it depends on.
    e = evidence
    skills = e.loading.shape[1]
    leaves, _ = _leaves(e)
    told = _skills(leaves, e.loading)
    a00, a01, a11 = (_full(triangle) for triangle in (told.a00, told.a01, told.a11))
    b0, b1 = jnp.stack(told.b0, axis=-1), jnp.stack(told.b1, axis=-1)
    eye = jnp.eye(skills)[None]
    keys = [None] * 4 if key is None else list(jax.random.split(key, 4))

    of_growth = a11 + eye / e.growth_scale**2
    cross = jnp.linalg.solve(of_growth, a01)
    q = a00 - jnp.einsum("fab,fbc->fac", a01, cross, precision="highest")
    k = b0 - jnp.einsum("fba,fb->fa", cross, b1, precision="highest")
    of_efficiency = q + eye
    inverse = jnp.linalg.inv(of_efficiency)
    information = matmul(e.descends, (eye - inverse).reshape(-1, skills**2))
    pull = matmul(e.descends, jnp.einsum("fab,fb->fa", inverse, k, precision="highest"))
    of_lineage = information.reshape(-1, skills, skills) + eye / e.lineage_scale**2

    lineage = _gaussian(of_lineage, pull, keys[0])
    efficiency = _gaussian(of_efficiency, k + matmul(e.descends.T, lineage), keys[1])
    along = jnp.einsum("fab,fb->fa", a01, efficiency, precision="highest")
    growth = _gaussian(of_growth, b1 - along, keys[2])
    # (u, v) given the family's skills: what their scores pull them to, less what skills explain
    level, slope = matmul(efficiency, e.loading.T), matmul(growth, e.loading.T)
    s0 = leaves.s0 - leaves.n00 * level - leaves.n01 * slope
    s1 = leaves.s1 - leaves.n01 * level - leaves.n11 * slope
    precision = jnp.stack([leaves.m00, leaves.m01, leaves.m01, leaves.m11], axis=-1)
    own = _gaussian(precision.reshape(*s0.shape, 2, 2), jnp.stack([s0, s1], axis=-1), keys[3])
    return Effects(lineage, efficiency, growth, own[..., 0], own[..., 1])


def _gaussian(precision: Array, pull: Array, key: Array | None) -> Array:
    """A draw from ``N(P^-1 k, P^-1)``; its mean if there is no key."""
    factor = jnp.linalg.cholesky(precision)
    mean = jax.scipy.linalg.cho_solve((factor, True), pull[..., None])[..., 0]
    if key is None:
        return mean
    unit = jax.random.normal(key, pull.shape)[..., None]
    return mean + jax.scipy.linalg.solve_triangular(factor, unit, trans=1, lower=True)[..., 0]


# Batches of tiny symmetric matrices, as lists of lists of arrays: unrolled over skills they
# vectorise over families, where a call of LAPACK per family would cost more than all the rest.
def _plus(triangle: list[list[Array]], diagonal: Array) -> list[list[Array]]:
    return [
        [entry + diagonal if i == j else entry for j, entry in enumerate(row)]
        for i, row in enumerate(triangle)
    ]


def _column(triangle: list[list[Array]], at: int) -> list[Array]:
    return [triangle[max(i, at)][min(i, at)] for i in range(len(triangle))]


def _full(triangle: list[list[Array]]) -> Array:
    return jnp.stack([jnp.stack(_column(triangle, i), axis=-1) for i in range(len(triangle))], -1)


def _dot(left: list[Array], right: list[Array]) -> Array:
    return sum((a * b for a, b in zip(left, right, strict=True)), jnp.zeros(()))


def _cholesky(matrix: list[list[Array]]) -> list[list[Array]]:
    factor: list[list[Array]] = []
    for i, row in enumerate(matrix):
        new: list[Array] = []
        for j, entry in enumerate(row):
            rest = entry - _dot(new[:j], (factor[j] if j < i else new)[:j])
            new.append(jnp.sqrt(rest) if i == j else rest / factor[j][j])
        factor.append(new)
    return factor


def _solve(factor: list[list[Array]], right: list[Array]) -> list[Array]:
    solved: list[Array] = []
    for i, row in enumerate(factor):
        solved.append((right[i] - _dot(row[:i], solved)) / row[i])
    return solved
