"""Scores that look like faults of an evaluation: answers that a parser did not find, say.

A model that scores like its neighbours on all benchmarks but one, and there hardly above chance,
was most likely misread. (The MATH scores of the second Open LLM Leaderboard were
parsed again in 2025 for this reason.) No law is fitted: a score is compared with those of the
models that are nearest in all other scores. Suspects are listed, never changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard

NEIGHBOURS = 10
_SHARED = 3  # benchmarks that two models must have in common to be compared
_FAR = 6.0  # robust standard deviations below what neighbours score
_APART = 0.05  # and at least so far below all of them, as a share above chance


@dataclass(frozen=True)
class Suspect:
    """One score that is far below those of similar models.

    Attributes:
        model: name.
        benchmark: name.
        score: a fraction.
        typical: median score of the neighbours, a fraction.
        lowest: their lowest score, a fraction.
    """

    model: str
    benchmark: str
    score: float
    typical: float
    lowest: float

    def __str__(self) -> str:
        """One sentence."""
        return (
            f"{self.model} on {self.benchmark}: {self.score:.3g}, where the {NEIGHBOURS} models "
            f"nearest in all other scores have {self.typical:.3g} in the median and "
            f"{self.lowest:.3g} at least"
        )


def suspect_scores(table: Leaderboard) -> tuple[Suspect, ...]:
    """Scores far below those of models that are alike on all other benchmarks.

    Args:
        table: models and scores; those with fewer than three other scores are not judged.

    Returns:
        Suspects, the furthest below first.
    """
    share = (table.scores - table.floors) / (1.0 - table.floors)
    spread = np.array([_spread(column) for column in share.T])
    found: list[tuple[float, Suspect]] = []
    for j, benchmark in enumerate(table.benchmarks):
        others = np.delete(share / spread, j, axis=1)
        rows = np.flatnonzero(table.observed[:, j])
        low, middle = np.full(len(share), np.nan), np.full(len(share), np.nan)
        for model in rows:
            near = share[_nearest(others, int(model), rows), j]
            if near.size == NEIGHBOURS:
                low[model], middle[model] = near.min(), np.median(near)
        below = (middle - share[:, j]) / _spread(share[:, j] - middle)
        far = (below > _FAR) & (low - share[:, j] > _APART)
        # Not a single right answer, where half of the neighbours have many.
        none = (table.scores[:, j] == 0.0) & (middle > _APART)
        floor = table.floors[j]
        for model in np.flatnonzero(far | none):
            score = float(table.scores[model, j])
            typical, lowest = (float(floor + (1.0 - floor) * at[model]) for at in (middle, low))
            suspect = Suspect(table.models[model], benchmark, score, typical, lowest)
            found.append((float(below[model]), suspect))
    return tuple(suspect for _, suspect in sorted(found, key=lambda pair: -pair[0]))


def _nearest(others: np.ndarray, model: int, rows: np.ndarray) -> np.ndarray:
    """Models among ``rows`` that are nearest by the root mean square over shared benchmarks."""
    rows = rows[rows != model]
    squares = (others[rows] - others[model]) ** 2
    shared = np.isfinite(squares).sum(axis=1)
    distance = np.nansum(squares, axis=1) / np.maximum(shared, 1)
    distance[shared < _SHARED] = np.inf
    order = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    return rows[order[np.isfinite(distance[order])]]


def _spread(values: np.ndarray) -> float:
    """Robust standard deviation, never zero: 1.4826 times the median absolute deviation."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 1.0
    return max(1.4826 * float(np.median(np.abs(known - np.median(known)))), 0.01)
