"""Differences of methods with their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from artists import labelled

from sloth_jax import InputError
from sloth_jax.evaluation.scoring import Difference
from sloth_jax.plotting.comparison import plot_differences


def difference(first: str, mean: float, second: str = "plain", level: float = 0.9) -> Difference:
    return Difference(first, second, mean, mean - 0.01, mean + 0.02, level, 12, 0.5)


def test_differences_are_drawn_in_score_points(ax):
    asked = [difference("law", -0.005), difference("pca", 0.03)]
    assert plot_differences(asked, ax=ax) is ax
    names = {
        text.get_text(): y for y, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    }
    assert list(names) == ["law", "pca"]
    assert names["law"] > names["pca"]  # the first on top
    found = labelled(ax)["difference"]
    np.testing.assert_allclose(np.asarray(found.get_xdata()), [-0.5, 3.0])
    np.testing.assert_array_equal(found.get_ydata(), [names["law"], names["pca"]])
    (intervals,) = ax.collections
    assert intervals.get_label() == "90 % interval"
    ends = [np.asarray(path.vertices)[:, 0] for path in intervals.get_paths()]
    np.testing.assert_allclose(ends, [[-1.5, 1.5], [2.0, 5.0]])
    assert ax.get_xlabel() == "mean absolute error minus that of plain (percentage points)"
    zero = [line for line in ax.lines if list(np.asarray(line.get_xdata())) == [0.0, 0.0]]
    assert len(zero) == 1


def test_differences_need_one_reference_and_one_level(ax):
    with pytest.raises(InputError, match="at least one"):
        plot_differences([], ax=ax)
    for other in (difference("pca", 0.0, second="law"), difference("pca", 0.0, level=0.5)):
        with pytest.raises(InputError, match=r"'pca' is compared with .* draw them apart"):
            plot_differences([difference("x", 0.0), other], ax=ax)
