"""The sampler, its diagnostics, and forecasts from its draws, on a table with a known law."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import jax
import numpy as np
import numpyro
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import constrain_fn
from scipy import stats
from small import table

from sloth_jax import (
    InputError,
    SamplerSettings,
    forecast,
    load_posterior,
    sample_posterior,
    save_posterior,
    to_arviz,
)
from sloth_jax.contraction import contraction
from sloth_jax.diagnostics import diagnose, import_arviz
from sloth_jax.forecasting import forecast_table
from sloth_jax.identifiability import check_identifiability
from sloth_jax.law import linear_predictor, scores
from sloth_jax.observations import observe
from sloth_jax.posterior import log_likelihood
from sloth_jax.prior import hierarchical_law
from sloth_jax.query import Query
from sloth_jax.sampler import find_start, sample_in_parts
from sloth_jax.selection import (
    LeftOut,
    deal_lineages,
    leave_lineages_out,
    lineage_densities,
    refit_without_lineages,
)

QUICK = SamplerSettings(skills=1, warmup=150, draws=100, chains=2, start_steps=300)
QUERY = """model,family,lineage,post_trained,params_b,tokens_t
big,family0,lineage0,False,64,2
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
def posterior(data):
    return sample_posterior(data, key=jax.random.key(0), settings=QUICK)


@pytest.fixture(scope="module")
def predictions(posterior, data):
    frame = pd.read_csv(io.StringIO(QUERY))
    query = Query.from_frame(frame, data)
    return forecast(posterior, query, key=jax.random.key(1))


def test_expected_scores_cover_the_truth_of_hidden_scores(posterior, data):
    made, truth = table(noise=0.01)
    observations = observe(made, posterior.scaling)
    expected = np.asarray(scores(truth, observations.covariates, observations.family))
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), posterior.params)
    draws = jax.vmap(lambda p: scores(p, observations.covariates, observations.family))(flat)
    hidden = np.isnan(data.scores)
    lower, upper = np.quantile(draws, [0.005, 0.995], axis=0)
    inside = ((lower <= expected) & (expected <= upper))[hidden]
    assert np.abs(np.median(draws, axis=0) - expected)[hidden].mean() < 0.03
    # 99 % intervals of a well specified law; neighbours are correlated, so leave room.
    assert inside.mean() > 0.9


def test_models_of_the_table_are_predicted_by_their_own_scores(posterior, data):
    predicted = forecast_table(posterior, key=jax.random.key(2))
    assert predicted.draws.shape == (200, *data.scores.shape)
    assert predicted.models == data.models
    again = forecast_table(posterior, key=jax.random.key(2))
    np.testing.assert_array_equal(predicted.draws, again.draws)
    # What a model scored is predicted, but for the noise of measuring it anew.
    error = np.median(predicted.draws, axis=0) - data.scores
    assert np.nanmean(np.abs(error)) < 0.02
    made, _ = table(noise=0.01)
    lower, upper = predicted.interval(0.9)
    hidden = np.isnan(data.scores)
    assert ((lower <= made.scores) & (made.scores <= upper))[hidden].mean() > 0.8


