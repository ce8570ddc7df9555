"""Item responses: which skills solve which problem, and what more attempts would solve.

The multidimensional two-parameter logistic law (Reckase 2009, Multidimensional Item Response
Theory, chapter 4; Maia Polo et al., arXiv 2412.06540, section 5, for problems of a benchmark)::

    p_mi = logistic( a_i' theta_m - b_i )           model m solves problem i at an attempt
    successes_mi ~ Binomial(tries_mi, p_mi)

The skills ``theta`` are given, by a law that predicts models not yet trained, or free with a
standard normal prior, which leaves their rotation open. The coverage of a benchmark by ``k``
attempts is the mean of ``1 - (1 - p_mi)^k`` over its problems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from sloth_jax.errors import InputError
from sloth_jax.products import einsum, matmul
from sloth_jax.repeats.attempts import Attempts, chance_at_k
from sloth_jax.showing import Shown


class ItemScales(NamedTuple):
    """Scales of the prior, each with a reason.

    Attributes:
        discrimination: of a, per standard deviation of a skill: at 2 a model a standard deviation
            better has seven times the odds, and few problems tell models apart more sharply.
        difficulty: of b: problems that one model in a thousand attempts solves, and those that
            nearly all solve, lie within two and a half of it.
    """

    discrimination: float = 2.0
    difficulty: float = 3.0


USUAL = ItemScales()


class Items(NamedTuple):
    """Problems.

    Attributes:
        discrimination: a, ``(problem, skill)``, real.
        difficulty: b, ``(problem,)``, real.
    """

    discrimination: Array
    difficulty: Array


class _Free(NamedTuple):
    items: Items
    theta: Array | None


@dataclass(frozen=True, eq=False, repr=False)
class ItemFit(Shown):
    """The law of item responses at its mode.

    Attributes:
        items: at the mode.
        theta: skills of the models, ``(model, skill)``; as given, or at the mode.
        factor: Cholesky factor of the covariance of ``(a_i, b_i)`` given the skills, by Laplace's
            approximation at the mode, ``(problem, skill + 1, skill + 1)``.
        free: whether skills were free.
        converged: whether the gradient had become small.
        scales: of the prior.
        unseen: problems without a single try, which the prior alone describes.
    """

    items: Items
    theta: np.ndarray
    factor: np.ndarray
    free: bool
    converged: bool
    scales: ItemScales
    unseen: tuple[str, ...]


def logits(items: Items, theta: Array) -> Array:
    """``a_i' theta_m - b_i``, ``(model, problem)``, for skills ``(model, skill)``."""
    return matmul(theta, items.discrimination.T) - items.difficulty[None, :]


def log_joint(
    items: Items,
    theta: Array,
    successes: Array,
    tries: Array,
    scales: ItemScales,
    *,
    free: bool,
) -> Array:
    """Log density of counts and parameters, up to the binomial coefficients.

    Args:
        items: problems.
        theta: skills, ``(model, skill)``.
        successes: ``(model, problem)``.
        tries: ``(model, problem)``; 0 adds nothing.
        scales: of the prior.
        free: whether skills have a prior, standard normal.
    """
    eta = logits(items, theta)
    # s log p + (n - s) log(1 - p) = s eta - n log(1 + exp(eta))
    fit = jnp.sum(successes * eta - tries * jax.nn.softplus(eta))
    prior = jnp.sum((items.discrimination / scales.discrimination) ** 2)
    prior += jnp.sum((items.difficulty / scales.difficulty) ** 2)
    prior += jnp.sum(theta**2) if free else 0.0
    return fit - 0.5 * prior


