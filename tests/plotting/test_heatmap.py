"""The table of errors as a figure: every cell, the best, what is missing."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from sloth_jax import InputError
from sloth_jax.plotting.comparison import heatmap_size, plot_heatmap
from sloth_jax.plotting.figure_style import style


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


def test_heatmap_writes_every_cell(ax):
    assert plot_heatmap(TABLE, title="Errors", ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == [
        "0.050",
        "0.020",
        "0.035",
        "0.030",
        "0.040",
        "0.035",
        "0.060",
        "0.030",
        "0.045",
    ]
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
