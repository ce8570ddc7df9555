"""Figures of plans hold the plan's numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from artists import labelled

from sloth_jax.planning import FLOPS_UNIT, Bounds, Family, Plan, Requirement, Target
from sloth_jax.plotting import (
    plot_candidates,
    plot_frontier,
    plot_reached,
    plot_requirement,
    plot_splits,
)

BUDGETS = np.array([1e22, 1e23, 1e24])


@pytest.fixture
def plan() -> Plan:
    size, tokens = np.array([1.0, 3.0, 9.0]), np.array([2.0, 6.0, 18.0])
    frontier = pd.DataFrame(
        {
            "flops": BUDGETS,
            "params_b": size,
            "tokens_t": tokens,
            "mean": [0.4, 0.5, 0.6],
            "lower": [0.3, 0.4, 0.5],
            "upper": [0.5, 0.6, 0.7],
            "params_b_lower": size / 2,
            "params_b_upper": size * 2,
            "tokens_t_lower": tokens / 2,
            "tokens_t_upper": tokens * 2,
            "params_b_least": size / 1.5,
            "params_b_most": size * 1.5,
            "outside": ["", "", "tokens_t 2 x the largest"],
        }
    )
    along = np.geomspace(0.5, 4.0, 9)
    mean = 0.4 - 0.05 * np.log(along) ** 2
    splits = pd.DataFrame(
        {
            "flops": 1e22,
            "params_b": along,
            "tokens_t": 2.0 / along,
            "mean": mean,
            "lower": mean - 0.1,
            "upper": mean + 0.1,
        }
    )
    target = Target("MMLU", (0,), (1.0,))
    return Plan(Family("mine"), target, Bounds(), 0.8, frontier, splits, 2, "laplace")


def spans(collection) -> np.ndarray:
    """Smallest and largest x and y of a filled region, ``(2, 2)``."""
    points = np.concatenate([path.vertices for path in collection.get_paths()])
    return np.stack([points.min(axis=0), points.max(axis=0)])


def test_splits_mark_the_recommended_one(plan, ax):
    assert plot_splits(plan, 1e22, ax=ax) is ax
    found = labelled(ax)
    np.testing.assert_array_equal(found["expected"].get_xdata(), plan.splits["params_b"])
    np.testing.assert_array_equal(found["expected"].get_ydata(), plan.splits["mean"])
    marked = found["recommended: 1 B on 2 T, 80 % intervals"]
    assert (*marked.get_xdata(), *marked.get_ydata()) == (1.0, 0.4)
    across, upwards = (c for c in ax.collections if len(c.get_paths()[0].vertices) == 2)
    np.testing.assert_allclose(spans(across)[:, 0], [0.5, 2.0])  # what the command prints
    np.testing.assert_allclose(spans(upwards)[:, 1], [0.3, 0.5])
    (band,) = (c for c in ax.collections if c.get_label() == "80 % interval of the law")
    np.testing.assert_allclose(spans(band)[:, 0], [0.5, 4.0])
    assert ax.get_title(loc="left") == "mine, 1e+22 FLOPs"
    assert ax.get_ylabel() == "MMLU"
    assert ax.get_xscale() == "log"


def test_bounds_that_stop_a_choice_are_drawn(plan, ax):
    inside = labelled(plot_frontier(plan, "tokens_t", ax=ax))
    assert not any("allowed" in label for label in inside)
    ax.clear()
    bound = replace(plan, bounds=Bounds(tokens_t=(0.1, 18.0)))
    (line,) = (
        a
        for n, a in labelled(plot_frontier(bound, "tokens_t", ax=ax)).items()
        if n == "most allowed: 18 T"
    )
    assert set(line.get_ydata()) == {18.0}


@pytest.mark.parametrize("name", ["params_b", "tokens_t"])
def test_frontier_marks_budgets_outside_the_table(plan, name, ax):
    plot_frontier(plan, name, ax=ax)
    found = labelled(ax)
    np.testing.assert_array_equal(found["recommended"].get_ydata(), plan.frontier[name])
    np.testing.assert_array_equal(found["outside the training table"].get_xdata(), [1e24])
    (band,) = ax.collections
    assert spans(band)[0, 1] == plan.frontier[f"{name}_lower"].min()
    assert spans(band)[1, 1] == plan.frontier[f"{name}_upper"].max()
    assert ax.get_xlabel() == "training FLOPs"


def test_reached_scores_are_in_percent_and_skills_are_not(plan, ax):
    plot_reached(plan, ax=ax)
    np.testing.assert_array_equal(labelled(ax)["expected"].get_ydata(), [0.4, 0.5, 0.6])
    ax.figure.canvas.draw()
    assert all("%" in label.get_text() for label in ax.get_yticklabels())
    skill = replace(plan, target=Target("skill 1", (), (), 0))
    plot_reached(skill, ax=ax)
    assert ax.get_ylabel() == "skill 1 (sd of models)"


@pytest.mark.parametrize("solved", ["params_b", "tokens_t", "flops"])
def test_requirement_shows_the_curve_and_the_answer(solved, ax):
    curve = pd.DataFrame(
        {"params_b": [1.0, 2.0, 4.0], "tokens_t": [2.0, 4.0, 8.0], "probability": [0.2, 0.8, 0.9]}
    )
    found = Requirement(
        family="mine",
        benchmark="MMLU",
        score=0.6,
        asked=0.75,
        solved=solved,
        reached=True,
        params_b=2.0,
        tokens_t=4.0,
        flops=8.0 * FLOPS_UNIT,
        probability=0.8,
        standard_error=0.01,
        mean=0.65,
        family_models=0,
        outside="",
        curve=curve,
    )
    plot_requirement(found, ax=ax)
    line, answer, wanted = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), curve["probability"])
    assert line.get_xdata()[1] == answer.get_xdata()[0] == getattr(found, solved)
    assert answer.get_ydata()[0] == 0.8
    assert list(wanted.get_ydata()) == [0.75, 0.75]
    assert ax.get_title(loc="left") == "mine: MMLU at least 60 %"


def test_candidates_have_a_colour_each_and_overall_is_on_top(ax):
    rows = pd.DataFrame(
        [
            {
                "model": model,
                "benchmark": benchmark,
                "median": at,
                "lower": at - 0.1,
                "upper": at + 0.1,
                "level": 0.9,
            }
            for benchmark, at in (("MMLU", 0.4), ("ARC", 0.6), ("overall", 0.5))
            for model in ("small", "large")
        ]
    )
    plot_candidates(rows, ax=ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["overall", "MMLU", "ARC"]
    assert ax.get_yticks()[0] == max(ax.get_yticks())
    found = labelled(ax)
    assert set(found) == {"small", "large"}
    np.testing.assert_array_equal(found["small"].get_xdata(), [0.5, 0.4, 0.6])
    assert found["small"].get_color() != found["large"].get_color()