def fit_items(
    attempts: Attempts,
    *,
    theta: np.ndarray | None = None,
    skills: int = 1,
    key: Array,
    scales: ItemScales = USUAL,
    steps: int = 500,
    tolerance: float = 1e-4,
) -> ItemFit:
    """The mode of the law of item responses, by L-BFGS.

    Problems that all models solve, or none, keep finite parameters: the prior holds them.

    Args:
        attempts: counts.
        theta: skills of the models, ``(model, skill)``, in standard deviations; None frees them.
        skills: how many, where they are free.
        key: random key of the start.
        scales: of the prior.
        steps: at most so many.
        tolerance: converged once no derivative of the log density is larger than this share of
            the number of tries of the busiest problem.

    Returns:
        An :class:`ItemFit`; look at ``converged``.

    Raises:
        InputError: if ``theta`` does not fit the models, or is not finite.
    """
    models = len(attempts.models)
    if theta is not None:
        theta = np.asarray(theta, float)
        if theta.ndim != 2 or len(theta) != models or not np.isfinite(theta).all():
            raise InputError(
                f"theta has the shape {theta.shape}: give finite numbers, a row for each of the "
                f"{models} models"
            )
        skills = theta.shape[1]
    if not 1 <= skills <= models:
        raise InputError(f"{skills} skills for {models} models: ask for 1 to {models}")
    successes, tries = (jnp.asarray(a, float) for a in (attempts.successes, attempts.tries))
    given = None if theta is None else jnp.asarray(theta)
    start = _start(key, successes, tries, skills, given)
    bound = tolerance * jnp.maximum(tries.sum(axis=0).max(), 1.0)
    found, converged = _climb(start, given, successes, tries, scales, bound, steps=steps)
    at = given if given is not None else found.theta
    assert at is not None
    return ItemFit(
        items=found.items,
        theta=np.asarray(at, float),
        factor=np.asarray(_laplace(found.items, at, tries, scales), float),
        free=theta is None,
        converged=bool(converged),
        scales=scales,
        unseen=tuple(attempts.problems[at] for at in np.flatnonzero(~attempts.tries.any(axis=0))),
    )


def _start(key: Array, successes: Array, tries: Array, skills: int, given: Array | None) -> _Free:
    """Pooled log odds of each problem, and slopes so small that no skill is taken yet."""
    models, problems = successes.shape
    slope_key, skill_key = jax.random.split(key, 2)
    share = (successes.sum(axis=0) + 0.5) / (tries.sum(axis=0) + 1.0)
    slope = 0.1 + 0.01 * jax.random.normal(slope_key, (problems, skills))
    items = Items(slope, jnp.log1p(-share) - jnp.log(share))
    if given is not None:
        return _Free(items, None)
    if skills > 1:
        return _Free(items, 0.1 * jax.random.normal(skill_key, (models, skills)))
    # In one dimension, models in the order of their success are where the mode is.
    rate = successes.sum(axis=1) / jnp.maximum(tries.sum(axis=1), 1.0)
    rate = (rate - rate.mean()) / jnp.maximum(rate.std(), 1e-6)
    return _Free(items, rate[:, None])


@partial(jax.jit, static_argnames="steps")
def _climb(
    start: _Free,
    given: Array | None,
    successes: Array,
    tries: Array,
    scales: ItemScales,
    bound: Array,
    *,
    steps: int,
) -> tuple[_Free, Array]:
    def loss(free: _Free) -> Array:
        theta = free.theta if given is None else given
        assert theta is not None
        return -log_joint(free.items, theta, successes, tries, scales, free=given is None)

    return climb(loss, start, bound, steps)


def climb(loss: Callable[[Any], Array], start: Any, bound: Array, steps: int) -> tuple[Any, Array]:
    """Lowest point of a function by L-BFGS, to be called under ``jax.jit``.

    Args:
        loss: tree of arrays -> scalar.
        start: tree of arrays.
        bound: ends once no derivative is larger.
        steps: at most so many.

    Returns:
        The tree, and whether the bound was met.
    """
    import optax  # a saved fit needs none

    solver = optax.lbfgs(memory_size=10)
    gradient_of = optax.value_and_grad_from_state(loss)

    def largest(gradient: Any) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(g)) for g in jax.tree.leaves(gradient)]))

    def goes_on(carry: tuple[Any, ...]) -> Array:
        return (carry[2] < steps) & (carry[3] > bound)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        free, state, count, _ = carry
        value, gradient = gradient_of(free, state=state)
        update, state = solver.update(
            gradient, state, free, value=value, grad=gradient, value_fn=loss
        )
        return optax.apply_updates(free, update), state, count + 1, largest(gradient)

    begin = (start, solver.init(start), jnp.zeros((), int), jnp.asarray(jnp.inf, bound.dtype))
    found, _, _, gradient = lax.while_loop(goes_on, step, begin)
    return found, gradient <= bound


