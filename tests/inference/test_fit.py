"""Fits by every inference, forecasts from them, files of them, on a table with a known law."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small import EXACT, table

from sloth_jax import (
    FitSettings,
    InputError,
    NutsSettings,
    Prior,
    Query,
    check_identifiability,
    fit,
    forecast,
    forecast_table,
    load_fit,
    save_fit,
    to_arviz,
)
from sloth_jax.forecasting.forecast import predictive_law
from sloth_jax.inference.diagnostics import Diagnostics, import_arviz, judge_chains, smooth_ratios
from sloth_jax.inference.draws import systematic
from sloth_jax.inference.settings import INFERENCES
from sloth_jax.law.forward import linear_predictor
from sloth_jax.law.walk import walk_basis

NUTS = NutsSettings(chains=2, warmup=30, draws=30, max_tree_depth=4)
QUICK = FitSettings(skills=1, draws=60, steps=60, nuts=NUTS)
KEY = jax.random.key(0)
QUERY = """model,family,lineage,post_trained,params_b,tokens_t
big,family0,lineage0,False,16,2
new-in-lineage,stranger,lineage0,False,4,2
new,alien,aliens,False,4,2
new-unknown,martian,martians,,4,2
"""


@pytest.fixture(scope="module")
def data():
    made, _ = table(noise=0.01)
    rng = np.random.default_rng(1)
    # Half of the scores removed at random, but for the first family, which the tests look at.
    gone = (rng.random(made.scores.shape) < 0.5) & (made.family > 0)[:, None]
    return replace(made, scores=np.where(gone, np.nan, made.scores))


@pytest.fixture(scope="module")
def query(data):
    return Query.from_frame(pd.read_csv(io.StringIO(QUERY)), data)


@pytest.fixture(scope="module")
def fits(data):
    return {name: fit(data, key=KEY, settings=QUICK, inference=name) for name in INFERENCES}


@pytest.fixture(scope="module")
def fitted(fits):
    return fits["laplace"]


@pytest.fixture(scope="module")
def predictions(fitted, query):
    return forecast(fitted, query, key=jax.random.key(1))


def same(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("inference", INFERENCES)
def test_the_same_key_gives_the_same_fit_and_forecasts(fits, data, query, inference):
    again = fit(data, key=KEY, settings=QUICK, inference=inference)
    same(again.law, fits[inference].law)
    one, other = (forecast(f, query, key=KEY) for f in (again, fits[inference]))
    np.testing.assert_array_equal(one.draws, other.draws)


@pytest.mark.parametrize("inference", INFERENCES)
def test_every_inference_predicts_hidden_scores_and_says_what_it_is(fits, data, inference):
    found = fits[inference]
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


def test_settings_are_those_that_were_asked_for(fitted, data):
    assert fitted.settings == replace(QUICK, inference="laplace")
    assert fitted.report == check_identifiability(data, skills=1)
    assert fitted.seed == tuple(int(part) for part in jax.random.key_data(KEY))
    assert len(fitted.pivot_benchmarks) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inference": "laplce"}, "no inference 'laplce'; did you mean 'laplace'"),
        ({"surface": "plane"}, "no surface 'plane'"),
        ({"size": "both"}, "no size 'both'"),
        ({"skills": 0}, "skills 0 is not a positive whole number"),
        ({"draws": 2.5}, "draws 2.5 is not a positive whole number"),
        ({"prior": Prior(noise=0.0)}, "prior.noise 0.0 is not a positive number"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        replace(QUICK, **changes)


def test_chains_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="chains 0 is not a positive whole number"):
        NutsSettings(chains=0)
    with pytest.raises(ValueError, match=r"target_accept 1.0 is not between 0 and 1"):
        NutsSettings(target_accept=1.0)


def test_more_skills_than_benchmarks_are_refused(data):
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        fit(data, key=KEY, skills=5)


def test_an_interrupted_run_goes_on_to_the_same_draws(fits, data, tmp_path, monkeypatch):
    module = importlib.import_module("sloth_jax.inference.checkpoint")
    monkeypatch.setattr(module, "_EVERY", 0.0)
    kept = tmp_path / "fit.unfinished"
    nuts = replace(QUICK, inference="nuts")
    save, times = module.Checkpoint.save, []

    def killed(self, done, state, trace):
        save(self, done, state, trace)
        times.append(done)
        if len(times) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(data, key=KEY, settings=nuts, checkpoint=kept)
        before = kept.read_bytes()
        done = list(times)
        resumed = fit(data, key=KEY, settings=nuts, checkpoint=kept)
    assert times[len(done)] > done[-1]  # what was done is not done again
    same(resumed.position, fits["nuts"].position)
    with pytest.raises(InputError, match="a checkpoint of another table, other settings"):
        fit(data, key=jax.random.key(1), settings=nuts, checkpoint=kept)
    kept.write_bytes(before[:1000])
    with pytest.raises(InputError, match="no checkpoint of sampling: remove it"):
        fit(data, key=KEY, settings=nuts, checkpoint=kept)


MANY = """
import json, sys
sys.path.insert(0, sys.argv[1])
import jax
jax.config.update("jax_enable_x64", True)
from small import table
from sloth_jax import FitSettings, NutsSettings, fit
nuts = NutsSettings(chains=4, warmup=4, draws=4, max_tree_depth=2)
settings = FitSettings(inference="nuts", skills=1, steps=20, nuts=nuts)
found = fit(table()[0], key=jax.random.key(0), settings=settings)
print(json.dumps([jax.device_count(), found.position.tolist()]))
"""


def test_chains_are_the_same_on_one_device_and_on_four():
    found = []
    for devices in (1, 4):
        flags = f"{os.environ.get('XLA_FLAGS', '')} "
        flags += f"--xla_force_host_platform_device_count={devices}"
        done = subprocess.run(
            [sys.executable, "-c", MANY, str(Path(__file__).parent)],
            env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        count, position = json.loads(done.stdout)
        assert count == devices
        found.append(np.array(position))
    assert found[0].shape[0] == 16
    # Rounding in another order, which a few trajectories amplify.
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


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
        "one model": made.subset(np.arange(len(row)) == 5),
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
    query = Query.from_frame(pd.read_csv(io.StringIO(far)), odd)
    predicted = forecast(found, query, key=KEY)
    assert np.isfinite(predicted.draws).all()
    assert "x the largest" in predicted.outside[4]


def test_far_outside_the_table_hardly_anything_is_known(fitted, data):
    # large and hardly trained: neither chance nor perfect is certain
    rows = "model,family,params_b,tokens_t\nnear,family0,4,2\nfar,family0,3200,0.005\n"
    query = Query.from_frame(pd.read_csv(io.StringIO(rows)), data)
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


def test_a_mode_has_intervals_too_and_they_are_narrower(fits, data, query):
    widths = []
    for inference in ("mode", "nuts"):
        lower, upper = forecast(fits[inference], query, key=KEY).interval(0.9)
        widths.append((upper - lower).mean())
    assert 0.01 < widths[0] < 1.1 * widths[1]


def test_summary_has_one_row_per_model_and_benchmark(predictions):
    assert predictions.draws.shape == (60, 4, 4)
    assert ((predictions.draws >= 0) & (predictions.draws <= 1)).all()
    summary = predictions.summary(0.5)
    assert list(summary.columns) == [
        "model", "benchmark", "mean", "median", "lower", "upper", "level", "family_models",
        "outside",
    ]  # fmt: skip
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


def test_a_model_has_the_same_draws_whatever_else_is_asked(fitted, data, predictions):
    frame = pd.read_csv(io.StringIO(QUERY)).iloc[[2, 0]]
    alone = forecast(fitted, Query.from_frame(frame, data), key=jax.random.key(1))
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
        x[:, -1] = one.shifted
        of_walk = np.einsum("mq,mqu->mu", basis, one.walk)
        predictor = np.array(linear_predictor(params, jnp.asarray(x)))
        predictor += (of_walk[:, :1] + one.own) @ np.asarray(params.loading).T + of_walk[:, 1:]
        predictor += np.asarray(one.shared.noise)[None] * np.asarray(one.noise)
        share = np.asarray(params.link(jnp.asarray(predictor)))
        score = np.clip(floor[None] + (1.0 - floor[None]) * share, 0.0, 1.0)
        np.testing.assert_allclose(draws[at], score, atol=EXACT)


def _judged(expected, **changes):
    shape = expected.shape[:2]
    energy = np.random.default_rng(0).normal(size=shape)
    inputs = {"energy": energy, "diverging": np.zeros(shape, bool), "steps": np.full(shape, 7)}
    found = judge_chains(expected, **{**inputs, **changes})
    count = expected.shape[0] * expected.shape[1]
    return Diagnostics("nuts", draws=count, seconds=1.0, gradient=0.0, **found)


def test_independent_draws_are_trusted():
    expected = np.random.default_rng(1).normal(size=(4, 500, 3))
    assert _judged(expected).problems() == ()


def test_chains_that_disagree_are_not():
    expected = np.random.default_rng(2).normal(size=(4, 500, 3))
    expected[0] += 1.0
    assert any("R-hat" in problem for problem in _judged(expected).problems())


def test_a_chain_that_sticks_is_not():
    steps = np.random.default_rng(3).normal(size=(4, 500, 1))
    problems = _judged(np.cumsum(steps, axis=1)).problems()
    assert any("ESS" in problem for problem in problems)


def test_divergences_and_energy_are_reported():
    expected = np.random.default_rng(4).normal(size=(4, 500, 1))
    diverging = np.zeros((4, 500), bool)
    diverging[0, :3] = True
    slow = np.cumsum(np.random.default_rng(5).normal(size=(4, 500)), axis=1)
    problems = _judged(expected, diverging=diverging, energy=slow).problems()
    assert any("3 of 2000 draws diverged" in problem for problem in problems)
    assert any("BFMI" in problem for problem in problems)


def test_a_single_chain_is_never_trusted():
    expected = np.random.default_rng(6).normal(size=(1, 500, 1))
    assert any("R-hat nan" in problem for problem in _judged(expected).problems())


def test_approximations_are_trusted_by_their_ratios():
    rng = np.random.default_rng(7)
    weights, k = smooth_ratios(0.1 * rng.normal(size=1000))
    assert weights.sum() == pytest.approx(1.0)
    assert Diagnostics("laplace", 1000, 1.0, pareto_k=k, gradient=0.0).problems() == ()
    _, k = smooth_ratios(rng.standard_cauchy(size=1000))
    problems = Diagnostics("laplace", 1000, 1.0, pareto_k=k, gradient=50.0).problems()
    assert "sample with nuts" in problems[0]
    assert "had not settled" in problems[1]
    assert smooth_ratios(np.array([0.0, np.nan]))[1] == np.inf


def test_draws_are_repeated_as_often_as_their_weight_says():
    weights = np.array([0.5, 0.0, 0.25, 0.25])
    np.testing.assert_array_equal(systematic(weights), [0, 0, 2, 3])


@pytest.mark.parametrize("inference", INFERENCES)
def test_a_saved_fit_is_read_back_to_the_last_bit(fits, data, query, tmp_path, inference):
    found = fits[inference]
    save_fit(found, tmp_path / "fit.nc")
    again = load_fit(tmp_path / "fit.nc", data)
    same((again.law, again.position, again.pivots), (found.law, found.position, found.pivots))
    for name in ("settings", "surface", "report", "seed", "chains"):
        assert getattr(again, name) == getattr(found, name)
    np.testing.assert_equal(asdict(again.diagnostics), asdict(found.diagnostics))
    assert again.table.to_csv_text() == data.to_csv_text()
    one, other = (forecast(f, query, key=KEY) for f in (found, again))
    np.testing.assert_array_equal(one.draws, other.draws)
    one, other = (forecast_table(f, key=KEY) for f in (found, again))
    np.testing.assert_array_equal(one.draws, other.draws)


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1000])


def _change_a_number(path):
    with h5py.File(path, "r+") as file:
        file["posterior/position"][0, 0] += 1e-6


def _rename(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "something else"


def _as_version_0_1(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "sloth-jax posterior 3"


def _not_netcdf(path):
    path.write_text("model,family\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_shorten, "cut off"),
        (_change_a_number, "changed since it was written"),
        (_rename, "its format is 'something else'"),
        (_as_version_0_1, "written by version 0.1, .*fit the table anew"),
        (_not_netcdf, "not a file of save_fit"),
        (Path.unlink, "no such file"),
    ],
)
def test_spoilt_files_are_refused_with_the_reason(fitted, tmp_path, spoil, reason):
    path = tmp_path / "fit.nc"
    save_fit(fitted, path)
    spoil(path)
    with pytest.raises(InputError, match=reason) as caught:
        load_fit(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_table_is_refused(fitted, data, tmp_path):
    save_fit(fitted, tmp_path / "fit.nc")
    fewer = data.subset(np.arange(len(data.models)) > 0)
    with pytest.raises(InputError, match="another table \\(models differ\\)"):
        load_fit(tmp_path / "fit.nc", fewer)
    changed = data.scores.copy()
    changed[0, 0] += 0.01
    with pytest.raises(InputError, match="another table \\(scores differ\\)"):
        load_fit(tmp_path / "fit.nc", replace(data, scores=changed))


@pytest.mark.filterwarnings("ignore")  # arviz warns of so few draws
def test_arviz_works_on_it(fits, data):
    az = import_arviz()
    tree = to_arviz(fits["nuts"])
    with jax.numpy_rank_promotion("allow"):
        loo = az.loo(tree)
    assert loo.n_data_points == len(data.lineages)
    summary = az.summary(tree, var_names=["noise"])
    assert list(summary.index) == [f"noise[{name}]" for name in data.benchmarks]
    slope = tree["posterior"]["slope"]
    assert slope.dims == ("chain", "draw", "column", "skill")
    assert slope.shape[:2] == (2, 30)
    assert "post_trained" in slope["column"]