def test_same_key_same_draws(posterior, data):
    again = sample_posterior(data, key=jax.random.key(0), settings=QUICK)
    for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(posterior.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_run_goes_on_to_the_same_draws(posterior, data, tmp_path, monkeypatch):
    monkeypatch.setattr("sloth_jax.checkpoint._EVERY", 0.0)
    kept = tmp_path / "fit.unfinished"
    observations = observe(data, posterior.scaling)
    passed = []

    def interrupt(count):
        passed.append(count)
        if len(passed) == 4:
            raise KeyboardInterrupt

    arguments = (observations, jax.random.key(0), QUICK, len(data.lineages))
    with pytest.raises(KeyboardInterrupt):
        sample_in_parts(*arguments, on_progress=interrupt, checkpoint=kept)
    before = kept.read_bytes()
    passed.clear()
    drawn, _ = sample_in_parts(*arguments, on_progress=passed.append, checkpoint=kept)
    assert passed[0] == 100  # what was done is not done again
    assert sum(passed) == 250
    for a, b in zip(jax.tree.leaves(drawn.params), jax.tree.leaves(posterior.params), strict=True):
        np.testing.assert_array_equal(a, b)
    other = (observations, jax.random.key(1), QUICK, len(data.lineages))
    with pytest.raises(InputError, match="a checkpoint of another table, other settings"):
        sample_in_parts(*other, checkpoint=kept)
    kept.write_bytes(before[:1000])
    with pytest.raises(InputError, match="no checkpoint of sampling: remove it"):
        sample_in_parts(*arguments, checkpoint=kept)


def test_odd_tables_are_sampled_all_the_same(data):
    made, _ = table(noise=0.01)
    measured = made.scores.copy()
    measured[1:, 0] = np.nan  # a benchmark with a single score
    measured[:, 1] = 0.5  # a constant column
    measured[4, 2], measured[5, 2], measured[6, 2] = 0.0, 1.0, 0.1  # the floor is 0.25
    size = made.params_b.copy()
    size[made.family == 0] = 7.0  # a family of one size
    odd = replace(made, scores=measured, params_b=size)
    fit = sample_posterior(odd, key=jax.random.key(0), settings=QUICK)
    query = Query.from_frame(pd.read_csv(io.StringIO(QUERY)), odd)
    summary = forecast(fit, query, key=jax.random.key(1)).summary()
    assert np.isfinite(summary[["median", "lower", "upper"]]).all(axis=None)
    wide = (summary["upper"] - summary["lower"]).groupby(summary["benchmark"]).mean()
    assert wide["MMLU"] > 0.2  # next to nothing is known of it


def test_draws_carry_chains_and_named_shapes(posterior, data):
    families, benchmarks = len(data.families), len(data.benchmarks)
    assert posterior.params.intercept.shape == (2, 100, families, 1)
    assert posterior.params.specific.shape == (2, 100, families, benchmarks)
    assert posterior.population.noise.shape == (2, 100, benchmarks)
    assert posterior.settings == QUICK


def test_intervals_widen_as_less_is_known(predictions):
    lower, upper = predictions.interval(0.9)
    known, in_lineage, new, unknown = (upper - lower).mean(axis=1)
    assert known < in_lineage < new
    assert new < 1.2 * unknown  # not knowing the post-training cannot narrow an interval
    np.testing.assert_array_equal(predictions.family_models, [4, 0, 0, 0])


def test_draws_are_scores(predictions):
    assert predictions.draws.shape == (200, 4, 4)
    assert (predictions.draws >= 0).all()
    assert (predictions.draws <= 1).all()


def test_summary_has_one_row_per_model_and_benchmark(predictions):
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


def test_a_model_has_the_same_draws_whatever_else_is_asked(posterior, data, predictions):
    frame = pd.read_csv(io.StringIO(QUERY)).iloc[[2, 0]]
    alone = forecast(posterior, Query.from_frame(frame, data), key=jax.random.key(1))
    np.testing.assert_allclose(alone.draws, predictions.draws[:, [2, 0]], atol=1e-12)


def test_noise_of_forecasts_has_the_scale_it_was_learnt_with(posterior, data):
    # Inside the link, forecasts of training models scatter normally around their predictors.
    frame = data.to_frame().drop(columns=list(data.benchmarks)).iloc[[3]]
    query = Query.from_frame(frame, data)
    # A queried model departs from its family by a draw of its own, which is taken away here.
    still = replace(
        posterior,
        population=posterior.population._replace(
            model_scale=jax.numpy.zeros_like(posterior.population.model_scale)
        ),
    )
    draws = forecast(still, query, key=jax.random.key(5)).draws[:, 0]
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), posterior.params)
    observations = observe(data, posterior.scaling)
    x, family = observations.covariates[3:4], observations.family[3:4]
    flat = flat._replace(own=None)
    expected = np.asarray(jax.vmap(lambda p: linear_predictor(p, x, family))(flat))[:, 0]
    share = (draws - data.floors) / (1 - data.floors)
    found = np.asarray(jax.vmap(lambda p, s: p.link.inverse(s[None])[0][0])(flat, share))
    scale = np.asarray(posterior.population.noise).reshape(-1, 4)
    inside = (draws > 0) & (draws < 1)
    standard = ((found - expected) / scale)[inside]
    assert stats.kstest(standard, stats.norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_levels_outside_the_unit_interval_are_refused(predictions, level):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        predictions.interval(level)


def test_a_forecast_from_a_posterior_needs_a_key(posterior, data):
    frame = pd.read_csv(io.StringIO(QUERY))
    with pytest.raises(ValueError, match="needs a random key"):
        forecast(posterior, Query.from_frame(frame, data))


def test_more_skills_than_benchmarks_are_refused(data):
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        sample_posterior(data, key=jax.random.key(0), settings=SamplerSettings(skills=5))


def _diagnose(expected, **changes):
    shape = expected.shape[:2]
    energy = np.random.default_rng(0).normal(size=shape)
    inputs = {"energy": energy, "diverging": np.zeros(shape, bool), "steps": np.full(shape, 7)}
    return diagnose(expected, **{**inputs, **changes})


def test_independent_draws_are_trusted():
    expected = np.random.default_rng(1).normal(size=(4, 500, 3))
    assert _diagnose(expected).problems() == ()


def test_chains_that_disagree_are_not():
    expected = np.random.default_rng(2).normal(size=(4, 500, 3))
    expected[0] += 1.0
    assert any("R-hat" in problem for problem in _diagnose(expected).problems())


def test_a_chain_that_sticks_is_not():
    steps = np.random.default_rng(3).normal(size=(4, 500, 1))
    problems = _diagnose(np.cumsum(steps, axis=1)).problems()
    assert any("ESS" in problem for problem in problems)


def test_divergences_and_energy_are_reported():
    expected = np.random.default_rng(4).normal(size=(4, 500, 1))
    diverging = np.zeros((4, 500), bool)
    diverging[0, :3] = True
    slow = np.cumsum(np.random.default_rng(5).normal(size=(4, 500)), axis=1)
    problems = _diagnose(expected, diverging=diverging, energy=slow).problems()
    assert any("3 of 2000 draws diverged" in problem for problem in problems)
    assert any("BFMI" in problem for problem in problems)


def test_a_single_chain_is_never_trusted():
    expected = np.random.default_rng(6).normal(size=(1, 500, 1))
    assert any("R-hat nan" in problem for problem in _diagnose(expected).problems())


def test_a_saved_posterior_is_read_back_to_the_last_bit(posterior, data, tmp_path):
    save_posterior(posterior, tmp_path / "fit.nc")
    again = load_posterior(tmp_path / "fit.nc", data)
    for name in ("params", "population", "trace"):
        one, other = getattr(posterior, name), getattr(again, name)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert again.settings == posterior.settings
    assert again.diagnostics == posterior.diagnostics
    assert again.scaling == posterior.scaling
    assert again.table.to_csv_text() == data.to_csv_text()
    query = Query.from_frame(pd.read_csv(io.StringIO(QUERY)), data)
    key = jax.random.key(1)
    np.testing.assert_array_equal(
        forecast(again, query, key=key).draws, forecast(posterior, query, key=key).draws
    )


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1000])


