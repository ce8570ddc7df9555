"""Units of scores: told apart, refused where they are mixed, taken into (0, 1) and back."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax import InputError
from sloth_jax.identifiability.score_scales import named_scale, recognise_scale


@pytest.mark.parametrize(
    ("benchmark", "scores", "kind"),
    [
        ("MMLU", [0.3, 0.9, 1.0], "fraction"),
        ("MMLU", [30.0, 90.0], "percent"),
        ("MATH Lvl 5", [0.0, 0.6, 1.5, 4.0, 30.0], "percent"),
        ("MATH Lvl 5", [1.2, 3.0, 9.0], "percent"),  # of a bundled benchmark low percent is likely
        ("Elo", [900.0, 1200.0], "unbounded"),
        ("MT-Bench", [1.0, 5.5, 8.7], "unbounded"),
        ("Minutes", [0.5, 3.0, 300.0], "unbounded"),
        ("Gain", [-0.2, 0.4], "unbounded"),
    ],
)
def test_scales_are_recognised(benchmark, scores, kind):
    assert recognise_scale(benchmark, np.array(scores)) == kind


@pytest.mark.parametrize(
    ("benchmark", "scores"),
    [
        ("MMLU", [0.45, 60.0, 70.0]),
        ("Mine", [0.45, 60.0]),
        ("Mine", [0.2, 0.5, 0.8, 0.9, 12.0]),
        ("Mine", [0.5, 8.0]),  # minutes, ratings, or a fraction among ratings
        ("GSM8K", [0.5, 0.6, 1.2]),
    ],
)
def test_mixed_scales_are_refused_by_name(benchmark, scores):
    with pytest.raises(InputError, match=f"benchmark '{benchmark}'.*mixed") as error:
        recognise_scale(benchmark, np.array(scores))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("fraction", [0.0, 0.5, 1.0]),
        ("Percent", [0.0, 50.0, 99.0]),
        ("800:1400", [800.0, 1100.0]),
        ("unbounded", [-3.0, 0.0, 12.0]),
        ("unbounded", [0.5, 30.0, 4000.0]),
    ],
)
def test_shares_are_taken_back(text, scores):
    values = np.array(scores)
    scale = named_scale(text, "Mine", values)
    shares = scale.to_shares(values)
    assert (np.diff(shares) > 0).all()
    assert ((shares >= 0.0) & (shares <= 1.0)).all()
    np.testing.assert_allclose(scale.to_scores(shares), values, rtol=1e-12, atol=1e-12)
    # the slope of the transform, against a difference
    slope = (scale.to_shares(values + 1e-6) - shares) / 1e-6
    errors = scale.error_of_share(values, np.full(values.shape, 2.0))
    np.testing.assert_allclose(errors, 2.0 * slope, rtol=1e-4)


def test_answers_of_unbounded_scores_end():
    scale = named_scale("unbounded", "Elo", np.array([1000.0, 1200.0]))
    low, high = scale.to_scores(np.array([0.0, 1.0]))
    assert 1100.0 - 7 * 100.0 < low < 1100.0 - 6 * 100.0
    assert 1100.0 + 6 * 100.0 < high < 1100.0 + 7 * 100.0
    measured = np.array([1100.0 - 9 * 100.0, 1100.0 + 20 * 100.0])  # outliers are not cut
    back = scale.to_scores(scale.to_shares(measured), measured=True)
    np.testing.assert_allclose(back, measured, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "scores", "says"),
    [
        ("elo", [1.0], "'elo' is no scale: write fraction, percent"),
        ("9:3", [5.0], "is no scale"),
        ("0:10", [5.0, 12.0], "the score 12 is outside its scale, 0 to 10"),
        ("unbounded", [1100.0, 1100.0], "all scores are 1100"),
    ],
)
def test_scales_that_cannot_be(text, scores, says):
    with pytest.raises(InputError, match=r"benchmark 'Mine'") as error:
        named_scale(text, "Mine", np.array(scores))
    assert says in str(error.value)
