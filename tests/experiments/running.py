"""Run a script inside the test's process, and keep what it printed, saved and drew."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jax
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sloth_jax import InputError

Main = Callable[[Sequence[str] | None], None]


@dataclass
class Run:
    """What a script did: its folder, standard output and error, and figures by their files."""

    out: Path
    printed: str
    said: str
    figures: dict[str, Figure]

    def csv(self, name: str, **options: Any) -> pd.DataFrame:
        return pd.read_csv(self.out / f"{name}.csv", **options)

    @property
    def summary(self) -> dict[str, Any]:
        """The record, which says how results came about."""
        record = json.loads((self.out / "summary.json").read_text())
        assert {"experiment", "seed", "smoke", "seconds", "versions"} <= record.keys()
        return record

    def axes(self, name: str) -> list[Axes]:
        """Panels of a figure that are shown."""
        return [ax for ax in self.figures[f"{name}.png"].axes if ax.get_visible()]


def run(main: Main, out: Path, *arguments: str) -> Run:
    """Call a script's ``main``, in single precision as its process has it."""
    figures: dict[str, Figure] = {}
    savefig = Figure.savefig

    def keep(figure: Figure, path: Path, dpi: float | None = None) -> None:
        figures[str(path.relative_to(out))] = figure
        savefig(figure, path, dpi=30)  # what fails only when drawn fails here

    printed, said = io.StringIO(), io.StringIO()
    with (
        patch.object(Figure, "savefig", keep),
        redirect_stdout(printed),
        redirect_stderr(said),
        jax.enable_x64(False),
    ):
        main([*arguments, "--out", str(out)])
    return Run(out, printed.getvalue(), said.getvalue(), figures)


def refused(main: Main, *arguments: str) -> str:
    """The line by which a script refuses a command line or its input."""
    said = io.StringIO()
    with redirect_stderr(said), pytest.raises((InputError, SystemExit)) as found:
        main(list(arguments))
    if isinstance(found.value, SystemExit):
        assert found.value.code == 2
        return said.getvalue()
    assert "\n" not in str(found.value)
    return str(found.value)


def shown(ax: Axes) -> np.ndarray:
    """All coordinates that lines, points, bars and bands of a panel are drawn at."""
    parts: list[np.ndarray] = []
    for line in ax.lines:
        parts += [np.asarray(data, dtype=float) for data in line.get_data()]
    for collection in ax.collections:
        parts.append(np.ma.filled(collection.get_offsets(), np.nan))
        parts += [path.vertices for path in collection.get_paths()]
    for patch_ in ax.patches:
        parts.append(patch_.get_patch_transform().transform(patch_.get_path().vertices))
    return np.concatenate([np.ravel(part) for part in parts])


def shows(ax: Axes, numbers: Any, atol: float = 1e-6) -> bool:
    """Whether all of these numbers are drawn in a panel, to the digits that a table keeps."""
    drawn, wanted = shown(ax), np.ravel(np.asarray(numbers, dtype=float))
    near = np.isclose(drawn[:, None], wanted[None], rtol=1e-4, atol=atol)
    return bool(wanted.size) and bool(near.any(axis=0).all())


def labels(ax: Axes) -> list[str]:
    """Entries of a panel's legend."""
    return ax.get_legend_handles_labels()[1]


def title(ax: Axes) -> str:
    """What stands above a panel, wherever."""
    return ax.get_title() or ax.get_title(loc="left")
