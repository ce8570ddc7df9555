"""Downstream tasks: read, joined to a table, regressed on skills, components and FLOPs."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small import table

from sloth_jax import InputError, Query, fit, interpret_skills, load_leaderboard
from sloth_jax.data.leaderboard import load_observational, observational_frame
from sloth_jax.data.tasks import Task, bundled_tasks, load_task, read_task, with_tasks
from sloth_jax.evaluation.baselines import log_flops
from sloth_jax.evaluation.downstream import (
    compute_features,
    fit_task,
    fit_task_on_skills,
    principal_components,
    skills_of_query,
    without_families,
)


def logistic(eta):
    return 1.0 / (1.0 + np.exp(-eta))


def write(tmp_path, rows, name="coding.csv"):
    path = tmp_path / name
    pd.DataFrame(rows, columns=["model", "score"]).to_csv(path, index=False)
    return path


def test_bundled_tasks_are_of_bundled_models():
    boards = {"leaderboard": set(load_leaderboard(corrected=True).models)}
    boards["observational"] = set(observational_frame().index)
    tasks = bundled_tasks()
    assert {task.kind for task in tasks.values()} == {
        "code", "emotional intelligence", "emergent", "prompting", "agents",
    }  # fmt: skip
    for task in tasks.values():
        assert ((task.scores >= 0) & (task.scores <= 1)).all()
        assert len(set(task.models)) == len(task.models) >= 11
        assert task.title
        assert task.source
        known = sum(model in boards[task.table] for model in task.models)
        assert known >= 0.9 * len(task.models)
    assert sum(task.kind == "emergent" for task in tasks.values()) == 8
    eq = load_task("EQ-Bench")
    assert eq.scores[eq.models.index("meta-llama-3-70b-instruct")] == pytest.approx(0.8213)


def test_the_observational_table_leaves_out_what_nobody_published():
    board = load_observational()
    assert "gpt-4-0613" in board.warnings[0]
    assert "gpt-4-0613" not in board.models
    assert "gpt-4-0613" in observational_frame().index
    assert np.isfinite(board.tokens_t).all()
    assert dict(zip(board.benchmarks, board.floors, strict=True))["XWinograd"] == 0.5
    # The same model has the same sizes and family in both bundled tables.
    other = load_leaderboard()
    for model in set(board.models) & set(other.models):
        m, n = board.models.index(model), other.models.index(model)
        assert board.params_b[m] == other.params_b[n]
        assert board.tokens_t[m] == other.tokens_t[n]
        assert board.families[board.family[m]] == other.families[other.family[n]]


def test_a_task_is_one_more_benchmark():
    board, _ = table()
    models = board.models[:5]
    task = Task("coding", models, np.linspace(0.1, 0.5, 5), floor=0.05)
    joined = with_tasks(board, task)
    assert joined.benchmarks == (*board.benchmarks, "coding")
    assert joined.floors[-1] == 0.05
    np.testing.assert_array_equal(joined.scores[:, :-1], board.scores)
    np.testing.assert_array_equal(joined.scores[:5, -1], task.scores)
    assert np.isnan(joined.scores[5:, -1]).all()
    stranger = replace(task, models=(*models[:4], "nobody"))
    assert "'nobody'" in with_tasks(board, stranger).warnings[-1]
    hidden = np.arange(len(board.models)) == 0
    assert np.isnan(task.without(board.models, hidden).on(board)[0])


@pytest.mark.parametrize(
    ("scores", "name", "message"),
    [
        ([0.1, 0.2, 0.3], "coding", "3 scores of models of the table, at least 4 are needed"),
        ([0.2, 0.2, 0.2, 0.2], "coding", "all 4 scores are 0.2: nothing to learn"),
        ([0.1, 0.2, 0.3, 0.4], "MMLU", "'MMLU' is a benchmark of the table"),
    ],
)
def test_tasks_that_cannot_be_used_say_why(scores, name, message):
    board, _ = table()
    task = Task(name, board.models[: len(scores)], np.array(scores))
    with pytest.raises(InputError, match=message):
        with_tasks(board, task)


def test_reading_a_task_on_any_scale(tmp_path):
    rows = [("a", 20.0), ("b", 82.0), ("c", ""), ("d", 50.0)]
    task = read_task(write(tmp_path, rows), scale="percent", floor=25.0)
    assert task.name == "coding"
    assert task.models == ("a", "b", "d")
    np.testing.assert_allclose(task.scores, [0.2, 0.82, 0.5])
    assert task.floor == 0.25
    elo = read_task(
        write(tmp_path, [("a", 800), ("b", 1400)]), scale=(800, 1400), floor=800, name="arena"
    )
    np.testing.assert_allclose(elo.scores, [0.0, 1.0])
    assert (elo.name, elo.floor) == ("arena", 0.0)


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([("a", 82.0)], {}, "'a' has a score of 82, outside .0, 1.: say the scale"),
        ([("a", 1200)], {"scale": "percent"}, "score of 1200, outside .0, 100.: say the scale"),
        ([("a", 0.5)], {"scale": "percents"}, "did you mean 'percent'"),
        ([("a", 0.5)], {"scale": (2.0, 1.0)}, "the worst value comes first"),
        ([("a", 0.5), ("a", 0.6)], {}, "row 3.*stands there twice"),
        ([("a", "high")], {}, "row 2.*'high'"),
        ([("a", 0.5)], {"floor": 1.0}, "floor 1 is not in"),
    ],
)
def test_bad_task_files_are_refused_in_one_line(tmp_path, rows, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        read_task(write(tmp_path, rows), **arguments)
    assert "\n" not in str(caught.value)


def test_a_task_file_needs_its_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("model,points\na,0.5\n")
    with pytest.raises(InputError, match="no column 'score'"):
        read_task(path)
    with pytest.raises(InputError, match="did you mean 'HumanEval'"):
        load_task("HumanEvil")


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
    query = Query.from_frame(board.to_frame()[columns].iloc[::-1], board)
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
    # A family nobody has seen has the mean intercept.
    np.testing.assert_allclose(features[~train, 1:], 1.0 / (len(board.families) - 1))
    alone = without_families(board)
    assert len(set(alone.families)) == len(set(alone.lineages)) == len(board.models)
    assert not alone.post_trained_of_family.any()
