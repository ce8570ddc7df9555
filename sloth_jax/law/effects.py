"""Effects of lineages, families and models: their covariance, and all algebra with it.

On the scale of the predictor the hierarchical law of :mod:`sloth_jax.law.hierarchical` is linear in
everything that is peculiar to lineages, families and models, and its noise is normal. With the
residual ``r_mj`` of a score's predictor from what all lineages share::

    r_mj = sum_k lambda_jk e_mk + u_mj + N(0, variance_mj)

    Cov(e_mk, e_nk) = a_k^2 + b_k^2 w_mn + 1[same family] (c_k^2 + d_k^2 w_mn) + 1[m = n] s_k^2
    Cov(u_mj, u_nj) = a_j^2 + b_j^2 w_mn + 1[same family] (c_j^2 + d_j^2 w_mn)

for two models ``m, n`` of one lineage, and nothing between lineages. ``w_mn`` is the covariance of
a random walk in log size that starts at the smallest size of the table (:class:`Walk`): what sets
a family apart changes with size by independent steps, so that it is known near the sizes at which
the family was seen and uncertain far from them, whichever of its models were observed.

So the scores of a lineage are jointly normal given what is shared. Benchmarks are eliminated
first: given the skills ``e`` they are independent, with one small matrix each; what they say about
skills adds up to one matrix of models times skills. (Rue and Held 2005, Gaussian Markov Random
Fields, sections 2.2 and 2.3; Rasmussen and Williams 2006, Gaussian Processes for Machine Learning,
sections 2.2 and 2.7.) Draws of effects, for models that were observed and for new ones, come from
draws of the prior that are corrected by what the data say (Wilson et al. 2021, "Pathwise
conditioning of Gaussian processes", equation 13): functions of size, not values at some sizes.

:func:`dense_covariance` is the same covariance as one matrix, the oracle of the tests.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.law.forward import matmul


class Spread(NamedTuple):
    """How far lineages, families and models stand apart: standard deviations, positive.

    Attributes:
        lineage: a; level of lineages, ``(unit,)``, where a unit is a skill or a benchmark.
        lineage_walk: b; steps of lineages' walks, per unit of walk variance, ``(unit,)``.
        family: c; level of families within a lineage, ``(unit,)``.
        family_walk: d; steps of families' walks, ``(unit,)``.
        model: s; of models around their family, ``(unit,)``; 0 on single benchmarks, where it is
            part of the noise.
    """

    lineage: Array
    lineage_walk: Array
    family: Array
    family_walk: Array
    model: Array


class Bins(NamedTuple):
    """Lineages side by side in bins of one size, so that all are computed by one small program.

    Attributes:
        rows: position of each model in the table, ``(bin, place)``; 0 where a place is empty.
        real: 1 where there is a model, else 0, ``(bin, place)``.
        lineage: of each pair of places, ``(bin, place / 2)``; the number of lineages where empty.
        same_lineage: 1 for two models of one lineage, ``(bin, place, place)``.
        same_family: 1 for two models of one family, ``(bin, place, place)``.
        walk: covariance of the walk between models of one lineage, ``(bin, place, place)``.
    """

    rows: Array
    real: Array
    lineage: Array
    same_lineage: Array
    same_family: Array
    walk: Array


# Knots of the walk: steps of half a standard deviation of log size, a factor of two in size on most
# tables, and a hundred times beyond most tables either way.
_STEP = 0.5
_FORWARD, _BACKWARD = 18, 6


def walk_basis(x: Array) -> Array:
    """A random walk in log size: independent normal steps between knots, straight in between.

    ``W(x) = sum_q z_q psi_q(x)`` with standard normal ``z`` and ramps ``psi`` that rise by the
    square root of the step from one knot to the next. ``W(0) = 0`` and ``Var W(x) = |x|`` at knots:
    ``Cov(W(x), W(y)) = min(x, y)`` for two of them on one side of 0. Beyond the last knot it goes
    straight on.

    Args:
        x: log sizes from the table's smallest, standardised, any shape.

    Returns:
        A 1 for the level of a family or lineage, then the ramps: ``(..., coefficient)``.
    """
    ramps = []
    for along, count in ((x, _FORWARD), (-x, _BACKWARD)):
        knots = _STEP * jnp.arange(count, dtype=x.dtype)
        longest = jnp.where(jnp.arange(count) < count - 1, _STEP, jnp.inf).astype(x.dtype)
        away = along[..., None] - knots.reshape((1,) * x.ndim + (-1,))
        ramps.append(jnp.minimum(jnp.maximum(away, 0.0), longest.reshape((1,) * x.ndim + (-1,))))
    return jnp.concatenate([jnp.ones((*x.shape, 1), x.dtype), *(r / _STEP**0.5 for r in ramps)], -1)


def fill_bins(lineage: np.ndarray, family: np.ndarray, x: np.ndarray) -> tuple[Bins, ...]:
    """Put lineages into bins, each lineage in one.

    Small lineages get bins of their own size where that makes at most half the work: a bin costs
    the cube of its places.

    Args:
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.

    Returns:
        One kind of bins or two, the smaller first.
    """
    places = 2 * -(-np.bincount(lineage) // 2)  # a pair of places belongs to one lineage
    largest = int(places.max())

    def work(small: int) -> int:
        parts = [np.flatnonzero((places > 0) & (places <= small)), np.flatnonzero(places > small)]
        return sum(
            len(set(_deal(places, part)[:, 0])) * int(places[part].max()) ** 3
            for part in parts
            if len(part)
        )

    best = min(np.unique(places[places > 0]), key=work)
    limits = [int(best), largest] if 2 * work(int(best)) <= work(largest) else [largest]
    kinds = []
    for low, high in zip([0, *limits], limits, strict=False):
        chosen = np.flatnonzero((places > low) & (places <= high))
        kinds.append(_bins(_deal(places, chosen), chosen, lineage, family, x))
    return tuple(kinds)


def _deal(places: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Bin and first place of each chosen lineage, ``(lineage, 2)``: the largest first."""
    size = int(places[chosen].max())
    free: list[int] = []
    found = np.zeros((len(chosen), 2), int)
    for at in np.argsort(-places[chosen], kind="stable"):
        taken = int(places[chosen[at]])
        fits = next((b for b, left in enumerate(free) if left >= taken), len(free))
        if fits == len(free):
            free.append(size)
        found[at] = fits, size - free[fits]
        free[fits] -= taken
    return found


