"""Errors of methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import ArrayLike

from sloth_jax.errors import InputError
from sloth_jax.plotting.figure_style import BLUE, GREY, INK
from sloth_jax.wording import quoted

if TYPE_CHECKING:
    from sloth_jax.evaluation.scoring import Difference

# Space before the last column of a heatmap, in columns.
_GAP = 0.25


def heatmap_size(table: pd.DataFrame) -> tuple[float, float]:
    """Width and height of a figure in which :func:`plot_heatmap` is legible, in inches.

    Args:
        table: errors, ``(method, benchmark)``, as for :func:`plot_heatmap`.

    Returns:
        Width and height in inches, for ``figsize``.
    """
    # 9 pt letters are about 0.075 inches wide; benchmark names stand at an angle above.
    longest_row = max((len(str(name)) for name in table.index), default=0)
    longest_column = max((len(str(name)) for name in table.columns), default=0)
    width = 0.3 + 0.075 * longest_row + 0.52 * (table.shape[1] + _GAP) + 0.4
    return width, 0.5 + 0.055 * longest_column + 0.21 * len(table)


def plot_heatmap(table: pd.DataFrame, *, title: str, ax: Axes) -> Axes:
    """Errors of methods on benchmarks as a table of numbers, darker where the error is larger.

    The last column, the average, is set apart. The lowest error of every column is bold with a
    triangle before it. The darkest colour begins at the 95th percentile of all cells, so that
    one bad method leaves the others their differences; the numbers are not cut.

    Args:
        table: errors as fractions, ``(method, benchmark)``, whose last column is the average; NaN
            where a method was not scored, which is drawn blank.
        title: what the table shows.
        ax: axes to draw into; :func:`heatmap_size` tells how large.

    Returns:
        The same axes.

    Raises:
        InputError: if the table has no rows, or no column besides the average.
    """
    rows, columns = table.shape
    if rows == 0 or columns < 2:
        raise InputError(
            f"a heatmap of {rows} methods and {columns} columns: give at least one method, one"
            " benchmark and the average"
        )
    values = table.to_numpy(float)
    left = np.arange(columns) + _GAP * (np.arange(columns) == columns - 1)
    ax.grid(False)
    colours = _draw_cells(values, left, ax)
    known = np.isfinite(values)
    # A column without any score has no best.
    best = known & (values == np.where(known, values, np.inf).min(axis=0))
    for i, j in np.ndindex(rows, columns):
        _write_cell(
            float(values[i, j]), left[j] + 0.5, i + 0.5, colours[i, j], bool(best[i, j]), ax
        )
    ax.set_xlim(0.0, left[-1] + 1.0)
    ax.set_ylim(rows, 0.0)
    ax.xaxis.tick_top()
    ax.set_xticks(left + 0.5, [str(name) for name in table.columns], rotation=40, ha="left")
    for label in ax.get_xticklabels():
        label.set_rotation_mode("anchor")
    ax.set_yticks(np.arange(rows) + 0.5, [str(name) for name in table.index])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return ax


def _draw_cells(values: np.ndarray, left: np.ndarray, ax: Axes) -> np.ndarray:
    """Coloured cells whose left edges are given; returns their colours, ``(row, column, rgba)``."""
    known = values[np.isfinite(values)]
    darkest = np.percentile(known, 95) if known.size else 1.0
    scale = Normalize(known.min() if known.size else 0.0, darkest, clip=True)
    colours = mpl.colormaps["YlGnBu"]
    last = values.shape[1] - 1
    for part in (slice(0, last), slice(last, last + 1)):
        ax.pcolormesh(
            np.append(left[part], left[part][-1] + 1.0),
            np.arange(len(values) + 1),
            np.ma.masked_invalid(values[:, part]),
            cmap=colours,
            norm=scale,
            edgecolor="white",
            linewidth=0.6,
        )
    return colours(scale(np.nan_to_num(values)))


def _write_cell(value: float, x: float, y: float, colour: np.ndarray, best: bool, ax: Axes) -> None:
    """The number of one cell, or that there is none."""
    write = partial(ax.text, ha="center", va="center")
    if not np.isfinite(value):
        write(x, y, "not scored", color="#595959", fontsize=5.5)
        return
    ink = _readable_on(colour)
    if not best:
        write(x, y, f"{value:.3f}", color=ink, fontsize=7.5)
        return
    write(x + 0.07, y, f"{value:.3f}", color=ink, fontsize=7.5, weight="bold")
    ax.plot(x - 0.36, y, ">", color=ink, markersize=4.5, markeredgewidth=0.0)


def _readable_on(colour: ArrayLike) -> str:
    """Ink or white, whichever has more contrast on a colour (WCAG 2.1, relative luminance)."""
    rgb = np.asarray(colour)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    # White's luminance is 1, that of INK 0.01; contrast is the ratio of luminances plus 0.05.
    return INK if (luminance + 0.05) / 0.06 > 1.05 / (luminance + 0.05) else "white"


def plot_differences(differences: Sequence[Difference], *, ax: Axes) -> Axes:
    """How much methods differ from one reference: points with intervals, the first on top.

    Left of zero, the method has the lower error.

    Args:
        differences: comparisons with the same ``second`` method and the same level.
        ax: axes to draw into.

    Returns:
        The same axes.

    Raises:
        InputError: if there is nothing to draw, or the references or levels differ.
    """
    if not differences:
        raise InputError("no differences to draw: give at least one")
    reference, level = differences[0].second, differences[0].level
    for difference in differences:
        if (difference.second, difference.level) != (reference, level):
            raise InputError(
                f"{quoted(difference.first)} is compared with {quoted(difference.second)} at level"
                f" {difference.level:g}, others with {quoted(reference)} at {level:g}: draw them"
                " apart"
            )
    place = np.arange(len(differences))[::-1]
    mean, lower, upper = (
        100 * np.array([getattr(difference, end) for difference in differences])
        for end in ("mean", "lower", "upper")
    )
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    ax.hlines(
        place,
        lower,
        upper,
        color=BLUE,
        linewidth=5,
        alpha=0.3,
        label=f"{100 * level:g} % interval",
    )
    ax.plot(mean, place, "o", color=BLUE, markersize=5, label="difference")
    ax.set_yticks(place, [difference.first for difference in differences])
    ax.set_ylim(-0.6, len(differences) - 0.4)
    ax.set_xlabel(f"mean absolute error minus that of {reference} (percentage points)")
    return ax
