"""Which of some models will be best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.forecasting.forecast import forecast
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.planning.targets import MEAN, find_target


def compare(
    fit: Fit,
    candidates: Query,
    *,
    target: str | Mapping[str, float] = MEAN,
    level: float = 0.9,
    key: Array,
) -> pd.DataFrame:
    """Which of some models will be best, on each benchmark and overall.

    Candidates of one family share the uncertainty about it, so that their difference is known
    better than either score; each has noise of its own.

    Args:
        fit: from :func:`sloth_jax.fit`.
        candidates: models to compare; they need not be trained yet.
        target: what "overall" means; a benchmark, ``"mean"`` of all, or benchmarks with weights.
        level: probability inside the intervals, in (0, 1).
        key: random key.

    Returns:
        A row per candidate and benchmark, then per candidate with the target as ``benchmark``:
        ``model, benchmark, mean, median, lower, upper, level, probability_best, family_models,
        outside``.

    Raises:
        InputError: if there is no such target.
    """
    table = fit.table
    goal = find_target(target, table.benchmarks)
    predicted = forecast(fit, candidates, key=key)
    overall = predicted.draws[:, :, list(goal.benchmarks)] @ np.asarray(goal.weights)
    draws = np.concatenate([predicted.draws, overall[:, :, None]], axis=2)
    lower, upper = np.quantile(draws, tail_probabilities(level), axis=0)
    # Ties, at scores of 1 say, are shared.
    top = draws == draws.max(axis=1, keepdims=True)
    best = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    label = goal.label if goal.is_mix else f"overall: {goal.label}"
    names = [*table.benchmarks, label]
    count, width = draws.shape[1:]
    frame = pd.DataFrame(
        {
            "model": np.repeat(candidates.models, width),
            "benchmark": np.tile(names, count),
            "mean": draws.mean(axis=0).ravel(),
            "median": np.median(draws, axis=0).ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "level": level,
            "probability_best": best.ravel(),
            "family_models": np.repeat(predicted.family_models, width),
            "outside": np.repeat(predicted.outside, width),
        }
    )
    last = np.tile(np.arange(width) == width - 1, count)
    return pd.concat([frame[~last], frame[last]], ignore_index=True)