@jax.jit
def _laplace(items: Items, theta: Array, tries: Array, scales: ItemScales) -> Array:
    """Cholesky factor of the inverse of minus the Hessian of each problem's log density."""
    p = jax.nn.sigmoid(logits(items, theta))
    weight = tries * p * (1.0 - p)
    design = jnp.concatenate([theta, -jnp.ones((theta.shape[0], 1), theta.dtype)], axis=1)
    information = einsum("mi,mk,ml->ikl", weight, design, design)
    prior = jnp.full(design.shape[1], 1.0 / scales.discrimination**2, theta.dtype)
    prior = prior.at[-1].set(1.0 / scales.difficulty**2)
    covariance = jnp.linalg.inv(information + jnp.diag(prior)[None])
    return jnp.linalg.cholesky(0.5 * (covariance + covariance.transpose(0, 2, 1)))


def forecast_coverage(
    fit: ItemFit, theta: np.ndarray, k: np.ndarray, *, key: Array, draws: int = 500
) -> np.ndarray:
    """Expected coverage of a model by k attempts, as draws.

    What is uncertain about the problems is drawn from Laplace's approximation, what is uncertain
    about the model from the draws of its skills.

    Args:
        fit: of the problems.
        theta: skills of the model: ``(skill,)`` where known, ``(draw, skill)`` as draws of a
            posterior, which are taken in turn.
        k: numbers of attempts, ``(k,)``, 1 or more; no tries are needed, so that there is no most.
        key: random key.
        draws: how many.

    Returns:
        ``(draw, k)``, each in [0, 1] and increasing in ``k``.

    Raises:
        InputError: if the skills are not as many as the problems', or a ``k`` is below 1.
    """
    attempts = np.atleast_1d(np.asarray(k, float))
    skills = np.atleast_2d(np.asarray(theta, float))
    if skills.shape[1] != fit.theta.shape[1]:
        raise InputError(f"{skills.shape[1]} skills, but the problems have {fit.theta.shape[1]}")
    if not (np.isfinite(attempts) & (attempts >= 1)).all():
        raise InputError(f"k = {attempts.min():g} attempts: ask for 1 or more")
    drawn = _draw_items(fit, key, draws)
    taken = skills[np.arange(draws) % len(skills)]
    a, b = (np.asarray(part, float) for part in drawn)
    eta = np.einsum("dik,dk->di", a, taken) - b
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-eta))
    return np.stack([chance_at_k(each, attempts).mean(axis=1) for each in p])


def _draw_items(fit: ItemFit, key: Array, draws: int) -> Items:
    problems, width, _ = fit.factor.shape
    unit = jax.random.normal(key, (draws, problems, width))
    moved = jnp.einsum("ikl,dil->dik", jnp.asarray(fit.factor, unit.dtype), unit)
    a = fit.items.discrimination[None] + moved[:, :, :-1]
    return Items(a, fit.items.difficulty[None] + moved[:, :, -1])


def simulate_attempts(
    key: Array, theta: np.ndarray, *, problems: int = 128, tries: int = 10_000
) -> tuple[Attempts, Items]:
    """Attempts of models at problems of a known law, in the shape of the published item data.

    Args:
        key: random key.
        theta: skills of the models, ``(model, skill)``, in standard deviations.
        problems: how many.
        tries: at each problem.

    Returns:
        The counts, and the problems that they came from: slopes about 1 over the square root of
        the number of skills, positive; difficulties with mean 1 and standard deviation 2.
    """
    theta = np.asarray(theta, float)
    keys = jax.random.split(key, 3)
    slope = jnp.exp(0.4 * jax.random.normal(keys[0], (problems, theta.shape[1])))
    items = Items(
        slope / np.sqrt(theta.shape[1]), 1.0 + 2.0 * jax.random.normal(keys[1], (problems,))
    )
    p = np.asarray(jax.nn.sigmoid(logits(items, jnp.asarray(theta))), float)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(keys[2]), np.uint32))
    counts = rng.binomial(tries, p)
    names = tuple(f"model {m + 1}" for m in range(len(theta)))
    numbered = tuple(f"problem {i + 1}" for i in range(problems))
    return Attempts(names, numbered, counts, np.full_like(counts, tries)), items
