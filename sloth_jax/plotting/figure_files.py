"""Figures as files, drawn without a window. Matplotlib is loaded when something is drawn."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloth_jax import __version__
from sloth_jax.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG = logging.getLogger(__name__)


def open_no_windows() -> None:
    """Draw into files only; before pyplot is imported."""
    import matplotlib  # takes a second

    matplotlib.use("Agg")


def image_of(figure: Figure, kind: str = "png") -> bytes:
    """A figure as png, pdf or svg, which says the version that drew it."""
    buffer = io.BytesIO()
    made_by = {"Software" if kind == "png" else "Creator": f"sloth_jax {__version__}"}
    figure.savefig(buffer, format=kind, metadata=made_by)
    return buffer.getvalue()


def draw_figure(path: str, panels: Sequence[Callable[[Axes], Any]], *size: Any, **how: Any) -> None:
    """Draw panels into a file, all of it or nothing.

    Args:
        path: ending in .png, .pdf or .svg.
        panels: what draws each.
        size: of a panel, and
        how: they stand, as for :func:`sloth_jax.plotting.plot_panels`.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    open_no_windows()
    import matplotlib.pyplot as plt

    from sloth_jax.plotting.figure_style import style
    from sloth_jax.plotting.panels import plot_panels

    with style(), warnings.catch_warnings():
        # A name in letters that the font lacks is drawn with boxes, and is right in every table.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = plot_panels(panels, *size, **how)
        content = image_of(figure, Path(path).suffix[1:].lower())
        plt.close(figure)
    write_bytes(path, content)
    LOG.info("Drew %s", path)
