"""A table with its gaps filled: every missing score with an interval, in the table's own units."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.forecasting.forecast import Forecast, forecast_table
from sloth_jax.identifiability.score_scales import UNBOUNDED, ScoreScale
from sloth_jax.inference.fit import Fit
from sloth_jax.showing import Shown, some
from sloth_jax.wording import counted

MEASURED, PREDICTED = "measured", "predicted"
COLUMNS = ("model", "benchmark", "score", "median", "lower", "upper", "level", "status")


@dataclass(frozen=True, eq=False, repr=False)
class Completion(Shown):
    """A table and predictions of all its cells.

    Attributes:
        table: what was fitted, scores as shares.
        scales: units of each benchmark in the answers, ``(benchmark,)``.
        forecast: predictive draws of shares, of all models and benchmarks of the table.
    """

    table: Leaderboard
    scales: tuple[ScoreScale, ...]
    forecast: Forecast

    def _line(self) -> str:
        cells = self.table.scores.size
        return f"{cells - int(self.table.observed.sum())} of {cells} scores predicted"

    def _rows(self) -> pd.DataFrame:
        return self.to_frame()

    @property
    def bounded(self) -> np.ndarray:
        """Benchmarks whose scores are shares of a full score, ``(benchmark,)``, bool."""
        return np.array([scale.kind != UNBOUNDED for scale in self.scales])

    def ends(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Median and central interval of every cell, ``(model, benchmark)`` each, in its units.

        Raises:
            ValueError: if ``level`` is not inside (0, 1).
        """
        shares = np.median(self.forecast.draws, axis=0), *self.forecast.interval(level)
        median, lower, upper = (self._scores(share) for share in shares)
        return median, lower, upper

    def _scores(self, shares: np.ndarray, measured: bool = False) -> np.ndarray:
        columns = zip(self.scales, shares.T, strict=True)
        taken = [scale.to_scores(column, measured=measured) for scale, column in columns]
        return np.stack(taken, axis=1)

    def to_frame(self, level: float = 0.9) -> pd.DataFrame:
        """One row per model and benchmark, with the columns :data:`COLUMNS`.

        ``score`` is NaN where it was not measured. Where it was, median and interval say what the
        model would score if it were measured again.

        Args:
            level: probability inside the central interval, in (0, 1).

        Returns:
            Scores in the units of the table.
        """
        median, lower, upper = self.ends(level)
        models, benchmarks = self.table.scores.shape
        columns = {
            "model": np.repeat(self.table.models, benchmarks),
            "benchmark": np.tile(self.table.benchmarks, models),
            "score": self._scores(self.table.scores, measured=True).ravel(),
            "median": median.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "level": level,
            "status": np.where(self.table.observed, MEASURED, PREDICTED).ravel(),
        }
        return pd.DataFrame(columns, columns=list(COLUMNS))

    def to_wide(self, level: float = 0.9) -> pd.DataFrame:
        """A row per model: facts; each benchmark's score, or its median; ends of intervals.

        The ends, in columns such as ``MMLU lower``, are NaN where the score was measured.

        Args:
            level: probability inside the central interval, in (0, 1).
        """
        median, lower, upper = self.ends(level)
        seen = self.table.observed
        scores = self._scores(self.table.scores, measured=True)
        columns: dict[str, np.ndarray] = {}
        for j, name in enumerate(self.table.benchmarks):
            columns[name] = np.where(seen[:, j], scores[:, j], median[:, j])
            for end, values in (("lower", lower), ("upper", upper)):
                columns[f"{name} {end}"] = np.where(seen[:, j], np.nan, values[:, j])
        facts = self.table.to_frame()[["model", "family", "params_b", "tokens_t"]]
        return pd.concat([facts, pd.DataFrame(columns)], axis=1)

    def by_benchmark(self, level: float = 0.9) -> pd.DataFrame:
        """Scores measured and predicted of each benchmark, and how wide the intervals are.

        Returns:
            A row per benchmark: ``benchmark``, ``measured``, ``predicted``, ``width``, the median
            width of the intervals of predicted scores in the benchmark's units, NaN without one.
        """
        _, lower, upper = self.ends(level)
        seen = self.table.observed
        width = [_median((upper - lower)[~seen[:, j], j]) for j in range(seen.shape[1])]
        return pd.DataFrame(
            {
                "benchmark": list(self.table.benchmarks),
                "measured": seen.sum(axis=0),
                "predicted": (~seen).sum(axis=0),
                "width": width,
            }
        )

    def unknown(self) -> tuple[str, ...]:
        """Models without a score, of families without one: predicted from the population."""
        alone = ~self.table.observed.any(axis=1) & (self.forecast.family_models == 0)
        return tuple(self.table.models[m] for m in np.flatnonzero(alone))

    def to_draw(self, level: float = 0.9) -> dict[str, Any]:
        """What :func:`sloth_jax.plotting.interval_panels` draws: models with gaps, or all.

        Benchmarks whose scores are no shares are left out.
        """
        shown = np.flatnonzero(self.bounded)
        gaps = ~self.table.observed[:, shown].all(axis=1)
        models = np.flatnonzero(gaps if gaps.any() else ~gaps)
        part = np.ix_(models, shown)
        shares = np.median(self.forecast.draws, axis=0), *self.forecast.interval(level)
        return {
            "models": [self.table.models[m] for m in models],
            "benchmarks": tuple(self.table.benchmarks[j] for j in shown),
            "ends": tuple(share[part] for share in shares),
            "floors": self.table.floors[shown],
            "truth": self.table.scores[part],
        }

    def to_text(self, level: float = 0.9) -> str:
        """:meth:`summary` and :meth:`by_benchmark`, for a terminal."""
        table = self.by_benchmark(level).to_string(index=False, float_format="%.4g", na_rep="")
        width = "width: the median width of the intervals, in the units of the benchmark"
        return "\n".join([*self.summary(level), width, table])

    def to_record(self, level: float = 0.9) -> dict[str, Any]:
        """The same for JSON."""
        benchmarks = records(self.by_benchmark(level))
        return {"level": level, "summary": self.summary(level), "benchmarks": benchmarks}

    def summary(self, level: float = 0.9) -> list[str]:
        """What was filled and how well it is known, in lines."""
        seen = self.table.observed
        scored = seen.any(axis=1)
        lower, upper = self.forecast.interval(level)
        gaps = ~seen & self.bounded
        filled = counted(int((~seen).sum()), "gap")
        lines = [f"{filled} of {seen.size} cells filled, with {100 * level:g} % intervals"]
        for rows, who in ((scored, "with scores"), (~scored, "without a score")):
            if gaps[rows].any():
                width = _median((upper - lower)[rows][gaps[rows]])
                what = f"median width {width:.3f} of a full score"
                lines.append(f"{counted(int(rows.sum()), 'model')} {who}: {what}")
        if names := self.unknown():
            lines.append(
                f"nothing but size and tokens is known of {some(names)}: predicted from the "
                "population of families"
            )
        return lines


def complete(fit: Fit, *, key: Array, scales: Sequence[ScoreScale] = ()) -> Completion:
    """Predict every cell of the table of a fit, from each model's own scores, family and size.

    Args:
        fit: from :func:`sloth_jax.fit`, of the table of
            :func:`sloth_jax.forecasting.read_sparse`, for instance.
        key: random key.
        scales: units of the benchmarks, ``(benchmark,)``; empty for fractions.
    """
    given = tuple(scales) or (ScoreScale(),) * len(fit.table.benchmarks)
    return Completion(fit.table, given, forecast_table(fit, key=key))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, which has no NaN: null says that there is none of a number."""
    return json.loads(frame.to_json(orient="records"))


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")