def _bins(
    dealt: np.ndarray, chosen: np.ndarray, lineage: np.ndarray, family: np.ndarray, x: np.ndarray
) -> Bins:
    members = [np.flatnonzero(lineage == at) for at in chosen]
    size = 2 * -(-max(len(m) for m in members) // 2)
    count = int(dealt[:, 0].max()) + 1
    rows = np.zeros((count, size), int)
    real = np.zeros((count, size))
    owner = np.full((count, size // 2), int(lineage.max()) + 1)
    for at, (bin_, first), own in zip(chosen, dealt, members, strict=True):
        rows[bin_, first : first + len(own)] = own
        real[bin_, first : first + len(own)] = 1.0
        owner[bin_, first // 2 : (first + len(own) + 1) // 2] = at
    both = real[:, :, None] * real[:, None, :]
    same = both * (lineage[rows][:, :, None] == lineage[rows][:, None, :])
    basis = np.asarray(walk_basis(jnp.asarray(x)))[rows][:, :, 1:]

    def floats(values: np.ndarray) -> Array:
        return jnp.asarray(values, float)

    return Bins(
        rows=jnp.asarray(rows),
        real=floats(real),
        lineage=jnp.asarray(owner),
        same_lineage=floats(same),
        same_family=floats(both * (family[rows][:, :, None] == family[rows][:, None, :])),
        walk=floats(same * np.einsum("lik,ljk->lij", basis, basis)),
    )


def covariance(
    spread: Spread, same_lineage: Array, walk: Array, same_family: Array, same_model: Array
) -> Array:
    """Covariance of effects between models, for each unit.

    Args:
        spread: ``(unit,)`` each.
        same_lineage: 1 for models of one lineage, ``(..., model, model)``.
        walk: covariance of the walk within lineages, of the same shape.
        same_family: 1 for models of one family, of the same shape.
        same_model: 1 for the same model, of the same shape.

    Returns:
        ``(..., unit, model, model)``.
    """
    shape = (1,) * (same_lineage.ndim - 2) + (-1, 1, 1)
    a, b, c, d, s = (part.reshape(shape) ** 2 for part in spread)
    one, w, f, m = (part[..., None, :, :] for part in (same_lineage, walk, same_family, same_model))
    return a * one + b * w + f * (c + d * w) + m * s


@jax.custom_jvp
def inverse(matrices: Array) -> tuple[Array, Array]:
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
    # d A^-1 = -A^-1 dA A^-1. The determinant is not differentiated here but in _log_density.
    moved = matmul(matmul(inverted, change), inverted)
    return (inverted, parts), (-moved, jnp.zeros_like(parts))


class Problem(NamedTuple):
    """Everything that scores say about effects, given what all lineages share.

    Attributes:
        residual: predictor of each score less what the law without effects predicts, ``(model,
            benchmark)``; any finite number where not observed.
        variance: of its noise, ``(model, benchmark)``, positive.
        seen: 1 where observed, else 0, ``(model, benchmark)``.
        loading: ``(benchmark, skill)``.
        skill: spread of effects on skills, ``(skill,)`` each.
        benchmark: spread of effects on single benchmarks, ``(benchmark,)`` each.
    """

    residual: Array
    variance: Array
    seen: Array
    loading: Array
    skill: Spread
    benchmark: Spread


def log_density(problem: Problem, bins: tuple[Bins, ...]) -> Array:
    """Log density of all observed residuals, all effects integrated out: scalar."""
    found = jnp.zeros((), problem.residual.dtype)
    for some in bins:
        found += _log_density(*_blocks(problem, some))
    return found


def lineage_densities(problem: Problem, bins: tuple[Bins, ...], lineages: int) -> Array:
    """The same for each lineage, ``(lineage,)``; 0 for one without a score."""
    found = jnp.zeros(lineages + 1, problem.residual.dtype)
    for some in bins:
        parts = solve(*_blocks(problem, some)).log_density
        found = found.at[some.lineage].add(parts)
    return found[:lineages]


def _blocks(problem: Problem, bins: Bins) -> tuple[Array, Array, Array, Array, Array]:
    """Arguments of :func:`solve`."""

    def placed(values: Array) -> Array:
        return jnp.swapaxes(values[bins.rows], 1, 2)

    seen = placed(problem.seen) * bins.real[:, None, :]
    residual = jnp.where(seen > 0.0, placed(problem.residual), 0.0)
    unit = jnp.eye(bins.rows.shape[1], dtype=residual.dtype)[None]
    alike = (bins.same_lineage, bins.walk, bins.same_family, unit * bins.real[:, None, :])
    noise = jnp.where(seen > 0.0, placed(problem.variance), 1.0)
    benchmark = seen[:, :, :, None] * seen[:, :, None, :] * covariance(problem.benchmark, *alike)
    benchmark += unit[:, None] * noise[:, :, None, :]
    empty = unit * (1.0 - bins.real)[:, None, :]
    skill = covariance(problem.skill, *alike) + empty[:, None]
    return benchmark, skill, problem.loading, residual, seen


class Members(NamedTuple):
    """Which model is of which family and lineage, and where on the walks it stands.

    Attributes:
        lineage: of each model, ``(model,)``, integer.
        family: of each model, ``(model,)``, integer.
        basis: :func:`walk_basis` of its size, ``(model, coefficient)``.
        lineage_name: a number for each lineage's name, ``(lineage,)``; draws go by names, so that
            they do not depend on what else is asked.
        family_name: likewise, ``(family,)``.
        model_name: likewise, ``(model,)``.
    """

    lineage: Array
    family: Array
    basis: Array
    lineage_name: Array
    family_name: Array
    model_name: Array


def name_numbers(kind: str, names: Sequence[str]) -> np.ndarray:
    """A number for each name, the same on every machine, ``(name,)``."""
    return np.array([zlib.crc32(f"{kind}/{name}".encode()) for name in names], np.uint32)


class Coefficients(NamedTuple):
    """Effects as functions of size, on skills and then on single benchmarks.

    Attributes:
        lineage: level and walk of each lineage, ``(lineage, coefficient, unit)``.
        family: of each family, beyond its lineage's, ``(family, coefficient, unit)``.
        model: what is peculiar to each model, ``(model, unit)``.
    """

    lineage: Array
    family: Array
    model: Array


class Normals(NamedTuple):
    """Independent standard normal numbers, everything that one draw of scores needs.

    Attributes:
        effects: of lineages, families and models.
        noise: of the scores that were observed, ``(model, benchmark)``.
        again: of scores that are measured anew, ``(model, benchmark)``.
        items: of which items a benchmark happens to have, ``(model, benchmark)``.
        post_trained: of whether a family is post-trained where nobody knows, ``(family,)``.
    """

    effects: Coefficients
    noise: Array
    again: Array
    items: Array
    post_trained: Array


def draw_normals(members: Members, benchmarks: int, skills: int, key: Array) -> Normals:
    """Numbers for one draw; a name has the same ones whatever other names there are.

    Args:
        members: lineages, families and models, by name.
        benchmarks: how many.
        skills: how many.
        key: random key.
    """
    width, walk = skills + benchmarks, members.basis.shape[1]
    names = (members.lineage_name, members.family_name, members.model_name)
    # One call for all: the generator is what takes long to compile.
    keys = jax.vmap(lambda name: jax.random.fold_in(key, name))(jnp.concatenate(names))
    count = max(walk * width + 1, width + 3 * benchmarks)
    drawn = jax.vmap(lambda one: jax.random.normal(one, (count,)))(keys)
    ends = [names[0].size, names[0].size + names[1].size]
    of_lineage, of_family, of_model = jnp.split(drawn, ends)

    def walks(values: Array) -> Array:
        return values[:, : walk * width].reshape(-1, walk, width)

    effects = Coefficients(walks(of_lineage), walks(of_family), of_model[:, :width])
    rest = of_model[:, width : width + 3 * benchmarks]
    benchmark, again, items = jnp.split(rest, 3, axis=1)
    return Normals(effects, benchmark, again, items, of_family[:, walk * width])


def no_draw(members: Members, benchmarks: int, skills: int) -> Normals:
    """Zeros in place of :func:`draw_normals`, for expectations."""
    width, walk = skills + benchmarks, members.basis.shape[1]
    families = members.family_name.size
    effects = Coefficients(
        jnp.zeros((members.lineage_name.size, walk, width)),
        jnp.zeros((families, walk, width)),
        jnp.zeros((members.model_name.size, width)),
    )
    nothing = jnp.zeros((members.model_name.size, benchmarks))
    return Normals(effects, nothing, nothing, nothing, jnp.zeros(families))


def at_models(coefficients: Coefficients, members: Members, skills: int) -> tuple[Array, Array]:
    """Effects of models on skills ``(model, skill)`` and on benchmarks ``(model, benchmark)``.

    Args:
        coefficients: of lineages and families; ``model`` has a row for each of these models.
        members: where the models stand.
        skills: number of skills.
    """
    own = coefficients.lineage[members.lineage] + coefficients.family[members.family]
    found = _einsum("mq,mqu->mu", members.basis, own) + coefficients.model
    return found[:, :skills], found[:, skills:]


def condition(
    problem: Problem, bins: tuple[Bins, ...], members: Members, normals: Normals
) -> Coefficients:
    """Effects given the scores: a draw of the prior, corrected by what the scores say.

    ``e* = e + Cov(e, r) V^-1 (r - r*)`` with ``r*`` the residuals of the draw (Wilson et al. 2021,
    equation 13). With zeros for the draw the result is the expectation.

    Args:
        problem: what the scores say.
        bins: of the models.
        members: of the models.
        normals: of the draw; of models beyond those of the problem the numbers are not used.
    """
    skills = problem.loading.shape[1]
    models = problem.residual.shape[0]
    prior, noise = normals.effects, normals.noise[:models]
    spread = Spread(
        *(jnp.concatenate(pair) for pair in zip(problem.skill, problem.benchmark, strict=True))
    )

    def scaled(level: Array, walk: Array, unit: Array) -> Array:
        walks = jnp.broadcast_to(walk[None, None], (1, unit.shape[1] - 1, walk.size))
        return jnp.concatenate([level[None, None], walks], axis=1) * unit

    drawn = Coefficients(
        lineage=scaled(spread.lineage, spread.lineage_walk, prior.lineage),
        family=scaled(spread.family, spread.family_walk, prior.family),
        model=spread.model[None] * prior.model[:models],
    )
    of_skill, of_benchmark = at_models(drawn, members, skills)
    foreseen = matmul(of_skill, problem.loading.T) + of_benchmark
    foreseen += jnp.sqrt(problem.variance) * noise
    left = problem._replace(residual=problem.residual - foreseen)
    weight = jnp.zeros_like(problem.residual)
    for some in bins:
        found = solve(*_blocks(left, some)).weight
        weight = weight.at[some.rows].add(jnp.swapaxes(found, 1, 2) * some.real[:, :, None])
    # What each unit is pulled by: lambda' a on skills, a on benchmarks
    pull = jnp.concatenate([matmul(weight, problem.loading), weight], axis=1)
    pulled = members.basis[:, :, None] * pull[:, None, :]
    of_lineage = jax.ops.segment_sum(pulled, members.lineage, prior.lineage.shape[0])
    of_family = jax.ops.segment_sum(pulled, members.family, prior.family.shape[0])
    return Coefficients(
        lineage=drawn.lineage + scaled(spread.lineage**2, spread.lineage_walk**2, of_lineage),
        family=drawn.family + scaled(spread.family**2, spread.family_walk**2, of_family),
        model=drawn.model + spread.model[None] ** 2 * pull,
    )


class Solved(NamedTuple):
    """What the scores of lineages say about their effects.

    Attributes:
        weight: V^-1 r, residuals over their whole covariance, ``(bin, benchmark, place)``.
        skill: expected effects on skills, ``(bin, skill, place)``.
        log_density: of the residuals of each pair of places given pairs before it, which add up
            to that of a lineage, ``(bin, place / 2)``.
        benchmark_precision: inverse covariance of residuals given skills, 0 where not observed,
            ``(bin, benchmark, place, place)``.
        skill_precision: inverse covariance of skills before scores, ``(bin, skill, place, place)``.
        skill_covariance: of skills after scores, ``(bin, skill, place, skill, place)``.
    """

    weight: Array
    skill: Array
    log_density: Array
    benchmark_precision: Array
    skill_precision: Array
    skill_covariance: Array


def solve(benchmark: Array, skill: Array, loading: Array, residual: Array, seen: Array) -> Solved:
    """Condition the effects of lineages on their scores.

    Args:
        benchmark: covariance of residuals given skills, ``(bin, benchmark, place, place)``; a
            unit matrix where not observed.
        skill: covariance of effects on skills, ``(bin, skill, place, place)``; a unit matrix
            where empty.
        loading: ``(benchmark, skill)``.
        residual: 0 where not observed, ``(bin, benchmark, place)``.
        seen: 1 where observed, else 0, ``(bin, benchmark, place)``.
    """
    bins, benchmarks, size = residual.shape
    skills = loading.shape[1]
    inverted, log_determinant = inverse(jnp.concatenate([benchmark, skill], axis=1))
    both = seen[:, :, :, None] * seen[:, :, None, :]
    r_inv = inverted[:, :benchmarks] * both
    s_inv = inverted[:, benchmarks:]
    # M = S^-1 + sum_j lambda_j lambda_j' (x) R_j,   h = sum_j lambda_j (x) R_j r_j
    products = (loading[:, :, None] * loading[:, None, :]).reshape(benchmarks, -1)
    gram = _einsum("jk,ljn->lkn", products, r_inv.reshape(bins, benchmarks, -1))
    gram = gram.reshape(bins, skills, skills, size, size)
    unit = jnp.eye(skills, dtype=gram.dtype)[None, :, :, None, None]
    joint = (gram + unit * s_inv[:, :, None]).transpose(0, 1, 3, 2, 4)
    m_inv, log_joint = inverse(joint.reshape(bins, skills * size, skills * size))
    m_inv = m_inv.reshape(bins, skills, size, skills, size)
    scaled = jnp.sum(r_inv * residual[:, :, None, :], axis=-1)
    pull = _einsum("jk,ljn->lkn", loading, scaled)
    mean = jnp.sum(m_inv * pull[:, None, None], axis=(-1, -2))
    weight = scaled - jnp.sum(r_inv * _einsum("jk,lkn->ljn", loading, mean)[:, :, None], axis=-1)
    # r' V^-1 r + log|V_r| + log|S| + log|M| + n log(2 pi)
    terms = residual * weight + seen * math.log(2.0 * math.pi)
    twice = jnp.sum(terms, axis=1).reshape(bins, -1, 2).sum(axis=-1)
    twice += jnp.sum(log_determinant, axis=1)
    twice += jnp.sum(log_joint.reshape(bins, skills, -1), axis=1)
    return Solved(weight, mean, -0.5 * twice, r_inv, s_inv, m_inv)


def _einsum(formula: str, *arrays: Array) -> Array:
    return jnp.einsum(formula, *arrays, precision="highest")


@jax.custom_jvp
def _log_density(
    benchmark: Array, skill: Array, loading: Array, residual: Array, seen: Array
) -> Array:
    """Log density of all residuals, scalar; arguments as for :func:`solve`."""
    return jnp.sum(solve(benchmark, skill, loading, residual, seen).log_density)


@_log_density.defjvp
def _log_density_jvp(primals, tangents):
    # With V the covariance of all residuals r and a = V^-1 r:
    #   d log N(r; 0, V) = a' dV a / 2 - tr(V^-1 dV) / 2 - a' dr
    # block by block: a gradient costs little more than the density.
    loading = primals[2]
    d_benchmark, d_skill, d_loading, d_residual, _ = tangents
    s = solve(*primals)
    r_inv, s_inv, m_inv = s.benchmark_precision, s.skill_precision, s.skill_covariance
    # Diagonal blocks of V^-1: R_j - R_j (lambda_j' M^-1 lambda_j) R_j
    products = loading[:, :, None] * loading[:, None, :]
    added = _einsum("jkh,lkmhn->ljmn", products, m_inv)
    within = r_inv - matmul(matmul(r_inv, added), r_inv)
    of_benchmark = s.weight[:, :, :, None] * s.weight[:, :, None, :] - within
    # lambda' a = S^-1 E[e],  lambda' V^-1 lambda = S^-1 - S^-1 M^-1 S^-1
    pulled = jnp.sum(s_inv * s.skill[:, :, None, :], axis=-1)
    own = _einsum("lkmkn->lkmn", m_inv)
    of_skill = pulled[:, :, :, None] * pulled[:, :, None, :] - s_inv
    of_skill += matmul(matmul(s_inv, own), s_inv)
    # a_j' E[e_k] - sum_h lambda_jh tr(R_j M^-1_hk)
    trace = _einsum("ljmn,lkmhn->jkh", r_inv, m_inv)
    of_loading = _einsum("ljn,lkn->jk", s.weight, s.skill)
    of_loading -= jnp.sum(trace * loading[:, None, :], axis=-1)
    change = 0.5 * (jnp.sum(of_benchmark * d_benchmark) + jnp.sum(of_skill * d_skill))
    change += jnp.sum(of_loading * d_loading) - jnp.sum(s.weight * d_residual)
    return jnp.sum(s.log_density), change


class Cells(NamedTuple):
    """Scores in a list, measured or not, of one lineage or several.

    Attributes:
        model, family, lineage: numbers that tell them apart, ``(cell,)`` each.
        benchmark: position of the benchmark, ``(cell,)``.
        basis: :func:`walk_basis` of the model's size, ``(cell, coefficient)``.
    """

    model: np.ndarray
    family: np.ndarray
    lineage: np.ndarray
    benchmark: np.ndarray
    basis: np.ndarray


def dense_covariance(
    cells: Cells, loading: np.ndarray, skill: Spread, benchmark: Spread
) -> np.ndarray:
    """Covariance of predictors by effects, as one matrix: slow, plain, and for any cells.

    Args:
        cells: which scores.
        loading: ``(..., benchmark, skill)``.
        skill: spread of effects on skills, ``(..., skill)`` each.
        benchmark: spread of effects on single benchmarks, ``(..., benchmark)`` each.

    Returns:
        ``(..., cell, cell)``, without the noise of scores.
    """
    same_model, same_family, same_lineage, same_benchmark = (
        (part[:, None] == part[None, :]).astype(float)
        for part in (cells.model, cells.family, cells.lineage, cells.benchmark)
    )
    walk = cells.basis[:, 1:] @ cells.basis[:, 1:].T

    at = np.asarray(loading, float)[..., cells.benchmark, :]
    found: Any = 0.0
    for k in range(at.shape[-1]):
        one = [np.asarray(part, float)[..., k, None, None] for part in skill]
        found = found + at[..., :, None, k] * at[..., None, :, k] * _between(
            one, same_lineage, walk, same_family, same_model
        )
    own = [np.asarray(part, float)[..., cells.benchmark, None] for part in benchmark]
    return found + same_benchmark * _between(own, same_lineage, walk, same_family, same_model)


def _between(
    spread: list[np.ndarray],
    lineage: np.ndarray,
    walk: np.ndarray,
    family: np.ndarray,
    model: np.ndarray,
) -> np.ndarray:
    a, b, c, d, s = (part**2 for part in spread)
    return lineage * (a + b * walk + family * (c + d * walk)) + model * s
