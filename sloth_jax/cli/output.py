"""Answers of the planning commands: words, a CSV, JSON, a figure."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloth_jax import __version__
from sloth_jax.cli.console import tell
from sloth_jax.cli.notes import fit_as_json
from sloth_jax.errors import InputError
from sloth_jax.files import check_writable, frame_csv, write_bytes, write_text
from sloth_jax.inference.fit import Fit
from sloth_jax.provenance import versions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written before the work starts.

    Raises:
        InputError: naming the file.
    """
    for path in (options.out, options.plot):
        if path is not None:
            check_writable(path)
    if options.plot is not None and Path(options.plot).suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"--plot {options.plot}: name a file that ends in .png, .pdf or .svg")


def write_answer(
    options: argparse.Namespace,
    fit: Fit,
    *,
    frame: pd.DataFrame,
    record: dict[str, Any],
    text: str,
) -> None:
    """Print an answer, or write it to ``--out``.

    Args:
        options: of the command.
        fit: that answered.
        frame: the answer for a CSV.
        record: the answer for JSON; settings, diagnostics and versions are added.
        text: the answer for a terminal.
    """
    if options.json:
        contents = json_of(record, fit, options.seed)
    else:
        contents = frame_csv(frame, "%.6g")
    if options.out is not None:
        write_text(options.out, contents)
        tell(f"Wrote {options.out}")
    else:
        print(contents if options.json else text, end="" if options.json else "\n")


def json_of(record: dict[str, Any], fit: Fit, seed: int) -> str:
    """An answer as JSON, with settings, diagnostics and versions."""
    added = {**fit_as_json(fit), "seed": seed, "versions": versions()}
    return json.dumps({**record, **added}, indent=2) + "\n"


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


def draw_figure(
    path: str,
    panels: Sequence[Callable[[Axes], Any]],
    panel_size: tuple[float, float] = (4.6, 3.4),
) -> None:
    """Draw panels side by side into a file, inches each."""
    open_no_windows()
    import matplotlib.pyplot as plt

    from sloth_jax.plotting import style

    width, height = panel_size
    with style():
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(width * len(panels), height),
            layout="constrained",
            squeeze=False,
        )
        for draw, ax in zip(panels, axes[0], strict=True):
            draw(ax)
        content = image_of(figure, Path(path).suffix[1:])
        plt.close(figure)
    write_bytes(path, content)
    tell(f"Drew {path}")