def _change_a_number(path):
    with h5py.File(path, "r+") as file:
        file["posterior/bias"][0, 0, 0] += 1e-6


def _rename(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "something else"


def _not_netcdf(path):
    path.write_text("model,family\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_shorten, "cut off"),
        (_change_a_number, "changed since it was written"),
        (_rename, "its format is 'something else'"),
        (_not_netcdf, "not a file of save_posterior"),
        (Path.unlink, "no such file"),
    ],
)
def test_spoilt_files_are_refused_with_the_reason(posterior, tmp_path, spoil, reason):
    path = tmp_path / "fit.nc"
    save_posterior(posterior, path)
    spoil(path)
    with pytest.raises(InputError, match=reason) as caught:
        load_posterior(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_table_is_refused(posterior, data, tmp_path):
    save_posterior(posterior, tmp_path / "fit.nc")
    fewer = data.subset(np.arange(len(data.models)) > 0)
    with pytest.raises(InputError, match="another table \\(models differ\\)"):
        load_posterior(tmp_path / "fit.nc", fewer)
    changed = data.scores.copy()
    changed[0, 0] += 0.01
    with pytest.raises(InputError, match="another table \\(scores differ\\)"):
        load_posterior(tmp_path / "fit.nc", replace(data, scores=changed))


@pytest.mark.filterwarnings("ignore")  # arviz warns of so few draws
def test_arviz_works_on_it(posterior, data):
    az = import_arviz()
    tree = to_arviz(posterior)
    with jax.numpy_rank_promotion("allow"):
        loo = az.loo(tree)
    assert loo.n_data_points == np.isfinite(data.scores).sum()
    summary = az.summary(tree, var_names=["noise"])
    assert list(summary.index) == [f"noise[{name}]" for name in data.benchmarks]


def test_log_likelihood_is_the_density_that_noise_is_drawn_from(posterior, data):
    # of the first observed score, by a difference of the normal's distribution function
    entry = log_likelihood(posterior)[0, 0, 0]
    model, benchmark = (int(at[0]) for at in np.nonzero(data.observed))
    params, population = jax.tree.map(lambda a: a[0, 0], (posterior.params, posterior.population))
    observations = observe(data, posterior.scaling)
    expected = linear_predictor(params, observations.covariates, observations.family)
    floor, score = data.floors[benchmark], data.scores[model, benchmark]

    def below(score):
        share = np.full((1, 4), (score - floor) / (1 - floor))
        reached = params.link.inverse(share)[0][0, benchmark]
        return stats.norm.cdf(
            reached, expected[model, benchmark], population.noise[benchmark]
        )  # fmt: skip

    density = (below(score + 1e-5) - below(score - 1e-5)) / 2e-5
    assert entry == pytest.approx(np.log(density), abs=1e-4)


@pytest.mark.parametrize("inference", ["laplace", "svi"])
def test_approximations_predict_like_the_posterior_and_say_what_they_are(
    posterior, data, inference
):
    with jax.numpy_rank_promotion("allow"):  # NumPyro's guides broadcast
        rough = sample_posterior(
            data, key=jax.random.key(0), settings=replace(QUICK, inference=inference)
        )
    assert inference in rough.diagnostics.problems()[0]
    observations = observe(data, posterior.scaling)

    def expected(fit):
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), fit.params)
        x, family = observations.covariates, observations.family
        return np.asarray(jax.vmap(lambda p: scores(p, x, family))(flat))

    one, other = expected(rough), expected(posterior)
    assert np.abs(one.mean(axis=0) - other.mean(axis=0)).max() < 0.05
    ratio = one.std(axis=0) / other.std(axis=0)
    assert 0.5 < np.median(ratio) < 1.5


