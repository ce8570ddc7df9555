"""Effects of lineages, families and models: their covariance, and all algebra with it.

On the scale of the predictor the hierarchical law of :mod:`sloth_jax.law.hierarchical` is linear in
the effects of lineages, families and models, and its noise is normal. With the
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
sections 2.2 and 2.7.) The effects of a lineage of very many models are taken out first, as a few
coefficients, so that its cost is that of its families (:mod:`sloth_jax.law.nested`). Draws of
effects, for models that were observed and for new ones, come from draws of the prior that are
corrected by what the data say (Wilson et al. 2021, "Pathwise conditioning of Gaussian processes",
equation 13): functions of size, not values at some sizes.

:func:`dense_covariance` is the same covariance as one matrix, the oracle of the tests.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, UInt

from sloth_jax.law.bins import AnyBins, Bins, NestedBins, plain_bins
from sloth_jax.law.elimination import Latent, block_log_density, solve
from sloth_jax.law.nested import Block, nested_log_density, prior_root, solve_nested
from sloth_jax.law.products import einsum, matmul

_COVARIATES = 2  # that may be unknown: log size and log tokens


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

    lineage: Float[Array, "*draw unit"]
    lineage_walk: Float[Array, "*draw unit"]
    family: Float[Array, "*draw unit"]
    family_walk: Float[Array, "*draw unit"]
    model: Float[Array, "*draw unit"]


def covariance(
    spread: Spread,
    same_lineage: Float[Array, "*batch model model"],
    walk: Float[Array, "*batch model model"],
    same_family: Float[Array, "*batch model model"],
    same_model: Float[Array, "*batch model model"],
) -> Float[Array, "*batch unit model model"]:
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
        slope: how much unknown covariates move predictors, ``(unit, model, benchmark)``; None
            where all are known.
    """

    residual: Float[Array, "model benchmark"]
    variance: Float[Array, "model benchmark"]
    seen: Float[Array, "model benchmark"]
    loading: Float[Array, "benchmark skill"]
    skill: Spread
    benchmark: Spread
    slope: Float[Array, "unit model benchmark"] | None = None


def log_density(problem: Problem, bins: AnyBins) -> Float[Array, ""]:
    """Log density of all observed residuals, all effects integrated out: scalar."""
    found = jnp.zeros((), problem.residual.dtype)
    for some in bins:
        if isinstance(some, NestedBins):
            found += nested_log_density(*_families(problem, some), some)
        else:
            found += block_log_density(*_blocks(problem, some))
    return found


def lineage_densities(problem: Problem, bins: AnyBins, lineages: int) -> Float[Array, " lineage"]:
    """The same for each lineage, ``(lineage,)``; 0 for one without a score."""
    found = jnp.zeros(lineages + 1, problem.residual.dtype)
    for some in bins:
        found = found.at[some.lineage].add(_solve(problem, some)[0])
    return found[:lineages]


def _blocks(
    problem: Problem, bins: Bins
) -> tuple[Array, Array, Array, Array, Array, Latent | None]:
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
    latent = None
    if bins.covariance is not None and problem.slope is not None:
        slope = jnp.transpose(problem.slope[:, bins.rows], (1, 0, 3, 2))
        latent = Latent(bins.covariance, slope * seen[:, None])
    return benchmark, skill, problem.loading, residual, seen, latent


def _solve(problem: Problem, bins: Bins | NestedBins) -> tuple[Array, list[tuple[Bins, Array]]]:
    """Log densities of the lineages of bins, and V^-1 r with the bins that it is of."""
    if not isinstance(bins, NestedBins):
        solved = solve(*_blocks(problem, bins))
        return solved.log_density, [(bins, solved.weight)]
    nested = solve_nested(*_families(problem, bins), bins)
    weights = [one.solved.weight for one in nested.families]
    return nested.log_density, list(zip(bins.families, weights, strict=True))


