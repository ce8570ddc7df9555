"""Figures. Every function draws into the axes it is given and returns them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

# Okabe and Ito (2008): distinguishable with every common kind of colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"

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
