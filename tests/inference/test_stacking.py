"""Surfaces are weighed by the lineages that each leaves out, and averaged as draws of one law."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from small import EXACT, table

from sloth_jax import FitSettings, fit
from sloth_jax.inference.draws import TargetOf
from sloth_jax.inference.stacking import leave_one_lineage_out, mixture_rows, stack
from sloth_jax.law.forward import linear_predictor
from sloth_jax.law.surface import KINDS, fit_surface, used_columns

KEY = jax.random.key(0)


def test_leaving_one_out_is_exact_for_a_normal_mean():
    # y_l ~ N(mu, 1), mu ~ N(0, 10): the rest tells mu, and y_l is normal around that.
    rng = np.random.default_rng(0)
    y, draws = rng.normal(size=15), 40_000
    variance = 1.0 / (y.size + 0.01)
    mu = variance * y.sum() + np.sqrt(variance) * rng.standard_normal(draws)
    density = norm.logpdf(y[None], mu[:, None], 1.0)
    rest = 1.0 / (y.size - 1 + 0.01)
    exact = norm.logpdf(y, rest * (y.sum() - y), np.sqrt(1.0 + rest))
    # Monte Carlo error: five standard errors of the largest weights' mean.
    np.testing.assert_allclose(leave_one_lineage_out(jnp.asarray(density)), exact, atol=0.01)


@pytest.mark.parametrize("weights", [[0.3, 0.7], [0.0, 1.0], [1.0, 0.0], [0.249, 0.501, 0.25]])
def test_a_mixture_has_as_many_draws_of_each_law_as_its_weight_says(weights):
    law, draw = (np.asarray(part) for part in mixture_rows(jnp.asarray(weights), 1000))
    np.testing.assert_allclose(np.bincount(law, minlength=len(weights)) / 1000, weights, atol=1e-3)
    for at in range(len(weights)):
        chosen = draw[law == at]
        assert len(set(chosen)) == len(chosen)  # none twice
        assert ((chosen >= 0) & (chosen < 1000)).all()


def test_a_law_that_predicts_every_lineage_better_gets_all_the_weight():
    elpd = jnp.asarray([[-1.0, -2.0, -1500.0], [-4.0, -5.0, -1510.0]])
    np.testing.assert_allclose(stack(elpd), [1.0, 0.0], atol=1e-6)


def test_columns_of_the_smooth_surface_that_others_use_are_theirs():
    data, _ = table()
    smooth = np.asarray(fit_surface(data, kind="smooth").of(data, 1.0))
    for kind in KINDS[:3]:
        used = np.asarray(used_columns(kind))
        own = np.asarray(fit_surface(data, kind=kind).of(data, 1.0))
        np.testing.assert_array_equal(smooth[:, used], own)


SETTINGS = FitSettings(surface="averaged", skills=1, draws=50, steps=60)


@pytest.fixture(scope="module")
def averaged():
    return fit(table()[0], key=KEY, settings=SETTINGS)


def test_averaged_draws_are_those_of_each_surface(averaged):
    weights = averaged.diagnostics.weights
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-3)
    bumps = ~np.asarray(used_columns("translog"))
    flat = (np.asarray(averaged.law.params.slope)[:, bumps] == 0.0).all(axis=(1, 2))
    assert flat.mean() == pytest.approx(weights["translog"], abs=0.011)
    alone = fit(averaged.table, key=KEY, settings=SETTINGS, surface="translog")
    x, own = (one.surface.of(averaged.table, 0.0) for one in (averaged, alone))
    predictors = jax.jit(jax.vmap(linear_predictor, (0, None)))
    predicted = predictors(averaged.law.params, x)
    translog = predictors(alone.law.params, own)
    # Draws of the translog among the averaged are some of those of the translog alone: the mode is
    # the same, and the bumps' coefficients, which nothing tells, are drawn from the prior.
    spread = np.std(translog, axis=0).max()
    mean = np.asarray(predicted)[flat].mean(axis=0) if flat.any() else np.mean(translog, axis=0)
    np.testing.assert_allclose(mean, np.mean(translog, axis=0), atol=spread)


def test_the_law_of_averaged_draws_is_that_of_their_raw_parameters(averaged):
    target = TargetOf(1, averaged.settings.prior)((averaged.observations, averaged.pivots))
    again = jax.jit(jax.vmap(target.law))(averaged.position)
    for mine, theirs in zip(jax.tree.leaves(averaged.law), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=EXACT)
