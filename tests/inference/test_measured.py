"""Scores that are not all alike: standard errors, numbers of items, and sources that differ."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small import table

from sloth_jax.data.joining import add_models
from sloth_jax.data.leaderboard import error_of_share
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.forecasting.forecast import forecast, forecast_table
from sloth_jax.forecasting.predictive_law import predictive_law
from sloth_jax.forecasting.query import load_query
from sloth_jax.inference.arviz_groups import lineage_log_likelihoods
from sloth_jax.inference.fit import fit as fit_law
from sloth_jax.inference.storage import load_fit, save_fit
from sloth_jax.law.predictive import predict_table

MEASURED = """model,family,post_trained,params_b,tokens_t,MMLU,MMLU se,Mine,mine_items,source
a-1b,a,false,1,1,0.30,0.01,0.2,50,board
a-7b,a,false,7,1,0.45,,0.4,50,board
b-1b,b,false,1,2,0.35,0.02,0.0,200,ours
b-7b,b,false,7,2,0.50,0,,,ours
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "table.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_what_is_said_of_scores_is_read(write, tmp_path):
    found = load_leaderboard(write(MEASURED))
    assert found.benchmarks == ("MMLU", "Mine")
    errors = found.standard_errors
    # Where a program writes zero it does not know.
    np.testing.assert_array_equal(errors[:, 0], [0.01, np.nan, 0.02, np.nan])
    assert errors[0, 1] == pytest.approx(np.sqrt(0.2 * 0.8 / 50))
    assert errors[2, 1] == error_of_share(np.array(0.0), np.array(200.0)) > 0.0
    assert found.items[1] == pytest.approx(50.0)
    assert found.sources == ("board", "ours")
    assert found.source[:, 0].tolist() == [0, 0, 1, 1]
    # Half of a benchmark's scores say nothing of the others; more than half do.
    assert np.isnan(found.items[0])
    assert found.sampling_error()[1, 0] == 0.0
    most = load_leaderboard(write(MEASURED.replace("0.50,0,", "0.50,0.03,")))
    assert most.sampling_error()[1, 0] == pytest.approx(np.sqrt(0.45 * 0.55 / most.items[0]))
    again_at = tmp_path / "again.csv"
    found.to_csv(again_at)
    again = load_leaderboard(again_at)
    for name in ("scores", "standard_errors", "source", "sources"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name), name)
    np.testing.assert_allclose(again.items, found.items)
    fewer = found.select_benchmarks(["Mine"]).subset(np.array([True, False, True, False]))
    assert fewer.standard_errors.shape == fewer.source.shape == (2, 1)
    assert fewer.items.shape == (1,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.01,0.2", "1.5,0.2", r"row 2 .*'MMLU se'.*standard errors are fractions"),
        ("0.01,0.2", "-0.1,0.2", "standard errors are fractions"),
        ("0.01,0.2", "few,0.2", "not a number"),
        (",50,board", ",0.5,board", r"row 2 .*'mine_items'.*at least one item"),
        ("mine_items", "MMLU_stderr", "means the same as 'MMLU se'"),
    ],
)
def test_bad_cells_about_scores_are_refused(write, old, new, message):
    with pytest.raises(TableError, match=message):
        load_leaderboard(write(MEASURED.replace(old, new, 1)))


def test_many_sources_are_notes(write):
    rows = "".join(f"m{k},f,false,{k + 1},1,0.5,page {k}\n" for k in range(9))
    found = load_leaderboard(
        write(f"model,family,post_trained,params_b,tokens_t,MMLU,source\n{rows}")
    )
    assert found.sources == ("",)
    assert any("9 different sources" in note for note in found.warnings)


def test_what_is_said_of_added_scores_comes_with_them(write):
    found = load_leaderboard(write(MEASURED))
    mine = write(
        "model,family,params_b,tokens_t,MMLU,MMLU se,source\nours-3b,b,3,2,0.4,0.05,lab\n"
        "a-1b,,,,0.31,,lab\n",
        "mine.csv",
    )
    joined = add_models(found, mine)
    at = {model: row for row, model in enumerate(joined.models)}
    assert joined.standard_errors[at["ours-3b"], 0] == 0.05
    assert np.isnan(joined.standard_errors[at["a-1b"], 0])  # that of the score it replaces is gone
    assert joined.sources[joined.source[at["ours-3b"], 0]] == "lab"
    assert joined.sources[joined.source[at["a-1b"], 1]] == "board"


@pytest.fixture(scope="module")
def measured():
    """A table whose last family was measured by a source that scores answers more strictly."""
    made, _ = table(noise=0.01)
    source = np.zeros(made.scores.shape, int)
    source[::3] = 1
    scores = made.scores.copy()
    scores[::3, 0] -= 0.06
    errors = np.full(made.scores.shape, np.nan)
    scores[1, 1] += 0.15  # by few items, and off
    errors[1, 1] = 0.1
    items = np.array([np.nan, np.nan, np.nan, 40.0])
    return replace(
        made,
        scores=scores,
        source=source,
        sources=("board", "lab"),
        standard_errors=errors,
        items=items,
    )


