"""Panels side by side in a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sloth_jax.plotting.scores import plot_intervals

_LONGEST = 40  # name above a panel


def plot_panels(
    panels: Sequence[Callable[[Axes], Any]],
    panel_size: tuple[float, float] = (4.6, 3.4),
    *,
    columns: int | None = None,
    legend: bool = False,
) -> Figure:
    """A figure of panels, row by row.

    Args:
        panels: what draws each.
        panel_size: width and height of a panel, inches.
        columns: how many stand side by side; None for all.
        legend: whether the first panel's legend stands below the figure.
    """
    across = min(columns or len(panels), len(panels))
    down = -(-len(panels) // across)
    size = (panel_size[0] * across, panel_size[1] * down)
    figure, axes = plt.subplots(down, across, figsize=size, layout="constrained", squeeze=False)
    for draw, ax in zip(panels, axes.flat, strict=False):
        draw(ax)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    if legend:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def interval_panels(
    models: Sequence[str],
    benchmarks: tuple[str, ...],
    ends: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    floors: np.ndarray,
    level: float,
    truth: np.ndarray | None = None,
) -> list[Callable[[Axes], None]]:
    """What draws a panel per model, a line per benchmark, for :func:`plot_panels`.

    Args:
        models: names, ``(model,)``.
        benchmarks: names, ``(benchmark,)``.
        ends: median, lower and upper ends of intervals, fractions, ``(model, benchmark)`` each.
        floors: chance floors, ``(benchmark,)``.
        level: probability inside the intervals.
        truth: measured scores, ``(model, benchmark)``; NaN where there is none.
    """

    def panel(model: int) -> Callable[[Axes], None]:
        def draw(ax: Axes) -> None:
            median, lower, upper = (end[model] for end in ends)
            measured = None if truth is None else truth[model]
            given = {"truth": measured, "floors": floors, "level": level}
            plot_intervals(median, lower, upper, benchmarks, **given, ax=ax)
            name = models[model]
            name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
            ax.set_title(name, fontsize=8, parse_math=False)

        return draw

    return [panel(model) for model in range(len(models))]
