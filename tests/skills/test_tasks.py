"""Downstream tasks: bundled and of your own, read and joined to a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small import table

from sloth_jax import InputError, load_leaderboard
from sloth_jax.forecasting.bundled_tables import observational_frame
from sloth_jax.skills.tasks import Task, bundled_tasks, load_task, read_task, with_tasks


def write(tmp_path, rows, name="coding.csv"):
    path = tmp_path / name
    pd.DataFrame(rows, columns=["model", "score"]).to_csv(path, index=False)
    return path


def test_bundled_tasks_are_of_bundled_models():
    boards = {"leaderboard": set(load_leaderboard(corrected=True).models)}
    boards["observational"] = set(observational_frame().index)
    tasks = bundled_tasks()
    assert {task.kind for task in tasks.values()} == {
        "code",
        "emotional intelligence",
        "emergent",
        "prompting",
        "agents",
    }
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
    stranger = replace(task, models=(*models[:4], "unknown-model"))
    assert "'unknown-model'" in with_tasks(board, stranger).warnings[-1]
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
    frame = pd.DataFrame({"model": ["a", "b"], "score": [0.2, None]})
    of_frame = read_task(frame, name="mine")
    assert (of_frame.name, of_frame.models, of_frame.scores.tolist()) == ("mine", ("a",), [0.2])
    with pytest.raises(InputError, match="give name="):
        read_task(frame)


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
