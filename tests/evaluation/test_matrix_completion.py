"""Filling gaps from scores alone: exact factors, leave-one-out means, intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax.evaluation.matrix_completion import column_means, complete_matrix, hide_scores


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


@pytest.fixture(scope="module")
def factors():
    """Scores of a level of each benchmark and model and two factors, and a mask of gaps."""
    rng = np.random.default_rng(0)
    level, skill = rng.normal(size=(60, 1)), rng.normal(size=(60, 2))
    logits = level + rng.normal(size=(1, 9)) + 0.7 * skill @ rng.normal(size=(2, 9))
    return logistic(0.5 * logits), rng.random((60, 9)) < 0.2


def test_exact_factors_are_found(factors):
    scores, gap = factors
    draws = complete_matrix(np.where(gap, np.nan, scores))
    error = np.abs(np.median(draws, axis=0) - scores)[gap]
    assert np.median(error) < 0.01
    fewer = complete_matrix(np.where(gap, np.nan, scores), rank=1)
    means = column_means(np.where(gap, np.nan, scores))
    for worse in (fewer, means):
        assert np.median(np.abs(np.median(worse, axis=0) - scores)[gap]) > 3 * np.median(error)


def test_noise_makes_intervals_that_hold_it(factors):
    scores, gap = factors
    noisy = np.clip(scores + 0.05 * np.random.default_rng(1).normal(size=scores.shape), 0.0, 1.0)
    for draws in (
        complete_matrix(np.where(gap, np.nan, noisy)),
        column_means(np.where(gap, np.nan, noisy)),
    ):
        lower, upper = np.quantile(draws, [0.05, 0.95], axis=0)
        assert 0.8 < ((lower <= noisy) & (noisy <= upper))[gap].mean() < 0.98


def test_column_means_scatter_by_the_others_of_the_benchmark():
    scores = logistic(np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 2.0]]))
    draws = column_means(scores)
    # mean 1, residuals -1.5, 0, 1.5: each less the mean of the other two
    ends = logistic(np.array([1.0 - 1.5, 1.0, 1.0 + 1.5]))
    found = [draws.min(axis=0)[0, 0], np.median(draws, axis=0)[0, 0], draws.max(axis=0)[0, 0]]
    np.testing.assert_allclose(found, ends, atol=0.01)
    assert draws.shape[1:] == scores.shape


def test_each_score_is_hidden_once():
    seen = np.random.default_rng(2).random((20, 5)) < 0.7
    masks = hide_scores(seen, np.random.default_rng(3))
    np.testing.assert_array_equal(np.sum(masks, axis=0), seen)