def _families(problem: Problem, bins: NestedBins) -> tuple[tuple[Block, ...], Array]:
    """Arguments of :func:`solve_nested`."""
    spreads = (problem.skill, problem.benchmark)
    root = prior_root(bins.level, problem.loading, *(spread[:2] for spread in spreads))
    # Given the effects of their lineage, families are as lineages that have none.
    skill, benchmark = (
        spread._replace(lineage=0.0 * spread.lineage, lineage_walk=0.0 * spread.lineage)
        for spread in spreads
    )
    alone = problem._replace(skill=skill, benchmark=benchmark)
    return tuple(_blocks(alone, some) for some in bins.families), root


class Members(NamedTuple):
    """Which model is of which family and lineage, and where on the walks it stands.

    Attributes:
        lineage: of each model, ``(model,)``, integer.
        family: of each model, ``(model,)``, integer.
        basis: :func:`walk_basis` of its size, ``(model, coefficient)``.
        lineage_name: a number for each lineage's name, ``(lineage,)``; draws go by names, so that
            they do not depend on what else is queried.
        family_name: likewise, ``(family,)``.
        model_name: likewise, ``(model,)``.
    """

    lineage: Int[Array, " model"]
    family: Int[Array, " model"]
    basis: Float[Array, "model coefficient"]
    lineage_name: UInt[Array, " lineage"]
    family_name: UInt[Array, " family"]
    model_name: UInt[Array, " model"]


def name_numbers(kind: str, names: Sequence[str]) -> np.ndarray:
    """A number for each name, the same on every machine, ``(name,)``."""
    return np.array([zlib.crc32(f"{kind}/{name}".encode()) for name in names], np.uint32)


class Coefficients(NamedTuple):
    """Effects as functions of size, on skills and then on single benchmarks.

    Attributes:
        lineage: level and walk of each lineage, ``(lineage, coefficient, unit)``.
        family: of each family, beyond its lineage's, ``(family, coefficient, unit)``.
        model: departure of each model from its family, ``(model, unit)``.
        covariate: departure of covariates from their prior means, of no use where known,
            ``(covariate, model)``; of normal numbers there are always two, for log size and tokens.
    """

    lineage: Float[Array, "lineage coefficient unit"]
    family: Float[Array, "family coefficient unit"]
    model: Float[Array, "model unit"]
    covariate: Float[Array, "covariate model"]


class Normals(NamedTuple):
    """Independent standard normal numbers, everything that one draw of scores needs.

    Attributes:
        effects: of lineages, families and models.
        noise: of the scores that were observed, ``(model, benchmark)``.
        again: of scores that are measured anew, ``(model, benchmark)``.
        items: of which items a benchmark happens to have, ``(model, benchmark)``.
        post_trained: of whether a family is post-trained where it is unknown, ``(family,)``.
    """

    effects: Coefficients
    noise: Float[Array, "model benchmark"]
    again: Float[Array, "model benchmark"]
    items: Float[Array, "model benchmark"]
    post_trained: Float[Array, " family"]


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
    count = max(walk * width + 1, width + 3 * benchmarks + _COVARIATES)
    drawn = jax.vmap(lambda one: jax.random.normal(one, (count,)))(keys)
    ends = [names[0].size, names[0].size + names[1].size]
    of_lineage, of_family, of_model = jnp.split(drawn, ends)

    def walks(values: Array) -> Array:
        return values[:, : walk * width].reshape(-1, walk, width)

    end = width + 3 * benchmarks
    covariate = of_model[:, end : end + _COVARIATES].T
    effects = Coefficients(walks(of_lineage), walks(of_family), of_model[:, :width], covariate)
    benchmark, again, items = jnp.split(of_model[:, width:end], 3, axis=1)
    return Normals(effects, benchmark, again, items, of_family[:, walk * width])


