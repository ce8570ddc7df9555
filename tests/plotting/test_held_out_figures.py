"""Figures of held-out scores hold the predictions and the errors that they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from artists import labelled

from sloth_jax.plotting import plot_errors, plot_predicted
from sloth_jax.plotting.figure_style import BLUE, ORANGE


def test_predictions_that_miss_are_orange(ax):
    rows = pd.DataFrame({"benchmark": "MMLU", "score": [0.3, 0.5, 0.7], "median": [0.35, 0.4, 0.5]})
    rows = rows.assign(lower_90=rows["median"] - 0.12, upper_90=rows["median"] + 0.12)
    rows = rows.assign(covered_90=[True, True, False])
    assert plot_predicted(rows, ax=ax) is ax
    inside, outside, _ = ax.lines
    assert (inside.get_color(), outside.get_color()) == (BLUE, ORANGE)
    np.testing.assert_allclose(inside.get_xydata(), rows[["score", "median"]][:2])
    np.testing.assert_allclose(outside.get_xydata(), rows[["score", "median"]][2:])
    assert ax.get_xlim() == ax.get_ylim()
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert all("." not in label and label.endswith("%") for label in labels)


def test_errors_of_both_laws_stand_side_by_side(ax):
    scores = pd.DataFrame({"benchmark": ["MMLU", "ARC"], "mae": [0.05, 0.03]})
    scores = scores.assign(mae_se=[0.01, np.nan], flops_mae=[0.06, 0.04], flops_mae_se=0.02)
    plot_errors(scores, ax=ax)
    found = labelled(ax)
    np.testing.assert_allclose(found["this law"].get_xdata(), [5.0, 3.0])
    np.testing.assert_allclose(found["FLOPs law"].get_xdata(), [6.0, 4.0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MMLU", "ARC"]
    assert found["this law"].get_ydata()[0] > found["FLOPs law"].get_ydata()[0]