def test_lineage_densities_are_the_density_that_is_sampled(posterior, data):
    # Without effects of models both are the same integral: one by elimination, one dense.
    position = posterior.trace.position[0, 0]
    observations = observe(data, posterior.scaling)
    start = find_start(observations, jax.random.key(0), QUICK, 3)
    _, unravel = ravel_pytree(start.sites)
    sites = unravel(position)
    sites["own"] = jax.numpy.zeros_like(sites["own"])
    joint = partial(hierarchical_law, skills=1, lineages=3, gauge=start.gauge)
    values = constrain_fn(joint, (observations,), {}, sites)
    traced = numpyro.handlers.trace(numpyro.handlers.substitute(joint, values))
    site = traced.get_trace(observations)["scores"]
    still = posterior.population._replace(
        model_scale=jax.numpy.zeros_like(posterior.population.model_scale)
    )
    found = lineage_densities(replace(posterior, population=still), draws=200)
    assert found.shape == (2, 100, 3)
    assert found[0, 0].sum() == pytest.approx(float(site["fn"].log_factor), rel=1e-8)


@pytest.mark.filterwarnings("ignore")  # arviz warns of so few draws
def test_lineages_can_be_left_out(posterior, data):
    left = leave_lineages_out(posterior, draws=100)
    assert left.lineages == data.lineages
    # What was left out is predicted worse than what was there.
    densities = lineage_densities(posterior, draws=100)
    assert (left.elpd < densities.mean(axis=(0, 1))).all()
    difference, error = left.less_than(left)
    assert (difference, error) == (0.0, 0.0)


