"""Figures of calibration."""

from __future__ import annotations

import numpy as np

from sloth_jax.plotting import plot_coverage, plot_intervals, plot_pit


def test_coverage_is_drawn_against_the_diagonal(ax):
    points = [(0.5, 0.55), (0.9, 0.85)]
    plot_coverage(points, ax=ax)
    diagonal, found = ax.lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    np.testing.assert_array_equal(np.column_stack(found.get_data()), points)
    assert [text.get_text() for text in ax.texts] == ["0.55", "0.85"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("promised", "found")


def test_ranks_have_a_density_of_one_where_they_are_uniform(ax):
    plot_pit((np.arange(100) + 0.5) / 100, bins=5, ax=ax)
    assert len(ax.patches) == 5
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], 1.0)


def test_intervals_are_beside_what_was_measured(ax):
    median = np.array([0.4, 0.6])
    truth, floors = np.array([0.45, np.nan]), np.array([0.25, 0.0])
    plot_intervals(
        median,
        median - 0.1,
        median + 0.1,
        ("MMLU", "ARC"),
        truth=truth,
        floors=floors,
        level=0.8,
        ax=ax,
    )
    drawn = {str(line.get_label()): line for line in ax.lines}
    np.testing.assert_array_equal(drawn["predicted median"].get_xdata(), median)
    np.testing.assert_array_equal(drawn["measured"].get_xdata(), truth)
    np.testing.assert_array_equal(drawn["chance"].get_xdata(), floors)
    (intervals,) = ax.collections
    assert intervals.get_label() == "80 % interval"
    ends = [np.asarray(path.vertices)[:, 0] for path in intervals.get_paths()]
    np.testing.assert_allclose(ends, [[0.3, 0.5], [0.5, 0.7]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MMLU", "ARC"]
