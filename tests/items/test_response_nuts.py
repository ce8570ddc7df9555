"""The sampled item law against the approximation, on a small bank."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from banks import simulated
from scipy import stats

from sloth_jax.errors import InputError
from sloth_jax.inference.settings import NutsSettings
from sloth_jax.items.response_law import fit_responses
from sloth_jax.items.response_nuts import Facts, Target, _position_of

SETTINGS = NutsSettings(chains=2, warmup=150, draws=200, max_tree_depth=5)


@pytest.fixture(scope="module")
def both():
    bank, *_ = simulated(models=24, items=36)
    sampled = fit_responses(bank, inference="nuts", key=jax.random.key(0), nuts=SETTINGS)
    return bank, fit_responses(bank), sampled


def test_medians_and_widths_are_those_of_the_approximation(both):
    _, approximate, sampled = both
    for name, parts in (("abilities", 1), ("items", 2)):
        one, other = getattr(approximate, name), getattr(sampled, name)
        spread = np.sqrt(np.diagonal(np.asarray(other.covariance), axis1=1, axis2=2))
        away = np.abs(np.asarray(one.mean) - np.asarray(other.mean)) / spread
        assert away[:, :parts].mean() < 0.4
        width = np.sqrt(np.diagonal(np.asarray(one.covariance), axis1=1, axis2=2)) / spread
        assert (np.abs(np.log(np.median(width[:, :parts], axis=0))) < np.log(1.35)).all()
    theta = np.asarray(sampled.abilities.mean)[:, 0]
    assert abs(theta.mean()) < 1e-4
    assert np.corrcoef(theta, np.asarray(approximate.abilities.mean)[:, 0])[0, 1] > 0.99


def test_diagnostics_are_those_of_chains(both):
    _, approximate, sampled = both
    assert approximate.diagnostics is None
    found = sampled.diagnostics
    assert found is not None
    assert (found.inference, found.draws) == ("nuts", 400)
    assert found.max_rhat < 1.15
    assert found.min_ess > 20
    assert sampled.converged == (not found.problems())


def test_the_density_is_the_joint_by_hand(both):
    bank, law, _ = both
    arrays = (bank.successes, bank.tries, law.floor, law.design, np.ones((36, 1)))
    target = Target(Facts(*(jnp.asarray(part, float) for part in arrays)), 1)
    position = _position_of(target, law)
    items, abilities = (np.asarray(part, float) for part in target.parameters(position))
    np.testing.assert_allclose(items, law.items.mean, atol=1e-4)
    np.testing.assert_allclose(abilities, law.abilities.mean, atol=1e-4)
    eta = abilities @ np.column_stack([items[:, 0], np.asarray(law.design)]).T - items[:, 1]
    p = 1.0 / (1.0 + np.exp(-eta))
    told = stats.bernoulli.logpmf(np.asarray(bank.successes), p).sum()
    raw = np.asarray(position, float)
    prior = stats.norm.logpdf(raw).sum() + 0.5 * raw.size * np.log(2.0 * np.pi)
    assert float(target.potential(position)) == pytest.approx(-told - prior, rel=1e-4)


def test_what_cannot_be_sampled_is_refused(both):
    bank, *_ = both
    with pytest.raises(InputError, match="nuts needs a key, and takes no covariates or families"):
        fit_responses(bank, inference="nuts")
    with pytest.raises(InputError, match="no inference 'svi'"):
        fit_responses(bank, inference="svi", key=jax.random.key(0))
    large, *_ = simulated(models=4, items=1600)
    with pytest.raises(InputError, match="parameters, nuts takes at most 3,000"):
        fit_responses(large, inference="nuts", key=jax.random.key(0), sweeps=1)