def no_draw(members: Members, benchmarks: int, skills: int) -> Normals:
    """Zeros in place of :func:`draw_normals`, for expectations."""
    width, walk = skills + benchmarks, members.basis.shape[1]
    families = members.family_name.size
    effects = Coefficients(
        jnp.zeros((members.lineage_name.size, walk, width)),
        jnp.zeros((families, walk, width)),
        jnp.zeros((members.model_name.size, width)),
        jnp.zeros((_COVARIATES, members.model_name.size)),
    )
    nothing = jnp.zeros((members.model_name.size, benchmarks))
    return Normals(effects, nothing, nothing, nothing, jnp.zeros(families))


def at_models(
    coefficients: Coefficients, members: Members, skills: int
) -> tuple[Float[Array, "model skill"], Float[Array, "model benchmark"]]:
    """Effects of models on skills ``(model, skill)`` and on benchmarks ``(model, benchmark)``.

    Args:
        coefficients: of lineages and families; ``model`` has a row for each of these models.
        members: where the models stand.
        skills: number of skills.
    """
    own = coefficients.lineage[members.lineage] + coefficients.family[members.family]
    found = einsum("mq,mqu->mu", members.basis, own) + coefficients.model
    return found[:, :skills], found[:, skills:]


def condition(problem: Problem, bins: AnyBins, members: Members, normals: Normals) -> Coefficients:
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
        covariate=_draw_covariates(problem, bins, prior.covariate[:, :models]),
    )
    of_skill, of_benchmark = at_models(drawn, members, skills)
    foreseen = matmul(of_skill, problem.loading.T) + of_benchmark
    foreseen += jnp.sqrt(problem.variance) * noise
    if problem.slope is not None:
        foreseen += einsum("um,umj->mj", drawn.covariate, problem.slope)
    left = problem._replace(residual=problem.residual - foreseen)
    weight = jnp.zeros_like(problem.residual)
    for some in bins:
        for kind, part in _solve(left, some)[1]:
            weight = weight.at[kind.rows].add(jnp.swapaxes(part, 1, 2) * kind.real[:, :, None])
    # What each unit is pulled by: lambda' a on skills, a on benchmarks
    pull = jnp.concatenate([matmul(weight, problem.loading), weight], axis=1)
    pulled = members.basis[:, :, None] * pull[:, None, :]
    of_lineage = jax.ops.segment_sum(pulled, members.lineage, prior.lineage.shape[0])
    of_family = jax.ops.segment_sum(pulled, members.family, prior.family.shape[0])
    covariate = drawn.covariate
    if problem.slope is not None:
        covariate += covary(bins, einsum("mj,umj->um", weight, problem.slope))
    return Coefficients(
        lineage=drawn.lineage + scaled(spread.lineage**2, spread.lineage_walk**2, of_lineage),
        family=drawn.family + scaled(spread.family**2, spread.family_walk**2, of_family),
        model=drawn.model + spread.model[None] ** 2 * pull,
        covariate=covariate,
    )


def _draw_covariates(problem: Problem, bins: AnyBins, unit: Array) -> Array:
    """Draws of unknown covariates from their prior, of standard normals ``(covariate, model)``."""
    if problem.slope is None:
        return jnp.zeros((0, unit.shape[1]), unit.dtype)
    found = jnp.zeros((problem.slope.shape[0], unit.shape[1]), unit.dtype)
    for some in plain_bins(bins):
        if some.factor is not None:
            found += _times(some, some.factor, unit[: found.shape[0]])
    return found


def covary(bins: AnyBins, pull: Float[Array, "covariate model"]) -> Float[Array, "covariate model"]:
    """Prior covariance of unknown covariates times what pulls at each; 0 where known."""
    found = jnp.zeros_like(pull)
    for some in plain_bins(bins):
        if some.covariance is not None:
            found += _times(some, some.covariance, pull)
    return found


def _times(some: Bins, matrix: Array, values: Array) -> Array:
    """Matrices of bins times values of their models ``(covariate, model)``; 0 elsewhere."""
    placed = jnp.swapaxes(values[:, some.rows], 0, 1) * some.real[:, None]
    moved = einsum("lumn,lun->ulm", matrix, placed) * some.real[None]
    return jnp.zeros_like(values).at[:, some.rows].add(moved)
