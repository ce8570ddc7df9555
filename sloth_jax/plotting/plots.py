"""Figures. Every function draws into the axes it is given and returns them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter
from numpy.typing import ArrayLike

from sloth_jax.errors import InputError
from sloth_jax.wording import quoted

if TYPE_CHECKING:
    from sloth_jax.evaluation.scoring import Difference

# Okabe and Ito (2008): distinguishable with every common kind of colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
PURPLE, SKY, AMBER = "#CC79A7", "#56B4E9", "#E69F00"
INK = "#1A1A1A"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, INK)  # of things side by side, in order

# A line per method: colour, and dashes that tell them apart in grey print too. No line is ORANGE,
# the colour of held-out points.
_LINES = (
    (BLUE, "-"),
    (GREEN, (0, (5, 1.5))),
    (PURPLE, (0, (5, 1.5, 1, 1.5))),
    (AMBER, (0, (2, 1))),
    (SKY, (0, (8, 1.5))),
)

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": 100.0,
    "savefig.dpi": 160.0,
    "savefig.bbox": "tight",
}

# Space before the last column of a heatmap, in columns.
_GAP = 0.25


@contextmanager
def style() -> Iterator[None]:
    """The project's style, for the figures made inside the block."""
    with plt.rc_context(_STYLE):
        yield


