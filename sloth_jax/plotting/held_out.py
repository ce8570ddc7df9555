"""Predictions of held-out scores: against what was measured, and errors beside another law's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sloth_jax.plotting.figure_style import BLUE, GREY, ORANGE, style
from sloth_jax.plotting.panels import plot_panels

_PANELS = 24  # benchmarks in the figure of predictions, those with most scores


def plot_predicted(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """Predicted medians and 90 % intervals against measured scores, of one benchmark.

    Args:
        rows: one per score, fractions: ``score, median, lower_90, upper_90, covered_90``.
        ax: axes to draw into.

    Returns:
        The same axes; intervals that miss their score are orange, with a diamond.
    """
    inside = rows["covered_90"].to_numpy(bool)
    for shown, colour, marker in ((inside, BLUE, "o"), (~inside, ORANGE, "D")):
        some = rows[shown]
        ax.vlines(
            some["score"],
            some["lower_90"],
            some["upper_90"],
            color=colour,
            linewidth=1.0,
            alpha=0.25,
        )
        ax.plot(some["score"], some["median"], marker, color=colour, markersize=2.5)
    ends = rows[["score", "lower_90", "upper_90"]].to_numpy()
    low, high = float(ends.min()), float(ends.max())
    pad = 0.04 * max(high - low, 0.05)
    ax.plot([low - pad, high + pad], [low - pad, high + pad], color=GREY, linewidth=1.0)
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), box_aspect=1.0)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_title(str(rows["benchmark"].iloc[0]))
    return ax


def plot_errors(scores: pd.DataFrame, *, ax: Axes) -> Axes:
    """Mean absolute errors by benchmark, of this law and of the FLOPs law, with standard errors.

    Args:
        scores: one row per benchmark, the first on top, fractions: ``benchmark``, ``mae`` and
            ``flops_mae``, each with ``_se`` too.
        ax: axes to draw into.
    """
    place = np.arange(len(scores))[::-1].astype(float)
    for name, label, marker, shift, colour in (
        ("mae", "this law", "o", 0.15, BLUE),
        ("flops_mae", "FLOPs law", "s", -0.15, ORANGE),
    ):
        mean, error = 100.0 * scores[name], 100.0 * scores[f"{name}_se"].fillna(0.0)
        ax.hlines(place + shift, mean - error, mean + error, color=colour, linewidth=4, alpha=0.3)
        ax.plot(mean, place + shift, marker, color=colour, markersize=4, label=label)
    ax.set_yticks(place, scores["benchmark"])
    ax.set_ylim(-0.6, len(scores) - 0.4)
    ax.set_xlim(left=0.0)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.set_xlabel("mean absolute error (percentage points); bars: one standard error over lineages")
    return ax


def left_out_figures(rows: pd.DataFrame, scores: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Figures of an evaluation, one after the other; each is closed when the next is asked for.

    Args:
        rows: for :func:`plot_predicted`, of all benchmarks.
        scores: for :func:`plot_errors`, with ``scores``, how many each benchmark has.

    Yields:
        Name and figure, in the project's style: ``predicted``, a panel per benchmark, and
        ``errors``.
    """
    most = set(scores.nlargest(_PANELS, "scores")["benchmark"])
    parts = [rows[rows["benchmark"] == name] for name in scores["benchmark"] if name in most]
    with style():
        figure = plot_panels([partial(_predicted, part) for part in parts], (2.4, 2.5), columns=4)
        figure.suptitle("90 % intervals; orange diamonds: the score is outside", x=0.01, ha="left")
        figure.supxlabel("measured", fontsize=9)
        figure.supylabel("predicted", fontsize=9)
        yield "predicted", figure
        plt.close(figure)
        figure, ax = plt.subplots(figsize=(6.4, 1.2 + 0.3 * len(scores)), layout="constrained")
        plot_errors(scores, ax=ax)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        yield "errors", figure
        plt.close(figure)


def _predicted(rows: pd.DataFrame, ax: Axes) -> Axes:
    return plot_predicted(rows, ax=ax)
