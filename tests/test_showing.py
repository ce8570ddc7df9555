"""Results show themselves in one line, and in notebooks with a table, never by whole arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from quick_fits import KEY, QUERY, half_observed, quick_fit, read_query

import sloth_jax as sj
from sloth_jax.showing import Shown, some


@pytest.fixture(scope="module")
def results():
    """One of each kind that a user holds."""
    fit, data = quick_fit(), half_observed()
    query = read_query(QUERY, data)
    return {
        "table": data,
        "query": query,
        "fit": fit,
        "forecast": sj.forecast(fit, query, key=KEY),
        "skills": sj.interpret_skills(fit, key=KEY),
        "task": sj.Task("mine", data.models, np.zeros(len(data.models))),
    }


def test_each_is_one_line(results):
    lines = {name: repr(found) for name, found in results.items()}
    assert all(len(line) < 250 and "\n" not in line for line in lines.values())
    assert lines["table"].startswith(
        "Leaderboard(24 models of 6 families in 3 lineages, 4 benchmarks, "
    )
    assert lines["query"] == "Query(4 models: big, new-in-lineage, new and 1 more)"
    assert lines["forecast"] == "Forecast(4 models, 4 benchmarks, 60 draws, by laplace)"
    assert lines["fit"].startswith("Fit(24 models, 4 benchmarks, 1 skill, smooth surface; laplace")
    assert lines["skills"].startswith("Skills(skill 1; 4 benchmarks, 60 draws; ")
    assert lines["task"].startswith("Task(name='mine', models=tuple of 24, scores=float64[24]")


def test_notebooks_get_a_short_table(results):
    for name in ("table", "query", "fit", "forecast", "skills"):
        page = results[name]._repr_html_()
        assert page.count("<tr") <= 14, name
        assert "<p>" in page
    assert results["task"]._repr_html_() is None
    assert "lower" in results["forecast"]._repr_html_()


def test_results_have_names_along_their_dimensions(results):
    score = results["forecast"].to_xarray()
    assert score.dims == ("draw", "model", "benchmark")
    picked = score.sel(model="big", benchmark="MMLU")
    np.testing.assert_array_equal(picked, results["forecast"].draws[:, 0, 0])
    assert score.sel(model="new")["family_models"] == 0
    skills = results["skills"].to_xarray()
    assert skills["theta"].dims == ("draw", "model", "skill")
    assert skills["loading"].sel(skill="skill 1").dims == ("draw", "benchmark")


def test_letters_of_names_are_no_markup():
    @dataclass(frozen=True, repr=False)
    class Thing(Shown):
        name: str
        values: np.ndarray

        def _rows(self) -> pd.DataFrame:
            return pd.DataFrame({"name": [self.name]})

    thing = Thing("<b>", np.zeros((2, 3)))
    assert repr(thing) == "Thing(name='<b>', values=float64[2, 3])"
    assert "<b>" not in thing._repr_html_()


def test_some_names():
    assert some(("a", "b", "c")) == "a, b, c"
    assert some(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"
