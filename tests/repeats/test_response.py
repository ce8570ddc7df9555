"""Item responses: the density, the mode, its uncertainty, and coverage of models held out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.diagnostics import split_gelman_rubin
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density
from scipy.stats import binom, norm

from sloth_jax.errors import InputError
from sloth_jax.repeats.attempts import Attempts, chance_at_k, coverage
from sloth_jax.repeats.response import (
    Items,
    ItemScales,
    fit_items,
    forecast_coverage,
    log_joint,
    logits,
    simulate_attempts,
)

KEY = jax.random.key(0)


def skills(models: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(models, width))


def item_law(successes, tries, theta, width: int, scales: ItemScales) -> None:
    """The law in NumPyro's words; skills are sampled where None is given."""
    models, problems = successes.shape
    if theta is None:
        theta = numpyro.sample("theta", dist.Normal(0.0, 1.0).expand([models, width]).to_event(2))
    slope = dist.Normal(0.0, scales.discrimination).expand([problems, width]).to_event(2)
    level = dist.Normal(0.0, scales.difficulty).expand([problems]).to_event(1)
    items = Items(numpyro.sample("discrimination", slope), numpyro.sample("difficulty", level))
    counts = dist.Binomial(total_count=tries, logits=logits(items, theta)).to_event(2)
    numpyro.sample("successes", counts, obs=successes)


@pytest.mark.parametrize("free", [True, False])
def test_numpyros_density_is_the_hand_written_one(free):
    theta = skills(4, 2)
    made, items = simulate_attempts(KEY, theta, problems=5, tries=20)
    successes, tries = (jnp.asarray(a, float) for a in (made.successes, made.tries))
    scales = ItemScales(1.5, 2.5)
    sites = items._asdict() | ({"theta": jnp.asarray(theta)} if free else {})
    given = None if free else jnp.asarray(theta)
    with jax.numpy_rank_promotion("allow"):  # inside NumPyro
        found, _ = log_density(item_law, (successes, tries, given, 2, scales), {}, sites)
    a, b = (np.asarray(part) for part in items)
    p = 1.0 / (1.0 + np.exp(-(theta @ a.T - b)))
    by_hand = binom.logpmf(made.successes, made.tries, p).sum()
    by_hand += norm.logpdf(a, scale=1.5).sum() + norm.logpdf(b, scale=2.5).sum()
    by_hand += norm.logpdf(theta).sum() if free else 0.0
    assert float(found) == pytest.approx(by_hand, rel=1e-10)
    # Ours leaves constants out: differences between parameters agree.
    moved = items._replace(difficulty=items.difficulty + 0.3)
    change = log_joint(moved, jnp.asarray(theta), successes, tries, scales, free=free) - log_joint(
        items, jnp.asarray(theta), successes, tries, scales, free=free
    )
    eta = theta @ a.T - b
    p_moved = 1.0 / (1.0 + np.exp(-(eta - 0.3)))
    expected = (
        binom.logpmf(made.successes, made.tries, p_moved).sum()
        + norm.logpdf(b + 0.3, scale=2.5).sum()
    )
    expected -= binom.logpmf(made.successes, made.tries, p).sum() + norm.logpdf(b, scale=2.5).sum()
    assert float(change) == pytest.approx(expected, rel=1e-8)


def test_items_are_recovered_where_skills_are_given():
    theta = skills(9, 3)
    made, items = simulate_attempts(KEY, theta)
    fit = fit_items(made, theta=theta, key=KEY)
    assert fit.converged
    for found, true in zip(fit.items, items, strict=True):
        assert np.corrcoef(np.ravel(found), np.ravel(true))[0, 1] > 0.95
    # Laplace's standard deviations are honest: nine in ten within 1.645 of them.
    sd = np.sqrt(np.einsum("ikl,ikl->ik", fit.factor, fit.factor))
    z = (np.asarray(fit.items.difficulty) - np.asarray(items.difficulty)) / sd[:, -1]
    assert 0.8 < (np.abs(z) < 1.645).mean() < 0.98


def test_free_skills_come_out_in_order():
    theta = skills(30, 1)
    made, items = simulate_attempts(KEY, theta, problems=60, tries=50)
    fit = fit_items(made, skills=1, key=KEY)
    assert fit.free
    assert fit.converged
    assert np.corrcoef(fit.theta[:, 0], theta[:, 0])[0, 1] > 0.98
    assert np.corrcoef(fit.items.difficulty, items.difficulty)[0, 1] > 0.95


