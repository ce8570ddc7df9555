"""Forecasts of a group's aggregate score, from the draws of its parts.

A suite's score is the mean of its parts, each counting as much as it has items, or all the same.
Every draw of the parts is one outcome of all of them together, so the mean over parts of each draw
is a draw of the aggregate, whose intervals hold what parts share and what is their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.forecasting.forecast import Forecast
from sloth_jax.wording import counted, quoted


class Aggregation(NamedTuple):
    """How aggregates are means of benchmarks.

    Attributes:
        names: of the groups of two or more benchmarks, ``(group,)``.
        weights: of each benchmark, 0 outside the group, rows sum to 1, ``(group, benchmark)``.
        floors: chance floors of the aggregates, fractions, ``(group,)``.
        words: how each is a mean, one sentence each, ``(group,)``.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    floors: np.ndarray
    words: tuple[str, ...]


def aggregation(table: Leaderboard, weights: Mapping[str, float] | None = None) -> Aggregation:
    """How the groups of a table are means of their parts.

    Args:
        table: with groups of benchmarks, or without, which gives none.
        weights: benchmark -> how much it counts within its group, not negative; None counts items
            where the table knows them of all parts of a group, else all parts the same.

    Raises:
        InputError: if a weight is negative or no number, of no benchmark, or all of a group are 0.
    """
    for name in weights or {}:
        if name not in table.benchmarks:
            raise InputError(f"no benchmark {quoted(name)} to weigh: {', '.join(table.benchmarks)}")
    groups, words = table.groups(), []
    found = np.zeros((len(groups), len(table.benchmarks)))
    for row, (name, parts) in enumerate(groups.items()):
        at, how = list(parts), "all the same"
        counts = np.ones(len(at))
        if weights is not None:
            counts = np.array([weights.get(table.benchmarks[j], 0.0) for j in at], float)
            how = "weighted as given"
        elif np.isfinite(table.items[at]).all():
            counts, how = table.items[at], "weighted by their items"
        if not (np.isfinite(counts).all() and (counts >= 0.0).all() and counts.any()):
            raise InputError(f"weights of {name}: give numbers, none negative and not all zero")
        found[row, at] = counts / counts.sum()
        words.append(f"{name} is the mean of {counted(len(at), 'benchmark')}, {how}")
    return Aggregation(tuple(groups), found, found @ table.floors, tuple(words))


def aggregate(
    predictions: Forecast, table: Leaderboard, *, weights: Mapping[str, float] | None = None
) -> Forecast:
    """Forecast the aggregate score of every group of benchmarks.

    Args:
        predictions: of the benchmarks of a table.
        table: that was fitted.
        weights: see :func:`aggregation`.

    Returns:
        A forecast whose benchmarks are the groups: draws are ``(draw, model, group)``.

    Raises:
        InputError: if the table has no group of two or more benchmarks, or by :func:`aggregation`.
    """
    found = aggregation(table, weights)
    if not found.names:
        raise InputError(
            "no group of benchmarks to aggregate: name them in a column 'group' of the"
            " table of floors"
        )
    # a_g = sum_j w_gj y_j, of each draw
    draws = predictions.draws @ found.weights.T.astype(predictions.draws.dtype)
    return replace(predictions, benchmarks=found.names, draws=draws)


def with_aggregates(predictions: Forecast, table: Leaderboard) -> tuple[Forecast, np.ndarray]:
    """The same forecast with aggregates of groups after the benchmarks, and the floors of all.

    Returns:
        The forecast, ``(draw, model, benchmark + group)``, and floors, ``(benchmark + group,)``.
    """
    found = aggregation(table)
    if not found.names:
        return predictions, table.floors
    groups = aggregate(predictions, table)
    both = replace(
        predictions,
        benchmarks=(*predictions.benchmarks, *groups.benchmarks),
        draws=np.concatenate([predictions.draws, groups.draws], axis=2),
    )
    return both, np.append(table.floors, found.floors)
