"""Colours and the style of figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt

from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, quoted

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


KINDS = {"page": ("page",), "slide": ("page", "slide")}
"""Name of a style -> its sheets in this folder, the later over the earlier."""


@contextmanager
def style(kind: str = "page") -> Iterator[None]:
    """The project's style, for the figures made inside the block.

    Every figure of the package, the command and the experiments has it. The sheets are matplotlib's
    own: ``plt.style.use("sloth_jax.plotting.page")`` does the same for a session.

    Args:
        kind: ``"page"``, or ``"slide"`` for one panel in large type.

    Raises:
        InputError: if there is no such style.

    Examples:
        >>> import matplotlib
        >>> with style("slide"):
        ...     matplotlib.rcParams["font.size"]
        18.0
    """
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(f"no style {quoted(kind)}{did_you_mean(kind, KINDS)}: {known}")
    with plt.style.context([f"sloth_jax.plotting.{sheet}" for sheet in KINDS[kind]]):
        yield
