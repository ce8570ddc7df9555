"""Finding what was drawn."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D


def labelled(ax: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in ax.lines}
