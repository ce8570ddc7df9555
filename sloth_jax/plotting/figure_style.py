"""Colours and the style of figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt

# Okabe and Ito (2008): distinguishable with every common kind of colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
PURPLE, SKY, AMBER = "#CC79A7", "#56B4E9", "#E69F00"
INK = "#1A1A1A"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, INK)  # of things side by side, in order


def plain_number(value: float, _: object = None) -> str:
    """Label of a tick: the number without needless decimals."""
    return f"{value:g}"


def percent(value: float, _: object = None) -> str:
    """Label of a tick: a fraction as percent without needless decimals."""
    return f"{100.0 * value:g}%"


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
