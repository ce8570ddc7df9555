"""Filling the gaps of a table from its scores alone: column means, and factors by least squares.

Both know nothing of sizes, tokens and families. They work on logits of scores and scatter their
predictions by residuals of scores that they did not see (split conformal prediction: Papadopoulos
et al. 2002). Regularised alternating least squares: Koren, Bell and Volinsky (2009).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RANK = 2
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_ROUNDS = 60  # of alternating least squares
_END = 0.02  # scores nearer to 0 or 1 have the logit of this
_DRAWS = 200

Hide = Callable[[np.ndarray, np.random.Generator], list[np.ndarray]]  # of seen scores, to masks


def hide_scores(seen: np.ndarray, rng: np.random.Generator, parts: int = 5) -> list[np.ndarray]:
    """Masks that hide single scores at random, each score once."""
    part = rng.permutation(np.arange(seen.size) % parts).reshape(seen.shape)
    return [seen & (part == one) for one in range(parts)]


def column_means(scores: np.ndarray) -> np.ndarray:
    """Predict every score by its benchmark's others.

    Args:
        scores: fractions, ``(model, benchmark)``, NaN where not seen; each benchmark has two or
            more.

    Returns:
        Predictive draws, fractions, ``(draw, model, benchmark)``. Residuals leave one score out.
    """
    logits = _logits(scores)
    mean, count = np.nanmean(logits, axis=0), np.isfinite(logits).sum(axis=0)
    # y_i - mean of the others = (y_i - mean) n / (n - 1)
    residual = (logits - mean) * count / np.maximum(count - 1, 1)
    return _scattered(np.broadcast_to(mean, scores.shape), residual)


def complete_matrix(
    scores: np.ndarray, *, rank: int = RANK, hide: Hide = hide_scores, seed: int = 0
) -> np.ndarray:
    """Predict every score by ``level of the benchmark + level of the model + factors``, in logit.

    The penalty is that of :data:`PENALTIES` with the smallest mean absolute error of scores that
    are hidden in turn, and their residuals are those of the intervals.

    Args:
        scores: as for :func:`column_means`.
        rank: number of factors.
        hide: what is hidden in turn; best as the gaps that are to be filled.
        seed: of what is hidden, and of the start.

    Returns:
        Predictive draws, fractions, ``(draw, model, benchmark)``.
    """
    logits, rng = _logits(scores), np.random.default_rng(seed)
    masks = hide(np.isfinite(logits), rng)
    start = 0.1 * rng.standard_normal((logits.shape[1], rank))
    residuals = []
    for penalty in PENALTIES:
        residual = np.full(logits.shape, np.nan)
        for mask in masks:
            left = np.where(mask, np.nan, logits)
            residual[mask] = (logits - _least_squares(left, start, penalty))[mask]
        residuals.append(residual)
    best = int(np.argmin([np.nanmean(np.abs(residual)) for residual in residuals]))
    return _scattered(_least_squares(logits, start, PENALTIES[best]), residuals[best])


def _least_squares(logits: np.ndarray, start: np.ndarray, penalty: float) -> np.ndarray:
    """Logits ``b_j + a_m + u_m' v_j``; minimises squared residuals + penalty (a^2 + u^2 + v^2)."""
    seen = np.isfinite(logits)
    weight, values = seen.astype(float), np.where(seen, logits, 0.0)
    bias = values.sum(axis=0) / np.maximum(weight.sum(axis=0), 1.0)  # b
    factor = start  # v, (benchmark, rank)
    penalised = np.full(start.shape[1] + 1, penalty)
    unpenalised = np.append(1e-9, penalised[1:])  # b: a benchmark without a score has none
    level, skill = np.zeros(len(logits)), np.zeros((len(logits), start.shape[1]))
    for _ in range(_ROUNDS):
        level, skill = _ridge(factor, weight, weight * (values - bias), penalised)  # a, u
        other = (weight * (values - level[:, None])).T
        bias, factor = _ridge(skill, weight.T, other, unpenalised)
    return bias + level[:, None] + skill @ factor.T


def _ridge(
    known: np.ndarray, weight: np.ndarray, target: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intercept ``(row,)`` and coefficients ``(row, column)`` of each row of ``target``."""
    known = np.column_stack([np.ones(len(known)), known])
    normal = np.einsum("ij,jp,jq->ipq", weight, known, known) + np.diag(penalty)
    found = np.linalg.solve(normal, (target @ known)[:, :, None])[:, :, 0]
    return found[:, 0], found[:, 1:]


def _logits(scores: np.ndarray) -> np.ndarray:
    share = np.clip(scores, _END, 1.0 - _END)
    return np.log(share / (1.0 - share))


def _scattered(logits: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Predictions plus quantiles of each benchmark's residuals, as fractions."""
    place = (np.arange(_DRAWS) + 0.5) / _DRAWS
    scatter = np.empty((_DRAWS, residual.shape[1]))
    for j, column in enumerate(residual.T):
        # A benchmark of which nothing was hidden has the residuals of all.
        own = column if np.isfinite(column).any() else residual
        scatter[:, j] = np.nanquantile(own, place)
    return 1.0 / (1.0 + np.exp(-(logits + scatter[:, None])))
