"""A table with its gaps filled: frames, units, summaries."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from quick_fits import KEY, half_observed, quick_fit

from sloth_jax import forecast_table
from sloth_jax.forecasting import complete
from sloth_jax.forecasting.completion import COLUMNS
from sloth_jax.identifiability.score_scales import ScoreScale

PERCENT = ScoreScale("percent", 0.0, 100.0)
ELO = ScoreScale("unbounded", 1000.0, 1100.0)


@pytest.fixture(scope="module")
def found():
    return complete(quick_fit(), key=KEY, scales=(PERCENT, *[ScoreScale()] * 2, ELO))


def test_every_cell_has_a_row_and_gaps_an_interval(found):
    table, rows = half_observed(), found.to_frame(0.8)
    assert tuple(rows.columns) == COLUMNS
    assert len(rows) == table.scores.size
    np.testing.assert_array_equal(rows["status"] == "measured", table.observed.ravel())
    np.testing.assert_array_equal(rows["score"].notna(), table.observed.ravel())
    assert (rows["lower"] <= rows["median"]).all()
    assert (rows["median"] <= rows["upper"]).all()


def test_answers_are_in_the_units_of_each_benchmark(found):
    shares = np.median(forecast_table(quick_fit(), key=KEY).draws, axis=0)
    median, lower, upper = found.ends()
    np.testing.assert_allclose(median[:, 0], 100.0 * shares[:, 0])
    np.testing.assert_allclose(median[:, 1], shares[:, 1])
    inside = np.clip(shares[:, 3], 0.002, 0.998)
    np.testing.assert_allclose(median[:, 3], 1000.0 + 100.0 * np.log(inside / (1.0 - inside)))
    widths = found.by_benchmark()
    gaps = ~half_observed().observed
    assert widths["width"][0] == np.median((upper - lower)[gaps[:, 0], 0])
    assert (widths["measured"] + widths["predicted"] == len(half_observed().models)).all()


def test_a_wide_table_has_the_scores_and_fills_the_gaps(found):
    table, wide = half_observed(), found.to_wide()
    assert list(wide["model"]) == list(table.models)
    seen = table.observed[:, 1]
    np.testing.assert_array_equal(wide["ARC"][seen], table.scores[seen, 1])
    np.testing.assert_array_equal(wide["ARC lower"].isna(), seen)
    assert (wide["ARC lower"] <= wide["ARC"])[~seen].all()
    assert (wide["ARC"] <= wide["ARC upper"])[~seen].all()


def test_a_summary_says_of_whom_nothing_is_known(found):
    lines = found.summary()
    gaps = int((~half_observed().observed).sum())
    assert lines[0].startswith(f"{gaps} gaps of {half_observed().scores.size} cells filled")
    assert not found.unknown()
    scores = np.where(found.table.family[:, None] == 5, np.nan, found.table.scores)
    families = np.where(found.table.family == 5, 0, 4)
    forecast = replace(found.forecast, family_models=families)
    silent = replace(found, table=replace(found.table, scores=scores), forecast=forecast)
    assert len(silent.unknown()) == 4
    assert "nothing but size and tokens is known of family5-0" in silent.summary()[-1]
    silenced = (~silent.table.observed.any(axis=1)).sum()
    what = f"{silenced} models without a score: median width"
    assert any(line.startswith(what) for line in silent.summary())


def test_without_scales_scores_are_fractions():
    rows = complete(quick_fit(), key=jax.random.key(3)).to_frame()
    measured = rows["status"] == "measured"
    table = half_observed()
    np.testing.assert_array_equal(rows["score"][measured], table.scores[table.observed])
