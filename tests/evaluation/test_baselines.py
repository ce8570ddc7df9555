"""The published methods: their numbers, their start, and what each of them leaves out."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from small import table

from sloth_jax import InputError, load_leaderboard
from sloth_jax.evaluation.baselines import Baseline, published_skills
from sloth_jax.evaluation.crossval import cross_validate, held_out_errors
from sloth_jax.evaluation.folds import make_folds
from sloth_jax.evaluation.methods import published_methods
from sloth_jax.evaluation.principal_components import PrincipalComponents
from sloth_jax.evaluation.published import (
    LEADERBOARDS,
    leaderboard_benchmarks,
    published_errors,
    published_groups,
)
from sloth_jax.evaluation.scoring import published_mean
from sloth_jax.law.surface import log_flops

KEY = jax.random.key(0)  # required by the interface; nothing here is random
PUBLISHED = 0.005  # what a reproduced mean error may differ by: optimisers round differently


def folds_of(leaderboard, n_train):
    data = load_leaderboard(corrected=False)
    data = data.select_benchmarks(leaderboard_benchmarks(leaderboard))
    return make_folds(data, published_groups(leaderboard, n_train), n_train=n_train)


def two_folds(data):
    train = np.ones((2, *data.scores.shape), bool)
    train[0, 3] = train[1, 7] = False
    return train


def test_names_and_their_order_are_the_published_ones():
    for n_train in (1, 2):
        assert list(published_methods(n_train)) == list(published_errors("v1", n_train))


@pytest.mark.parametrize("n_train", [1, 2])
@pytest.mark.parametrize("leaderboard", LEADERBOARDS)
def test_pca_reproduces_the_published_means(leaderboard, n_train):
    folds = folds_of(leaderboard, n_train)
    published = published_errors(leaderboard, n_train)
    for d in range(1, 5):
        name = f"pca_d={d}"
        method = published_methods(n_train)[name]
        errors = held_out_errors(cross_validate(method, folds, key=KEY).predictions, name)
        assert published_mean(errors).iloc[0] == pytest.approx(published[name], abs=1e-4)


# The rest are run by experiments/cross_validation.py; these are cheap, and the plain baseline with
# two training models depends on every detail: slopes per family, learnt floors, start, stop.
@pytest.mark.parametrize(
    "name",
    [
        "logF_sigmoid_faminter",
        "logSlogT_sigmoid",
        "factor_sigmoid_d=1",
        "factor_sigmoid_faminter_d=2",
    ],
)
def test_fits_reproduce_the_published_means(name):
    folds = folds_of("v2", 2)
    method = published_methods(2)[name]
    errors = held_out_errors(cross_validate(method, folds, key=KEY).predictions, name)
    assert published_mean(errors).iloc[0] == pytest.approx(
        published_errors("v2", 2)[name], abs=PUBLISHED
    )


def test_single_errors_follow_the_published_ones(shared):
    name = "factor_sigmoid_faminter_d=2"
    folds = folds_of("v2", 2)
    ours = held_out_errors(
        cross_validate(published_methods(2)[name], folds, key=KEY).predictions, name
    )
    theirs = pd.read_csv(shared / "data" / "reference_cv_errors.csv.gz")
    theirs = theirs[
        (theirs["leaderboard"] == "v2") & (theirs["n_train"] == 2) & (theirs["method"] == name)
    ]
    both = ours.merge(theirs, on=["fold", "model", "benchmark"], suffixes=("", "_published"))
    assert len(both) == len(ours) == len(theirs)
    assert spearmanr(both["abs_error"], both["abs_error_published"]).statistic > 0.95


def test_pca_is_that_of_scikit_learn():
    data, _ = table()
    train = two_folds(data)
    predicted = PrincipalComponents(2)(data, train, KEY)
    design = np.column_stack([log_flops(data), np.eye(len(data.families))[data.family]])
    for fold in range(2):
        rows = train[fold, :, 0]
        pca = PCA(2).fit(data.scores[rows])
        line = LinearRegression(fit_intercept=False).fit(
            design[rows], pca.transform(data.scores[rows])
        )
        expected = pca.inverse_transform(line.predict(design))
        np.testing.assert_allclose(predicted[fold], expected, atol=1e-8)


def test_pca_needs_complete_rows():
    data, _ = table()
    scores = data.scores.copy()
    scores[5, 1] = np.nan
    data = replace(data, scores=scores)
    with pytest.raises(InputError, match="family1-1 lacks a score"):
        PrincipalComponents(1)(data, data.observed[None], KEY)
    with pytest.raises(InputError, match="5 components of 4 benchmarks"):
        PrincipalComponents(5)(data, (data.observed & data.observed.all(1)[:, None])[None], KEY)


def baseline(columns="size_tokens", skills=1, link="logistic", own=True, slopes=False):
    return Baseline(columns, skills, link, own, slopes, max_steps=3000)


@pytest.mark.parametrize(
    "method",
    [
        baseline(),
        baseline(skills=None),
        # Few steps: with the compiler's flags of these tests rounding depends on the number of
        # folds, and grows with each step, and where it decides whether a loss has fallen.
        replace(baseline("flops", None, slopes=True), max_steps=100),
        replace(baseline(link="network", skills=2), max_steps=20),
    ],
)
def test_a_fold_alone_is_the_fold_among_others(method):
    data, _ = table(families=4)
    train = two_folds(data)
    together = method(data, train, KEY)
    for fold in range(2):
        alone = method(data, train[fold : fold + 1], KEY)[0]
        np.testing.assert_allclose(together[fold], alone, atol=1e-5)


def test_without_family_intercepts_equal_compute_is_equal_prediction():
    data, _ = table()
    same = replace(
        data, params_b=np.full_like(data.params_b, 2.0), tokens_t=0 * data.tokens_t + 1.0
    )
    predicted = baseline(own=False)(same, two_folds(data), KEY)
    np.testing.assert_allclose(predicted - predicted[:, :1], 0.0, atol=1e-12)


def test_one_benchmark_at_a_time_does_not_see_the_others():
    data, _ = table()
    train = two_folds(data)
    other = data.scores.copy()
    other[:, 2] = 1.0 - other[:, 2]
    method = baseline(skills=None)
    before, after = method(data, train, KEY), method(replace(data, scores=other), train, KEY)
    np.testing.assert_array_equal(before[:, :, [0, 1, 3]], after[:, :, [0, 1, 3]])
    assert np.abs(before[:, :, 2] - after[:, :, 2]).max() > 0.1


def test_held_out_scores_are_never_seen():
    data, _ = table()
    train = two_folds(data)
    other = data.scores.copy()
    other[3] = 0.0
    for method in (baseline(), baseline(link="network"), PrincipalComponents(2)):
        before, after = method(data, train, KEY), method(replace(data, scores=other), train, KEY)
        np.testing.assert_array_equal(before[0], after[0])
        assert np.abs(before[1] - after[1]).max() > 1e-3  # there it is a training score


def test_idle_skills_stay_idle():
    # All numbers of skills share a program of four; one skill must still be one.
    data, _ = table(noise=0.1)
    predicted = baseline(own=False)(data, np.ones((1, *data.scores.shape), bool), KEY)[0]
    floors = data.floors[None]
    predictor = np.log((predicted - floors) / (1.0 - predicted))
    centred = predictor - predictor.mean(axis=0)
    assert np.linalg.matrix_rank(centred, tol=1e-2) == 1


def test_published_skills_are_those_of_the_published_predictions():
    data, _ = table()
    found = published_skills(data, skills=2, max_steps=50)
    method = Baseline("size_tokens", 2, "logistic", True, max_steps=50)
    predicted = method(data, data.observed[None], KEY)[0]
    assert found.error == pytest.approx(np.abs(predicted - data.scores).mean())
    # The link undone, predictions are skills times loadings but for a bias.
    share = (predicted - data.floors) / (1.0 - data.floors)
    left = np.log(share / (1.0 - share)) - found.theta @ found.loading.T
    np.testing.assert_allclose(left.std(axis=0), 0.0, atol=1e-3)
    assert published_skills(data, skills=2, starts=2, max_steps=50).error <= found.error
    with pytest.raises(InputError, match="5 skills of the published law"):
        published_skills(data, skills=5)
