"""Predicted and measured scores."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)
from numpy.typing import ArrayLike

from sloth_jax.errors import InputError
from sloth_jax.plotting.figure_style import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    percent,
    plain_number,
)

# A line per method: colour, and dashes that tell them apart in grey print too. No line is ORANGE,
# the colour of held-out points.
_LINES = (
    (BLUE, "-"),
    (GREEN, (0, (5, 1.5))),
    (PURPLE, (0, (5, 1.5, 1, 1.5))),
    (AMBER, (0, (2, 1))),
    (SKY, (0, (8, 1.5))),
)


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
    ax.set_yticks(place, labels, parse_math=False)
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("score")
    return ax


def plot_curves(
    points: pd.DataFrame,
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    ax: Axes,
    floor: float | None = None,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]] | None = None,
    named: bool = False,
) -> Axes:
    """Scores of one family on one benchmark against size, and what methods predicted.

    Everything is labelled, and there is no legend: panels share one, from
    ``ax.get_legend_handles_labels()``. With ``named``, lines have their names at their right ends
    and are not among the labels.

    Args:
        points: one row per model, with the columns ``params_b`` (parameters in billions),
            ``score`` (fraction) and ``held_out`` (bool: not used in training).
        lines: for each method, at most 5, sizes in billions and predicted scores, ``(size,)``
            each. A method's colour is that of its place, so give every panel the same order.
        ax: axes to draw into; its x axis becomes logarithmic.
        floor: chance floor of the benchmark, a fraction.
        bands: intervals of the first method, the widest first: name -> sizes in billions, lower
            and upper ends, ``(size,)`` each.
        named: whether lines are named where they end.

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
    for at, (name, (sizes, lower, upper)) in enumerate((bands or {}).items()):
        shade = {"color": BLUE, "alpha": min(0.2 + 0.15 * at, 0.8), "linewidth": 0.0}
        ax.fill_between(sizes, lower, upper, label=name, **shade)
    for (method, (sizes, predicted)), (colour, dashes) in zip(lines.items(), _LINES, strict=False):
        label = "" if named else method
        ax.plot(sizes, predicted, color=colour, linestyle=dashes, label=label)
    held_out = points["held_out"].to_numpy(bool)
    size, score = points["params_b"].to_numpy(float), points["score"].to_numpy(float)
    ax.plot(
        size[~held_out],
        score[~held_out],
        "o",
        color=INK,
        label="used in training",
        zorder=3,
    )
    ax.plot(
        size[held_out],
        score[held_out],
        "D",
        markerfacecolor="white",
        markeredgecolor=ORANGE,
        markeredgewidth=0.3 * mpl.rcParams["lines.markersize"],
        label="held out",
        zorder=4,
    )
    if named:
        _name_lines(lines, ax)
    # After everything is drawn: the limits then cover all panels that share this axis.
    ax.xaxis.set_major_locator(FixedLocator(_size_ticks(*ax.get_xlim(), sizes=size)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(plain_number))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(percent))
    ax.set_xlabel("parameters (billions)")
    ax.set_ylabel("score")
    return ax


def _name_lines(lines: Mapping[str, tuple[ArrayLike, ArrayLike]], ax: Axes) -> None:
    """Names at the right ends of lines, moved apart where they would meet."""
    looks = zip(lines.items(), _LINES, strict=False)
    ends = [
        (float(np.asarray(y)[-1]), np.asarray(x)[-1], name, c) for (name, (x, y)), (c, _) in looks
    ]
    height = ax.get_window_extent().height / ax.figure.dpi * 72.0  # points
    low, high = ax.get_ylim()
    apart = 1.25 * mpl.rcParams["font.size"] * (high - low) / height
    below = -np.inf
    for y, x, name, colour in sorted(ends, key=lambda end: end[0]):
        below = max(y, below + apart)
        ax.annotate(
            name,
            (x, y),
            xytext=(0.6 * mpl.rcParams["font.size"], (below - y) / (high - low) * height),
            textcoords="offset points",
            va="center",
            color=colour,
            weight="bold",
            annotation_clip=False,
        )


def _size_ticks(low: float, high: float, sizes: np.ndarray) -> list[float]:
    """Round sizes between two limits, at least three; failing that, the sizes themselves."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = np.outer(powers, digits).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            return ticks.tolist()
    return sorted(set(sizes.tolist()))
