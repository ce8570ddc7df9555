"""Forecasts of queried models: their intervals, their draws, against the formula by hand."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from quick_fits import KEY, QUERY, half_observed, quick_fit, read_query
from small import EXACT

from sloth_jax import forecast, load_query
from sloth_jax.effects import packing
from sloth_jax.effects.walk import walk_basis
from sloth_jax.forecasting.predictive_law import predictive_law
from sloth_jax.law.forward import linear_predictor


@pytest.fixture(scope="module")
def data():
    return half_observed()


@pytest.fixture(scope="module")
def query(data):
    return read_query(QUERY, data)


@pytest.fixture(scope="module")
def fitted():
    return quick_fit()


@pytest.fixture(scope="module")
def predictions(fitted, query):
    return forecast(fitted, query, key=jax.random.key(1))


def test_large_lineages_are_forecast_by_their_families(fitted, query, predictions, monkeypatch):
    monkeypatch.setattr(packing, "_large_lineages", lambda slots, lineage, *_: np.unique(lineage))
    apart = forecast(fitted, query, key=jax.random.key(1))
    np.testing.assert_allclose(apart.draws, predictions.draws, atol=1e-8)


def test_intervals_are_wide_far_outside_the_table(fitted, data):
    # large and hardly trained: neither chance nor perfect is certain
    rows = "model,family,params_b,tokens_t\nnear,family0,4,2\nfar,family0,3200,0.005\n"
    query = read_query(rows, data)
    predicted = forecast(fitted, query, key=KEY)
    lower, upper = predicted.interval(0.9)
    near, far = (upper - lower).mean(axis=1)
    assert far > 2.0 * near
    assert predicted.outside[0] == ""
    assert "params_b" in predicted.outside[1]
    assert "tokens_t" in predicted.outside[1]


def test_intervals_widen_as_less_is_known(predictions):
    lower, upper = predictions.interval(0.9)
    known, in_lineage, new, unknown = (upper - lower).mean(axis=1)
    assert known < min(in_lineage, new)
    assert new < 1.3 * unknown  # not knowing the post-training cannot narrow an interval
    np.testing.assert_array_equal(predictions.family_models, [4, 0, 0, 0])


def test_a_mode_has_intervals_too_and_they_are_narrower(data, query):
    widths = []
    for inference in ("mode", "nuts"):
        lower, upper = forecast(quick_fit(inference), query, key=KEY).interval(0.9)
        widths.append((upper - lower).mean())
    assert 0.01 < widths[0] < 1.1 * widths[1]


def test_summary_has_one_row_per_model_and_benchmark(predictions):
    assert predictions.draws.shape == (60, 4, 4)
    assert ((predictions.draws >= 0) & (predictions.draws <= 1)).all()
    summary = predictions.summary(0.5)
    assert list(summary.columns) == [
        "model",
        "benchmark",
        "mean",
        "median",
        "lower",
        "upper",
        "level",
        "family_models",
        "outside",
    ]
    assert len(summary) == 16
    assert (summary["lower"] <= summary["median"]).all()
    assert (summary["median"] <= summary["upper"]).all()
    np.testing.assert_allclose(
        summary["lower"], np.quantile(predictions.draws, 0.25, axis=0).ravel()
    )


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_levels_outside_the_unit_interval_are_refused(predictions, level):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        predictions.interval(level)


def test_draws_of_a_model_do_not_depend_on_other_queries(fitted, data, predictions):
    frame = pd.read_csv(io.StringIO(QUERY)).iloc[[2, 0]]
    alone = forecast(fitted, load_query(frame, data), key=jax.random.key(1))
    np.testing.assert_allclose(alone.draws, predictions.draws[:, [2, 0]], atol=EXACT)


def test_noise_of_forecasts_is_inside_the_link(fitted, query):
    # score = c + (1 - c) g( lambda' theta + b + d' x + u + noise z ), by hand
    law = predictive_law(fitted, query, KEY)
    start = fitted.surface.from_smallest(query.params_b, query.active_params_b)
    basis = np.asarray(walk_basis(start))
    draws = forecast(fitted, query, key=KEY).draws
    for at in (0, 7):
        one = jax.tree.map(lambda a, at=at: a[at], law)
        params, floor = one.shared.params, np.asarray(one.shared.params.floor)
        x = np.array(fitted.surface.of(query, 0.0))
        x[:, -1] = one.post_trained
        of_walk = np.einsum("mq,mqu->mu", basis, one.walk)
        predictor = np.array(linear_predictor(params, jnp.asarray(x)))
        predictor += (of_walk[:, :1] + one.own) @ np.asarray(params.loading).T + of_walk[:, 1:]
        predictor += np.asarray(one.shared.noise)[None] * np.asarray(one.noise)
        share = np.asarray(params.link(jnp.asarray(predictor)))
        score = np.clip(floor[None] + (1.0 - floor[None]) * share, 0.0, 1.0)
        np.testing.assert_allclose(draws[at], score, atol=EXACT)
