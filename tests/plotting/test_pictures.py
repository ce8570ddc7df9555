"""Key figures look as they did, letters aside: fonts differ between machines.

After a change that is meant: SLOTH_JAX_DRAW_BASELINES=1 pytest tests/plotting/test_pictures.py, and
look at what changed in tests/plotting/baselines.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.testing.compare import compare_images

import sloth_jax as sj
from sloth_jax.plotting.figure_style import KINDS, style

BASELINES = Path(__file__).parent / "baselines"
TOLERANCE = 1.0  # root mean square of 255; matplotlib 3.9 and 3.11 differ by 0.02
SIZES = np.geomspace(0.5, 80.0, 20)


def curves(ax: Axes) -> None:
    points = pd.DataFrame({"params_b": [0.5, 7.0, 72.0], "score": [0.45, 0.7, 0.84]})
    middle = 0.45 + 0.09 * np.log(SIZES / 0.5)
    width = 0.02 + 0.05 * np.log(SIZES / 0.5)
    bands = {f"{k}": (SIZES, middle - k * width, middle + k * width) for k in (1.0, 0.4)}
    lines = {"this law": (SIZES, middle), "FLOPs law": (SIZES, middle - 0.1)}
    points = points.assign(held_out=[False, True, True])
    sj.plotting.plot_curves(points, lines, bands=bands, floor=0.25, named=True, ax=ax)


def intervals(ax: Axes) -> None:
    median = np.array([0.8, 0.5, 0.3])
    ends = (median, median - 0.1, median + np.array([0.05, 0.2, 0.1]))
    known = {"truth": np.array([0.82, np.nan, 0.1]), "floors": np.array([0.25, 0.0, 0.1])}
    sj.plotting.plot_intervals(*ends, ("a", "b", "c"), **known, level=0.9, ax=ax)


def reliability(ax: Axes) -> None:
    levels = np.linspace(0.0, 1.0, 41)
    found = np.sqrt(levels)
    band = (found - 0.1 * levels * (1 - levels), np.minimum(found + 0.1, 1.0))
    sj.plotting.plot_reliability(levels, found, band, ax=ax)


@pytest.mark.parametrize("draw", [curves, intervals, reliability], ids=lambda draw: draw.__name__)
def test_a_figure_looks_as_it_did(draw: Callable[[Axes], None], tmp_path):
    with style():
        figure, ax = plt.subplots(figsize=(4.0, 3.0))
        draw(ax)
        for text in figure.findobj(mpl.text.Text):
            text.set_visible(False)
        path = tmp_path / f"{draw.__name__}.png"
        figure.savefig(path, dpi=60, bbox_inches=None, metadata={"Software": None})
        plt.close(figure)
    baseline = BASELINES / path.name
    if os.environ.get("SLOTH_JAX_DRAW_BASELINES"):
        BASELINES.mkdir(exist_ok=True)
        baseline.write_bytes(path.read_bytes())
    assert compare_images(str(baseline), str(path), tol=TOLERANCE) is None


def test_styles_nest_and_end():
    before = mpl.rcParams["font.size"]
    with style():
        page = mpl.rcParams["font.size"]
        with style("slide"):
            assert mpl.rcParams["font.size"] >= 1.8 * page
            assert mpl.rcParams["axes.spines.top"] is False  # of the page's sheet
        assert mpl.rcParams["font.size"] == page
    assert mpl.rcParams["font.size"] == before


def test_sheets_are_matplotlibs_own():
    for sheet in {sheet for sheets in KINDS.values() for sheet in sheets}:
        with plt.style.context(f"sloth_jax.plotting.{sheet}"):
            assert mpl.rcParams["lines.linewidth"] > 1.5


def test_an_unknown_style_is_refused():
    with (
        pytest.raises(sj.InputError, match="no style 'slides'; did you mean 'slide'"),
        style("slides"),
    ):
        pass
