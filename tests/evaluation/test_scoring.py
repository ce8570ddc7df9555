"""Scores follow the published aggregation, and differences carry intervals that mean something."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from small import EXACT

from sloth_jax import InputError
from sloth_jax.evaluation.scoring import (
    COLUMNS,
    benchmark_means,
    bootstrap_difference,
    by_size_ratio,
    published_mean,
)

# The published summary is rounded to 4 decimals and the errors behind it to 5.
PUBLISHED = 1e-4


def errors_frame(*rows: tuple[int, str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


# Fold 0 holds out two models, fold 1 one: the published mean and the plain mean differ.
SMALL = errors_frame(
    (0, "plain", "a-7b", "MMLU", 0.02),
    (0, "plain", "a-70b", "MMLU", 0.04),
    (1, "plain", "b-7b", "MMLU", 0.09),
    (0, "plain", "a-7b", "ARC", 0.01),
    (0, "plain", "a-70b", "ARC", 0.03),
    (1, "plain", "b-7b", "ARC", 0.06),
    (0, "better", "a-7b", "MMLU", 0.01),
    (0, "better", "a-70b", "MMLU", 0.03),
    (1, "better", "b-7b", "MMLU", 0.05),
    (0, "better", "a-7b", "ARC", 0.01),
    (0, "better", "a-70b", "ARC", 0.01),
    (1, "better", "b-7b", "ARC", 0.06),
)
FAMILIES = {"a-7b": "a", "a-70b": "a", "b-7b": "b"}


def paired(
    differences: np.ndarray, spread: float = 0.0
) -> tuple[pd.DataFrame, str, str, dict[str, str]]:
    """Errors of two methods with given differences per family, as arguments of the bootstrap."""
    rng = np.random.default_rng(0)
    rows, families = [], {}
    for f, difference in enumerate(differences):
        for m in range(2):
            model = f"family{f}-{m}"
            families[model] = f"family{f}"
            base = 1.0 + spread * rng.random()
            rows.append((0, "first", model, "MMLU", base + difference))
            rows.append((0, "second", model, "MMLU", base))
    return errors_frame(*rows), "first", "second", families


def test_benchmark_means_by_hand():
    found = benchmark_means(SMALL)
    assert list(found.index) == ["plain", "better"]
    assert list(found.columns) == ["MMLU", "ARC"]
    np.testing.assert_allclose(found, [[0.06, 0.04], [0.035, 0.035]], atol=EXACT)


def test_published_means_by_hand():
    methods = pd.Index(["plain", "better"], name="method")
    published = pd.Series([0.05, 0.035], methods, name="published_mean")
    pd.testing.assert_series_equal(published_mean(SMALL), published)


def test_rows_in_another_order_score_the_same():
    shuffled = SMALL.sample(frac=1.0, random_state=0)
    means = published_mean(shuffled).sort_index()
    pd.testing.assert_series_equal(means, published_mean(SMALL).sort_index())
    one, other = (
        bootstrap_difference(frame, "better", "plain", FAMILIES, seed=0)
        for frame in (SMALL, shuffled)
    )
    assert one == other


def test_a_method_that_lacks_a_benchmark_has_no_published_mean():
    found = benchmark_means(SMALL.iloc[:-3])  # "better" was not scored on ARC
    assert list(found.isna().to_numpy().ravel()) == [False, False, False, True]
    np.testing.assert_allclose(published_mean(SMALL.iloc[:-3]), [0.05, np.nan], atol=EXACT)


@pytest.mark.parametrize("leaderboard", ["v1", "v2", "both"])
@pytest.mark.parametrize("n_train", [1, 2])
def test_published_errors_give_the_published_numbers(shared, leaderboard, n_train):
    errors = pd.read_csv(shared / "data" / "reference_cv_errors.csv.gz")
    summary = pd.read_csv(shared / "data" / "reference_cv_summary.csv", index_col="method")
    setting = (errors["leaderboard"] == leaderboard) & (errors["n_train"] == n_train)
    found = published_mean(errors.loc[setting])
    assert set(found.index) == set(summary.index)
    expected = summary.loc[found.index, f"{leaderboard}_n{n_train}"]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=PUBLISHED)


def test_by_size_ratio_puts_an_edge_in_the_lower_bin():
    rows = [("m", 0.5), ("n", 1.0), ("o", 2.0), ("p", 2.1), ("q", 4.0), ("r", 8.0), ("s", 8.5)]
    errors = errors_frame(
        *((0, "z", model, "MMLU", 0.01 * (i + 1)) for i, (model, _) in enumerate(rows)),
        (0, "a", "s", "MMLU", 0.5),
    )
    ratios = pd.DataFrame(
        {
            "fold": 0,
            "model": [model for model, _ in rows],
            "size_ratio": [ratio for _, ratio in rows],
        }
    )
    expected = pd.DataFrame(
        {
            "method": ["z"] * 5 + ["a"],
            "size_ratio": ["up to 1", "1 to 2", "2 to 4", "4 to 8", "over 8", "over 8"],
            "entries": [2, 1, 2, 1, 1, 1],
            "mean": [0.015, 0.03, 0.045, 0.06, 0.07, 0.5],
        }
    )
    pd.testing.assert_frame_equal(by_size_ratio(errors, ratios), expected)
    two = by_size_ratio(errors, ratios, edges=(2.5,))
    assert list(two["size_ratio"]) == ["up to 2.5", "over 2.5", "over 2.5"]
    assert list(two["entries"]) == [4, 3, 1]


def test_a_model_has_one_ratio_in_each_fold():
    errors = errors_frame((0, "m", "a", "MMLU", 0.1), (1, "m", "a", "MMLU", 0.3))
    ratios = pd.DataFrame({"fold": [0, 1], "model": ["a", "a"], "size_ratio": [1.0, 16.0]})
    assert list(by_size_ratio(errors, ratios)["mean"]) == [0.1, 0.3]
    with pytest.raises(InputError, match="no size ratio of model 'a' in fold 1"):
        by_size_ratio(errors, ratios.iloc[:1])
    with pytest.raises(InputError, match="two size ratios of model 'a' in fold 0"):
        by_size_ratio(errors, ratios.assign(fold=0))
    with pytest.raises(InputError, match=r"size ratio nan of model 'a' in fold 0"):
        by_size_ratio(errors, ratios.assign(size_ratio=np.nan))
    with pytest.raises(InputError, match="do not increase"):
        by_size_ratio(errors, ratios, edges=(2, 1))


def test_difference_by_hand():
    found = bootstrap_difference(SMALL, "better", "plain", FAMILIES, seed=0)
    # Family a: mean of -0.01, -0.01, 0, -0.02; family b: mean of -0.04, 0.
    assert found.mean == pytest.approx((-0.01 - 0.02) / 2)
    # A quarter of the resamples holds family b alone, a quarter family a alone.
    assert found.lower == pytest.approx(-0.02)
    assert found.upper == pytest.approx(-0.01)
    assert (found.first, found.second) == ("better", "plain")
    assert (found.families, found.level) == (2, 0.9)
    assert found.share_below_zero == 1.0


def test_families_count_the_same_however_many_models_they_have():
    rows = [(0, "first", f"big-{i}", "MMLU", 0.1) for i in range(9)]
    rows += [(0, "second", f"big-{i}", "MMLU", 0.2) for i in range(9)]
    rows += [(0, "first", "small", "MMLU", 0.5), (0, "second", "small", "MMLU", 0.2)]
    families = {f"big-{i}": "big" for i in range(9)} | {"small": "small"}
    found = bootstrap_difference(errors_frame(*rows), "first", "second", families, seed=0)
    assert found.mean == pytest.approx((-0.1 + 0.3) / 2)
    assert found.lower == pytest.approx(-0.1)
    assert found.upper == pytest.approx(0.3)


def test_a_method_does_not_differ_from_itself():
    twin = SMALL[SMALL["method"] == "plain"].assign(method="twin")
    errors = pd.concat([SMALL, twin])
    for other in ("twin", "plain"):
        found = bootstrap_difference(errors, "plain", other, FAMILIES, seed=0)
        assert found.mean == found.lower == found.upper == found.share_below_zero == 0.0


def test_swapping_the_methods_changes_the_sign():
    errors, first, second, families = paired(np.random.default_rng(3).normal(-0.01, 0.05, 12))
    one = bootstrap_difference(errors, first, second, families, seed=0)
    other = bootstrap_difference(errors, second, first, families, seed=0)
    assert one.mean < 0 < other.mean
    assert other.mean == pytest.approx(-one.mean)
    assert (other.lower, other.upper) == (pytest.approx(-one.upper), pytest.approx(-one.lower))
    assert other.share_below_zero == pytest.approx(1.0 - one.share_below_zero)


def test_the_seed_decides_the_interval():
    arguments = paired(np.random.default_rng(3).normal(0.0, 0.05, 12))
    one, again, other = (bootstrap_difference(*arguments, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.lower != other.lower
    assert one.mean == other.mean


def test_errors_common_to_both_methods_cancel():
    differences = np.random.default_rng(3).normal(0.0, 0.05, 12)
    plain, wild = (
        bootstrap_difference(*paired(differences, spread), seed=0) for spread in (0.0, 0.5)
    )
    assert wild.lower == pytest.approx(plain.lower, abs=EXACT)
    assert wild.upper == pytest.approx(plain.upper, abs=EXACT)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_interval_agrees_with_the_standard_error(level):
    count = 200
    differences = np.random.default_rng(5).normal(0.02, 0.1, count)
    found = bootstrap_difference(*paired(differences), seed=0, resamples=20_000, level=level)
    # Resampled means have the plug-in standard error; 200 families make them nearly normal.
    half = NormalDist().inv_cdf(0.5 + level / 2) * differences.std() / np.sqrt(count)
    # The ends' Monte Carlo standard error is about 0.9 % of half at level 0.9, 1.4 % at 0.5; the
    # rest of the tolerance is for the skewness that 200 families leave.
    assert found.upper - differences.mean() == pytest.approx(half, rel=0.08)
    assert differences.mean() - found.lower == pytest.approx(half, rel=0.08)
    below = NormalDist(differences.mean(), differences.std() / np.sqrt(count)).cdf(0.0)
    assert found.share_below_zero == pytest.approx(below, abs=0.02)


def test_interval_holds_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(7)
    repeats, count, truth, level = 200, 40, 0.02, 0.9
    rows = [(0, name, f"m{f}", "MMLU", 1.0) for name in ("first", "second") for f in range(count)]
    errors, families = errors_frame(*rows), {f"m{f}": f"family{f}" for f in range(count)}
    held = 0
    for seed in range(repeats):
        errors["abs_error"] = 1.0 + np.append(rng.normal(truth, 0.1, count), np.zeros(count))
        found = bootstrap_difference(
            errors, "first", "second", families, seed=seed, resamples=500, level=level
        )
        held += found.lower <= truth <= found.upper
    # With 40 families the percentile interval misses about 0.01 of its level.
    assert held / repeats == pytest.approx(level - 0.01, abs=3 * np.sqrt(0.9 * 0.1 / repeats))


def test_a_method_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no method 'beter' .* did you mean 'better'"):
        bootstrap_difference(SMALL, "beter", "plain", FAMILIES, seed=0)
    with pytest.raises(InputError, match=r"no method 'zebra' among the errors$"):
        bootstrap_difference(SMALL, "better", "zebra", FAMILIES, seed=0)


def test_a_model_without_a_family_is_named():
    families = {"a_7b_": "a", "a-70b": "a", "b-7b": "b"}
    with pytest.raises(InputError, match="no family for model 'a-7b'; did you mean 'a_7b_'"):
        bootstrap_difference(SMALL, "better", "plain", families, seed=0)


def test_methods_scored_on_different_models_cannot_be_compared():
    with pytest.raises(InputError, match="'b-7b' on 'ARC' is there for 'plain' in fold 1 but not"):
        bootstrap_difference(SMALL.iloc[:-1], "better", "plain", FAMILIES, seed=0)
    moved = SMALL.assign(fold=[*SMALL["fold"][:-1], 2])
    with pytest.raises(InputError, match="compare methods on the same"):
        bootstrap_difference(moved, "better", "plain", FAMILIES, seed=0)


def test_one_family_has_no_interval():
    with pytest.raises(InputError, match="all held-out models are of family 'x'"):
        bootstrap_difference(SMALL, "better", "plain", dict.fromkeys(FAMILIES, "x"), seed=0)


@pytest.mark.parametrize("setting", [{"level": 90.0}, {"level": 0.0}, {"resamples": 0}])
def test_settings_out_of_range(setting):
    with pytest.raises(ValueError, match=r"too few|not between 0 and 1"):
        bootstrap_difference(SMALL, "better", "plain", FAMILIES, seed=0, **setting)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (SMALL.drop(columns="abs_error"), "no column 'abs_error'"),
        (SMALL.rename(columns={"method": "methods"}), "'method'; did you mean 'methods'"),
        (SMALL.iloc[:0], "no rows"),
        (SMALL.assign(abs_error=np.nan), "'a-7b' on 'MMLU' in fold 0: abs_error nan is not"),
        (SMALL.assign(abs_error=-0.01), "abs_error -0.01 is not"),
        (
            pd.concat([SMALL, SMALL]),
            "method 'plain', model 'a-7b' on 'MMLU' in fold 0: there twice",
        ),
    ],
)
def test_what_is_no_errors_frame_is_refused(errors, message):
    for score in (benchmark_means, published_mean):
        with pytest.raises(InputError, match=message):
            score(errors)
