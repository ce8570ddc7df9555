"""Figures of downstream tasks. Every function draws into the axes it is given and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from sloth_jax.plotting.figure_style import BLUE, COLOURS, GREEN, GREY, INK, ORANGE

if TYPE_CHECKING:
    from sloth_jax.skills.downstream import TaskFit


def plot_task_loadings(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """Which skills drive a task: its loading on each, with intervals.

    Args:
        rows: of one task, from :meth:`sloth_jax.skills.interpret.Skills.loadings`.
        ax: axes to draw into.
    """
    place = np.arange(len(rows))[::-1]
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    ax.hlines(place, rows["lower"], rows["upper"], color=BLUE, linewidth=4, alpha=0.3)
    ax.plot(rows["median"], place, "o", color=BLUE, markersize=5)
    ax.set_yticks(place, rows["skill"])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("loading, 90 % interval")
    ax.set_title("What drives it")
    return ax


def plot_task_curve(
    fit: TaskFit,
    theta: np.ndarray,
    scores: np.ndarray,
    models: Sequence[str],
    held_out: np.ndarray,
    intervals: tuple[np.ndarray, np.ndarray],
    *,
    ax: Axes,
) -> Axes:
    """A task's score against the skills that predict it.

    Args:
        fit: the task's regression on skills.
        theta: skills of all models, ``(model, skill)``.
        scores: of the task, ``(model,)``; NaN where not measured.
        models: names, ``(model,)``.
        held_out: models that are, ``(model,)``, bool.
        intervals: ends of their predicted intervals, ``(held out,)`` each.
        ax: axes to draw into.
    """
    eta = (theta - fit.centre) / fit.spread @ fit.weights + fit.bias
    seen = np.isfinite(scores) & ~held_out
    shown = eta[seen | held_out]
    along = np.linspace(shown.min() - 0.3, shown.max() + 0.3, 200)
    curve = fit.floor + (1.0 - fit.floor) / (1.0 + np.exp(-along))
    ax.plot(along, curve, color=BLUE, linewidth=1.6, label="regression on skills")
    ax.plot(eta[seen], scores[seen], "o", color=INK, markersize=4, alpha=0.6, label="training")
    ax.vlines(
        eta[held_out], *intervals, color=ORANGE, linewidth=4, alpha=0.35, label="predicted, 90 %"
    )
    ax.plot(
        eta[held_out],
        scores[held_out],
        "D",
        markerfacecolor="white",
        markeredgecolor=ORANGE,
        markeredgewidth=1.5,
        markersize=6,
        label="held out, measured",
    )
    for at in np.flatnonzero(held_out).tolist():
        ax.annotate(
            models[at],
            (eta[at], scores[at]),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7.5,
        )
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("predictor: skills times their weights")
    ax.set_ylabel("score")
    ax.legend(loc="upper left", fontsize=7.5)
    ax.set_ylim(0.0, 1.0)
    return ax


def plot_task_panel(
    flops: np.ndarray,
    scores: np.ndarray,
    predicted: pd.DataFrame,
    methods: Mapping[str, str],
    cut: float,
    *,
    ax: Axes,
) -> Axes:
    """A task's scores against compute, models below a cut known, those above it predicted.

    Args:
        flops: of models below the cut, ``(model,)``.
        scores: theirs, fractions, NaN where not measured.
        predicted: a row per method and model above it: ``method, flops, truth, predicted, lower,
            upper``.
        methods: those to draw, as ``predicted`` calls them -> what the legend calls them; the
            first with its intervals.
        cut: FLOPs.
        ax: axes to draw into.
    """
    ax.set_xscale("log")
    ax.axvline(cut, color=GREY, linestyle=":", linewidth=1.0)
    ax.plot(flops, scores, "o", color=INK, markersize=3, alpha=0.6, label="training")
    marks = (("o", BLUE), ("^", GREEN), *(("s", colour) for colour in COLOURS[3:]))
    for (method, label), (mark, colour) in zip(methods.items(), marks, strict=False):
        rows = predicted[predicted["method"] == method]
        if rows["lower"].notna().any():
            ax.vlines(
                rows["flops"], rows["lower"], rows["upper"], color=colour, linewidth=2.5, alpha=0.3
            )
        ax.plot(rows["flops"], rows["predicted"], mark, color=colour, markersize=4, label=label)
    rows = predicted.drop_duplicates("model")
    ax.plot(
        rows["flops"],
        rows["truth"],
        "D",
        markerfacecolor="none",
        markeredgecolor=ORANGE,
        markeredgewidth=1.2,
        markersize=5,
        label="held out, measured",
    )
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    return ax


def plot_family_errors(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """Absolute errors by family, a mark per method, families with the largest on top.

    Args:
        rows: a row per method and held-out model: ``method, family, predicted, truth``.
        ax: axes to draw into.
    """
    error = (rows["predicted"] - rows["truth"]).abs()
    means = rows.assign(error=error).pivot_table(index="family", columns="method", values="error")
    first = means.columns[0]
    means = means.sort_values(first)
    place = np.arange(len(means))
    ax.hlines(place, means.min(axis=1), means.max(axis=1), color="#D9D9D9", linewidth=1.2)
    for method, colour, mark in zip(means.columns, COLOURS, "o^sDv", strict=False):
        ax.plot(means[method], place, mark, color=colour, markersize=5, label=method)
    ax.set_yticks(place, means.index)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("mean absolute error")
    return ax
