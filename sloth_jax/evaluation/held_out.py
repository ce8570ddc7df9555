"""Predictions of held-out scores, judged one by one, and means with errors over groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.evaluation.scoring_rules import covered, crps
from sloth_jax.forecasting.intervals import central_interval


def score_rows(
    table: Leaderboard,
    model: np.ndarray,
    benchmark: np.ndarray,
    draws: np.ndarray,
    levels: Sequence[float] = (0.9,),
) -> pd.DataFrame:
    """Predictive draws of measured scores, judged; see :mod:`sloth_jax.evaluation.scoring_rules`.

    Args:
        table: models and scores.
        model: position of each entry's model, ``(entry,)``.
        benchmark: of its benchmark, ``(entry,)``.
        draws: fractions, ``(draw, entry)``.
        levels: of the intervals whose ends are columns.
    """
    truth, family = table.scores[model, benchmark], table.family[model]
    median = np.median(draws, axis=0)
    rows = pd.DataFrame(
        {
            "model": names_at(table.models, model),
            "family": names_at(table.families, family),
            "lineage": names_at(table.lineages, table.lineage_of_family[family]),
            "benchmark": names_at(table.benchmarks, benchmark),
            "score": truth,
            "median": median,
            "error": np.abs(median - truth),
            "crps": crps(draws, truth),
            "covered_50": covered(draws, truth, 0.5),
        }
    )
    for level in levels:
        lower, upper = central_interval(draws, level)
        name = f"{100 * level:.0f}"
        rows[f"lower_{name}"], rows[f"upper_{name}"] = lower, upper
        rows[f"covered_{name}"] = (lower <= truth) & (truth <= upper)
        rows[f"width_{name}"] = upper - lower
    return rows


_BY_SCORE = {"mae": "error", "crps": "crps"}
_BY_SCORE |= {f"coverage_{p}": f"covered_{p}" for p in (50, 90)} | {"width_90": "width_90"}
_BY_FAMILY = {"coverage_50_families": "covered_50", "coverage_90_families": "covered_90"}
NUMBERS = (*_BY_SCORE, *_BY_FAMILY)


def summarise(rows: pd.DataFrame) -> dict[str, float]:
    """:data:`NUMBERS` of rows of :func:`score_rows`, each with ``_se``, its error over lineages."""
    columns = list(_BY_FAMILY.values())
    families = rows.groupby(["lineage", "family"], as_index=False)[columns].mean()
    found: dict[str, float] = {}
    for names, frame in ((_BY_SCORE, rows), (_BY_FAMILY, families)):
        for name, column in names.items():
            values, lineage = frame[column].to_numpy(), frame["lineage"].to_numpy()
            found[name], found[f"{name}_se"] = mean_and_error(values, lineage)
    return found | {"scores": len(rows), "lineages": rows["lineage"].nunique()}


def names_at(names: Sequence[str], at: np.ndarray) -> np.ndarray:
    """Names at positions, an array of the same shape."""
    return np.asarray(names, object)[at]


def mean_and_error(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Mean of values, and its standard error where those of a group vary together.

    Args:
        values: ``(entry,)``; NaN is left out.
        group: of each entry, a lineage for instance, ``(entry,)``.

    Returns:
        Both; NaN of no value, the error of one group too. Source: Liang and Zeger 1986.
    """
    there = ~np.isnan(values)
    if not there.any():
        return float("nan"), float("nan")
    values = np.asarray(values, float)[there]
    mean = float(values.mean())
    _, of_entry = np.unique(group[there], return_inverse=True)
    # sqrt( G/(G-1) sum_g ( sum_i in g (x_i - mean) )^2 ) / N
    total = np.bincount(of_entry, values - mean)
    if len(total) == 1:
        return mean, float("nan")
    return mean, float(np.sqrt(len(total) / (len(total) - 1) * (total**2).sum()) / len(values))
