"""What a few answers say of a model: its skills, and its score over all items of a bank."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from sloth_jax.items.response_law import ResponseLaw
from sloth_jax.items.response_moments import (
    Normals,
    ability_terms,
    chance,
    moments,
    residual_and_weight,
)
from sloth_jax.items.response_sweeps import newton_step
from sloth_jax.products import einsum, matmul

_STEPS = 25  # Newton steps; a dozen are enough from any start


class ItemArrays(NamedTuple):
    """Items as arrays of a program.

    Attributes:
        items: posterior of (a_i, b_i), ``(item, skill + 1)``.
        design: ``(item, departure)``.
        floor: ``(item,)``.
    """

    items: Normals
    design: Array
    floor: Array


class Ability(NamedTuple):
    """Posterior of (theta, u) of one model, normal at its mode.

    Attributes:
        mean: ``(part,)``.
        covariance: ``(part, part)``.
    """

    mean: Array
    covariance: Array


def arrays_of(law: ResponseLaw) -> ItemArrays:
    """The items of a law, for the programs of this module."""
    items = Normals(jnp.asarray(law.items.mean), jnp.asarray(law.items.covariance))
    return ItemArrays(items, jnp.asarray(law.design), jnp.asarray(law.floor))


@jax.jit
def ability(
    of: ItemArrays, successes: Array, tries: Array, prior_mean: Array, prior_precision: Array
) -> Ability:
    """Posterior of a model outside the bank.

    Args:
        of: the items.
        successes: of the model, ``(item,)``.
        tries: likewise, 0 where it did not answer.
        prior_mean: of (theta, u), ``(part,)``.
        prior_precision: ``(part, part)``.
    """
    scale = 1.0 / jnp.sqrt(jnp.diagonal(prior_precision))
    none = jnp.zeros((1, *prior_precision.shape), prior_mean.dtype)

    def step(at: Array, _: None) -> tuple[Array, Array]:
        abilities = Normals(at[None], none)
        found = moments(of.items, of.design, abilities)
        parts = residual_and_weight(found, successes[None], tries[None], of.floor)
        gradient, information = ability_terms(found, of.items, *parts)
        gradient = gradient + matmul(prior_mean - at, prior_precision)[None]
        new = newton_step(at[None], gradient, information + prior_precision[None], scale)
        return new.mean[0], new.covariance[0]

    mean, covariances = lax.scan(step, prior_mean, None, length=_STEPS)
    return Ability(mean, covariances[-1])


def chances(of: ItemArrays, at: Array) -> tuple[Array, Array, Array]:
    """Of a model with known (theta, u): chance of each item, its slope, and the loadings.

    Args:
        of: the items.
        at: ``(part,)``.

    Returns:
        ``(item,)``, ``(item,)``, ``(item, part)``; what is uncertain of the items is averaged
        over.
    """
    skills = of.items.mean.shape[1] - 1
    loading = jnp.concatenate([of.items.mean[:, :skills], of.design], axis=1)
    x = jnp.concatenate([at[:skills], -jnp.ones(1, at.dtype)])
    # Var eta = x' Cov(a, b) x: as in moments(), of a model about whom nothing is uncertain
    variance = einsum("k,ikl,l->i", x, of.items.covariance, x)
    eta = matmul(loading, at[:, None])[:, 0] - of.items.mean[:, skills]
    p, slope = chance(eta, variance, of.floor)
    return p, slope, loading


@partial(jax.jit, static_argnames="draws")
def score_draws(
    of: ItemArrays,
    found: Ability,
    successes: Array,
    tries: Array,
    counted: Array,
    key: Array,
    *,
    draws: int,
) -> Array:
    """Draws of the score over the items that count: the share right, ``(draw,)``.

    Items that were answered count as they were; the others by their chance, and by what a single
    answer to each may be. A sum of thousands of answers is near to normal.

    Args:
        of: the items.
        found: the model's posterior.
        successes: ``(item,)``.
        tries: ``(item,)``.
        counted: 1 for items that count, 0 for others, ``(item,)``.
        key: random key.
        draws: how many.
    """
    factor = jnp.linalg.cholesky(found.covariance)
    theta_key, answer_key = jax.random.split(key)
    unit = jax.random.normal(theta_key, (draws, len(found.mean)), found.mean.dtype)
    seen, share = tries > 0, successes / jnp.maximum(tries, 1)

    def one(at: Array) -> tuple[Array, Array]:
        p, _, _ = chances(of, at)
        expected = jnp.where(seen, share, p)
        open_ = jnp.where(seen, 0.0, p * (1.0 - p))
        return (counted * expected).sum(), jnp.sqrt((counted * open_).sum())

    total, spread = lax.map(one, found.mean[None] + matmul(unit, factor.T), batch_size=16)
    noise = jax.random.normal(answer_key, (draws,), total.dtype)
    return jnp.clip((total + spread * noise) / counted.sum(), 0.0, 1.0)
