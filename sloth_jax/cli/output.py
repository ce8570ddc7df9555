"""Answers of commands: words, a table file, JSON, a figure. Loads what it needs when it is used."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sloth_jax.cli.console import tell
from sloth_jax.errors import InputError
from sloth_jax.files import (
    check_ending,
    check_overwrites_nothing_read,
    check_writable,
    frame_csv,
    has_ending,
    write_bytes,
    write_text,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from sloth_jax.inference.fit import Fit

CSV = (".csv", ".csv.gz")
PARQUET = (".parquet", ".pq")
TABLES = (*CSV, *PARQUET)
JSON = (".json",)
FITS = (".nc",)
_MOST_PANELS = 24  # of a figure that can still be read
_FIGURES = (".png", ".pdf", ".svg")
# Options that name files, of any command.
_OUTPUTS = ("out", "plot", "rejected", "unknown", "guessed")
_INPUTS = ("data", "add", "floors", "task", "fit", "query", "candidates", "source", "facts")
_INPUTS += ("bank", "labels", "responses", "items", "templates")


def check_outputs(options: argparse.Namespace, endings: Sequence[str] = (*TABLES, *JSON)) -> None:
    """Refuse files that cannot be written, or that are read, before the work starts.

    Args:
        options: of the command.
        endings: that ``--out`` may have.

    Raises:
        InputError: naming the file.
    """
    given = vars(options)
    outputs = {f"--{name}": given[name] for name in _OUTPUTS if given.get(name) is not None}
    allowed = {"--out": endings, "--plot": _FIGURES}
    for option, path in outputs.items():
        check_writable(path)
        check_ending(path, allowed.get(option, CSV))
    if given.get("json") and given.get("out") is not None and not has_ending(given["out"], JSON):
        raise InputError(
            f"--out {given['out']}: --json writes JSON; name a file that ends in .json"
        )
    named = [given[name] for name in _INPUTS if given.get(name) is not None]
    inputs = [path for one in named for path in (one if isinstance(one, list) else [one])]
    inputs += [str(path).partition("=")[2] for path in inputs if "=" in str(path)]  # NAME=BANK
    check_overwrites_nothing_read(outputs, inputs)


def write_frame(path: str, frame: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table in the format that its ending names.

    Args:
        path: file to write, with an ending of :data:`TABLES`.
        frame: the table.
        float_format: of floats in a CSV; parquet keeps them whole.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    if not has_ending(path, PARQUET):
        write_text(path, frame_csv(frame, float_format))
        return
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def write_answer(
    options: argparse.Namespace,
    fit: Fit | None,
    *,
    frame: pd.DataFrame,
    record: dict[str, Any],
    text: str,
    float_format: str = "%.6g",
) -> None:
    """Print an answer, or write it to ``--out`` in the format that its ending names.

    Args:
        options: of the command.
        fit: that answered, if one did.
        frame: the answer for a CSV or parquet file.
        record: the answer for JSON; settings, diagnostics, the seed and versions are added.
        text: the answer for a terminal.
        float_format: of numbers in a CSV.
    """
    if options.out is not None and not has_ending(options.out, JSON):
        write_frame(options.out, frame, float_format)
    elif options.json or options.out is not None:
        contents = json_of(record, fit, options.seed)
        if options.out is None:
            print(contents, end="")
        else:
            write_text(options.out, contents)
    else:
        print(text)
    if options.out is not None:
        tell(f"Wrote {options.out}")


def json_of(record: dict[str, Any], fit: Fit | None, seed: int) -> str:
    """An answer as JSON, with settings and diagnostics of the fit, the seed and versions."""
    from sloth_jax.cli.notes import fit_as_json
    from sloth_jax.provenance import versions

    of_fit = {} if fit is None else fit_as_json(fit)
    return json.dumps({**record, **of_fit, "seed": seed, "versions": versions()}, indent=2) + "\n"


def draw_models(
    path: str,
    models: Sequence[str],
    benchmarks: tuple[str, ...],
    ends: tuple[np.ndarray, np.ndarray, np.ndarray],
    **given: Any,
) -> None:
    """Draw a panel per model, of the first models; arguments as for ``interval_panels``."""
    from sloth_jax.plotting.figure_files import draw_figure, open_no_windows

    open_no_windows()
    from sloth_jax.plotting.panels import interval_panels

    if len(models) > _MOST_PANELS:
        tell(f"note: {path} shows the first {_MOST_PANELS} of {len(models)} models")
    panels = interval_panels(models[:_MOST_PANELS], benchmarks, ends, **given)
    draw_figure(path, panels, (3.6, 0.8 + 0.17 * len(benchmarks)), columns=4, legend=True)
