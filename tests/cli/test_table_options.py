"""Tables that the command learns from: formats, floors, models and tasks of the user's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from commands import POINT, predict, refused


def test_a_task_of_ones_own_is_predicted_like_a_benchmark(folder, capsys):
    models = pd.read_csv(folder / "table.csv")["model"][::2]
    scores = pd.DataFrame({"model": models, "score": np.linspace(900, 1300, len(models))})
    scores.to_csv(folder / "arena.csv", index=False)
    task = (*POINT, "--task", folder / "arena.csv", "--out", folder / "p.csv")
    assert predict(folder, *task, "--task-scale", "800:1400", "--task-floor", 830) == 0
    predictions = pd.read_csv(folder / "p.csv")
    arena = predictions.loc[predictions["benchmark"] == "arena", "mean"]
    assert len(arena) == 2
    assert (arena >= 0.05).all()
    assert len(predictions) == 10
    capsys.readouterr()
    for wrong, message in (
        ((), "a score of 900, outside [0, 1]: say the scale"),
        (("--task-scale", "elo"), "no scale 'elo'"),
        (("--task-scale", "800:1400", "--task", "HumanEvil"), "did you mean 'HumanEval'"),
        (("--task", "HumanEval", "--task-scale", "800:1400"), "0 scores of models of the table"),
    ):
        assert predict(folder, *task[:-1], folder / "q.csv", *wrong) == 2
        refused(capsys, folder / "q.csv", message)


def test_own_models_are_added_and_their_family_is_known(folder, capsys):
    (folder / "mine.csv").write_text(
        "model,family,params_b,tokens_t,MMLU,Mine\n"
        "own-1b,unheard-of,1,2,0.3,0.1\nown-2b,unheard-of,2,2,0.35,0.2\n"
        "family0-0,,,,,0.15\nfamily1-0,,,,,0.3\n"
    )
    options = (*POINT, "--add", folder / "mine.csv", "--out", folder / "p.csv")
    assert predict(folder, *options) == 0
    assert "no training model of unheard-of" not in capsys.readouterr().err
    predictions = pd.read_csv(folder / "p.csv")
    other = predictions[predictions["model"] == "other"]
    assert set(other["family_models"]) == {2}
    assert set(other["benchmark"]) == {"MMLU", "ARC", "HellaSwag", "GSM8K", "Mine"}
    (folder / "mine.csv").write_text("model,params_b,MMLU\nfamily0-0,99,0.3\n")
    assert predict(folder, *options[:-1], folder / "q.csv") == 2
    refused(capsys, folder / "q.csv", "the table has params_b 1.0, and facts must agree: leave")


def test_parquet_tables_are_read(folder):
    pd.read_csv(folder / "table.csv").to_parquet(folder / "table.parquet")
    options = (*POINT, "--out")
    assert predict(folder, *options, folder / "a.csv") == 0
    assert predict(folder, *options, folder / "b.csv", table="table.parquet") == 0
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_a_table_with_few_benchmarks_gets_as_many_skills(folder):
    frame = pd.read_csv(folder / "table.csv").drop(columns=["ARC", "HellaSwag"])
    frame.to_csv(folder / "two.csv", index=False)
    assert predict(folder, "--point", "--out", folder / "p.csv", table="two.csv") == 0
    assert len(pd.read_csv(folder / "p.csv")) == 4


def test_floors_are_used(folder):
    (folder / "floors.csv").write_text("benchmark,floor\nGSM8K,0.05\n")
    options = (*POINT, "--out")
    assert predict(folder, *options, folder / "a.csv") == 0
    assert predict(folder, *options, folder / "b.csv", "--floors", folder / "floors.csv") == 0
    assert (folder / "a.csv").read_bytes() != (folder / "b.csv").read_bytes()
