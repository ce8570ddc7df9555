"""Repeated attempts: item responses whose chances vary beyond the skills of models.

Two models of equal skills solve a problem with different chances, and near 0 and 1 far more often
than a logistic law says. So the law gives the mean of a beta distribution of chances::

    mu_mi = logistic( a_i' theta_m - b_i )
    p_mi  ~ Beta( phi_m mu_mi, phi_m (1 - mu_mi) )      phi_m: precision of a model
    successes_mi ~ Binomial( tries_mi, p_mi )
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.products import matmul
from sloth_jax.repeats.attempts import Attempts
from sloth_jax.repeats.response import USUAL, Items, ItemScales, climb, logits
from sloth_jax.showing import Shown

MOST_TRIES = 100
"""Rising products of counts have so many factors at most."""


class _Free(NamedTuple):
    items: Items
    theta: Array
    log_precision: Array
    centre: Array


@dataclass(frozen=True, eq=False, repr=False)
class AttemptFit(Shown):
    """The law of repeated attempts at its mode.

    Attributes:
        items: at the mode.
        root: square root of the covariance of ``(a_i, b_i)`` given all else, by Laplace's
            approximation at the mode, ``(problem, skill + 1, skill + 1)``.
        theta: skills of the models, ``(model, skill)``.
        log_precision: log phi, ``(model,)``, real.
        tried: models that were tried at all, ``(model,)`` bool; others say nothing.
        converged: whether the gradient had become small.
        attempts: that it was fitted to.
    """

    items: Items
    root: np.ndarray
    theta: np.ndarray
    log_precision: np.ndarray
    tried: np.ndarray
    converged: bool
    attempts: Attempts


def log_chance(
    eta: Array, log_precision: Array, successes: Array, tries: Array, most: int
) -> Array:
    """Log chance of counts in their order, up to the binomial coefficients.

    Args:
        eta: log odds of mu, any shape.
        log_precision: log phi, of the same shape, or one that broadcasts, as the counts.
        successes: whole numbers.
        tries: whole numbers; 0 gives 0.
        most: largest of ``tries``.
    """
    shape = jnp.broadcast_shapes(eta.shape, successes.shape)
    eta, log_precision, successes, tries = (
        jnp.broadcast_to(part, shape) for part in (eta, log_precision, successes, tries)
    )
    mu, precision = jax.nn.sigmoid(eta), jnp.exp(log_precision)
    j = jnp.arange(1, most, dtype=eta.dtype).reshape(*(1,) * len(shape), -1)

    def rising(base: Array, log_base: Array, count: Array) -> Array:
        # log of base (base + 1) ... (base + count - 1); the first factor may be tiny
        others = jnp.where(count[..., None] > j, jnp.log(base[..., None] + j), 0.0)
        return jnp.where(count > 0, log_base, 0.0) + jnp.sum(others, axis=-1)

    log_mu, log_rest = jax.nn.log_sigmoid(eta), jax.nn.log_sigmoid(-eta)
    found = rising(mu * precision, log_mu + log_precision, successes)
    found += rising((1.0 - mu) * precision, log_rest + log_precision, tries - successes)
    return found - rising(precision, log_precision, tries)


def log_density(
    free: _Free, successes: Array, tries: Array, scales: ItemScales, most: int
) -> Array:
    """Log density of counts and parameters; models without tries have their prior alone."""
    items, theta, log_precision, centre = free
    eta = logits(items, theta)
    fit = jnp.sum(log_chance(eta, log_precision[:, None], successes, tries, most))
    prior = jnp.sum((items.discrimination / scales.discrimination) ** 2)
    prior += jnp.sum((items.difficulty / scales.difficulty) ** 2) + jnp.sum(theta**2)
    # Precisions differ by a factor of e or so; where they lie is nearly free.
    prior += jnp.sum((log_precision - centre) ** 2) + (centre / 3.0) ** 2
    return fit - 0.5 * prior


def fit_attempts(
    attempts: Attempts,
    *,
    skills: int = 2,
    scales: ItemScales = USUAL,
    steps: int = 600,
    tolerance: float = 5e-3,
) -> AttemptFit:
    """The mode of the law of repeated attempts, by L-BFGS from a principal component start.

    Args:
        attempts: counts, of which several models have two tries or more at the same problem.
        skills: how many, free.
        scales: of the prior of the problems.
        steps: at most so many.
        tolerance: converged once no derivative of the log density is larger than this share of
            the number of tries of the busiest problem.

    Returns:
        An :class:`AttemptFit`; look at ``converged``.

    Raises:
        InputError: if there are too few models, no problem has two tries, or one has more than
            :data:`MOST_TRIES`.
    """
    most, tried = int(attempts.tries.max(initial=0)), attempts.tries.any(axis=1)
    if not 2 <= most <= MOST_TRIES:
        raise InputError(
            f"at most {most} tries at a problem: this law takes 2 to {MOST_TRIES}; draw as many"
        )
    if not 1 <= skills < tried.sum():
        raise InputError(
            f"{skills} skills for {tried.sum()} models with tries: ask for 1 to {tried.sum() - 1}"
        )
    start = _start(attempts, skills)
    counts = (jnp.asarray(attempts.successes, float), jnp.asarray(attempts.tries, float))
    bound = jnp.asarray(tolerance * attempts.tries.sum(axis=0).max(), float)
    found, converged = _climb(start, *counts, scales, bound, most=most, steps=steps)
    root = _root(found, *counts, scales, most=most)
    return AttemptFit(
        items=found.items,
        root=np.asarray(root, float),
        theta=np.asarray(found.theta, float),
        log_precision=np.asarray(found.log_precision, float),
        tried=np.asarray(tried),
        converged=bool(converged),
        attempts=attempts,
    )


def _start(attempts: Attempts, skills: int) -> _Free:
    """Principal components of the empirical log odds of the models with tries."""
    successes, tries = attempts.successes, attempts.tries
    tried = tries.any(axis=1)
    share = (successes.sum(axis=0) + 0.5) / (tries.sum(axis=0) + 1.0)
    pooled = np.log(share) - np.log1p(-share)
    # without tries at a problem: the pooled odds, from which nothing departs
    seen = np.log((successes + 0.5) / (tries - successes + 0.5))
    away = np.where(tries > 0, seen - pooled, 0.0)[tried]
    level = away.mean(axis=0)
    left, size, right = np.linalg.svd(away - level, full_matrices=False)
    turn = np.where(right[:skills].sum(axis=1) < 0, -1.0, 1.0)
    theta = np.zeros((len(tries), skills))
    theta[tried] = left[:, :skills] * turn * np.sqrt(tried.sum())
    slope = (right[:skills] * turn[:, None] * size[:skills, None]).T / np.sqrt(tried.sum())
    items = Items(jnp.asarray(slope), jnp.asarray(-pooled - level))
    return _Free(items, jnp.asarray(theta), jnp.zeros(len(tries)), jnp.zeros(()))


@partial(jax.jit, static_argnames=("most", "steps"))
def _climb(
    start: _Free,
    successes: Array,
    tries: Array,
    scales: ItemScales,
    bound: Array,
    *,
    most: int,
    steps: int,
) -> tuple[_Free, Array]:
    return climb(
        lambda free: -log_density(free, successes, tries, scales, most), start, bound, steps
    )


@partial(jax.jit, static_argnames="most")
def _root(free: _Free, successes: Array, tries: Array, scales: ItemScales, *, most: int) -> Array:
    """Square root of the inverse of minus the Hessian of each problem's log density."""
    items, theta, log_precision, _ = free
    prior = jnp.full(theta.shape[1] + 1, 1.0 / scales.discrimination**2, theta.dtype)
    prior = prior.at[-1].set(1.0 / scales.difficulty**2)

    def loss(point: Array, successes: Array, tries: Array) -> Array:
        eta = matmul(theta, point[:-1]) - point[-1]
        return -jnp.sum(log_chance(eta, log_precision, successes, tries, most)) + 0.5 * jnp.sum(
            prior * point**2
        )

    points = jnp.concatenate([items.discrimination, items.difficulty[:, None]], axis=1)
    hessian = jax.vmap(jax.hessian(loss), in_axes=(0, 1, 1))(points, successes, tries)
    curvature, axes = jnp.linalg.eigh(hessian)
    # The data may bend the density the wrong way a little: never less than the widest prior.
    return axes / jnp.sqrt(jnp.maximum(curvature, prior.min()))[:, None, :]
