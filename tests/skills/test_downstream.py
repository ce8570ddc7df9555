"""Tasks predicted from skills, principal components and compute."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import table

from sloth_jax import InputError, fit, interpret_skills, load_query
from sloth_jax.law.surface import log_flops
from sloth_jax.skills.downstream import (
    compute_features,
    fit_task,
    fit_task_on_skills,
    principal_components,
    skills_of_query,
    without_families,
)
from sloth_jax.skills.tasks import Task, with_tasks


def logistic(eta):
    return 1.0 / (1.0 + np.exp(-eta))


def test_regression_recovers_a_known_curve():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2))
    eta = features @ [1.2, -0.7] + 0.4
    scores = 0.25 + 0.75 * logistic(eta) + 0.02 * rng.normal(size=400)
    scores[::7] = np.nan
    fit = fit_task(features, scores, name="t", floor=0.25)
    at = rng.normal(size=(50, 2))
    truth = 0.25 + 0.75 * logistic(at @ [1.2, -0.7] + 0.4)
    np.testing.assert_allclose(fit.predict(at), truth, atol=0.01)
    assert fit.noise == pytest.approx(0.02, rel=0.15)
    draws = fit.draw(np.broadcast_to(at, (4000, 50, 2)), rng)
    # Predictive draws: spread of the noise, about the curve.
    np.testing.assert_allclose(draws.mean(axis=0), fit.predict(at), atol=0.005)
    assert np.median(draws.std(axis=0)) == pytest.approx(0.02, rel=0.2)


def test_regression_survives_scores_at_the_ends():
    features = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    fit = fit_task(features, np.array([0.0, 0.0, 0.0, 1.0, 1.0]), name="t")
    assert np.isfinite(fit.weights).all()
    assert np.isfinite(fit.covariance).all()
    assert (np.diff(fit.predict(features)) > 0).all()


def test_a_task_that_follows_skills_is_predicted_from_them_and_named_by_its_loading():
    board, _ = table(noise=0.002)
    # Half way between two benchmarks above their floors: so driven by the one skill.
    task_scores = 0.5 * (board.scores[:, 0] - 0.25) / 0.75 + 0.5 * board.scores[:, 3]
    seen = np.arange(len(board.models)) % 2 == 0
    task = Task("coding", tuple(np.array(board.models)[seen]), task_scores[seen])
    quick = {"key": jax.random.key(0), "skills": 1, "inference": "mode", "surface": "translog"}
    skills = interpret_skills(fit(board, **quick, steps=200), key=jax.random.key(1))
    second = fit_task_on_skills(skills, task)
    error = np.abs(second.predict(skills.theta[0]) - task_scores)[~seen]
    assert error.mean() < 0.02
    joint = fit(with_tasks(board, task), **quick, steps=30)
    loadings = interpret_skills(joint, key=jax.random.key(1)).loadings()
    assert (loadings["benchmark"] == "coding").sum() == 1


def test_skills_of_a_query_have_the_form_of_the_others():
    board, _ = table()
    drawn = fit(board, key=jax.random.key(0), skills=2, surface="translog", steps=60, draws=20)
    # Of models that do not depart from their families.
    spread = drawn.law.skill._replace(model=jnp.zeros_like(drawn.law.skill.model))
    drawn = replace(drawn, law=drawn.law._replace(skill=spread))
    skills = interpret_skills(drawn, key=jax.random.key(1))
    columns = ["model", "family", "lineage", "params_b", "tokens_t"]
    query = load_query(board.to_frame()[columns].iloc[::-1], board)
    np.testing.assert_allclose(skills_of_query(skills, query)[:, ::-1], skills.theta, atol=1e-7)


def test_principal_components_are_those_of_numpy_and_fill_gaps():
    rng = np.random.default_rng(0)
    scores = 0.5 + 0.1 * rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6))
    whole = principal_components(scores, 2)
    centred = scores - scores.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(whole.axes * axes[:2], axis=1)), 1.0, atol=1e-9)
    np.testing.assert_allclose(whole.explained, values[:2] ** 2 / (values**2).sum())
    gone = scores.copy()
    gone[rng.random(gone.shape) < 0.15] = np.nan
    found = principal_components(gone, 2)
    # Scores of rank two are known from any two of them.
    np.testing.assert_allclose(found.mean + found.of(gone) @ found.axes, scores, atol=1e-4)
    lonely = np.full((1, 6), np.nan)
    lonely[0, 0] = 0.5
    with pytest.raises(InputError, match="1 scores, 2 components"):
        found.of(lonely)
    with pytest.raises(InputError, match="7 components of 40 models and 6"):
        principal_components(scores, 7)
    with pytest.raises(InputError, match="without a score"):
        principal_components(np.column_stack([scores, np.full(40, np.nan)]), 2)


def test_features_of_compute_with_and_without_families():
    board, _ = table()
    flops, names = compute_features(board)
    np.testing.assert_array_equal(flops[:, 0], log_flops(board))
    assert names == ["log FLOPs"]
    train = board.family > 0
    features, names = compute_features(board, train)
    assert names == ["log FLOPs", *board.families[1:]]
    np.testing.assert_allclose(features[:, 1:].sum(axis=1), 1.0)
    # An unobserved family has the mean intercept.
    np.testing.assert_allclose(features[~train, 1:], 1.0 / (len(board.families) - 1))
    alone = without_families(board)
    assert len(set(alone.families)) == len(set(alone.lineages)) == len(board.models)
    assert not alone.post_trained_of_family.any()
