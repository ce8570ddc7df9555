"""Candidates side by side, elasticities, and models outside the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from laws import KEY, NOBODY, known, law_at

from sloth_jax.forecasting.extrapolation import beyond, beyond_in_words
from sloth_jax.forecasting.forecast import forecast
from sloth_jax.forecasting.query import load_query
from sloth_jax.planning.comparison import compare
from sloth_jax.planning.elasticities import elasticity
from sloth_jax.skills.interpret import interpret_skills


def test_candidates_are_compared_draw_by_draw(fit, data):
    frame = pd.DataFrame(
        {
            "model": ["small", "large", "stranger"],
            "family": ["family0", "family0", "nobody"],
            "params_b": [1.0, 64.0, 8.0],
            "tokens_t": [1.0, 2.0, 2.0],
        }
    )
    query = load_query(frame, data)
    rows = compare(fit, query, target={"MMLU": 1, "ARC": 1}, key=KEY)
    total = rows.groupby("benchmark")["probability_best"].sum()
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    predicted = forecast(fit, query, key=KEY).draws
    overall = predicted[:, :, :2].mean(axis=2)
    shown = rows[rows["benchmark"].str.contains(r"\+", regex=True)].set_index("model")
    assert len(shown) == 3
    for m, name in enumerate(frame["model"]):
        assert shown.loc[name, "mean"] == pytest.approx(overall[:, m].mean())
        assert shown.loc[name, "probability_best"] == pytest.approx(
            (overall.argmax(axis=1) == m).mean()
        )
    assert list(shown["family_models"]) == [4, 4, 0]


def test_elasticity_is_the_change_of_the_law(fit, plain):
    of_law = known(2, plain)
    rows = elasticity(of_law, 8.0, 2.0, family=NOBODY, key=KEY)
    start = law_at(of_law, 8.0, 2.0)
    for more, at in (("params", (8.08, 2.0)), ("tokens", (8.0, 2.02))):
        shown = rows[rows["more"] == more]["median"]
        np.testing.assert_allclose(shown, (law_at(of_law, *at) - start)[0, 0], atol=1e-8)
    rows = elasticity(
        fit, 8.0, 2.0, family="family0", key=KEY, skills=interpret_skills(fit, key=KEY)
    )
    assert (rows["kind"] == "skill").sum() == 2
    assert (rows["lower"] < rows["upper"]).all()


def test_where_a_query_lies_outside_is_told(data):
    top = data.params_b.max()
    factors = beyond(data, np.array([top, 3.0 * top]), np.array([2.0, 2.0]))
    assert factors["params_b"].tolist() == pytest.approx([1.0, 3.0])
    words = beyond_in_words(data, np.array([4.0, 3.0 * top]), np.array([2.0, 2.0]))
    assert words[0] == ""
    assert "params_b 3 x the largest" in words[1]