def test_missing_tries_say_nothing():
    theta = skills(6, 1)
    made, _ = simulate_attempts(KEY, theta, problems=8, tries=40)
    successes, tries = made.successes.copy(), made.tries.copy()
    successes[5], tries[5] = 0, 0
    hidden = Attempts(made.models, made.problems, successes, tries)
    kept = np.arange(6) < 5
    one = fit_items(hidden, theta=theta, key=KEY)
    other = fit_items(made.select(kept), theta=theta[kept], key=KEY)
    np.testing.assert_allclose(one.items.difficulty, other.items.difficulty, atol=1e-3)
    successes[:, 0], tries[:, 0] = 0, 0
    unseen = fit_items(Attempts(made.models, made.problems, successes, tries), theta=theta, key=KEY)
    assert unseen.unseen == ("problem 1",)
    assert float(unseen.items.difficulty[0]) == pytest.approx(0.0, abs=1e-2)  # the prior's


def test_problems_all_right_or_all_wrong_stay_finite():
    theta = skills(5, 1)
    counts = np.array([[10, 0]] * 5)
    made = Attempts(tuple("abcde"), ("easy", "hard"), counts, np.full((5, 2), 10))
    fit = fit_items(made, theta=theta, key=KEY)
    assert np.isfinite(np.asarray(fit.items.difficulty)).all()
    assert fit.items.difficulty[0] < -1.0
    assert fit.items.difficulty[1] > 1.0
    found = forecast_coverage(fit, theta[0], np.array([1, 1000]), key=KEY)
    assert ((found >= 0) & (found <= 1)).all()


def test_coverage_of_a_model_held_out_lies_in_its_band():
    k = np.array([1, 10, 100, 1000, 10_000])
    inside = []
    for seed in range(6):
        theta = skills(10, 2, seed)
        made, items = simulate_attempts(jax.random.key(seed), theta)
        seen = np.arange(10) < 9
        fit = fit_items(made.select(seen), theta=theta[:9], key=KEY)
        draws = forecast_coverage(fit, theta[9], k, key=KEY)
        a, b = (np.asarray(part) for part in items)
        p = 1.0 / (1.0 + np.exp(-(a @ theta[9] - b)))
        truth = chance_at_k(p, k).mean(axis=1)
        lower, upper = np.quantile(draws, [0.05, 0.95], axis=0)
        inside.append((lower <= truth) & (truth <= upper))
        # What was counted agrees with what it was drawn from.
        measured = coverage(made.select(~seen), k[:4])[0]
        np.testing.assert_allclose(measured, truth[:4], atol=0.02)
        assert (np.diff(draws, axis=1) >= 0).all()
    assert np.mean(inside) > 0.6  # 30 of them, dependent; the experiment has more


def test_laplace_agrees_with_nuts():
    theta = skills(8, 1)
    made, _ = simulate_attempts(KEY, theta, problems=6, tries=300)
    fit = fit_items(made, theta=theta, key=KEY)
    kernel = NUTS(item_law, init_strategy=init_to_value(values=fit.items._asdict()))
    options = {"chain_method": "vectorized", "progress_bar": False}
    sampler = MCMC(kernel, num_warmup=150, num_samples=200, num_chains=2, **options)
    counts = (jnp.asarray(made.successes, float), jnp.asarray(made.tries, float))
    with jax.numpy_rank_promotion("allow"):  # inside NumPyro
        sampler.run(KEY, *counts, jnp.asarray(theta), 1, fit.scales)
    chains = {name: np.asarray(x) for name, x in sampler.get_samples(group_by_chain=True).items()}
    assert all(np.nanmax(split_gelman_rubin(x)) < 1.05 for x in chains.values())
    assert not sampler.get_extra_fields()["diverging"].any()
    a, b = (chains[name].reshape(400, 6) for name in Items._fields)  # one skill
    sd = np.sqrt(np.einsum("ikl,ikl->ik", fit.factor, fit.factor))
    for draws, mode, width in zip((a, b), fit.items, sd.T, strict=True):
        assert (np.abs(draws.mean(axis=0) - np.ravel(mode)) < 0.5 * width).all()
        np.testing.assert_allclose(draws.std(axis=0), width, rtol=0.25)
    k = np.array([1, 100])
    p = 1.0 / (1.0 + np.exp(b - a * theta[0]))
    by_nuts = chance_at_k(p, k).mean(axis=(1, 2))
    by_laplace = forecast_coverage(fit, theta[0], k, key=KEY).mean(axis=0)
    np.testing.assert_allclose(by_nuts, by_laplace, atol=0.01)


def test_odd_requests_are_refused():
    made, _ = simulate_attempts(KEY, skills(3, 1), problems=2, tries=5)
    with pytest.raises(InputError, match="a row for each of the 3 models"):
        fit_items(made, theta=np.zeros((2, 1)), key=KEY)
    with pytest.raises(InputError, match="4 skills for 3 models"):
        fit_items(made, skills=4, key=KEY)
    fit = fit_items(made, theta=skills(3, 1), key=KEY)
    with pytest.raises(InputError, match="2 skills, but the problems have 1"):
        forecast_coverage(fit, np.zeros(2), np.array([1]), key=KEY)
    with pytest.raises(InputError, match="k = 0 attempts"):
        forecast_coverage(fit, np.zeros(1), np.array([0]), key=KEY)
