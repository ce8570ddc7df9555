"""Scores of predictive draws against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sloth_jax.evaluation.scoring_rules import (
    conformal_draws,
    corrected_levels,
    covered,
    crps,
    family_means,
    interval_score,
    probability_integral_transform,
)


@pytest.fixture(scope="module")
def normal():
    rng = np.random.default_rng(0)
    return rng.normal(size=(1000, 3000)), rng.normal(size=3000)


def test_calibrated_draws_cover_as_promised(normal):
    draws, truth = normal
    for level in (0.5, 0.9):
        share = covered(draws, truth, level).mean()
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(truth)) + 0.002
    assert stats.kstest(probability_integral_transform(draws, truth), "uniform").pvalue > 1e-3


def test_crps_of_a_normal_is_its_closed_form():
    draws = np.random.default_rng(1).normal(size=(200_000, 1))
    for y in (-1.0, 0.3, 2.0):
        # y (2 Phi(y) - 1) + 2 phi(y) - 1/sqrt(pi) (Gneiting and Raftery 2007, section 4.2)
        exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert crps(draws, np.array([y]))[0] == pytest.approx(exact, abs=5e-3)


def test_crps_of_a_point_is_its_absolute_error():
    np.testing.assert_allclose(crps(np.array([[0.2, 0.7]]), np.array([0.5, 0.5])), [0.3, 0.2])


def test_interval_score_by_hand():
    draws = np.linspace(0.0, 1.0, 101)[:, None] * np.ones((1, 2))
    # 80 % interval is [0.1, 0.9]; the second score misses it by 0.1: 0.8 + 2/0.2 * 0.1
    np.testing.assert_allclose(interval_score(draws, np.array([0.5, 1.0]), 0.8), [0.8, 1.8])


def test_every_family_counts_the_same():
    inside = np.array([True, True, True, False, False, True])
    family = np.array(list("aaabbb"))
    assert family_means(inside, family) == pytest.approx([1.0, 1.0 / 3.0])
    assert family_means(inside[:4], family[:4]).mean() == 0.5  # three of four scores are inside


def test_ties_have_uniform_ranks():
    draws = np.zeros((50, 2000))
    pit = probability_integral_transform(draws, np.zeros(2000))
    assert stats.kstest(pit, "uniform").pvalue > 1e-3


def test_correction_widens_what_is_too_narrow():
    rng = np.random.default_rng(2)
    draws, truth = rng.normal(size=(2000, 4000)), 2.0 * rng.normal(size=4000)
    group = np.arange(4000) % 10
    pit = probability_integral_transform(draws, truth)
    levels = corrected_levels(pit, group, (0.5,))[0.5]
    inside = np.abs(2 * pit - 1) <= levels
    assert covered(draws, truth, 0.5).mean() < 0.35
    assert abs(inside.mean() - 0.5) < 0.04
    # ... of two standard deviations: |z| < 0.674 * 2
    assert levels.mean() == pytest.approx(2 * stats.norm.cdf(0.6745 * 2) - 1, abs=0.03)


def test_conformal_draws_use_other_groups_only():
    prediction, truth = np.array([0.5, 0.5, 0.5, 0.9]), np.array([0.6, 0.4, 0.2, 0.95])
    three = conformal_draws(prediction[:3], truth[:3], np.arange(3), np.array(list("aaa")))
    np.testing.assert_allclose(np.sort(three[0][:, 0]), [0.2, 0.4])
    with pytest.raises(ValueError, match="no residual of another group"):
        conformal_draws(prediction, truth, np.array([0, 1, 2, 2]), np.array(list("aaab")))


def test_bad_levels_are_refused(normal):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        covered(*normal, 1.0)
    with pytest.raises(ValueError, match="at least two groups"):
        corrected_levels(np.array([0.5, 0.2]), np.array([1, 1]))
