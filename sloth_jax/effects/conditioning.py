"""Draws of effects given the scores, for models that were observed and for new ones.

Draws come from draws of the prior that are corrected by what the scores say (Wilson et al. 2021,
"Pathwise conditioning of Gaussian processes", equation 13). So they are functions of size, not
values at some sizes: a forecast may ask for any size afterwards. :func:`condition` is that formula.

A *unit* is a skill or a benchmark, skills first.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, UInt

from sloth_jax.effects.bins import AnyBins, Bins, ShardedBins, plain_bins
from sloth_jax.effects.density import Problem, solve_bins
from sloth_jax.effects.runs import times_run_correlation
from sloth_jax.effects.spread import Spread
from sloth_jax.products import einsum, matmul

_COVARIATES = 2  # that may be unknown: log size and log tokens


class Members(NamedTuple):
    """Family and lineage of each model, its position on the random walks, and hashes of names.

    Attributes:
        lineage: of each model, ``(model,)``, integer.
        family: of each model, ``(model,)``, integer.
        basis: :func:`sloth_jax.effects.walk.walk_basis` of its size, ``(model, coefficient)``.
        lineage_hash: of each lineage's name, ``(lineage,)``; random keys are made of names, so
            that draws do not depend on what else is queried.
        family_hash: likewise, ``(family,)``.
        model_hash: likewise, ``(model,)``.
    """

    lineage: Int[Array, " model"]
    family: Int[Array, " model"]
    basis: Float[Array, "model coefficient"]
    lineage_hash: UInt[Array, " lineage"]
    family_hash: UInt[Array, " family"]
    model_hash: UInt[Array, " model"]


def hash_names(kind: str, names: Sequence[str]) -> np.ndarray:
    """A hash of each name (CRC-32), the same on every machine, ``(name,)``."""
    return np.array([zlib.crc32(f"{kind}/{name}".encode()) for name in names], np.uint32)


class Coefficients(NamedTuple):
    """Effects as functions of size, on skills and then on single benchmarks.

    Attributes:
        lineage: level and walk of each lineage, ``(lineage, coefficient, unit)``.
        family: of each family, beyond its lineage's, ``(family, coefficient, unit)``.
        model: departure of each model from its family, ``(model, unit)``.
        covariate: departure of covariates from their prior means, of no use where known,
            ``(covariate, model)``; :class:`Normals` always have two, for log size and log tokens.
    """

    lineage: Float[Array, "lineage coefficient unit"]
    family: Float[Array, "family coefficient unit"]
    model: Float[Array, "model unit"]
    covariate: Float[Array, "covariate model"]


class Normals(NamedTuple):
    """Independent standard normal numbers, everything that one draw of scores needs.

    Attributes:
        effects: for effects of lineages, families and models.
        noise: for the noise of the observed scores, ``(model, benchmark)``.
        replicate_noise: for that of replicated scores, measured once more, ``(model, benchmark)``.
        item_noise: for which items a benchmark happens to have, ``(model, benchmark)``.
        post_training: for whether a family is post-trained where it is unknown, ``(family,)``.
    """

    effects: Coefficients
    noise: Float[Array, "model benchmark"]
    replicate_noise: Float[Array, "model benchmark"]
    item_noise: Float[Array, "model benchmark"]
    post_training: Float[Array, " family"]


def draw_normals(members: Members, benchmarks: int, skills: int, key: Array) -> Normals:
    """Standard normals of one draw; a name has the same ones whatever other names there are.

    Args:
        members: lineages, families and models, by name.
        benchmarks: how many.
        skills: how many.
        key: random key.
    """
    width, walk = skills + benchmarks, members.basis.shape[1]
    names = (members.lineage_hash, members.family_hash, members.model_hash)
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
    noise, replicate, items = jnp.split(of_model[:, width:end], 3, axis=1)
    return Normals(effects, noise, replicate, items, of_family[:, walk * width])


def zero_normals(members: Members, benchmarks: int, skills: int) -> Normals:
    """Zeros in place of :func:`draw_normals`: :func:`condition` then gives expectations."""
    width, walk = skills + benchmarks, members.basis.shape[1]
    families = members.family_hash.size
    effects = Coefficients(
        jnp.zeros((members.lineage_hash.size, walk, width)),
        jnp.zeros((families, walk, width)),
        jnp.zeros((members.model_hash.size, width)),
        jnp.zeros((_COVARIATES, members.model_hash.size)),
    )
    nothing = jnp.zeros((members.model_hash.size, benchmarks))
    return Normals(effects, nothing, nothing, nothing, jnp.zeros(families))


def effects_at_models(
    coefficients: Coefficients, members: Members, skills: int
) -> tuple[Float[Array, "model skill"], Float[Array, "model benchmark"]]:
    """Effects of models on skills ``(model, skill)`` and on benchmarks ``(model, benchmark)``.

    Args:
        coefficients: of lineages and families; ``model`` has a row for each of these models.
        members: their lineages, families and positions on the walks.
        skills: number of skills.
    """
    own = coefficients.lineage[members.lineage] + coefficients.family[members.family]
    found = einsum("mq,mqu->mu", members.basis, own) + coefficients.model
    return found[:, :skills], found[:, skills:]


def condition(problem: Problem, bins: AnyBins, members: Members, normals: Normals) -> Coefficients:
    """Effects given the scores: a draw of the prior, corrected by what the scores say.

    ``e* + Cov(e, r) V^-1 (r - r*)``, with ``e*`` a draw of the prior and ``r*`` its residuals
    (Wilson et al. 2021, equation 13). With zeros for the draw the result is the expectation.

    Args:
        problem: residuals and the prior of effects.
        bins: of the models, not sharded.
        members: of the models.
        normals: of the draw; of models beyond those of the problem the numbers are not used.
    """
    skills = problem.loading.shape[1]
    models = problem.residual.shape[0]
    prior, noise = normals.effects, normals.noise[:models]
    spread = Spread(
        *(jnp.concatenate(pair) for pair in zip(problem.skill, problem.benchmark, strict=True))
    )

    along_runs = partial(times_run_correlation, bins, problem.run_length)

    def scaled(level: Array, walk: Array, unit: Array) -> Array:
        walks = jnp.broadcast_to(walk[None, None], (1, unit.shape[1] - 1, walk.size))
        return jnp.concatenate([level[None, None], walks], axis=1) * unit

    drawn = Coefficients(
        lineage=scaled(spread.lineage, spread.lineage_walk, prior.lineage),
        family=scaled(spread.family, spread.family_walk, prior.family),
        model=spread.model[None] * along_runs(prior.model[:models], root=True),
        covariate=_draw_covariates(problem, bins, prior.covariate[:, :models]),
    )
    of_skill, of_benchmark = effects_at_models(drawn, members, skills)
    # r* = lambda' e + u + slope z + noise
    residual = matmul(of_skill, problem.loading.T) + of_benchmark
    residual += jnp.sqrt(problem.variance) * noise
    if problem.slope is not None:
        residual += einsum("um,umj->mj", drawn.covariate, problem.slope)
    difference = problem._replace(residual=problem.residual - residual)
    weight = jnp.zeros_like(problem.residual)
    for some in bins:
        if isinstance(some, ShardedBins):
            raise TypeError("sharded bins: pass the bins from before sharding")
        for kind, part in solve_bins(difference, some)[1]:
            weight = weight.at[kind.rows].add(jnp.swapaxes(part, 1, 2) * kind.mask[:, :, None])
    # Cov(e, r) V^-1 (r - r*), from a = V^-1 (r - r*): lambda' a on skills, a on benchmarks
    pull = jnp.concatenate([matmul(weight, problem.loading), weight], axis=1)
    pulled = members.basis[:, :, None] * pull[:, None, :]
    of_lineage = jax.ops.segment_sum(pulled, members.lineage, prior.lineage.shape[0])
    of_family = jax.ops.segment_sum(pulled, members.family, prior.family.shape[0])
    covariate = drawn.covariate
    if problem.slope is not None:
        covariate += times_covariate_prior(bins, einsum("mj,umj->um", weight, problem.slope))
    return Coefficients(
        lineage=drawn.lineage + scaled(spread.lineage**2, spread.lineage_walk**2, of_lineage),
        family=drawn.family + scaled(spread.family**2, spread.family_walk**2, of_family),
        model=drawn.model + spread.model[None] ** 2 * along_runs(pull),
        covariate=covariate,
    )


def _draw_covariates(problem: Problem, bins: AnyBins, normal: Array) -> Array:
    """Draws of unknown covariates from their prior, of standard normals ``(covariate, model)``."""
    if problem.slope is None:
        return jnp.zeros((0, normal.shape[1]), normal.dtype)
    found = jnp.zeros((problem.slope.shape[0], normal.shape[1]), normal.dtype)
    for some in plain_bins(bins):
        if some.covariate_root is not None:
            found += _times(some, some.covariate_root, normal[: found.shape[0]])
    return found


def times_covariate_prior(
    bins: AnyBins, values: Float[Array, "covariate model"]
) -> Float[Array, "covariate model"]:
    """Prior covariance of unknown covariates times values of models; 0 where known."""
    found = jnp.zeros_like(values)
    for some in bins:
        if isinstance(some, ShardedBins):
            found += jnp.sum(
                some.map(lambda shard, given: times_covariate_prior((shard,), given), values),
                axis=0,
            )
            continue
        for one in plain_bins((some,)):
            if one.covariate_covariance is not None:
                found += _times(one, one.covariate_covariance, values)
    return found


def _times(some: Bins, matrix: Array, values: Array) -> Array:
    """Matrices of bins times values of their models ``(covariate, model)``; 0 elsewhere."""
    gathered = jnp.swapaxes(values[:, some.rows], 0, 1) * some.mask[:, None]
    moved = einsum("lumn,lun->ulm", matrix, gathered) * some.mask[None]
    return jnp.zeros_like(values).at[:, some.rows].add(moved)
