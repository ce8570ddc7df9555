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
    """The leaves, and twice what they add to minus the log density, ``(family,)``."""
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
    noise = jnp.where(seen, jnp.log(2.0 * jnp.pi) - log_precision, 0.0) + weighted * e.residual
    twice = matmul(e.member, jnp.sum(noise, axis=1))
    own = jnp.log(determinant) - jnp.log(p0) - jnp.log(p1)
    own -= i00 * s0**2 + 2.0 * i01 * s0 * s1 + i11 * s1**2
    return leaves, twice + jnp.sum(own, axis=1)


def _of_families(leaves: _Leaves, evidence: Evidence) -> Array:
    """What scores and prior say about each family's skills given its lineage.

    The density is ``exp(-x' A x / 2)`` in ``x = (gamma, alpha, zeta, 1)``, where the last column
    of A holds the pulls, for alpha - zeta of unit variance.

    Returns:
        A, ``(variable, variable, family)``, with ``3 * skill + 1`` variables.
    """
    skills, families = evidence.loading.shape[1], evidence.descends.shape[1]
    products = evidence.loading[:, :, None] * evidence.loading[:, None, :]
    grams = matmul(
        jnp.concatenate([leaves.g00, leaves.g01, leaves.g11]), products.reshape(-1, skills**2)
    )
    pulls = matmul(jnp.concatenate([leaves.h0, leaves.h1]), evidence.loading)
    a00, a01, a11 = jnp.moveaxis(grams.reshape(3, families, skills, skills), 1, 3)
    b0, b1 = jnp.moveaxis(pulls.reshape(2, families, skills), 1, 2)[:, :, None]
    unit = jnp.broadcast_to(jnp.eye(skills)[:, :, None], a00.shape)
    nothing, none = jnp.zeros_like(unit), jnp.zeros_like(b0)
    return _stacked(
        [
            [a11 + unit / evidence.growth_scale**2, a01, nothing, -b1],
            [a01, a00 + unit, -unit, -b0],
            [nothing, -unit, unit, none],
            [-b1.swapaxes(0, 1), -b0.swapaxes(0, 1), none.swapaxes(0, 1), none[:1]],
        ]
    )


def _of_lineages(left: Array, evidence: Evidence) -> Array:
    """The same in ``x = (zeta, 1)``, ``(variable, variable, lineage)``: what families tell adds up.

    Args:
        left: what :func:`_integrate` leaves of the families' skills.
        evidence: which families descend from which lineage, and the spread of lineages.
    """
    size, _, families = left.shape
    summed = matmul(evidence.descends, left.reshape(size**2, families).T).T
    of_prior = jnp.eye(size).at[-1, -1].set(0.0) / evidence.lineage_scale**2
    return summed.reshape(size, size, -1) + of_prior[:, :, None]


def _stacked(blocks: list[list[Array]]) -> Array:
    return jnp.concatenate([jnp.concatenate(row, axis=1) for row in blocks])


def log_evidence(evidence: Evidence) -> Array:
    """Log density of each lineage's observed residuals, all effects integrated out.

    Args:
        evidence: residuals, their precision and the scales of the effects.

    Returns:
        ``(lineage,)``; lineages are independent given what is shared, so their sum is the log
        density of all residuals.
    """
    skills = evidence.loading.shape[1]
    leaves, twice = _leaves(evidence)
    left, gone = _integrate(_of_families(leaves, evidence), 2 * skills)
    twice += gone.log_determinant() + 2.0 * skills * jnp.log(evidence.growth_scale)
    left, gone = _integrate(_of_lineages(left, evidence), skills)
    of_lineages = gone.log_determinant() + 2.0 * skills * jnp.log(evidence.lineage_scale)
    return -0.5 * (matmul(evidence.descends, twice) + of_lineages + left[0, 0])


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
    keys = [None] * 3 if key is None else list(jax.random.split(key, 3))
    leaves, _ = _leaves(e)
    left, of_families = _integrate(_of_families(leaves, e), 2 * skills)
    _, of_lineages = _integrate(_of_lineages(left, e), skills)
    lineage = of_lineages.draw(jnp.ones((1, e.descends.shape[0])), keys[0])
    inherited = matmul(lineage, e.descends)
    own = of_families.draw(jnp.concatenate([inherited, jnp.ones_like(inherited[:1])]), keys[1])
    growth, efficiency = own[:skills].T, own[skills:].T
    # (u, v) given the family's skills: what their scores pull them to, less what skills explain
    level, slope = matmul(efficiency, e.loading.T), matmul(growth, e.loading.T)
    s0 = leaves.s0 - leaves.n00 * level - leaves.n01 * slope
    s1 = leaves.s1 - leaves.n01 * level - leaves.n11 * slope
    one = jnp.ones_like(s0)
    joint = [[leaves.m00, leaves.m01, -s0], [leaves.m01, leaves.m11, -s1], [-s0, -s1, 0.0 * one]]
    _, of_benchmarks = _integrate(jnp.stack([jnp.stack(row) for row in joint]), 2)
    specific, specific_growth = of_benchmarks.draw(one[None], keys[2])
    return Effects(lineage.T, efficiency, growth, specific, specific_growth)


class _Gone(NamedTuple):
    """Variables that were integrated out, each given those that follow it.

    ``pivots``: its conditional precision, a list over variables of ``batch`` arrays; ``rows``: its
    precision with each of those that follow, the constant 1 last, ``(variable, *batch)``.
    """

    pivots: list[Array]
    rows: list[Array]

    def log_determinant(self) -> Array:
        """Of the block of A that is gone, ``batch``."""
        return jnp.sum(jnp.log(jnp.stack(self.pivots)), axis=0)

    def draw(self, rest: Array, key: Array | None) -> Array:
        """Draw them given the rest ``(variable, *batch)``; their means if there is no key."""
        shape = (len(self.pivots), *rest.shape[1:])
        unit = jnp.zeros(shape) if key is None else jax.random.normal(key, shape)
        known = rest
        for pivot, row, z in reversed(list(zip(self.pivots, self.rows, unit, strict=True))):
            # x_i | x_>i ~ N( -sum_j A_ij x_j / A_ii, 1 / A_ii )
            drawn = -jnp.sum(row * known, axis=0) / pivot + z / jnp.sqrt(pivot)
            known = jnp.concatenate([drawn[None], known])
        return known[: shape[0]]


def _integrate(joint: Array, count: int) -> tuple[Array, _Gone]:
    """Integrate the first variables out of ``exp(-x' A x / 2)``, up to factors of 2 pi.

    Args:
        joint: A, symmetric, ``(variable, variable, *batch)``. With 1 as the last variable its
            column holds linear terms, and its corner the constant.
        count: how many variables.

    Returns:
        A of the variables that are left, its Schur complement, and what is gone. One variable
        after the other and all matrices of a batch at once: a call of LAPACK for each tiny one
        would cost more than all the rest.
    """
    gone = _Gone([], [])
    for _ in range(count):
        pivot, row = joint[0, 0], joint[0, 1:]
        joint = joint[1:, 1:] - row[:, None] * (row / pivot[None])[None]
        gone.pivots.append(pivot)
        gone.rows.append(row)
    return joint, gone