def plot_intervals(
    median: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    labels: tuple[str, ...],
    *,
    truth: np.ndarray | None = None,
    floors: np.ndarray | None = None,
    level: float,
    ax: Axes,
) -> Axes:
    """Predicted scores of one model, a line per benchmark, beside what was measured.

    Args:
        median: predictive medians, fractions, ``(benchmark,)``.
        lower: lower ends of the intervals, ``(benchmark,)``.
        upper: upper ends of the intervals, ``(benchmark,)``.
        labels: names of the benchmarks.
        truth: measured scores, ``(benchmark,)``; NaN where there is none.
        floors: chance floors, ``(benchmark,)``.
        level: probability inside the intervals, for the legend.
        ax: axes to draw into.

    Returns:
        The same axes.
    """
    place = np.arange(len(labels))[::-1]
    interval = f"{100 * level:g} % interval"
    ax.hlines(place, lower, upper, color=BLUE, linewidth=5, alpha=0.3, label=interval)
    ax.plot(median, place, "o", color=BLUE, markersize=5, label="predicted median")
    if truth is not None:
        ax.plot(truth, place, "D", color=ORANGE, markersize=5, label="measured")
    if floors is not None:
        ax.plot(floors, place, "|", color=GREY, markersize=9, label="chance")
    ax.set_yticks(place, labels)
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("score")
    return ax


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
    known = np.isfinite(values)
    darkest = np.percentile(values[known], 95) if known.any() else 1.0
    scale = Normalize(values[known].min() if known.any() else 0.0, darkest, clip=True)
    colours = mpl.colormaps["YlGnBu"]
    # A column without any score has no best.
    best = known & (values == np.where(known, values, np.inf).min(axis=0))

    ax.grid(False)
    left = np.arange(columns) + _GAP * (np.arange(columns) == columns - 1)
    edges = np.arange(rows + 1)
    for part in (slice(0, columns - 1), slice(columns - 1, columns)):
        across = np.append(left[part], left[part][-1] + 1.0)
        ax.pcolormesh(
            across, edges, np.ma.masked_invalid(values[:, part]), cmap=colours, norm=scale,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    for i, j in np.ndindex(rows, columns):
        x, y = left[j] + 0.5, i + 0.5
        if not known[i, j]:
            ax.text(x, y, "not scored", color="#595959", fontsize=5.5, ha="center", va="center")
            continue
        ink = _readable_on(colours(scale(values[i, j])))
        weight = "bold" if best[i, j] else "normal"
        ax.text(
            x + 0.07 * best[i, j], y, f"{values[i, j]:.3f}", color=ink, fontsize=7.5,
            weight=weight, ha="center", va="center",
        )  # fmt: skip
        if best[i, j]:
            ax.plot(x - 0.36, y, ">", color=ink, markersize=4.5, markeredgewidth=0.0)
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


def _readable_on(colour: ArrayLike) -> str:
    """Ink or white, whichever has more contrast on a colour (WCAG 2.1, relative luminance)."""
    rgb = np.asarray(colour)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    # White's luminance is 1, that of INK 0.01; contrast is the ratio of luminances plus 0.05.
    return INK if (luminance + 0.05) / 0.06 > 1.05 / (luminance + 0.05) else "white"


def plot_curves(
    points: pd.DataFrame,
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    ax: Axes,
    floor: float | None = None,
) -> Axes:
    """Scores of one family on one benchmark against size, and what methods predicted.

    Everything is labelled, and there is no legend: panels share one, from
    ``ax.get_legend_handles_labels()``.

    Args:
        points: one row per model, with the columns ``params_b`` (parameters in billions),
            ``score`` (fraction) and ``held_out`` (bool: not used in training).
        lines: for each method, at most 5, sizes in billions and predicted scores, ``(size,)``
            each. A method's colour is that of its place, so give every panel the same order.
        ax: axes to draw into; its x axis becomes logarithmic.
        floor: chance floor of the benchmark, a fraction.

    Returns:
        The same axes.

    Raises:
        InputError: if there are more methods than colours.
    """
    if len(lines) > len(_LINES):
        raise InputError(
            f"{len(lines)} methods in one panel: at most {len(_LINES)} can be told apart"
        )
    ax.set_xscale("log")
    if floor is not None:
        ax.axhline(floor, color=GREY, linestyle=":", linewidth=1.0, label="chance")
    for (method, (sizes, predicted)), (colour, dashes) in zip(lines.items(), _LINES, strict=False):
        ax.plot(sizes, predicted, color=colour, linestyle=dashes, linewidth=1.6, label=method)
    held_out = points["held_out"].to_numpy(bool)
    size, score = points["params_b"].to_numpy(float), points["score"].to_numpy(float)
    ax.plot(
        size[~held_out], score[~held_out], "o", color=INK, markersize=5, label="used in training",
        zorder=3,
    )  # fmt: skip
    ax.plot(
        size[held_out], score[held_out], "D", markerfacecolor="white", markeredgecolor=ORANGE,
        markeredgewidth=1.5, markersize=5.5, label="held out", zorder=4,
    )  # fmt: skip
    # After everything is drawn: the limits then cover all panels that share this axis.
    ax.xaxis.set_major_locator(FixedLocator(_size_ticks(*ax.get_xlim(), sizes=size)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("parameters (billions)")
    ax.set_ylabel("score")
    return ax


def _size_ticks(low: float, high: float, sizes: np.ndarray) -> list[float]:
    """Round sizes between two limits, at least three; failing that, the sizes themselves."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = np.outer(powers, digits).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            return ticks.tolist()
    return sorted(set(sizes.tolist()))


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
        place, lower, upper, color=BLUE, linewidth=5, alpha=0.3,
        label=f"{100 * level:g} % interval",
    )  # fmt: skip
    ax.plot(mean, place, "o", color=BLUE, markersize=5, label="difference")
    ax.set_yticks(place, [difference.first for difference in differences])
    ax.set_ylim(-0.6, len(differences) - 0.4)
    ax.set_xlabel(f"error minus that of {reference} (score points)")
    return ax


def plot_coverage(points: Sequence[tuple[float, float]], *, ax: Axes) -> Axes:
    """Promised against found coverage of central intervals.

    Args:
        points: promised level and share of scores inside, both in [0, 1].
        ax: axes to draw into.
    """
    promised, found = np.array(points).T
    ax.plot([0.4, 1.0], [0.4, 1.0], color=GREY, linewidth=1.0)
    ax.plot(promised, found, color=BLUE, marker="o")
    for level, share in points:
        ax.annotate(
            f"{share:.2f}", (level, share), xytext=(6, -10), textcoords="offset points", color=INK
        )
    ax.set(xlim=(0.4, 1.03), ylim=(0.4, 1.03), aspect="equal")
    ax.set_title("Share inside intervals")
    ax.set_xlabel("promised")
    ax.set_ylabel("found")
    return ax


def plot_pit(pit: np.ndarray, *, ax: Axes, bins: int = 10) -> Axes:
    """Histogram of ranks of scores among their predictive draws: flat if calibrated.

    Args:
        pit: in [0, 1], ``(entry,)``.
        ax: axes to draw into.
        bins: number of bars.
    """
    ax.hist(pit, bins=bins, range=(0.0, 1.0), density=True, color=BLUE, alpha=0.6)
    ax.axhline(1.0, color=GREY, linewidth=1.0)
    ax.set_xlim(0.0, 1.0)
    ax.set_title("Rank among draws")
    ax.set_xlabel("share of draws below the score")
    ax.set_ylabel("density")
    return ax
