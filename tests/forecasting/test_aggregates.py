"""Aggregates of groups: means of the draws of their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small import table

import sloth_jax as sj
from sloth_jax.forecasting.aggregates import aggregation, with_aggregates

PLAIN, _ = table()
TABLE = replace(PLAIN, group_of_benchmark=("S", "", "S", "S"))
DRAWS = np.random.default_rng(0).random((50, 3, 4))
FORECAST = sj.Forecast(
    ("a", "b", "c"), TABLE.benchmarks, DRAWS, np.array([0, 1, 2]), "laplace", ("", "far", "")
)


def test_an_aggregate_is_the_mean_of_its_parts_in_every_draw():
    found = sj.aggregate(FORECAST, TABLE)
    assert found.benchmarks == ("S",)
    np.testing.assert_allclose(found.draws[:, :, 0], DRAWS[:, :, [0, 2, 3]].mean(axis=2))
    rows = found.summary(0.8)
    assert list(rows.columns) == list(FORECAST.summary(0.8).columns)
    assert rows["outside"].tolist() == ["", "far", ""]
    np.testing.assert_allclose(
        rows["lower"], np.quantile(DRAWS[:, :, [0, 2, 3]].mean(axis=2), 0.1, axis=0)
    )


def test_parts_count_by_their_items_where_all_are_known_or_as_asked():
    items = replace(TABLE, items=np.array([100.0, np.nan, 200.0, 700.0]))
    weights = np.array([0.1, 0.0, 0.2, 0.7])
    np.testing.assert_allclose(aggregation(items).weights, weights[None])
    np.testing.assert_allclose(aggregation(items).floors, [weights @ TABLE.floors])
    assert aggregation(items).words == ("S is the mean of 3 benchmarks, weighted by their items",)
    some = replace(TABLE, items=np.array([100.0, np.nan, np.nan, 700.0]))
    assert aggregation(some).words == ("S is the mean of 3 benchmarks, all the same",)
    given = sj.aggregate(FORECAST, items, weights={TABLE.benchmarks[0]: 1.0})
    np.testing.assert_allclose(given.draws[:, :, 0], DRAWS[:, :, 0])


def test_aggregates_follow_the_benchmarks():
    both, floors = with_aggregates(FORECAST, TABLE)
    assert both.benchmarks == (*TABLE.benchmarks, "S")
    np.testing.assert_array_equal(both.draws[:, :, :4], DRAWS)
    assert floors.shape == (5,)
    assert with_aggregates(FORECAST, PLAIN)[0] is FORECAST


@pytest.mark.parametrize(
    "weights", [{"Nope": 1.0}, {"MMLU": -1.0}, {"MMLU": 0.0}, {"MMLU": float("nan")}]
)
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(sj.InputError, match="weigh"):
        sj.aggregate(FORECAST, TABLE, weights=weights)


def test_a_table_without_groups_has_no_aggregate():
    with pytest.raises(sj.InputError, match="no group of benchmarks"):
        sj.aggregate(FORECAST, PLAIN)
