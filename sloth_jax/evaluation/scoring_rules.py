"""Do intervals hold what they promise? Scoring predictive draws of held-out scores.

All functions take *draws*, ``(draw, entry)``, and the measured scores, ``(entry,)``; an entry is a
held-out model on a benchmark. Intervals are central ones.

Sources: Gneiting and Raftery (2007), Strictly proper scoring rules, for the continuous ranked
probability score and the interval score; Gneiting, Balabdaoui and Raftery (2007) for the
probability integral transform; Vovk (2015), Cross-conformal predictors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sloth_jax.forecasting.intervals import central_interval

LEVELS = (0.5, 0.8, 0.9, 0.95)


def covered(draws: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    """Whether the central interval holds the score, ``(entry,)``, bool."""
    lower, upper = central_interval(draws, level)
    return (lower <= truth) & (truth <= upper)


def interval_score(draws: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    """Width of the central interval plus a penalty for missing, ``(entry,)``; lower is better."""
    lower, upper = central_interval(draws, level)
    miss = np.maximum(lower - truth, 0.0) + np.maximum(truth - upper, 0.0)
    # (u - l) + 2/a (l - y)+ + 2/a (y - u)+,  a = 1 - level
    return (upper - lower) + 2.0 / (1.0 - level) * miss


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each entry, a fraction, ``(entry,)``.

    That of the empirical distribution of the draws; of a single draw it is the absolute error.
    """
    count = draws.shape[0]
    ordered = np.sort(draws, axis=0)
    # E|X - y| - E|X - X'|/2, the latter by ranks: sum_i (2 i - n - 1) x_(i) / n^2
    rank = 2.0 * np.arange(1, count + 1) - count - 1.0
    spread = (rank[:, None] * ordered).sum(axis=0) / count**2
    return np.abs(draws - truth[None, :]).mean(axis=0) - spread


def family_means(values: ArrayLike, family: ArrayLike) -> np.ndarray:
    """Mean of each family's values, families sorted by name, ``(family,)``.

    Scores of one family miss together: a share of all scores is that of a few large families, in
    the mean of these every family counts the same.

    Args:
        values: ``(entry,)``.
        family: of each entry, ``(entry,)``.
    """
    _, of_entry, count = np.unique(family, return_inverse=True, return_counts=True)
    return np.bincount(of_entry, np.asarray(values, float)) / count


def probability_integral_transform(
    draws: np.ndarray, truth: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Rank of each score among its draws, in (0, 1), ``(entry,)``; uniform if calibrated.

    Args:
        draws: ``(draw, entry)``.
        truth: ``(entry,)``.
        seed: of the ranks that ties are given: a score of exactly 0 has many draws beside it.
    """
    below = (draws < truth[None, :]).sum(axis=0)
    ties = (draws == truth[None, :]).sum(axis=0)
    place = np.random.default_rng(seed).random(truth.shape)
    return (below + place * (ties + 1.0)) / (draws.shape[0] + 1.0)


def corrected_levels(
    pit: np.ndarray, group: np.ndarray, levels: Sequence[float] = LEVELS
) -> dict[float, np.ndarray]:
    """Levels to ask of the draws so that intervals hold what is promised in other groups.

    A cross-conformal correction: for each group the level whose central intervals would have held
    the promised share of the scores of all other groups, every group counting the same.

    Args:
        pit: from :func:`probability_integral_transform`, ``(entry,)``.
        group: fold, or family, of each entry, ``(entry,)``.
        levels: promised probabilities.

    Returns:
        Promised level -> level to ask for, ``(entry,)``, at most 0.999.
    """
    # A score is inside the central interval of level q exactly if |2 PIT - 1| <= q.
    distance = np.abs(2.0 * pit - 1.0)
    found = {level: np.empty(pit.shape) for level in levels}
    for one in np.unique(group):
        others = group != one
        if not others.any():
            raise ValueError("a correction needs at least two groups")
        _, of_entry, count = np.unique(group[others], return_inverse=True, return_counts=True)
        weight = 1.0 / count[of_entry]
        order = np.argsort(distance[others])
        reached = np.cumsum(weight[order]) / weight.sum()
        for level in levels:
            at = min(int(np.searchsorted(reached, level)), len(order) - 1)
            found[level][group == one] = min(distance[others][order][at], 0.999)
    return found


def conformal_draws(
    prediction: np.ndarray, truth: np.ndarray, group: np.ndarray, kind: np.ndarray
) -> list[np.ndarray]:
    """Predictive distributions of a point prediction from the errors in other groups.

    The baseline that any interval must beat: point prediction plus the residuals of held-out
    models of all other groups on the same benchmark.

    Args:
        prediction: fractions, ``(entry,)``.
        truth: measured scores, ``(entry,)``.
        group: fold, or family, of each entry, ``(entry,)``.
        kind: benchmark of each entry, ``(entry,)``.

    Returns:
        For each entry its draws, ``(draw, 1)``, inside [0, 1]; as many as there are residuals.

    Raises:
        ValueError: if all residuals of a benchmark are of one group.
    """
    residual = truth - prediction
    found = []
    for entry in range(len(truth)):
        others = (group != group[entry]) & (kind == kind[entry])
        if not others.any():
            raise ValueError(f"benchmark {kind[entry]}: no residual of another group")
        found.append(np.clip(prediction[entry] + residual[others], 0.0, 1.0)[:, None])
    return found
