"""What more attempts would solve, from few: pass@k of a model that was tried once or twice.

The attempts of a new model, few at each problem, give the posterior of its skills and precision,
and of its chance at each problem, given a fit of other models' repeated attempts
(:mod:`sloth_jax.repeats.attempt_law`). :func:`forecast_alone` knows no other model: one beta
distribution for all problems (as Brown et al. 2024, "Large language monkeys"; Kazdan et al. 2025,
"Efficient prediction of pass@k scaling").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy.optimize import minimize
from scipy.stats import hypergeom

from sloth_jax.errors import InputError
from sloth_jax.products import matmul
from sloth_jax.repeats.attempt_law import MOST_TRIES, AttemptFit, log_chance
from sloth_jax.repeats.attempts import Attempts, chance_at_k, pass_at_k
from sloth_jax.repeats.response import Items, logits
from sloth_jax.showing import Shown

_ITEM_DRAWS = 32  # of what is uncertain of the problems
_PROPOSALS = 1000
_TAIL = 6.0  # degrees of freedom of the proposals
_ALONE = 1.5  # scale of the log odds of the mean chance, and of the log precision


@dataclass(frozen=True, eq=False, repr=False)
class AttemptForecast(Shown):
    """Draws of a model's chance at each problem, given its attempts.

    Attributes:
        chance: of a single attempt, ``(draw, problem)``, in [0, 1].
        successes: seen, ``(problem,)``.
        tries: seen, ``(problem,)``.
        effective: how many independent draws the weighted proposals are worth; below about 100,
            intervals are rough.
    """

    chance: np.ndarray
    successes: np.ndarray
    tries: np.ndarray
    effective: float

    def expected(self, k: np.ndarray) -> np.ndarray:
        """Coverage that k fresh attempts have in the long run, ``(draw, k)``."""
        return np.stack([chance_at_k(each, k).mean(axis=1) for each in self.chance])

    def measured(self, k: np.ndarray, tries: int, *, key: Array) -> np.ndarray:
        """What the unbiased estimate will be from so many tries, the seen ones among them.

        Args:
            k: numbers of attempts, ``(k,)``, from 1 to ``tries``.
            tries: at each problem.
            key: random key of the attempts that are still to come.

        Returns:
            ``(draw, k)``, in [0, 1].

        Raises:
            InputError: if more tries were seen at a problem.
        """
        if (self.tries > tries).any():
            raise InputError(f"{tries} tries, but {self.tries.max()} were seen: ask for more")
        table = pass_at_k(tries, np.arange(tries + 1), k)
        # another stream than that of the forecast, should both have the same key
        rng = _generator(jax.random.fold_in(key, 2))
        counts = self.successes + rng.binomial(tries - self.tries, self.chance)
        return table[:, counts].mean(axis=2).T


def forecast_attempts(
    fit: AttemptFit, successes: np.ndarray, tries: np.ndarray, *, key: Array, draws: int = 400
) -> AttemptForecast:
    """Chances of a new model at the problems of a fit, given its own attempts.

    Its skills and precision come from a normal population about those of the fitted models, half as
    wide again in variance; their posterior is drawn by importance sampling around its mode, with
    what is uncertain of the problems drawn from Laplace's approximation and averaged over. Chances
    are not quite beta: few tries tell another precision than many do. How far apart the two are
    is learnt from the fitted models, and drawn.

    On measured attempts its intervals came out too narrow, above all for models far better than
    those of the fit; those of :func:`forecast_alone` were not (docs/test_time_compute.md).

    Args:
        fit: of other models' attempts.
        successes: of the new model, ``(problem,)``.
        tries: of the new model, ``(problem,)``; 0 where it was not tried.
        key: random key.
        draws: how many.

    Raises:
        InputError: if the counts are not those of the fit's problems, or odd.
    """
    item_key, draw_key = jax.random.split(key)
    problems, width, _ = fit.root.shape
    successes, tries = _seen(successes, tries, problems)
    own = np.column_stack([fit.theta, fit.log_precision])[fit.tried]
    covariance = 1.5 * np.cov(own.T) + 0.05 * np.eye(own.shape[1])
    unit = _generator(item_key).normal(size=(_ITEM_DRAWS, problems, width))
    middle = np.column_stack([fit.items.discrimination, fit.items.difficulty])
    points = middle + np.einsum("ikl,dil->dik", fit.root, unit)
    population = (own.mean(axis=0), covariance)
    shift = precision_shift(fit, int(tries.max()))
    return _forecast(points, successes, tries, population, draw_key, draws, shift)


def precision_shift(fit: AttemptFit, few: int) -> np.ndarray:
    """Log precision by all tries, less that by ``few`` of them, ``(fitted model,)``.

    The latter has the highest log chance in the mean over all ways to draw so few of a model's
    tries, at the mode of all else. Models with no more than ``few`` tries anywhere are left out.
    """
    attempts = fit.attempts
    n, c = attempts.tries, attempts.successes
    kept = (n > few).any(axis=1)
    if not kept.any():
        return np.zeros(1)
    n, c = n[kept], c[kept]
    of_counts = [hypergeom.pmf(x, np.maximum(n, few), c, few) for x in range(few + 1)]
    weight = np.where(n >= few, np.stack(of_counts), 0.0)
    theta = jnp.asarray(fit.theta[kept], float)
    found = _precision_of_few(fit.items, theta, jnp.asarray(weight, float))
    return fit.log_precision[kept] - np.asarray(found, float)


@jax.jit
def _precision_of_few(items: Items, theta: Array, weight: Array) -> Array:
    """Log precision of a grid with the highest mean log chance.

    ``weight``: chance of each count of successes, ``(count, model, problem)``.
    """
    few = weight.shape[0] - 1
    grid = jnp.linspace(-4.0, 5.0, 361)
    eta = logits(items, theta)
    counts = jnp.arange(few + 1, dtype=eta.dtype)

    def total(log_precision: Array) -> Array:
        chances = [log_chance(eta, log_precision, x, jnp.asarray(few), few) for x in counts]
        return jnp.sum(weight * jnp.stack(chances), axis=(0, 2))

    return grid[jnp.argmax(lax.map(total, grid), axis=0)]


def forecast_alone(
    successes: np.ndarray, tries: np.ndarray, *, key: Array, draws: int = 400
) -> AttemptForecast:
    """As :func:`forecast_attempts` without other models: all problems have one beta distribution.

    Args:
        successes: of the model, ``(problem,)``.
        tries: of the model, ``(problem,)``; 0 where it was not tried.
        key: random key.
        draws: how many.

    Raises:
        InputError: if the counts are odd.
    """
    successes, tries = _seen(successes, tries, np.size(successes))
    # one skill that is the log odds of the mean chance, at problems of slope 1 and difficulty 0
    points = np.broadcast_to(np.array([1.0, 0.0]), (1, successes.size, 2))
    population = (np.zeros(2), _ALONE**2 * np.eye(2))
    return _forecast(points, successes, tries, population, key, draws, np.zeros(1))


def _seen(successes: np.ndarray, tries: np.ndarray, problems: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of one model, checked."""
    successes, tries = np.atleast_1d(successes), np.atleast_1d(tries)
    if successes.shape != (problems,) or tries.shape != (problems,):
        raise InputError(
            f"counts of {successes.size} and {tries.size} problems: give one of each for each of "
            f"the {problems} problems"
        )
    names = tuple(f"number {at + 1}" for at in range(problems))
    one = Attempts(("the new one",), names, successes[None], tries[None])
    if not 1 <= one.tries.max() <= MOST_TRIES:
        raise InputError(f"at most {one.tries.max()} tries at a problem: give 1 to {MOST_TRIES}")
    return one.successes[0], one.tries[0]


