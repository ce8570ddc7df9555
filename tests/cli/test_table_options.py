"""Tables that the command learns from: formats, floors, models and tasks of the user's own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import POINT, predict, refused

from sloth_jax.data import tables
from sloth_jax.items.answers import scores_from_answers
from sloth_jax.items.bank import read_bank


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


@pytest.fixture
def answered(folder):
    """A bank of 12 models by 60 items, and answers of two models of one's own to 30 of them."""
    rng = np.random.default_rng(0)
    skill = np.append(np.linspace(-2, 2, 12), [-0.5, 0.5])
    right = rng.random((14, 60)) < 1 / (1 + np.exp(rng.normal(size=60) - skill[:, None]))
    items = [f"i{at}" for at in range(60)]
    bank = pd.DataFrame(right[:12].astype(int), columns=items)
    bank.insert(0, "model", [f"bank{at}" for at in range(12)])
    bank.to_csv(folder / "ARC.csv", index=False)
    rows = [
        {"model": name, "family": "own", "params_b": size, "tokens_t": 2, "item": items[at],
         "correct": int(right[row, at])}
        for name, size, row in (("own-1b", 1, 12), ("own-4b", 4, 13))
        for at in range(30)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "answers.csv", index=False)
    return pd.DataFrame(rows)


def test_answers_to_items_become_scores_with_their_errors(folder, answered, capsys, monkeypatch):
    read: list[str] = []
    for home, name in ((tables, "read_whole"), (pd, "read_csv")):
        whole = getattr(home, name)

        def noted(path, *given, whole=whole, **named):
            read.append(str(path))
            return whole(path, *given, **named)

        monkeypatch.setattr(home, name, noted)
    mine = (*POINT, "--add", folder / "answers.csv", "--items", folder / "ARC.csv")
    query = "model,family,params_b,tokens_t\nown-16b,own,16,2\n"
    (folder / "query.csv").write_text(query)
    assert predict(folder, *mine, "--json", "--out", folder / "p.json") == 0
    assert read.count(str(folder / "answers.csv")) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "standard error" in line]
    assert len(told) == 2
    assert "own-1b on ARC" in told[0]
    rows = pd.DataFrame(json.loads((folder / "p.json").read_text())["predictions"])
    assert set(rows["family_models"]) == {2}

    # The same as the scores with their errors, written out, joined by hand.
    bank = read_bank(folder / "ARC.csv")
    scores = scores_from_answers(folder / "answers.csv", bank, "ARC")
    assert list(scores.columns) == ["model", "family", "params_b", "tokens_t", "ARC", "ARC se"]
    assert scores["ARC se"].between(0.02, 0.15).all()
    scores.to_csv(folder / "mine.csv", index=False)
    by_hand = (*POINT, "--add", folder / "mine.csv", "--json", "--out", folder / "h.json")
    assert predict(folder, *by_hand) == 0
    hand = pd.DataFrame(json.loads((folder / "h.json").read_text())["predictions"])
    pd.testing.assert_frame_equal(rows, hand)

    # Nothing is left of the error where all items were answered.
    exact = scores.assign(**{"ARC se": np.nan})
    exact.to_csv(folder / "exact.csv", index=False)
    exactly = (*POINT, "--add", folder / "exact.csv", "--json", "--out", folder / "e.json")
    assert predict(folder, *exactly) == 0
    sure = pd.DataFrame(json.loads((folder / "e.json").read_text())["predictions"])
    assert not sure.equals(hand)


def test_answers_that_cannot_be_used_are_refused(folder, answered, capsys):
    bank = ("--items", f"arc={folder / 'ARC.csv'}")
    out = ("--out", folder / "p.csv")
    contrary = answered.copy()
    contrary.loc[3, "params_b"] = 7
    for rows, given, says in (
        (answered, ("--items", folder / "ARC.csv"), "--items belongs to --add"),
        (contrary, bank, "'own-1b' has params_b 1 in one row and 7 in another"),
        (answered.assign(item="x"), bank, "answers item 'x' again"),
        (answered.assign(ARC=0.5), bank, "holds scores on ARC and answers to its items"),
        (answered.drop(columns="correct"), bank, "column correct is missing"),
        (answered.drop(columns="model"), bank, "column model is missing"),
        (answered, ("--items", folder / "no.csv"), "no.csv: cannot be read"),
        (answered, (*bank, "--out", folder / "ARC.csv"), "ARC.csv"),
    ):
        rows.to_csv(folder / "answers.csv", index=False)
        added = () if "belongs" in says else ("--add", folder / "answers.csv")
        assert predict(folder, *POINT, *added, *out, *given) == 2
        refused(capsys, folder / "p.csv", says)


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