@pytest.fixture(scope="module")
def fit(measured):
    return fit_law(measured, key=jax.random.key(0), skills=1, steps=60, draws=200)


def test_offsets_of_sources_are_learnt_and_taken_off(fit, measured):
    offset = np.asarray(fit.law.offset)
    assert offset.shape == (200, 2, 4)
    assert (offset[..., 0, :] == 0.0).all()  # the main source
    assert np.quantile(offset[..., 1, 0], 0.95) < 0.0
    quiet = np.abs(offset[..., 1, 1:].mean(axis=0))
    assert (quiet < np.abs(offset[..., 1, 0].mean())).all()
    made, _ = table(noise=0.01)
    predicted = np.median(forecast_table(fit, key=jax.random.key(1)).draws, axis=0)
    moved = np.mean(predicted[::3, 0] - made.scores[::3, 0])
    assert abs(moved) < 0.03  # half of what it was measured too low


def test_a_score_of_few_items_weighs_less(fit, measured):
    predicted = np.median(forecast_table(fit, key=jax.random.key(1)).draws, axis=0)
    made, _ = table(noise=0.01)
    assert abs(predicted[1, 1] - made.scores[1, 1]) < 0.05


def test_forecasts_scatter_by_the_number_of_items(fit, measured):
    text = "model,family,params_b,tokens_t\nbig,family0,12,2\n"
    query = load_query(pd.read_csv(io.StringIO(text)), measured)
    items = np.nan_to_num(measured.items, nan=np.inf)
    scores = jax.jit(jax.vmap(lambda law, x, basis: law.scores(x, basis, items), (0, 0, None)))

    def drawn(key):
        """Scores with the luck of the items and, by the same laws and effects, without."""
        law = predictive_law(fit, query, key)
        x, basis = law.design(fit.surface, query.params_b, query.tokens_t, query.active_params_b)
        sure = replace(law, item_noise=jnp.zeros_like(law.item_noise))
        return [np.asarray(scores(one, x, basis))[:, 0, 3] for one in (law, sure)]

    # Several draws of effects and noise: the variance of 200 draws alone is a tenth off.
    few, many = np.array([drawn(jax.random.key(seed)) for seed in range(20)]).swapaxes(0, 1)
    # Two programs, which a GPU need not round alike.
    whole = forecast(fit, query, key=jax.random.key(0)).draws[:, 0, 3]
    np.testing.assert_allclose(whole, few[0], rtol=1e-12)
    np.testing.assert_allclose(
        np.mean((few - many) ** 2), np.mean(many * (1 - many)) / 40, rtol=0.1
    )
    # To learn from scores of few items is another matter: the effects are less sure by them.
    known = replace(fit, table=replace(measured, items=np.full(4, np.nan)))
    surer = [forecast(known, query, key=jax.random.key(seed)).draws[:, 0, 3] for seed in range(20)]
    assert np.mean(np.var(surer, axis=1)) < np.mean(np.var(many, axis=1))


def test_files_and_densities_know_of_both(fit, measured, tmp_path):
    save_fit(fit, tmp_path / "fit.nc")
    back = load_fit(tmp_path / "fit.nc", measured)
    np.testing.assert_array_equal(back.law.offset, fit.law.offset)
    assert back.table.sources == measured.sources
    # Where the error is large, no draw is surprised by the score.
    sure = np.asarray(measured.standard_errors).copy()
    sure[1, 1] = np.nan
    surprised = replace(fit, table=replace(measured, standard_errors=sure))
    lineage = measured.lineage_of_family[measured.family[1]]
    found, other = (np.asarray(lineage_log_likelihoods(one)) for one in (fit, surprised))
    assert np.isfinite(found).all()
    assert found[:, lineage].mean() > other[:, lineage].mean() + 5.0


def test_a_score_is_predicted_as_its_own_source_measures_it_where_that_is_asked(fit, measured):
    law = jax.tree.map(lambda a: a[0], fit.law)
    by_main, by_own = (jax.jit(partial(predict_table, own_source=asked)) for asked in (False, True))
    main, own = (np.asarray(by(fit.observations, law)) for by in (by_main, by_own))
    low = np.arange(len(measured.models)) % 3 == 0
    np.testing.assert_allclose(main[~low], own[~low], atol=1e-12)
    assert (own[low, 0] < main[low, 0]).all()
    # Hidden scores too: their source is known.
    hidden = fit.observations._replace(observed=fit.observations.observed.at[0].set(False))
    assert by_own(hidden, law)[0, 0] < by_main(hidden, law)[0, 0]