def _forecast(
    points: np.ndarray,
    successes: np.ndarray,
    tries: np.ndarray,
    population: tuple[np.ndarray, np.ndarray],
    key: Array,
    draws: int,
    shift: np.ndarray,
) -> AttemptForecast:
    """Posterior of one model's parameters ``(skill..., log phi)``, then of its chances."""
    rng, most = _generator(key), int(tries.max())
    mean, covariance = population
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    given = tuple(jnp.asarray(part, float) for part in (points, successes, tries, mean, whiten))

    def downhill(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _value_and_slope(jnp.asarray(at, float), *given, most=most)
        return -float(value), -np.asarray(slope, float)

    mode = minimize(downhill, mean, jac=True, method="BFGS", options={"gtol": 1e-2}).x
    hessian = -np.asarray(_hessian(jnp.asarray(mode, float), *given, most=most), float)
    curvature, axes = np.linalg.eigh(hessian)
    root = axes / np.sqrt(np.maximum(curvature, 0.1))
    # Student's t about the mode, a little wider than the posterior
    scale = np.sqrt(rng.chisquare(_TAIL, size=(_PROPOSALS, 1)) / _TAIL)
    unit = rng.normal(size=(_PROPOSALS, mode.size)) / scale
    proposed = mode + 1.15 * unit @ root.T
    log_proposal = -0.5 * (_TAIL + mode.size) * np.log1p((unit**2).sum(axis=1) / _TAIL)
    log_posterior = _values(jnp.asarray(proposed, float), *given, most=most)
    log_weight = np.asarray(log_posterior, float) - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    taken = proposed[rng.choice(_PROPOSALS, size=draws, p=weight)]
    keys = jax.random.split(jax.random.fold_in(key, 1), draws)
    mu = np.asarray(_means(jnp.asarray(taken, float), keys, *given[:3], most=most), float)
    moved = taken[:, -1:] + rng.choice(shift, size=(draws, 1))
    high, low = mu * np.exp(moved) + successes, (1.0 - mu) * np.exp(moved) + tries - successes
    least = 1e-9  # of numpy's beta
    chance = rng.beta(np.maximum(high, least), np.maximum(low, least))
    return AttemptForecast(chance, successes, tries, float(1.0 / (weight**2).sum()))


def _of_counts(
    parameters: Array, points: Array, successes: Array, tries: Array, most: int
) -> tuple[Array, Array]:
    """Log odds of mu, and log chance of the counts, both ``(item draw, problem)``."""
    eta = matmul(points[:, :, :-1], parameters[:-1]) - points[:, :, -1]
    return eta, log_chance(eta, parameters[-1], successes[None], tries[None], most)


def _log_posterior(
    parameters: Array,
    points: Array,
    successes: Array,
    tries: Array,
    mean: Array,
    whiten: Array,
    most: int,
) -> Array:
    _, chances = _of_counts(parameters, points, successes, tries, most)
    averaged = jax.nn.logsumexp(chances, axis=0) - jnp.log(points.shape[0])
    return jnp.sum(averaged) - 0.5 * jnp.sum(matmul(whiten, parameters - mean) ** 2)


_value_and_slope = jax.jit(jax.value_and_grad(_log_posterior), static_argnames="most")
_hessian = jax.jit(jax.hessian(_log_posterior), static_argnames="most")


@partial(jax.jit, static_argnames="most")
def _values(proposed: Array, *given: Array, most: int) -> Array:
    return lax.map(lambda each: _log_posterior(each, *given, most=most), proposed)


@partial(jax.jit, static_argnames="most")
def _means(
    taken: Array, keys: Array, points: Array, successes: Array, tries: Array, *, most: int
) -> Array:
    """Mean chances, each at a draw of its problem in proportion to the chance of the counts."""

    def one(given: tuple[Array, Array]) -> Array:
        eta, chances = _of_counts(given[0], points, successes, tries, most)
        pick = jax.random.categorical(given[1], chances, axis=0)
        return jax.nn.sigmoid(jnp.take_along_axis(eta, pick[None], axis=0)[0])

    return lax.map(one, (taken, keys))


def _generator(key: Array) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))
