"""Axes to draw into."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from sloth_jax.plotting.figure_style import style


@pytest.fixture
def ax() -> Iterator[Axes]:
    with style():
        figure, axes = plt.subplots(figsize=(6.0, 4.0))
        yield axes
        figure.canvas.draw()  # what fails only when drawn fails here
        plt.close(figure)
