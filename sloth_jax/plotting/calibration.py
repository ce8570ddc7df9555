"""Whether intervals contain what they promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from sloth_jax.plotting.figure_style import BLUE, GREY, INK


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


def plot_reliability(
    promised: np.ndarray,
    found: np.ndarray,
    band: tuple[np.ndarray, np.ndarray],
    *,
    marked: Sequence[float] = (0.5, 0.9),
    ax: Axes,
) -> Axes:
    """Promised against found coverage at every level, with a band for what is uncertain of it.

    Args:
        promised: levels of central intervals, increasing, ``(level,)``, in [0, 1].
        found: share of scores inside, ``(level,)``.
        band: lower and upper ends of an interval of ``found``, ``(level,)`` each.
        marked: levels whose share is written below the curve.
        ax: axes to draw into.

    Returns:
        The same axes. Where the band leaves the diagonal, intervals are too narrow (below it) or
        too wide (above it).
    """
    ax.plot([0.0, 1.0], [0.0, 1.0], color=GREY, linewidth=1.0)
    ax.fill_between(promised, *band, color=BLUE, alpha=0.2, linewidth=0.0)
    ax.plot(promised, found, color=BLUE)
    lines = []
    for level in marked:
        share, low, high = (float(np.interp(level, promised, part)) for part in (found, *band))
        ax.plot(level, share, "o", color=BLUE)
        ends = f"({100 * low:.0f} to {100 * high:.0f})"
        lines.append(f"{100 * level:.0f} % hold {100 * share:.0f} % {ends}")
    ax.text(0.98, 0.03, "\n".join(lines), ha="right", va="bottom", transform=ax.transAxes)
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
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
