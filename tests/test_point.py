"""Point fits find known laws, survive missing scores, and say when they have not settled."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import random_links, random_params, table

from sloth_jax import InputError, fit_point, forecast
from sloth_jax.constraints import constrain, unconstrain
from sloth_jax.covariates import fit_scaling
from sloth_jax.law import scores
from sloth_jax.observations import observe, with_mask
from sloth_jax.point import mean_loss
from sloth_jax.query import Query

QUICK = {"skills": 1, "starts": 4, "steps": 1500}


@pytest.mark.parametrize("link", ["logistic", "mixture", "network"])
def test_constrain_inverts_unconstrain(link):
    params = random_params(0, 3, 2, 4, random_links(1, 4)[link])._replace(
        floor=jnp.asarray([0.25, 0.5, 0.1, 0.01])
    )
    back = constrain(unconstrain(params))
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_the_loss_counts_observed_scores_only():
    data, truth = table()
    hidden = data.hide(np.arange(len(data.models)) % 2 == 0)
    scaling = fit_scaling(data.params_b, data.tokens_t)
    observations = observe(hidden, scaling)
    expected = np.asarray(scores(truth, observations.covariates, observations.family))
    error = np.abs(expected - data.scores)[1::2]
    # Huber with delta 0.01: quadratic below, linear above.
    by_hand = np.where(error < 0.01, error**2 / 2, 0.01 * (error - 0.005)).mean()
    assert mean_loss(truth, observations) == pytest.approx(by_hand)


def test_masks_and_missing_scores_are_the_same_observations():
    data, _ = table()
    hidden = np.arange(len(data.models)) < 5
    scaling = fit_scaling(data.params_b, data.tokens_t)
    as_table = observe(data.hide(hidden), scaling)
    full = observe(data, scaling)
    as_mask = with_mask(full, full.observed & ~jnp.asarray(hidden)[:, None])
    for name in ("observed", "family_covariates", "family_observed"):
        np.testing.assert_allclose(getattr(as_mask, name), getattr(as_table, name))


def test_recovers_a_known_law():
    data, truth = table(noise=0.002)
    fit = fit_point(data, key=jax.random.key(0), link="logistic", **QUICK)
    observations = observe(data, fit.scaling)
    expected = scores(truth, observations.covariates, observations.family)
    found = scores(fit.params, observations.covariates, observations.family)
    assert fit.converged
    assert np.abs(found - expected).max() < 0.01  # five times the noise
    assert fit.mean_absolute_error < 0.003


@pytest.mark.parametrize("link", ["mixture", "network"])
def test_flexible_links_fit_too(link):
    data, _ = table()
    fit = fit_point(data, key=jax.random.key(0), link=link, learn_floors=True, **QUICK)
    assert fit.mean_absolute_error < 0.02
    assert ((fit.params.floor > 0) & (fit.params.floor < 1)).all()


def test_slopes_of_families_are_shrunk_but_follow_the_data():
    data, _ = table(noise=0.0)
    steep = data.family == 0
    # The first family gains more from size than the law that made the table says.
    lift = 0.05 * (np.log(data.params_b) - np.log(data.params_b[steep]).mean())
    measured = np.where(steep[:, None], data.scores + lift[:, None], data.scores)
    data = replace(data, scores=np.clip(measured, 0.0, 1.0))
    fit = fit_point(
        data, key=jax.random.key(0), link="logistic", family_slopes=True, learn_floors=True, **QUICK
    )
    shared = fit_point(data, key=jax.random.key(0), link="logistic", learn_floors=True, **QUICK)
    growth = np.asarray(fit.params.growth @ fit.params.loading.T).mean(axis=1)
    assert growth.argmax() == 0
    assert growth[0] > 0.05
    assert fit.mean_absolute_error < shared.mean_absolute_error


def test_losses_differ_as_they_should():
    data, truth = table()
    observations = observe(data, fit_scaling(data.params_b, data.tokens_t))
    expected = np.asarray(scores(truth, observations.covariates, observations.family))
    error = np.abs(expected - data.scores)
    assert mean_loss(truth, observations, "l1") == pytest.approx(error.mean())
    assert mean_loss(truth, observations, "l2") == pytest.approx((error**2).mean() / 2)


@pytest.mark.parametrize("kind", ["additive", "flops"])
def test_other_covariates_forecast_what_they_fit(kind):
    data, _ = table()
    fit = fit_point(data, key=jax.random.key(0), link="logistic", covariates=kind, **QUICK)
    frame = data.to_frame().drop(columns=list(data.benchmarks))
    predicted = forecast(fit, Query.from_frame(frame, data)).draws[0]
    assert np.abs(predicted - data.scores).mean() == pytest.approx(fit.mean_absolute_error)


def test_half_of_the_scores_removed_at_random_still_fits():
    data, truth = table(noise=0.002, sizes=6)
    rng = np.random.default_rng(0)
    measured = np.where(rng.random(data.scores.shape) < 0.5, np.nan, data.scores)
    fit = fit_point(replace(data, scores=measured), key=jax.random.key(0), link="logistic", **QUICK)
    observations = observe(data, fit.scaling)
    expected = scores(truth, observations.covariates, observations.family)
    found = scores(fit.params, observations.covariates, observations.family)
    assert np.isfinite(found).all()
    assert np.abs(found - expected).mean() < 0.01


def test_a_new_family_gets_the_mean_of_its_kind():
    data, _ = table()
    fit = fit_point(data, key=jax.random.key(0), link="logistic", **QUICK)
    base = data.post_trained_of_family == 0.0
    frame = data.to_frame().iloc[[0, 0]]
    frame = frame.assign(model=["a", "b"], family=["new", "new-chat"], lineage="new")
    frame = frame.assign(post_trained=[False, True]).drop(columns=list(data.benchmarks))
    predicted = forecast(fit, Query.from_frame(frame, data))
    np.testing.assert_array_equal(predicted.family_models, 0)
    observations = observe(data, fit.scaling)
    for row, members in enumerate([base, ~base]):
        mean = fit.params.intercept[np.flatnonzero(members)].mean(axis=0, keepdims=True)
        params = fit.params._replace(intercept=mean)
        by_hand = scores(params, observations.covariates[:1], jnp.zeros(1, int))
        np.testing.assert_allclose(predicted.draws[0, row], by_hand[0], atol=1e-10)


def test_a_point_forecast_has_no_intervals():
    data, _ = table()
    fit = fit_point(data, key=jax.random.key(0), link="logistic", skills=1, starts=1, steps=10)
    assert not fit.converged
    frame = data.to_frame().iloc[:2].drop(columns=list(data.benchmarks))
    summary = forecast(fit, Query.from_frame(frame, data)).summary(0.5)
    assert summary["lower"].isna().all()
    assert summary["upper"].isna().all()
    assert summary["mean"].notna().all()


def test_more_skills_than_benchmarks_are_refused():
    data, _ = table()
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        fit_point(data, key=jax.random.key(0), skills=5)


def test_unknown_settings_are_refused():
    data, _ = table()
    with pytest.raises(ValueError, match="no link 'probit'"):
        fit_point(data, key=jax.random.key(0), link="probit")
    with pytest.raises(ValueError, match="no loss 'l3'"):
        fit_point(data, key=jax.random.key(0), loss="l3")
    with pytest.raises(ValueError, match="no covariates 'cubic'"):
        fit_point(data, key=jax.random.key(0), covariates="cubic")


def test_leaderboard_helper_matches_the_loader(tmp_path):
    # The synthetic tables of these tests must be what a user's file would give.
    from sloth_jax import load_leaderboard

    data, _ = table()
    data.to_csv(tmp_path / "table.csv")
    loaded = load_leaderboard(tmp_path / "table.csv")
    assert loaded.models == data.models
    np.testing.assert_array_equal(loaded.scores, data.scores)
    np.testing.assert_array_equal(loaded.family, data.family)
