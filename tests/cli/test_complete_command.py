"""Filling the gaps of a table: wide and long files, units, summaries, refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import POINT, refused, run


@pytest.fixture
def sparse(folder):
    """The table of the folder in long form, MMLU in percent, GSM8K as an Elo, with gaps."""
    wide = pd.read_csv(folder / "table.csv")
    wide["MMLU"] *= 100.0
    wide["GSM8K"] = 1000.0 + 400.0 * wide["GSM8K"]
    facts = ["model", "family", "lineage", "post_trained", "params_b", "tokens_t"]
    names = ["MMLU", "ARC", "HellaSwag", "GSM8K"]
    rows = wide.melt(facts, names, "benchmark", "score")
    rows["score"] = rows["score"].where(np.arange(len(rows)) % 3 > 0)
    four = wide["ARC"].where(wide.index < 4)
    rows.loc[rows["benchmark"] == "ARC", "score"] = four.to_numpy()
    rows.to_csv(folder / "long.csv", index=False)
    return folder


def test_gaps_are_filled_in_their_own_units(sparse, capsys):
    out, picture = sparse / "filled.csv", sparse / "filled.png"
    assert run("complete", sparse / "long.csv", *POINT, "--out", out, "--plot", picture) == 0
    captured = capsys.readouterr()
    rows, given = pd.read_csv(out), pd.read_csv(sparse / "long.csv")
    assert len(rows) == len(given)
    both = rows.merge(given, on=["model", "benchmark"], suffixes=("", "_given"))
    np.testing.assert_allclose(both["score"], both["score_given"], rtol=1e-5)
    assert ((rows["status"] == "measured") == rows["score"].notna()).all()
    arc = rows[rows["benchmark"] == "ARC"]
    assert (arc["status"] == "measured").sum() == 4
    assert ((arc["upper"] - arc["lower"])[arc["status"] == "predicted"] > 0.0).all()
    medians = rows.groupby("benchmark")["median"].median()
    assert 20 < medians["MMLU"] < 100
    assert medians["GSM8K"] > 900
    assert medians["ARC"] < 1
    gaps = int(given["score"].isna().sum())
    assert f"{gaps} gaps of {len(given)} cells filled, with 90 % intervals" in captured.out
    assert "in percent: MMLU" in captured.err
    assert "leaves out benchmarks whose scores are no shares" in captured.err
    assert picture.stat().st_size > 10_000


def test_a_wide_answer_and_json(sparse, capsys):
    out = sparse / "wide.csv"
    assert run("complete", sparse / "long.csv", *POINT, "--wide", "--out", out) == 0
    wide = pd.read_csv(out)
    assert wide[["MMLU", "ARC", "HellaSwag", "GSM8K"]].notna().all(axis=None)
    given = pd.read_csv(sparse / "long.csv").pivot(
        index="model", columns="benchmark", values="score"
    )
    assert (wide["ARC lower"].isna().to_numpy() == given["ARC"].notna().to_numpy()).all()
    capsys.readouterr()
    options = ("--fit", sparse / "none.nc")
    assert run("complete", sparse / "long.csv", *options, "--out", sparse / "no.csv") == 2
    refused(capsys, sparse / "no.csv", "a fit has a table of its own")
    assert run("complete", sparse / "long.csv", *POINT, "--json", "--level", 0.5) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["level"] == 0.5
    assert len(record["scores"]) == 48
    assert {row["score"] is None for row in record["scores"]} == {True, False}
    assert [row["benchmark"] for row in record["benchmarks"]] == list(given[wide.columns[4::3]])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.assign(score=f["score"].mask(f.index == 30, 61.0)), ["'HellaSwag'", "mixed"]),
        (lambda f: f.assign(params_b=f["params_b"].mask(f.index == 30, 99.0)), ["row 32", "row 8"]),
        (lambda f: pd.concat([f, f.iloc[[1]].assign(score=1.5)]), ["row 50", "row 3", "keep one"]),
    ],
)
def test_tables_that_contradict_themselves_are_refused(sparse, capsys, change, says):
    change(pd.read_csv(sparse / "long.csv")).to_csv(sparse / "bad.csv", index=False)
    assert run("complete", sparse / "bad.csv", *POINT, "--out", sparse / "no.csv") == 2
    refused(capsys, sparse / "no.csv", *says)


def test_a_table_is_not_overwritten_by_its_completion(sparse, capsys):
    path = sparse / "long.csv"
    before = path.read_bytes()
    assert run("complete", path, *POINT, "--out", path) == 2
    assert "this command reads" in capsys.readouterr().err
    assert path.read_bytes() == before
