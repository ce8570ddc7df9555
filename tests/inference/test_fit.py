"""Fits by every inference of a table with a known law."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import jax
import numpy as np
import pytest
from quick_fits import KEY, QUERY, QUICK, quick_fit, read_query, same
from small import table

from sloth_jax import (
    InputError,
    TableTooSmall,
    check_identifiability,
    fit,
    forecast,
    forecast_table,
)
from sloth_jax.identifiability.enough_scores import check_enough_scores
from sloth_jax.inference.draws import RATIO_DRAWS, fit_observations, log_ratios
from sloth_jax.inference.observe import observe
from sloth_jax.inference.settings import INFERENCES
from sloth_jax.law.surface import fit_surface


@pytest.mark.parametrize("inference", INFERENCES)
def test_the_same_key_gives_the_same_fit_and_forecasts(data, query, inference):
    again = fit(data, key=KEY, settings=QUICK, inference=inference)
    same(again.law, quick_fit(inference).law)
    one, other = (forecast(f, query, key=KEY) for f in (again, quick_fit(inference)))
    np.testing.assert_array_equal(one.draws, other.draws)


@pytest.mark.parametrize("inference", INFERENCES)
def test_every_inference_predicts_hidden_scores_and_says_what_it_is(data, inference):
    found = quick_fit(inference)
    draws = 1 if inference == "mode" else 60
    assert found.law.noise.shape == (draws, 4)
    assert found.law.params.loading.shape == (draws, 4, 1)
    assert found.chains == (2 if inference == "nuts" else 1)
    assert found.diagnostics.summary().startswith(inference)
    assert inference in repr(found)
    predicted = forecast_table(found, key=jax.random.key(2))
    assert predicted.inference == inference
    made, _ = table(noise=0.01)
    error = np.abs(np.median(predicted.draws, axis=0) - made.scores)
    assert np.mean(error[data.observed]) < 0.02
    assert np.mean(error[~data.observed]) < 0.05
    lower, upper = predicted.interval(0.9)
    inside = (lower <= made.scores) & (made.scores <= upper)
    assert inside[~data.observed].mean() > 0.7


def test_a_fit_keeps_its_settings_report_and_seed(fitted, data):
    assert fitted.settings == replace(QUICK, inference="laplace")
    assert fitted.report == check_identifiability(data, skills=1)
    assert fitted.seed == tuple(int(part) for part in jax.random.key_data(KEY))
    assert len(fitted.pivot_benchmarks) == 1


def test_more_skills_than_benchmarks_are_refused(data):
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        fit(data, key=KEY, skills=5)


def test_a_table_too_small_for_the_law_is_refused():
    made, _ = table(noise=0.01)
    row, benchmark = np.ogrid[: len(made.models), :4]
    # Each benchmark on five models, other ones each.
    scattered = replace(made, scores=np.where(row // 5 == benchmark, made.scores, np.nan))
    for few, most in ((made.subset(row[:, 0] < 3), 3), (made.subset(row[:, 0] < 1), 1)):
        with pytest.raises(TableTooSmall, match=rf"scores of more than {most} model.*--add"):
            fit(few, key=KEY, settings=QUICK)
    with pytest.raises(TableTooSmall, match="more than 5 models, and the law needs 6 on one"):
        fit(scattered, key=KEY, settings=QUICK)
    check_enough_scores(scattered, surface="additive")
    check_enough_scores(made.subset(row[:, 0] < 4), surface="flops")
    assert issubclass(TableTooSmall, InputError)


def odd_tables():
    made, _ = table(noise=0.01)
    row, benchmark = np.ogrid[: len(made.models), :4]
    lineage = made.lineage_of_family[made.family]
    alike = {"params_b": np.full(len(row), 7.0), "tokens_t": np.full(len(row), 2.0)}
    single = np.where((row > 0) & (benchmark == 0), np.nan, made.scores)
    ends = np.where(row == 4, 0.0, np.where(row == 5, 1.0, made.scores))  # the floor is 0.25
    return {
        "one size and tokens": replace(made, **alike),
        "one lineage": made.subset(lineage == 0),
        "six models": made.subset(np.arange(len(row)) < 6),
        "no score in a lineage": made.hide(lineage == 1),
        "constant benchmark": replace(made, scores=np.where(benchmark == 1, 0.5, made.scores)),
        "a benchmark with a single score": replace(made, scores=single),
        "scores at the ends and below chance": replace(made, scores=ends),
    }


ODD = odd_tables()


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_fitted_all_the_same(name):
    odd = ODD[name]
    found = fit(odd, key=KEY, settings=QUICK, steps=30, inference="mode")
    far = QUERY + "far,alien,aliens,False,6400,5000\n"
    query = read_query(far, odd)
    predicted = forecast(found, query, key=KEY)
    assert np.isfinite(predicted.draws).all()
    assert "x the largest" in predicted.outside[4]


def test_a_few_draws_are_judged_and_all_weighed_only_where_it_pays(data, monkeypatch):
    settings = replace(QUICK, draws=RATIO_DRAWS + 10)
    seen = np.asarray(data.observed.any(axis=1))
    surface = fit_surface(data, kind=settings.kind, size=settings.size, seen=seen)
    observations = observe(data, surface)
    few = jax.jit(fit_observations, static_argnums=2)(observations, KEY, settings)
    assert few.log_ratio.shape == (RATIO_DRAWS,)
    every = jax.jit(log_ratios, static_argnums=2)(observations, few, settings)
    np.testing.assert_allclose(every[:RATIO_DRAWS], few.log_ratio, rtol=1e-8)

    asked = []

    def smooth(log_ratio):
        asked.append(log_ratio.size)
        return np.full(log_ratio.size, 1.0 / log_ratio.size), ks[len(asked) - 1]

    monkeypatch.setattr("sloth_jax.inference.fit.smooth_ratios", smooth)
    for ks, sizes in (([2.0], [RATIO_DRAWS]), ([0.3, 0.4], [RATIO_DRAWS, settings.draws])):
        asked.clear()
        found = fit(data, key=KEY, settings=settings)
        assert asked == sizes
        assert found.diagnostics.pareto_k == ks[-1]
        assert found.law.noise.shape[0] == settings.draws


@pytest.mark.parametrize("inference", ["laplace", "mode"])
def test_a_large_table_begins_with_some_families_and_ends_at_the_same_mode(
    data, monkeypatch, inference
):
    settings = replace(QUICK, inference=inference, steps=200)
    usual = fit(data, key=KEY, settings=settings)
    # As if two families were many, and a curvature by expectation were the cheaper one.
    monkeypatch.setattr("sloth_jax.inference.observe.LARGE_TABLE", len(data.models) // 2)
    monkeypatch.setattr("sloth_jax.inference.observe._SAMPLED_MODELS", len(data.models) // 3)
    monkeypatch.setattr("sloth_jax.law.curvature._MIN_PARAMETERS", 1)
    told = []

    @contextmanager
    def progress(what, total=None):
        told.append(what)
        yield lambda done: None

    # Other settings, since programs of these are compiled already.
    found = fit(data, key=KEY, settings=replace(settings, steps=201), progress=progress)
    assert len(told) == 2
    assert told[0].startswith("fitting the law to ")
    if inference == "laplace":  # along the axes of its curvature
        assert found.diagnostics.gradient < 1.0
    one, other = (np.median(forecast_table(f, key=KEY).draws, axis=0) for f in (usual, found))
    assert np.mean(np.abs(one - other)) < 0.01
