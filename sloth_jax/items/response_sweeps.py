"""Sweeps of the item response law: items given models, models given items, scales of the priors.

A sweep takes a Newton step for every item given all models, then for every model given all items,
each averaged over what is uncertain of the other (a Gaussian variational approximation; Opper and
Archambeau 2009), and sets the scales of the priors to their expected values (empirical Bayes).
After each sweep the skills have mean 0 and variance 1 over the bank's models, and items are turned
along, which fixes location and scale and quickens the sweeps (parameter expansion; Liu, Rubin and
Wu 1998).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from sloth_jax.items.response_moments import (
    Normals,
    ability_terms,
    item_terms,
    moments,
    residual_and_weight,
)
from sloth_jax.products import einsum, matmul

DEPARTURE_SD = 0.22  # of departures in logits, before any model is seen
_LARGEST_STEP = 1.0  # of a Newton step, in standard deviations of the prior
_EXTREME = 2.5  # standardised difficulties are cut here: those of items all models fail are vague
# Weak priors of the scales, each worth so many items or models.
_ITEM_WORTH, _MODEL_WORTH, _CATEGORY_WORTH = 5.0, 3.0, 5.0
_SLOPE_SD, _DIFFICULTY_SD = 0.5, 1.5


class ItemPriors(NamedTuple):
    """Learnt priors.

    Attributes:
        item_mean: of (a, b), ``(category, skill + 1)``.
        item_covariance: ``(skill + 1, skill + 1)``.
        slope: of skills on covariates and families, ``(covariate, skill)``.
        ability_covariance: of what these leave, ``(skill, skill)``.
        departure_variance: ``(departure,)``.
        family_variance: of the family effects, a share of the ability variance.
    """

    item_mean: Array
    item_covariance: Array
    slope: Array
    ability_covariance: Array
    departure_variance: Array
    family_variance: Array


def categories_of(indicator: Any) -> Any:
    """Contrasts of categories that models may depart in: none where there is one category.

    Indicators less their mean over items: to depart by as much in all categories is to have
    another skill, and would compete with it.

    Args:
        indicator: of each item's category, ``(item, category)``.
    """
    return indicator - indicator.mean(axis=0) if indicator.shape[-1] > 1 else indicator[..., :0]


def standardised(difficulty: Any, counted: Any) -> Array:
    """Difficulties with mean 0 and variance 1 over the items that count, cut at the extremes."""
    count = counted.sum()
    mean = (counted * difficulty).sum() / count
    spread = jnp.sqrt((counted * (difficulty - mean) ** 2).sum() / count)
    return jnp.clip((difficulty - mean) / jnp.maximum(spread, 1e-3), -_EXTREME, _EXTREME)


def prior_precision(covariance: Array, departure_variance: Array) -> Array:
    """Prior precision of (theta, u)."""
    skills, departures = len(covariance), len(departure_variance)
    whole = jnp.zeros((skills + departures,) * 2, covariance.dtype)
    whole = whole.at[:skills, :skills].set(jnp.linalg.inv(covariance))
    at = jnp.arange(skills, skills + departures)
    return whole.at[at, at].set(1.0 / departure_variance)


def newton_step(mean: Array, gradient: Array, precision: Array, scale: Array) -> Normals:
    """A Newton step of independent normals, no longer than one in units of the prior.

    Args:
        mean: where it starts, ``(n, part)``.
        gradient: of the log posterior there, ``(n, part)``.
        precision: of the posterior, ``(n, part, part)``.
        scale: prior standard deviation of each part, ``(part,)``.
    """
    covariance = jnp.linalg.inv(precision)
    step = einsum("nkl,nl->nk", covariance, gradient)
    longest = jnp.max(jnp.abs(step) / scale[None], axis=1, keepdims=True)
    step = step * jnp.minimum(1.0, _LARGEST_STEP / jnp.maximum(longest, 1e-9))
    return Normals(mean + step, covariance)


@partial(jax.jit, static_argnames="most")
def sweep_all(
    items: Normals,
    abilities: Normals,
    priors: ItemPriors,
    data: tuple[Array, ...],
    known: Array,
    families: Array,
    tolerance: Array,
    *,
    most: int,
) -> tuple[Any, ...]:
    """Sweeps until no skill moves: items in blocks, models, priors, sweeps made, last move."""

    def goes_on(carry: tuple[Any, ...]) -> Array:
        return (carry[3] < most) & (carry[4] > tolerance)

    def sweep(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        items, before, priors, made, _ = carry
        departing, indicator = data[:2]
        skills = priors.item_mean.shape[1] - 1
        counted = indicator.sum(axis=-1)
        hard = standardised(items.mean[..., skills], counted) * counted
        design = jnp.concatenate([departing, hard[..., None]], axis=-1)
        items, gradient, information = _items_then_models(items, before, priors, design, data)
        skill_mean = matmul(known, priors.slope)
        mean = jnp.zeros_like(before.mean).at[:, :skills].set(skill_mean)
        precision = prior_precision(priors.ability_covariance, priors.departure_variance)
        after = newton_step(
            before.mean,
            gradient + matmul(mean - before.mean, precision),
            information + precision[None],
            jnp.ones(before.mean.shape[1]),
        )
        items, after = _normalised(items, after, design)
        priors = learnt(items, after, priors, indicator, known, families)
        return items, after, priors, made + 1, jnp.max(jnp.abs(after.mean - before.mean))

    return lax.while_loop(goes_on, sweep, (items, abilities, priors, 0, jnp.asarray(jnp.inf)))


def _items_then_models(
    items: Normals, abilities: Normals, priors: ItemPriors, design: Array, data: Any
) -> tuple[Normals, Array, Array]:
    """A step of every item, and then the terms of every model from the new items."""
    precision = jnp.linalg.inv(priors.item_covariance)
    scale = jnp.sqrt(jnp.diagonal(priors.item_covariance))
    models, parts = abilities.mean.shape

    def block(sums: tuple[Array, Array], of: Any) -> tuple[tuple[Array, Array], Normals]:
        old, design, indicator, floor, successes, tries = of
        right, made = (counts.astype(sums[0].dtype) for counts in (successes, tries))
        found = moments(old, design, abilities)
        terms = item_terms(found, abilities, *residual_and_weight(found, right, made, floor))
        prior = matmul(matmul(indicator, priors.item_mean) - old.mean, precision)
        new = newton_step(old.mean, terms[0] + prior, terms[1] + precision[None], scale)
        found = moments(new, design, abilities)
        more = ability_terms(found, new, *residual_and_weight(found, right, made, floor))
        return (sums[0] + more[0], sums[1] + more[1]), new

    dtype = abilities.mean.dtype
    sums = (jnp.zeros((models, parts), dtype), jnp.zeros((models, parts, parts), dtype))
    (gradient, information), new = lax.scan(block, sums, (items, design, *data[1:]))
    return new, gradient, information


def _normalised(items: Normals, abilities: Normals, design: Array) -> tuple[Normals, Normals]:
    """The same logits with skills of mean 0 and variance 1, and departures of mean 0."""
    skills = items.mean.shape[-1] - 1
    theta, spread = abilities.mean[:, :skills], abilities.covariance[:, :skills, :skills]
    centre, shift = theta.mean(axis=0), abilities.mean[:, skills:].mean(axis=0)
    away, departure = theta - centre[None], abilities.mean[:, skills:] - shift[None]
    square = matmul(away.T, away)
    # S = L L',  theta <- L^-1 (theta - centre),  u <- u - shift
    factor = jnp.linalg.cholesky(square / len(theta) + spread.mean(axis=0))
    parts = abilities.mean.shape[1]
    turn = jnp.eye(parts, dtype=theta.dtype).at[:skills, :skills].set(jnp.linalg.inv(factor))
    mean = matmul(jnp.concatenate([away, departure], axis=1), turn.T)
    turned = Normals(mean, einsum("kl,nlm,om->nko", turn, abilities.covariance, turn))
    # a <- L' a,  b <- b - a' centre - g' shift
    back = jnp.zeros((skills + 1, skills + 1), theta.dtype)
    back = back.at[:skills, :skills].set(factor.T).at[skills, :skills].set(-centre)
    back = back.at[skills, skills].set(1.0)
    level = items.mean[..., skills] - matmul(items.mean[..., :skills], centre)
    level = level - matmul(design, shift)
    new = jnp.concatenate([matmul(items.mean[..., :skills], factor), level[..., None]], axis=-1)
    return Normals(new, einsum("kl,...lm,om->...ko", back, items.covariance, back)), turned


def learnt(
    items: Normals,
    abilities: Normals,
    old: ItemPriors,
    indicator: Array,
    known: Array,
    families: Array,
) -> ItemPriors:
    """Expected scales of the priors given the posteriors.

    Args:
        items: of (a, b), in one block or several.
        abilities: of (theta, u).
        old: priors before, of which the family variance is used.
        indicator: of each item's group, ``(item, group)``, as ``items``.
        known: intercept, covariates and families, ``(model, covariate)``.
        families: which columns of it are families, ``(covariate,)`` bool.
    """
    width, categories = items.mean.shape[-1], indicator.shape[-1]
    skills, models = width - 1, len(abilities.mean)
    mean, spread = items.mean.reshape(-1, width), items.covariance.reshape(-1, width, width)
    indicator = indicator.reshape(-1, categories)
    count = indicator.sum(axis=0)
    real = indicator.sum(axis=1)
    all_mean = matmul(real[None], mean)[0] / real.sum()
    item_mean = (matmul(indicator.T, mean) + _CATEGORY_WORTH * all_mean[None]) / (
        count[:, None] + _CATEGORY_WORTH
    )
    away = mean - matmul(indicator, item_mean)
    weak = jnp.diag(jnp.asarray([_SLOPE_SD**2] * skills + [_DIFFICULTY_SD**2], mean.dtype))
    item_covariance = (
        einsum("i,ik,il->kl", real, away, away)
        + einsum("i,ikl->kl", real, spread)
        + _ITEM_WORTH * weak
    ) / (real.sum() + _ITEM_WORTH)
    theta = abilities.mean[:, :skills]
    ridge = jnp.where(families, 1.0 / jnp.maximum(old.family_variance, 1e-4), 1e-3)
    precision = matmul(known.T, known) + jnp.diag(ridge)
    slope = jnp.linalg.solve(precision, matmul(known.T, theta))
    left = theta - matmul(known, slope)
    # A single model says nothing of the variance: the prior keeps it near that of all.
    ability_covariance = (
        matmul(left.T, left)
        + abilities.covariance[:, :skills, :skills].sum(axis=0)
        + _MODEL_WORTH * jnp.eye(skills)
    ) / (models + _MODEL_WORTH)
    # Family effects in units of what families leave, averaged over skills.
    effect = (slope**2 / jnp.diagonal(ability_covariance)[None]).mean(axis=1)
    doubt = jnp.diagonal(jnp.linalg.inv(precision))
    of_family = jnp.where(families, effect + doubt, 0.0).sum()
    family_variance = (of_family + 0.5 * _MODEL_WORTH) / (families.sum() + _MODEL_WORTH)
    departures = (
        abilities.mean[:, skills:] ** 2
        + jnp.diagonal(abilities.covariance, axis1=1, axis2=2)[:, skills:]
    )
    departure_variance = (departures.sum(axis=0) + _MODEL_WORTH * DEPARTURE_SD**2) / (
        models + _MODEL_WORTH
    )
    return ItemPriors(
        item_mean, item_covariance, slope, ability_covariance, departure_variance, family_variance
    )
