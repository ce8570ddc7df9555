"""Curves of families: what is hidden, what is predicted, what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from unittest.mock import patch

import curves
import numpy as np
import pytest
from running import Run, refused, run, shown, shows, title


@dataclass
class Known:
    """Draws around a line in log size, wider the larger the model, in place of a fit's."""

    benchmarks: tuple[str, ...]
    size: np.ndarray

    @property
    def draws(self) -> np.ndarray:
        around = np.random.default_rng(0).normal(size=(200, len(self.size), len(self.benchmarks)))
        far = np.log(self.size / self.size.min())[:, None]
        return 0.4 + 0.05 * far + (0.01 + 0.02 * far) * around

    def interval(self, level: float) -> tuple[np.ndarray, ...]:
        return tuple(np.quantile(self.draws, [0.5 - level / 2, 0.5 + level / 2], axis=0))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Run:
    """A run whose fit is known: fits and forecasts have tests of their own."""
    learnt_from = []

    def fit(table, **_):
        learnt_from.append(table)
        return SimpleNamespace(diagnostics=SimpleNamespace(), table=table)

    def forecast(fit, query, **_):
        return Known(fit.table.benchmarks, query.params_b)

    given = ("--families", "qwen2", "--smoke")
    with patch.object(curves.sj, "fit", fit), patch.object(curves.sj, "forecast", forecast):
        done = run(curves.main, tmp_path_factory.mktemp("curves") / "out", *given)
    assert not set(done.summary["hidden"]) & set(learnt_from[0].models)
    return done


def test_all_but_the_smallest_models_of_the_lineage_are_hidden(drawn):
    hidden = drawn.summary["hidden"]
    assert {"qwen2-72b", "qwen2-7b-instruct", "qwen2-1.5b"} <= set(hidden)
    assert not {"qwen2-0.5b", "qwen2-0.5b-instruct"} & set(hidden)
    points = drawn.csv("points")
    assert points.groupby("model")["held_out"].first().to_dict() == {
        model: model in hidden for model in points["model"]
    }


def test_bands_widen_away_from_what_was_seen(drawn):
    rows = drawn.csv("curves")
    assert (rows["lower_90"] <= rows["lower_50"]).all()
    assert (rows["lower_50"] <= rows["median"]).all()
    assert (rows["median"] <= rows["upper_50"]).all()
    assert (rows["upper_50"] <= rows["upper_90"]).all()
    width = (rows["upper_90"] - rows["lower_90"]).groupby(rows["params_b"]).mean()
    assert width.iloc[-1] > width.iloc[0]
    assert rows["flops_law"].between(0.0, 1.0).all()
    # Tokens go from model to model: 12 trillion at the smallest, 7 at the others.
    tokens = rows.groupby("params_b")["tokens_t"].first()
    np.testing.assert_allclose([tokens.iloc[0], tokens.iloc[-1]], [12.0, 7.0], rtol=1e-5)


def test_panels_show_points_lines_and_bands(drawn):
    rows, points = drawn.csv("curves"), drawn.csv("points")
    for ax in drawn.axes("curves_qwen2"):
        mine = rows[rows["benchmark"] == title(ax)]
        assert shows(ax, mine[["median", "flops_law", "lower_90", "upper_90", "lower_50"]])
        assert shows(ax, points[points["benchmark"] == title(ax)]["score"])
        assert {text.get_text() for text in ax.texts} == {"this law", "FLOPs law"}
    (slide,) = drawn.axes("slide")
    assert np.isfinite(shown(slide)).any()
    assert {text.get_text() for text in slide.texts} >= {"seen", "held out", "this law"}


def test_a_family_that_is_not_there_is_refused(tmp_path):
    out = ("--out", str(tmp_path / "out"))
    assert "no family 'qwen9'" in refused(curves.main, "--families", "qwen9", *out)
