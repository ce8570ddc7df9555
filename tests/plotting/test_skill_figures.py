"""Figures of skills: which there are, what stands above them, labels that nothing cuts."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sloth_jax.plotting import plot_best_models, plot_level_curves, skill_figures


def rows_of(skills, **columns) -> pd.DataFrame:
    """Rows of other columns for every skill, medians rising, with intervals."""
    parts = [pd.DataFrame(columns | {"skill": skill}) for skill in skills]
    rows = pd.concat(parts, ignore_index=True)
    median = np.linspace(-1.0, 1.0, len(rows))
    return rows.assign(median=median, lower=median - 0.2, upper=median + 0.3)


def tables_of(*skills: str) -> dict[str, pd.DataFrame]:
    size, token = (a.ravel() for a in np.meshgrid([0.1, 1.0, 10.0, 100.0], [0.3, 3.0, 10.0]))
    found = {
        "loadings": rows_of(skills, benchmark=["MMLU", "ARC", "GSM8K"]),
        "models": rows_of(skills, model=["small", "large"]),
        "level_curves": rows_of(skills, params_b=size, tokens_t=token),
        "growth": rows_of(skills, more=["params", "tokens"]),
    }
    if len(skills) > 1:
        shifts = {"base": ["all", "a"], "chat": ["all", "a-chat"]}
        found["base_to_chat"] = rows_of(skills, **shifts)
        found["correlations"] = rows_of(skills[:1], other=[skills[1]])
    return found


def test_figures_follow_the_tables_and_repeat_a_warning():
    two = {name: figure for name, figure in skill_figures(tables_of("a", "b"), note="careful")}
    assert set(two) == set(tables_of("a", "b"))
    for figure in two.values():
        assert "careful" in [text.get_text() for text in figure.texts]
        assert not plt.fignum_exists(figure.number)  # closed once the next was asked for
    one = {name: figure for name, figure in skill_figures(tables_of("only"))}
    assert set(one) == {"loadings", "models", "level_curves", "growth"}
    assert all("90 % interval" in figure.get_suptitle() for figure in two.values())


def test_progress_is_drawn_as_points_and_its_line():
    tables = tables_of("a", "b")
    years = [2021.0, 2022.5, 2024.0]
    tables["efficiency_by_date"] = rows_of("ab", lineage=["x", "y", "z"], year=years)
    tables["yearly_progress"] = rows_of("ab", kind=["per year", "compute"])
    figures = dict(skill_figures(tables))
    ax = figures["yearly_progress"].axes[1]
    points, line = ax.lines
    rows = tables["efficiency_by_date"].query("skill == 'b'")
    np.testing.assert_allclose(points.get_xydata(), rows[["year", "median"]])
    slope = tables["yearly_progress"].query("skill == 'b' and kind == 'per year'")["median"].item()
    (start, low), (end, high) = line.get_xydata()
    assert (high - low) / (end - start) == pytest.approx(slope)
    assert f"{slope:+.2f}" in ax.get_title(loc="left")


def test_a_mode_is_not_said_to_have_intervals():
    tables = {
        name: rows.assign(lower=np.nan, upper=np.nan) for name, rows in tables_of("a").items()
    }
    titles = {name: figure.get_suptitle() for name, figure in skill_figures(tables)}
    assert titles["loadings"].endswith(", a mode without intervals")
    assert "interval" not in titles["level_curves"]


def test_the_best_model_is_on_top(ax):
    rows = rows_of(["a"], model=["low", "middle", "high"])
    plot_best_models(rows, "a", ax=ax, most=2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["high", "middle"]
    assert ax.get_yticks()[0] > ax.get_yticks()[1]


def test_no_edge_cuts_a_label_of_a_curve(ax):
    plot_level_curves(tables_of("a")["level_curves"], "a", ax=ax)
    shown = [text for text in ax.texts if text.get_visible()]
    assert shown
    for text in shown:
        at = ax.transAxes.inverted().transform(ax.transData.transform(text.get_position()))
        assert (np.abs(at - 0.5) < 0.45).all()
