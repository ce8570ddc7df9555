"""Figures hold what they were given: counted, placed and labelled."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from sloth_jax import InputError
from sloth_jax.evaluation.scoring import Difference
from sloth_jax.plotting.plots import (
    ORANGE,
    heatmap_size,
    plot_curves,
    plot_differences,
    plot_heatmap,
    style,
)


@pytest.fixture
def ax() -> Iterator[Axes]:
    with style():
        figure, axes = plt.subplots(figsize=(6.0, 4.0))
        yield axes
        figure.canvas.draw()  # what fails only when drawn fails here
        plt.close(figure)


def errors_table(values: list[list[float]], *methods: str) -> pd.DataFrame:
    table = pd.DataFrame(values, list(methods), ["MMLU", "ARC"])
    return table.assign(average=table.mean(axis=1, skipna=False))


TABLE = errors_table([[0.05, 0.02], [0.03, 0.04], [0.06, 0.0304]], "one", "two", "three")


def contrast(a: object, b: object) -> float:
    """Contrast ratio of two colours by WCAG 2.1."""

    def luminance(colour) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def labelled(ax: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in ax.lines}


def test_heatmap_writes_every_cell(ax):
    assert plot_heatmap(TABLE, title="Errors", ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == [
        "0.050", "0.020", "0.035", "0.030", "0.040", "0.035", "0.060", "0.030", "0.045",
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_xticklabels()] == ["MMLU", "ARC", "average"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two", "three"]
    assert ax.get_title(loc="left") == "Errors"
    across, down = ax.get_xticks(), ax.get_yticks()
    assert across[2] - across[1] > across[1] - across[0]  # the average is set apart
    tops = [ax.transData.transform((0.0, place))[1] for place in down]
    assert tops == sorted(tops, reverse=True)  # the first method is on top
    for text, (i, j) in zip(ax.texts, np.ndindex(3, 3), strict=True):
        assert text.get_position() == pytest.approx((across[j], down[i]), abs=0.1)


def test_heatmap_marks_the_best_of_every_column(ax):
    plot_heatmap(TABLE, title="", ax=ax)
    bold = [i for i, text in enumerate(ax.texts) if text.get_weight() == "bold"]
    assert bold == [1, 2, 3, 5]  # 0.020; a tie at 0.035; 0.030; not 0.0304, which prints alike
    rows = sorted(float(np.asarray(mark.get_ydata())[0]) for mark in ax.lines)
    assert rows == [0.5, 0.5, 1.5, 1.5]


def test_heatmap_leaves_missing_cells_blank(ax):
    table = errors_table([[0.05, np.nan], [0.03, 0.04], [np.nan, np.nan]], "one", "two", "three")
    plot_heatmap(table, title="", ax=ax)
    blank = [i for i, text in enumerate(ax.texts) if text.get_text() == "not scored"]
    assert blank == [1, 2, 6, 7, 8]
    bold = [i for i, text in enumerate(ax.texts) if text.get_weight() == "bold"]
    assert bold == [3, 4, 5]
    ax.figure.canvas.draw()
    coloured = [mesh.get_facecolors()[:, 3] > 0 for mesh in ax.collections]
    assert [int(cells.sum()) for cells in coloured] == [3, 1]


def test_heatmap_without_any_score(ax):
    plot_heatmap(TABLE * np.nan, title="", ax=ax)
    assert {text.get_text() for text in ax.texts} == {"not scored"}
    assert len(ax.lines) == 0


def test_heatmap_text_can_be_read_on_its_colour(ax):
    values = np.linspace(0.01, 0.3, 120).reshape(40, 3)
    plot_heatmap(pd.DataFrame(values, columns=["a", "b", "average"]), title="", ax=ax)
    ax.figure.canvas.draw()
    two, one = (mesh.get_facecolors() for mesh in ax.collections)
    cells = np.concatenate([two.reshape(40, 2, 4), one.reshape(40, 1, 4)], axis=1)
    for text, cell in zip(ax.texts, cells.reshape(-1, 4), strict=True):
        assert contrast(to_rgb(text.get_color()), cell) > 4.0


def test_one_bad_method_does_not_wash_out_the_rest(ax):
    values = np.tile(np.linspace(0.02, 0.06, 40)[:, None], (1, 3))
    values[-1] = 0.9
    plot_heatmap(pd.DataFrame(values, columns=["a", "b", "average"]), title="", ax=ax)
    assert ax.texts[-1].get_text() == "0.900"
    assert [mesh.get_clim() for mesh in ax.collections] == [
        pytest.approx((0.02, 0.058), abs=2e-3)
    ] * 2


def test_heatmap_size_grows_with_the_table():
    width, height = heatmap_size(TABLE)
    tall = pd.concat([TABLE, TABLE])
    assert heatmap_size(tall)[0] == width
    assert heatmap_size(tall)[1] > height
    assert heatmap_size(TABLE.assign(more=0.0))[0] > width
    assert heatmap_size(TABLE.rename(index={"one": "a much longer name"}))[0] > width


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_a_large_heatmap_fits_its_size(layout):
    rows, columns = 45, 13
    values = np.random.default_rng(0).uniform(0.01, 0.2, (rows, columns))
    methods = [f"factor_trainlink_faminter_d={i}" for i in range(rows)]
    table = pd.DataFrame(values, methods, [*(f"MATH Lvl {j}" for j in range(12)), "average"])
    with style():
        figure, ax = plt.subplots(figsize=heatmap_size(table), layout=layout)
        plot_heatmap(table, title="Errors", ax=ax)
        figure.canvas.draw()
        cell = ax.transData.transform((1.0, 0.0)) - ax.transData.transform((0.0, 1.0))
        for text in ax.texts:
            box = text.get_window_extent()
            assert box.width < cell[0]
            assert box.height < cell[1]
        plt.close(figure)


@pytest.mark.parametrize("table", [TABLE.iloc[:0], TABLE[["average"]]])
def test_heatmap_of_nothing_is_refused(ax, table):
    with pytest.raises(InputError, match="at least one method, one benchmark"):
        plot_heatmap(table, title="", ax=ax)


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


def difference(first: str, mean: float, second: str = "plain", level: float = 0.9) -> Difference:
    return Difference(first, second, mean, mean - 0.01, mean + 0.02, level, 12, 0.5)


def test_differences_are_drawn_in_score_points(ax):
    asked = [difference("law", -0.005), difference("pca", 0.03)]
    assert plot_differences(asked, ax=ax) is ax
    names = {
        text.get_text(): y for y, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    }
    assert list(names) == ["law", "pca"]
    assert names["law"] > names["pca"]  # the first on top
    found = labelled(ax)["difference"]
    np.testing.assert_allclose(np.asarray(found.get_xdata()), [-0.5, 3.0])
    np.testing.assert_array_equal(found.get_ydata(), [names["law"], names["pca"]])
    (intervals,) = ax.collections
    assert intervals.get_label() == "90 % interval"
    ends = [np.asarray(path.vertices)[:, 0] for path in intervals.get_paths()]
    np.testing.assert_allclose(ends, [[-1.5, 1.5], [2.0, 5.0]])
    assert ax.get_xlabel() == "error minus that of plain (score points)"
    zero = [line for line in ax.lines if list(np.asarray(line.get_xdata())) == [0.0, 0.0]]
    assert len(zero) == 1


def test_differences_need_one_reference_and_one_level(ax):
    with pytest.raises(InputError, match="at least one"):
        plot_differences([], ax=ax)
    for other in (difference("pca", 0.0, second="law"), difference("pca", 0.0, level=0.5)):
        with pytest.raises(InputError, match=r"'pca' is compared with .* draw them apart"):
            plot_differences([difference("x", 0.0), other], ax=ax)
