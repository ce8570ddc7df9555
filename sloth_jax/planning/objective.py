"""The objective of a plan: a target as a function of size and tokens, in each posterior draw.

What sets a family apart is a function of its size, so that a draw answers anywhere. A single
benchmark's score grows with its linear predictor, and its optimum needs no link; a mean of several
needs the scores themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jax.typing import ArrayLike

from sloth_jax.chunks import map_in_chunks
from sloth_jax.effects.walk import walk_basis
from sloth_jax.forecasting.predictive_law import PredictiveLaw, predictive_law
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import Effects, linear_predictor, scores, skills as skills_of
from sloth_jax.law.links import of_benchmarks
from sloth_jax.law.surface import Surface
from sloth_jax.planning.budget import Split
from sloth_jax.planning.family import Family
from sloth_jax.planning.targets import Target
from sloth_jax.products import matmul
from sloth_jax.programs import kept
from sloth_jax.skills.interpret import Skills


class Objective(NamedTuple):
    """A predictive law of one queried model, reduced to what a target needs.

    Attributes:
        law: of the target's benchmarks only, leading axis ``(draw,)``, as all that follow.
        items: number of the benchmarks' items, the same in each draw, ``(draw, benchmark)``.
        weight: of the benchmarks, likewise, ``(draw, benchmark)``; empty for a skill.
        axis: direction of the skill in the law's own, ``(draw, skill)``; None for benchmarks.
        offset: of the skill, ``(draw,)``; None for benchmarks.
    """

    law: PredictiveLaw
    items: Array
    weight: Array
    axis: Array | None
    offset: Array | None


class Covariates(NamedTuple):
    """Sizes and tokens as the law takes them.

    Attributes:
        design: columns of the surface, of base models, ``(point, column)``.
        basis: of the walks in log size, ``(point, coefficient)``.
    """

    design: Array
    basis: Array


@kept
@jax.jit
def covariates(surface: Surface, active_fraction: float | Array, split: Split) -> Covariates:
    """Covariates of sizes and tokens, ``(point,)``."""
    size = jnp.exp(split.log_params)
    active = active_fraction * size
    design = surface.design(size, jnp.exp(split.log_tokens), 0.0, active)
    return Covariates(design, walk_basis(surface.from_smallest(size, active)))


def covariates_of(fit: Fit, family: Family) -> Callable[[Split], Covariates]:
    """The same of a family, as an argument of compiled functions."""
    return Partial(covariates, fit.surface, family.active_fraction)


def predictive_law_of(fit: Fit, family: Family, key: Array) -> PredictiveLaw:
    """The law of a model of a family, at any size and tokens."""
    return predictive_law(fit, family.query(fit.table, np.ones(1), np.ones(1)), key)


def objective_of(law: PredictiveLaw, target: Target, fit: Fit, skills: Skills | None) -> Objective:
    """Reduce a predictive law to a target; ``skills`` are needed where that is a skill."""
    items, weights = np.nan_to_num(fit.table.items, nan=np.inf), np.asarray(target.weights, float)
    if target.skill is None:
        return _of_benchmarks(law, np.asarray(target.benchmarks), items, weights)
    assert skills is not None  # a target has a skill where it was found among their labels
    # (theta - centre) @ transform, of which a mode has one for all its draws
    axis = skills.transform[:, :, target.skill]
    return _of_skill(law, items, weights, axis, -np.sum(skills.centre * axis, axis=1))


@kept
@jax.jit
def _of_benchmarks(
    law: PredictiveLaw, at: ArrayLike, items: ArrayLike, weights: ArrayLike
) -> Objective:
    at = jnp.asarray(at)
    few = jnp.asarray(items)[at]
    return Objective(_reduced(law, at), _repeated(few, law), _repeated(weights, law), None, None)


@jax.jit
def _of_skill(
    law: PredictiveLaw, items: ArrayLike, weights: ArrayLike, axis: ArrayLike, offset: ArrayLike
) -> Objective:
    kind = law.shared.noise.dtype
    axis, offset = jnp.asarray(axis, kind), jnp.asarray(offset, kind)
    draws = law.shared.noise.shape[0]
    return Objective(
        law,
        _repeated(items, law),
        _repeated(weights, law),
        jnp.broadcast_to(axis, (draws, axis.shape[1])),
        jnp.broadcast_to(offset, (draws,)),
    )


def _repeated(values: ArrayLike, law: PredictiveLaw) -> Array:
    """The same values in each draw."""
    noise = law.shared.noise
    return jnp.tile(jnp.asarray(values, noise.dtype)[None], (noise.shape[0], 1))


def _reduced(law: PredictiveLaw, at: Array) -> PredictiveLaw:
    """A predictive law of some benchmarks only."""
    shared, skills = law.shared, law.own.shape[-1]
    params = shared.params
    assert params.specific_slope is not None  # of every hierarchical law
    few = params._replace(
        loading=params.loading[:, at],
        bias=params.bias[:, at],
        floor=params.floor[:, at],
        link=of_benchmarks(params.link, at),
        specific_slope=params.specific_slope[:, :, at],
    )
    units = jnp.concatenate([jnp.arange(skills), skills + at])  # of walks
    return replace(
        law,
        shared=shared._replace(params=few, noise=shared.noise[:, at]),
        walk=law.walk[..., units],
        noise=law.noise[:, :, at],
        item_noise=law.item_noise[:, :, at],
    )


def predicted_value(objective: Objective, at: Covariates) -> Array:
    """Value of one draw as it would be measured, with noise and the model's own departure.

    Args:
        objective: of one draw, without the leading axis.
        at: covariates of ``point`` sizes and tokens.

    Returns:
        A score as a fraction, or a skill in standard deviations of models, ``(point,)``.
    """
    design = _design(objective, at)
    if objective.axis is not None:
        return _skill(objective, design, objective.law.effects(at.basis))
    return matmul(objective.law.scores(design, at.basis, objective.items), objective.weight)


def law_value(objective: Objective, at: Covariates) -> Array:
    """Value of one draw by the law alone: no noise, no departure of the model from its family.

    Arguments and result are those of :func:`predicted_value`.
    """
    design, effects = _design(objective, at), _family_effects(objective, at)
    if objective.axis is not None:
        return _skill(objective, design, effects)
    return matmul(scores(objective.law.shared.params, design, effects), objective.weight)


def monotone_value(objective: Objective, at: Covariates) -> Array:
    """An increasing function of :func:`law_value`: the predictor, for a single benchmark."""
    if objective.axis is not None or objective.weight.shape[0] > 1:
        return law_value(objective, at)
    params = objective.law.shared.params
    return linear_predictor(params, _design(objective, at), _family_effects(objective, at))[:, 0]


@kept
@jax.jit
def reaching(objective: Objective, score: float) -> Array:
    """Each draw's margin over a score, as a linear function of the covariates.

    The predictor is linear in the covariates, and a measured score reaches another one where the
    predictor is at or above a threshold, which each draw has of its own. So many sizes and tokens
    are judged by one product, without the link.

    Args:
        objective: of a single benchmark, or of a skill.
        score: to be reached, a fraction in (0, 1); of a skill, standard deviations of models.

    Returns:
        ``(draw, 1 + column + coefficient)``: the product with a 1 and a point's covariates is not
        negative where :func:`predicted_value` of that point is at or above ``score``.
    """

    def one(objective: Objective) -> Array:
        law = objective.law
        columns, coefficients = law.shared.params.slope.shape[0], law.walk.shape[1]
        # Without covariates, then with a 1 in each of them alone.
        unit = jnp.eye(1 + columns + coefficients, dtype=law.walk.dtype)
        at = Covariates(unit[:, 1 : 1 + columns], unit[:, 1 + columns :])
        if objective.axis is not None:
            value, threshold = predicted_value(objective, at), score
        else:
            effects, noise = law.effects(at.basis), law.shared.noise[None, :] * law.noise
            assert effects.benchmark is not None  # of every hierarchical law
            effects = effects._replace(benchmark=effects.benchmark + noise)
            value = linear_predictor(law.shared.params, _design(objective, at), effects)[:, 0]
            threshold = _threshold(objective, score)
        return jnp.concatenate([value[:1] - threshold, value[1:] - value[:1]])

    return map_in_chunks(one, objective)


def _threshold(objective: Objective, score: float) -> Array:
    """The predictor at which a measured score of one draw is just ``score``, scalar."""
    params, noise = objective.law.shared.params, objective.law.item_noise[0]
    # m + z sqrt(m (1 - m) / n) = score: of the two roots of the square, the one on the side of z
    luck = noise**2 / objective.items
    root = jnp.sqrt(luck**2 + 4.0 * luck * score * (1.0 - score))
    middle = 2.0 * score + luck
    made = jnp.where(
        noise > 0.0, 2.0 * score**2 / (middle + root), (middle + root) / (2.0 + 2.0 * luck)
    )
    share = (made - params.floor) / (1.0 - params.floor)
    # Every predictor reaches what lies below all that the link can give.
    link: Any = params.link  # a learnt one, which has an inverse
    lowest = link(jnp.full_like(share, -1e6)[None])[0]
    found = link.inverse(jnp.maximum(share, lowest)[None])[0][0]
    return jnp.where(share > lowest, found, -jnp.inf)[0]


def _design(objective: Objective, at: Covariates) -> Array:
    """Columns of one draw, which knows whether the model is post-trained."""
    return at.design.at[:, -1].set(objective.law.post_trained[0])


def _family_effects(objective: Objective, at: Covariates) -> Effects:
    law = objective.law
    return replace(law, own=jnp.zeros_like(law.own)).effects(at.basis)


def _skill(objective: Objective, design: Array, effects: Effects) -> Array:
    assert objective.axis is not None
    assert objective.offset is not None  # the two come together
    theta = skills_of(objective.law.shared.params, design, effects)
    return matmul(theta, objective.axis) + objective.offset
