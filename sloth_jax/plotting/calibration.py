"""Whether intervals contain what they promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

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
