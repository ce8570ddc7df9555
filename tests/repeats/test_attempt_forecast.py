"""Repeated attempts: the density, what few of them say of more, and what is refused."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import comb
from scipy.stats import betabinom, norm

from sloth_jax.errors import InputError
from sloth_jax.repeats.attempt_forecast import (
    AttemptForecast,
    forecast_alone,
    forecast_attempts,
    precision_shift,
)
from sloth_jax.repeats.attempt_law import AttemptFit, fit_attempts, log_chance
from sloth_jax.repeats.attempts import Attempts, coverage

KEY = jax.random.key(0)
TRIES, SEEN = 6, 2


def made(seed: int, models: int = 14, problems: int = 150) -> Attempts:
    """Attempts by the law, one skill, precisions about 1."""
    rng = np.random.default_rng(seed)
    theta, slope = rng.normal(size=models), np.exp(0.3 * rng.normal(size=problems))
    eta = np.outer(theta, slope) - 2.5 * rng.normal(size=problems)
    mu, phi = 1.0 / (1.0 + np.exp(-eta)), np.exp(0.4 * rng.normal(size=(models, 1)))
    p = rng.beta(mu * phi, (1.0 - mu) * phi)
    named = tuple(f"model {at}" for at in range(models))
    numbered = tuple(f"problem {at}" for at in range(problems))
    return Attempts(named, numbered, rng.binomial(TRIES, p), np.full(p.shape, TRIES))


@cache
def without_the_last(seed: int) -> tuple[Attempts, AttemptFit]:
    attempts = made(seed)
    kept = (np.arange(len(attempts.models)) < len(attempts.models) - 1)[:, None]
    counts = (attempts.successes * kept, attempts.tries * kept)
    return attempts, fit_attempts(Attempts(attempts.models, attempts.problems, *counts), skills=1)


def seen_of(attempts: Attempts, seed: int) -> np.ndarray:
    right = attempts.successes[-1]
    return np.random.default_rng(seed).hypergeometric(right, TRIES - right, SEEN)


def test_the_chance_of_counts_is_the_beta_binomials():
    eta, phi = np.array([-7.0, -0.5, 0.0, 3.0]), np.array([0.1, 0.7, 2.0, 30.0])
    mu = 1.0 / (1.0 + np.exp(-eta))
    for n in (0, 1, 2, 10):
        for c in range(n + 1):
            counts = (jnp.full(4, float(c)), jnp.full(4, float(n)))
            found = log_chance(jnp.asarray(eta), jnp.log(phi), *counts, 10)
            expected = betabinom.logpmf(c, n, mu * phi, (1.0 - mu) * phi) - np.log(comb(n, c))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_problems_far_from_a_model_have_finite_derivatives_in_single_precision():
    eta = jnp.array([-80.0, 80.0, -80.0, 80.0], jnp.float32)
    counts = (jnp.array([2.0, 0.0, 0.0, 2.0], jnp.float32), jnp.full(4, 2.0, jnp.float32))

    def total(eta):
        return jnp.sum(log_chance(eta, jnp.float32(-3.0), *counts, 2))

    assert np.isfinite(jax.grad(total)(eta)).all()
    assert np.isfinite(total(eta))


def test_a_model_alone_agrees_with_integration_on_a_grid():
    counts = np.array([0] * 40 + [1] * 8 + [2] * 12)
    found = forecast_alone(counts, np.full(60, 2), key=KEY, draws=4000)
    m, v = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-6, 6, 201), indexing="ij")
    mu, phi = 1.0 / (1.0 + np.exp(-m)), np.exp(v)
    log_post = sum(betabinom.logpmf(c, 2, mu * phi, (1 - mu) * phi) for c in counts)
    log_post += norm.logpdf(m, scale=1.5) + norm.logpdf(v, scale=1.5)
    weight = np.exp(log_post - log_post.max())
    weight /= weight.sum()
    k, exact = np.array([1, 5, 50]), []
    for each in k:
        # the mean of 1 - (1 - p)^k of a problem with c of 2 successes is beta-binomial again
        of_problem = [
            1 - np.exp(betabinom.logpmf(0, each, mu * phi + c, (1 - mu) * phi + 2 - c))
            for c in counts
        ]
        exact.append((weight * np.mean(of_problem, axis=0)).sum())
    np.testing.assert_allclose(found.expected(k).mean(axis=0), exact, atol=0.006)
    assert found.effective > 300


def test_the_law_comes_back_and_what_is_still_to_come_lies_in_its_band():
    k, inside, errors = np.arange(1, TRIES + 1), [], {"law": [], "alone": []}
    for seed in range(4):
        attempts, fit = without_the_last(seed)
        assert fit.converged
        few, tries = seen_of(attempts, seed), np.full(150, SEEN)
        last = np.arange(14) == 13
        truth = coverage(attempts.select(last), k)[0]
        found = forecast_attempts(fit, few, tries, key=KEY)
        draws = found.measured(k, TRIES, key=KEY)
        assert (np.diff(draws, axis=1) >= 0).all()
        assert (draws[:, -1] >= (few > 0).mean()).all()  # what was seen stays seen
        lower, upper = np.quantile(draws, [0.05, 0.95], axis=0)
        inside.append((lower <= truth) & (truth <= upper))
        # The law knows which problems are hard: its chances are nearer to what is still to come.
        later = (attempts.successes[-1] - few) / (TRIES - SEEN)
        alone = forecast_alone(few, tries, key=KEY)
        errors["law"].append(np.mean((found.chance.mean(axis=0) - later) ** 2))
        errors["alone"].append(np.mean((alone.chance.mean(axis=0) - later) ** 2))
    assert np.mean(inside) > 0.7
    assert np.mean(errors["law"]) < np.mean(errors["alone"])


def test_precisions_of_few_and_of_many_tries_agree_where_chances_are_beta():
    _, fit = without_the_last(0)
    shift = precision_shift(fit, SEEN)
    assert shift.shape == (13,)
    assert abs(shift.mean()) < 0.2
    assert (precision_shift(fit, TRIES) == 0.0).all()  # nothing to compare with


def test_models_without_tries_say_nothing():
    attempts, fit = without_the_last(0)
    others = fit_attempts(attempts.select(np.arange(14) < 13), skills=1)
    np.testing.assert_allclose(fit.items.difficulty, others.items.difficulty, atol=0.02)


def test_odd_requests_are_refused():
    attempts, fit = without_the_last(0)
    with pytest.raises(InputError, match="counts of 3 and 150 problems: give one of each"):
        forecast_attempts(fit, np.zeros(3), np.full(150, 2), key=KEY)
    with pytest.raises(InputError, match="problem 'number 1': 3 are more successes than tries"):
        forecast_alone(np.array([3, 0]), np.array([2, 2]), key=KEY)
    with pytest.raises(InputError, match="at most 0 tries at a problem"):
        forecast_alone(np.zeros(2), np.zeros(2), key=KEY)
    with pytest.raises(InputError, match="at most 101 tries at a problem: this law takes 2 to 100"):
        fit_attempts(Attempts(("a", "b"), ("x",), np.zeros((2, 1)), np.full((2, 1), 101)))
    with pytest.raises(InputError, match="14 skills for 14 models with tries: ask for 1 to 13"):
        fit_attempts(attempts, skills=14)
    seen = AttemptForecast(np.full((1, 2), 0.5), np.array([1, 0]), np.array([3, 2]), 1.0)
    with pytest.raises(InputError, match="2 tries, but 3 were seen"):
        seen.measured(np.array([1]), 2, key=KEY)
