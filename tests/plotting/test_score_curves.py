"""Scores against size: points, lines, ticks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from artists import labelled

from sloth_jax import InputError
from sloth_jax.plotting.figure_style import ORANGE
from sloth_jax.plotting.scores import plot_curves

POINTS = pd.DataFrame(
    {
        "params_b": [7.0, 13.0, 70.0],
        "score": [0.45, 0.55, np.nan],
        "held_out": [False, True, True],
    }
)
SIZES = np.geomspace(5.0, 80.0, 20)


def test_curves_draw_points_lines_and_floor(ax):
    lines = {name: (SIZES, np.full(20, 0.1 * i)) for i, name in enumerate(["law", "plain"], 3)}
    assert plot_curves(POINTS, lines, ax=ax, floor=0.25) is ax
    found = labelled(ax)
    assert set(found) == {"law", "plain", "used in training", "held out", "chance"}
    np.testing.assert_array_equal(found["law"].get_xdata(), SIZES)
    np.testing.assert_array_equal(found["plain"].get_ydata(), 0.4)
    np.testing.assert_array_equal(found["used in training"].get_xdata(), [7.0])
    np.testing.assert_array_equal(found["held out"].get_xdata(), [13.0, 70.0])
    assert found["held out"].get_markeredgecolor() == ORANGE
    assert found["held out"].get_markerfacecolor() == "white"
    np.testing.assert_array_equal(found["chance"].get_ydata(), 0.25)
    assert found["chance"].get_linestyle() == ":"
    assert ax.get_legend() is None
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "parameters (billions)"
    ax.figure.canvas.draw()
    assert all("%" in label.get_text() for label in ax.get_yticklabels())


def test_bands_and_names_that_do_not_meet(ax):
    ends = SIZES / 100
    lines = {"law": (SIZES, ends), "plain": (SIZES, ends + 0.001), "other": (SIZES, 0.5 * ends)}
    bands = {"90 %": (SIZES, ends - 0.2, ends + 0.2), "50 %": (SIZES, ends - 0.1, ends + 0.1)}
    plot_curves(POINTS, lines, bands=bands, named=True, ax=ax)
    assert [band.get_label() for band in ax.collections] == ["90 %", "50 %"]
    wide, narrow = (band.get_alpha() for band in ax.collections)
    assert wide < narrow
    assert not {"law", "plain", "other"} & set(labelled(ax))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == ["other", "law", "plain"]  # from below
    assert all(one.y1 <= next_.y0 + 1.0 for one, next_ in pairwise(boxes))
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["law"] == next(
        line.get_color() for line in ax.lines if len(line.get_xdata()) == 20
    )


def test_curves_without_floor_or_lines(ax):
    plot_curves(POINTS, {}, ax=ax)
    assert set(labelled(ax)) == {"used in training", "held out"}


def test_curves_tell_five_methods_apart(ax):
    lines = {f"method {i}": (SIZES, SIZES / 100) for i in range(6)}
    with pytest.raises(InputError, match="6 methods in one panel"):
        plot_curves(POINTS, lines, ax=ax)
    del lines["method 5"]
    plot_curves(POINTS, lines, ax=ax)
    looks = {
        (line.get_color(), line.get_linestyle()) for line in ax.lines if len(line.get_xdata()) == 20
    }
    assert len({colour for colour, _ in looks}) == 5
    assert ORANGE not in {colour for colour, _ in looks}


@pytest.mark.parametrize(
    ("sizes", "ticks"),
    [
        ([7.0, 70.0], ["10", "20", "50"]),
        ([0.5, 110.0], ["1", "10", "100"]),
        ([2.0, 40.0], ["3", "10", "30"]),
        ([6.0, 9.0], ["6", "7", "8", "9"]),
        ([7.1, 7.3], ["7.1", "7.3"]),
    ],
)
def test_size_ticks_are_round_and_plain(ax, sizes, ticks):
    count = len(sizes)
    points = pd.DataFrame({"params_b": sizes, "score": [0.5] * count, "held_out": [False] * count})
    ax.set_xmargin(0.02)
    plot_curves(points, {}, ax=ax)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    shown = [
        label.get_text()
        for place, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert shown == ticks
