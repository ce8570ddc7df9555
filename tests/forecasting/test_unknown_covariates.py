"""Sizes and tokens that are not known: fits, forecasts and what scores tell of them."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from quick_fits import KEY, QUERY, QUICK, read_query
from small import table

from sloth_jax import fit, forecast, load_fit, save_fit
from sloth_jax.forecasting import forecast_table, unknown_covariates

TOKENS, BOTH = 4, 10  # a model without tokens, and one of another lineage without tokens and size


@pytest.fixture(scope="module")
def data():
    whole = table(3, families=8)[0]
    tokens, sizes = whole.tokens_t.copy(), whole.params_b.copy()
    tokens[[TOKENS, BOTH]] = np.nan
    sizes[BOTH] = np.nan
    return replace(whole, tokens_t=tokens, params_b=sizes)


@pytest.fixture(scope="module")
def fitted(data):
    return fit(data, key=KEY, settings=QUICK)


@pytest.fixture(scope="module")
def found(fitted):
    return unknown_covariates(fitted, key=KEY)


def test_every_unknown_value_has_an_interval_before_and_after_its_scores(data, found):
    named = list(zip(found["model"], found["covariate"], strict=True))
    models = [data.models[m] for m in (BOTH, TOKENS, BOTH)]
    assert named == list(zip(models, ("params_b", "tokens_t", "tokens_t"), strict=True))
    for prefix in ("", "prior_"):
        lower, median, upper = (found[f"{prefix}{part}"] for part in ("lower", "median", "upper"))
        assert (lower < median).all()
        assert (median < upper).all()
    width = np.log(found["upper"] / found["lower"])
    before = np.log(found["prior_upper"] / found["prior_lower"])
    assert width[0] < 0.8 * before[0]  # scores tell most of a size that only relatives limit


def test_no_row_is_lost_and_measured_scores_come_back(data, fitted):
    predicted = forecast_table(fitted, key=KEY)
    assert predicted.models == data.models
    off = np.abs(np.median(predicted.draws, axis=0) - data.scores)
    assert off[[TOKENS, BOTH]].max() < 0.1
    assert "2 models of unknown size or tokens" in " ".join(
        finding.text for finding in fitted.report.findings
    )


def test_other_models_of_their_families_are_predicted(data, fitted):
    predicted = forecast(fitted, read_query(QUERY, data), key=KEY)
    assert np.isfinite(predicted.draws).all()


def test_a_saved_fit_predicts_the_same(fitted, data, tmp_path):
    save_fit(fitted, tmp_path / "fit.nc")
    again = load_fit(tmp_path / "fit.nc", data)
    np.testing.assert_array_equal(again.covariates, fitted.covariates)
    query = read_query(QUERY, data)
    one, other = (forecast(one, query, key=KEY).draws for one in (fitted, again))
    np.testing.assert_array_equal(one, other)


def test_where_all_is_known_nothing_is_said():
    known = table(3)[0]
    fitted = fit(known, key=KEY, settings=replace(QUICK, steps=5, draws=4))
    assert fitted.covariates is None
    assert unknown_covariates(fitted, key=KEY).empty
    with pytest.raises(ValueError, match="level"):
        unknown_covariates(fitted, key=jax.random.key(0), level=1.0)
