"""The item response law: its terms by autodiff, recovery, and what leaves it as it is."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from banks import simulated

from sloth_jax.errors import InputError
from sloth_jax.items.abilities import ability, arrays_of, chances, score_draws
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.response_law import fit_responses
from sloth_jax.items.response_moments import (
    Normals,
    ability_terms,
    chance,
    item_terms,
    moments,
    residual_and_weight,
)
from sloth_jax.items.response_sweeps import _normalised


@pytest.fixture(scope="module")
def fitted():
    bank, theta, slope, difficulty = simulated(models=80)
    return bank, fit_responses(bank), theta, slope, difficulty


def test_terms_are_the_derivatives_of_the_log_likelihood():
    rng = np.random.default_rng(0)
    mean, phi = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    design, floor = rng.normal(size=(4, 1)), np.array([0.0, 0.1, 0.25, 0.0])
    right, made = rng.integers(0, 2, (5, 4)), np.ones((5, 4))
    none = Normals(jnp.asarray(mean), jnp.zeros((4, 3, 3)))
    models = Normals(jnp.asarray(phi), jnp.zeros((5, 3, 3)))

    def log_likelihood(mean, phi):
        eta = phi[:, :2] @ mean[:, :2].T - mean[None, :, 2] + phi[:, 2:] @ design.T
        p = floor[None] + (1.0 - floor[None]) * jax.nn.sigmoid(eta)
        return jnp.sum(right * jnp.log(p) + (made - right) * jnp.log1p(-p))

    found = moments(none, jnp.asarray(design), models)
    parts = residual_and_weight(found, jnp.asarray(right), jnp.asarray(made), jnp.asarray(floor))
    by_item, by_model = jax.grad(log_likelihood, (0, 1))(jnp.asarray(mean), jnp.asarray(phi))
    np.testing.assert_allclose(item_terms(found, models, *parts)[0], by_item, atol=2e-5)
    np.testing.assert_allclose(ability_terms(found, none, *parts)[0], by_model, atol=2e-5)


def test_chances_are_averaged_over_what_is_uncertain():
    eta, spread = 0.7, 1.3
    draws = eta + spread * np.random.default_rng(0).normal(size=200_000)
    p, _ = chance(jnp.asarray(eta), jnp.asarray(spread**2), jnp.asarray(0.2))
    assert abs(float(p) - (0.2 + 0.8 / (1.0 + np.exp(-draws))).mean()) < 0.01


def test_skills_and_items_come_back(fitted):
    _, law, theta, slope, difficulty = fitted
    assert law.converged
    assert np.corrcoef(law.abilities.mean[:, 0], theta)[0, 1] > 0.96
    assert np.corrcoef(law.items.mean[:, 0], slope)[0, 1] > 0.6
    assert np.corrcoef(law.items.mean[:, 1], difficulty)[0, 1] > 0.97


def test_normalising_changes_no_logit(fitted):
    _, law, *_ = fitted
    rng = np.random.default_rng(1)
    items, models = (Normals(*map(jnp.asarray, part)) for part in (law.items, law.abilities))
    moved = Normals(models.mean + 0.3 * rng.normal(size=models.mean.shape), models.covariance)
    design = jnp.asarray(law.design)
    before = moments(items, design, moved).eta
    new_items, new_models = _normalised(items, moved, design)
    np.testing.assert_allclose(moments(new_items, design, new_models).eta, before, atol=1e-3)


def test_the_order_of_items_and_models_does_not_matter(fitted):
    bank, law, *_ = fitted
    rng = np.random.default_rng(2)
    m, i = rng.permutation(len(bank.models)), rng.permutation(len(bank.items))
    other = fit_responses(
        ItemBank(
            tuple(bank.models[at] for at in m),
            tuple(bank.items[at] for at in i),
            bank.successes[m][:, i],
            bank.tries[m][:, i],
        )
    )
    np.testing.assert_allclose(other.abilities.mean, law.abilities.mean[m], atol=0.01)


def test_departures_do_not_compete_with_the_skill():
    bank, theta, *_ = simulated(models=24, items=240)
    category = np.arange(240) % 6
    law = fit_responses(replace(bank, category=category, categories=tuple("abcdef")))
    # To depart by as much in all categories is to have another skill: no column says it.
    np.testing.assert_allclose(law.design[:, :-1].sum(axis=1), 0.0, atol=1e-6)
    assert (np.sqrt(np.asarray(law.priors.departure_variance)) < 0.35).all()
    assert (np.asarray(law.priors.item_mean)[:, 0] > 0.5).all()
    assert np.corrcoef(law.abilities.mean[:, 0], theta)[0, 1] > 0.96


def test_two_tries_are_two_answers(fitted):
    bank, _, *_ = fitted
    doubled = replace(bank, successes=2 * bank.successes, tries=2 * bank.tries)
    law = fit_responses(doubled, sweeps=5)
    once = fit_responses(bank, sweeps=5)
    narrower = law.abilities.covariance[:, 0, 0] / once.abilities.covariance[:, 0, 0]
    assert 0.4 < np.median(narrower) < 0.7


def test_families_and_covariates_are_learnt():
    bank, theta, *_ = simulated(models=60)
    rng = np.random.default_rng(3)
    known = (theta + 0.5 * rng.normal(size=60))[:, None]
    law = fit_responses(bank, covariates=known, families=np.arange(60) % 6)
    mean, _ = law.prior_of(np.array([1.0]))
    low, _ = law.prior_of(np.array([-1.0]))
    assert mean[0] > 0.3 > -0.3 > low[0]


def test_a_new_model_is_estimated_from_a_few_answers(fitted):
    bank, law, *_ = fitted
    of, hits = arrays_of(law), 0
    for model in range(20):
        rng = np.random.default_rng(model)
        tries = np.zeros(len(bank.items))
        tries[rng.choice(len(bank.items), 40, replace=False)] = 1.0
        right = bank.successes[model] * tries
        found = ability(of, jnp.asarray(right), jnp.asarray(tries), *law.prior_of())
        draws = score_draws(
            of, found, jnp.asarray(right), jnp.asarray(tries), jnp.ones(len(tries)),
            jax.random.key(model), draws=200,
        )  # fmt: skip
        lower, upper = np.quantile(draws, [0.05, 0.95])
        hits += lower <= bank.scores()[model] <= upper
    assert hits >= 15
    p, slope, loading = chances(of, found.mean)
    assert p.shape == slope.shape == (len(bank.items),)
    assert loading.shape == (len(bank.items), len(found.mean))


def test_gaps_and_items_without_answers_are_vague():
    bank, *_ = simulated(gaps=0.4)
    tries = bank.tries.copy()
    tries[:, 0] = 0
    law = fit_responses(replace(bank, tries=tries, successes=bank.successes * (tries > 0)))
    spread = law.items.covariance[:, 1, 1]
    assert spread[0] > 2.0 * np.median(spread)
    assert np.isfinite(law.items.mean).all()


def test_what_cannot_be_fitted_is_refused():
    bank, *_ = simulated(models=6, items=20)
    with pytest.raises(InputError, match="5 skills for 6 models: ask for 1 to 4"):
        fit_responses(bank, skills=5)
    with pytest.raises(InputError, match="the bank has 2 models"):
        fit_responses(bank.select_models(np.arange(2)))
    with pytest.raises(InputError, match="covariates: give a finite row for each of the 6 models"):
        fit_responses(bank, covariates=np.ones((5, 1)))
    with pytest.raises(InputError, match="floor"):
        fit_responses(bank, floor=1.0)
