"""Requirements against forecasts."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from laws import KEY, UNIT

from sloth_jax.forecasting.forecast import forecast
from sloth_jax.planning.budget import Bounds, Split
from sloth_jax.planning.family import Family
from sloth_jax.planning.objective import (
    covariates_of,
    objective_of,
    predicted_value,
    predictive_law_of,
    reaching,
)
from sloth_jax.planning.requirement import required
from sloth_jax.planning.targets import find_target


@pytest.mark.parametrize("given", [{"tokens_t": 2.0}, {"params_b": 16.0}, {}])
def test_require_inverts_the_forecast(given, fit, data):
    found = required(fit, "MMLU", 0.6, family="family0", probability=0.7, key=KEY, **given)
    assert found.reached
    query = Family("family0").query(data, np.array([found.params_b]), np.array([found.tokens_t]))
    share = (forecast(fit, query, key=KEY).draws[:, 0, 0] >= 0.6).mean()
    assert share == pytest.approx(found.probability, abs=1e-12)
    assert found.probability == pytest.approx(0.7, abs=0.02)
    assert found.flops == pytest.approx(UNIT * found.params_b * found.tokens_t)


def test_what_cannot_be_reached_is_said(fit):
    found = required(
        fit,
        "MMLU",
        0.9,
        family="family0",
        probability=0.9,
        tokens_t=1.0,
        key=KEY,
        bounds=Bounds((0.1, 4.0)),
    )
    assert not found.reached
    assert found.probability < 0.9
    assert "not within bounds; most probable is " in repr(found)
    assert len(repr(found)) < 300


@pytest.mark.parametrize("score", [0.05, 0.3, 0.62, 0.97])
@pytest.mark.parametrize("items", [np.nan, 25.0])
def test_lines_of_predictors_say_which_scores_are_reached(score, items, fit):
    some = replace(fit, table=replace(fit.table, items=np.full(len(fit.table.benchmarks), items)))
    law = predictive_law_of(some, Family("family0"), KEY)
    objective = objective_of(law, find_target("MMLU", fit.table.benchmarks), some, None)
    sizes = np.linspace(-3.0, 9.0, 60)
    at = covariates_of(some, Family("family0"))(Split(sizes, 0.3 * sizes))
    lines = np.asarray(reaching(objective, score))
    found = lines @ np.concatenate([np.ones((60, 1)), *map(np.asarray, at)], axis=1).T >= 0.0
    scores = np.asarray(jax.vmap(lambda one: predicted_value(one, at))(objective))
    assert 0 < (scores >= score).sum() <= scores.size
    np.testing.assert_array_equal(found, scores >= score)


def test_a_score_below_all_that_a_link_gives_is_reached_by_everything(fit):
    # MMLU has a floor of a quarter, and the link ends at 0.15 of the range below it.
    found = required(fit, "MMLU", 0.1, family="family0", params_b=1.0, key=KEY)
    assert (found.curve["probability"] == 1.0).all()