def test_another_result_is_better_by_its_sum_and_the_scatter_of_its_parts():
    one = LeftOut(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    other = LeftOut(one.lineages, np.array([2.0, 4.0, 3.0]), np.zeros(3))
    difference, error = one.less_than(other)
    assert difference == other.total - one.total == 3.0
    assert error == pytest.approx(np.sqrt(3.0))  # of 1, 2, 0: sqrt(3) times a deviation of 1


def test_a_single_lineage_cannot_be_left_out(posterior, data):
    one = np.where((data.lineage_of_family[data.family] == 0)[:, None], data.scores, np.nan)
    alone = replace(posterior, table=replace(data, scores=one))
    with pytest.raises(InputError, match="two lineages"):
        leave_lineages_out(alone)


def test_contraction_tells_what_the_table_decided(posterior):
    found = contraction(posterior)
    by = found.set_index(["parameter", "of"])
    # Six families on four benchmarks tell biases and noise, and hardly a link's every piece.
    assert by.loc[("log noise", "MMLU"), "contraction"] > 0.5
    assert by.loc[("length of slope", "log_params"), "contraction"] > 0.5
    tilts = found[found["parameter"].str.startswith("link tilt")]
    assert tilts["prior_decides"].any()
    assert (found["contraction"] <= 1.0).all()
    np.testing.assert_array_equal(found["prior_decides"], found["contraction"] < 0.5)
    # half of a normal's length: chi with one degree of freedom
    assert by.loc[("length of loadings", "ARC"), "prior_sd"] == pytest.approx(
        0.4 * np.sqrt(1.0 - 2.0 / np.pi)
    )


def test_the_check_travels_with_the_posterior(posterior, data, tmp_path):
    assert posterior.report == check_identifiability(data, skills=1)
    save_posterior(posterior, tmp_path / "posterior.nc")
    assert load_posterior(tmp_path / "posterior.nc").report == posterior.report


def test_lineages_are_dealt_evenly_and_never_split(data):
    groups = deal_lineages(data, 2)
    assert set(groups) == {0, 1}
    of_model = data.lineage_of_family[data.family]
    held = np.bincount(groups[of_model], data.observed.sum(axis=1))
    assert held.max() / held.min() < 3.0
    empty = data.hide(of_model == 0)
    assert deal_lineages(empty, 2)[0] == -1
    with pytest.raises(InputError, match="4 groups of lineages need as many lineages"):
        deal_lineages(data, 4)


def test_refits_predict_lineages_they_never_saw(data):
    settings = replace(QUICK, warmup=50, draws=50, max_tree_depth=4)
    found = refit_without_lineages(data, key=jax.random.key(0), settings=settings, groups=3)
    assert found.lineages == data.lineages
    assert found.scores.sum() == data.observed.sum()
    assert 0.01 < found.mean < 0.3  # a family nobody knows is not predicted to the noise
    worse = replace(found, crps=found.crps + np.array([0.1, 0.2, 0.3]))
    behind, error = worse.more_than(found)
    assert behind * found.scores.sum() == pytest.approx(0.6)
    assert error * found.scores.sum() == pytest.approx(np.sqrt(3) * 0.1)
