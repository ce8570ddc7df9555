"""Weights by lineages left out, and forecasts that mix draws by them."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from small import table

from sloth_jax.errors import InputError
from sloth_jax.forecasting.averaging import average, stacking_weights
from sloth_jax.forecasting.forecast import forecast_table
from sloth_jax.inference.fit import fit
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.stacking import stack

KEY = jax.random.key(0)
QUICK = FitSettings(skills=1, surface="translog", draws=40, steps=60)


def test_weights_are_those_of_a_constrained_optimiser():
    elpd = np.random.default_rng(0).normal(size=(3, 12))

    def loss(free):
        weights = np.exp([0.0, *free]) / np.exp([0.0, *free]).sum()
        return -np.log(weights @ np.exp(elpd)).sum()

    best = minimize(loss, np.zeros(2), tol=1e-12).x
    wanted = np.exp([0.0, *best]) / np.exp([0.0, *best]).sum()
    np.testing.assert_allclose(stack(jnp.asarray(elpd)), wanted, atol=2e-3)


def test_a_fit_that_is_better_everywhere_gets_all_the_weight():
    elpd = np.array([[-1.0, -2.0, -1500.0], [-4.0, -5.0, -1510.0]])
    np.testing.assert_allclose(stack(jnp.asarray(elpd)), [1.0, 0.0], atol=1e-6)


def test_fits_are_weighed_and_their_forecasts_mixed():
    data = table()[0]
    fits = [fit(data, key=KEY, settings=QUICK, skills=d) for d in (1, 2)]
    weights = stacking_weights(fits)
    assert weights.fits.sum() == pytest.approx(1.0)
    assert weights.elpd.shape == (2, len(data.lineages))
    forecasts = [forecast_table(one, key=KEY) for one in fits]
    mixed = average(forecasts, np.array([0.25, 0.75]))
    assert mixed.draws.shape == forecasts[0].draws.shape
    rows = np.linspace(0, 39, 10).astype(int)
    np.testing.assert_array_equal(mixed.draws[:10], forecasts[0].draws[rows])
    all_second = average(forecasts, np.array([0.0, 1.0]))
    np.testing.assert_array_equal(all_second.draws, forecasts[1].draws)


def test_what_cannot_be_weighed_or_averaged_is_refused():
    with pytest.raises(InputError, match="no fit to weigh"):
        stacking_weights([])
    data = table()[0]
    one = fit(data, key=KEY, settings=QUICK)
    other = fit(data.subset(data.family < 4), key=KEY, settings=QUICK)
    with pytest.raises(InputError, match="fits of different tables"):
        stacking_weights([one, other])
    forecast = forecast_table(one, key=KEY)
    with pytest.raises(InputError, match="different models or benchmarks"):
        average([forecast, replace(forecast, models=("a",))], np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="2 forecasts and weights of shape"):
        average([forecast, forecast], np.array([1.0]))
