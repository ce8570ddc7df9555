"""Which draws are trusted: R-hat, effective sample size, divergences, Pareto k."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax.inference.diagnostics import (
    Diagnostics,
    import_arviz,
    judge_chains,
    smooth_ratios,
)
from sloth_jax.inference.draws import resample


def _judged(expected, **changes):
    shape = expected.shape[:2]
    energy = np.random.default_rng(0).normal(size=shape)
    inputs = {"energy": energy, "diverging": np.zeros(shape, bool), "steps": np.full(shape, 7)}
    found = judge_chains(expected, **{**inputs, **changes})
    count = expected.shape[0] * expected.shape[1]
    return Diagnostics("nuts", draws=count, seconds=1.0, gradient=0.0, **found)


def test_independent_draws_are_trusted():
    expected = np.random.default_rng(1).normal(size=(4, 500, 3))
    assert _judged(expected).problems() == ()


def test_chains_that_disagree_are_not():
    expected = np.random.default_rng(2).normal(size=(4, 500, 3))
    expected[0] += 1.0
    assert any("R-hat" in problem for problem in _judged(expected).problems())


def test_a_chain_that_sticks_is_not():
    steps = np.random.default_rng(3).normal(size=(4, 500, 1))
    problems = _judged(np.cumsum(steps, axis=1)).problems()
    assert any("ESS" in problem for problem in problems)


def test_divergences_and_energy_are_reported():
    expected = np.random.default_rng(4).normal(size=(4, 500, 1))
    diverging = np.zeros((4, 500), bool)
    diverging[0, :3] = True
    slow = np.cumsum(np.random.default_rng(5).normal(size=(4, 500)), axis=1)
    problems = _judged(expected, diverging=diverging, energy=slow).problems()
    assert any("3 of 2000 draws diverged" in problem for problem in problems)
    assert any("BFMI" in problem for problem in problems)


def test_a_single_chain_is_never_trusted():
    expected = np.random.default_rng(6).normal(size=(1, 500, 1))
    assert any("R-hat nan" in problem for problem in _judged(expected).problems())


def test_approximations_are_trusted_by_their_ratios():
    rng = np.random.default_rng(7)
    weights, k = smooth_ratios(0.1 * rng.normal(size=1000))
    assert weights.sum() == pytest.approx(1.0)
    assert Diagnostics("laplace", 1000, 1.0, pareto_k=k, gradient=0.0).problems() == ()
    _, k = smooth_ratios(rng.standard_cauchy(size=1000))
    problems = Diagnostics("laplace", 1000, 1.0, pareto_k=k, gradient=50.0).problems()
    assert "sample with nuts" in problems[0]
    assert "had not settled" in problems[1]
    assert smooth_ratios(np.array([0.0, np.nan]))[1] == np.inf


@pytest.mark.parametrize("count", [40, 250, 1000])
@pytest.mark.parametrize("spread", [0.05, 0.8, 3.0])
def test_smoothed_ratios_are_those_of_arviz(count, spread):
    psislw = getattr(import_arviz(), "psislw", None)
    if psislw is None:
        pytest.skip("arviz 1 keeps its smoothing elsewhere: comparison skipped")
    rng = np.random.default_rng(count)
    for log_ratio in (spread * rng.normal(size=count), spread * rng.standard_t(3, size=count)):
        weights, k = smooth_ratios(log_ratio)
        wanted, wanted_k = psislw(log_ratio)
        assert k == pytest.approx(float(wanted_k), abs=1e-6)
        np.testing.assert_allclose(weights, np.exp(wanted), rtol=1e-6, atol=1e-12)


def test_ratios_that_are_all_the_same_tell_nothing():
    weights, k = smooth_ratios(np.zeros(100))
    np.testing.assert_allclose(weights, 0.01)
    assert k == np.inf


def test_draws_are_repeated_as_often_as_their_weight_says():
    weights = np.array([0.5, 0.0, 0.25, 0.25])
    np.testing.assert_array_equal(resample(weights), [0, 0, 2, 3])
