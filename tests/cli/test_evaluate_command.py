"""``sloth-jax evaluate``: lineages left out, numbers that add up, one line where it cannot be."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from commands import run
from small import table

from sloth_jax.cli.evaluate import _added
from sloth_jax.errors import InputError
from sloth_jax.evaluation import left_out
from sloth_jax.evaluation.left_out import (
    benchmark_scores,
    leave_out,
    lineages_as_families,
    summary_of,
)
from sloth_jax.plotting.evaluation_page import verdict

DATA = table()[0]  # three lineages of eight models


@pytest.fixture
def _short(monkeypatch):
    def short(n_train: int):
        return replace(plain(n_train), max_steps=30)

    plain = left_out.flops_law
    monkeypatch.setattr(left_out, "flops_law", short)


@pytest.mark.usefixtures("_short")
def test_lineages_are_left_out_and_scored(tmp_path, capsys):
    DATA.to_csv(tmp_path / "table.csv")
    rows = pd.read_csv(tmp_path / "table.csv")
    own = rows["lineage"] == "lineage2"
    rows[own].to_csv(tmp_path / "mine.csv", index=False)
    rows[~own].to_csv(tmp_path / "theirs.csv", index=False)
    ask = ("evaluate", "--data", tmp_path / "theirs.csv", "--add", tmp_path / "mine.csv")
    ask += ("--n-train", 1, "--skills", 1, "--draws", 40)
    assert run(*ask, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert len(rows) == 3 * 7 * 4  # all models but the smallest of each lineage, four benchmarks
    assert not rows.duplicated(["model", "benchmark"]).any()
    assert (rows.groupby("lineage")["fold"].nunique() == 1).all()
    error = np.abs(rows["median"] - rows["score"])
    np.testing.assert_allclose(rows["error"], error, atol=1e-5)
    np.testing.assert_allclose(
        rows["flops_error"], np.abs(rows["flops_law"] - rows["score"]), atol=1e-5
    )
    inside = (rows["lower_90"] <= rows["score"]) & (rows["score"] <= rows["upper_90"])
    assert (inside == rows["covered_90"]).mean() > 0.98  # ends are rounded in the file
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["mae"] == pytest.approx(error.mean(), abs=1e-5)
    assert found["flops_mae"] == pytest.approx(rows["flops_error"].mean(), abs=1e-5)
    assert found["mae_less_flops"] == pytest.approx(found["mae"] - found["flops_mae"])
    assert (found["scores"], found["lineages"], found["folds"]) == (84, 3, 3)
    assert (found["added"]["names"], found["added"]["scores"]) == (["lineage2"], 28)
    assert found["added"]["mae_se"] is None  # one lineage has no standard error
    assert found["not_predicted"] == 3 * 4
    assert printed.strip() == verdict(found) == found["verdict"]
    by_benchmark = pd.read_csv(tmp_path / "out" / "benchmarks.csv")
    assert by_benchmark["scores"].sum() == 84
    assert by_benchmark["mae"].mean() == pytest.approx(found["mae"], abs=1e-5)
    page = (tmp_path / "out" / "evaluation.md").read_text()
    assert " ".join(page.split()).startswith(f"# Does the law work on this table? {verdict(found)}")
    assert "$" not in page
    for name in ("predicted.png", "errors.png"):
        assert name in page
        assert plt.imread(tmp_path / "out" / name).std() > 0.01


def judged(**columns) -> pd.DataFrame:
    """Twelve judged predictions of three lineages."""
    lineage = np.repeat(["a", "b", "c"], 4)
    rows = {"lineage": lineage, "family": lineage, "model": np.arange(12), "benchmark": "MMLU"}
    usual = {"crps": 0.01, "covered_50": True, "covered_90": True, "width_90": 0.1}
    return pd.DataFrame(rows | usual | columns)


def test_the_verdict_says_which_error_is_less_only_where_it_is_certain():
    rows = judged(error=0.01, flops_error=np.tile([0.02, 0.04], 6))
    record = summary_of(rows) | {"n_train": 0, "added": None}
    said = verdict(record)
    assert "On 12 scores of 3 lineages left out whole, this law is wrong by 1.00 (0.00)" in said
    assert "a law of training FLOPs alone by 3.00 (0.00)" in said
    assert "100 % (0 %) of the 12 scores lie inside 90 % intervals (standard" in said
    assert "Its error is 2.00 (0.00) points less than that of the FLOPs law." in said
    rows = judged(error=np.repeat([0.01, 0.02, 0.06], 4), flops_error=0.03)
    own = summary_of(rows[rows["lineage"] == "c"]) | {"names": ["c"]}
    own = {name: None if value != value else value for name, value in own.items()}
    said = verdict(summary_of(rows) | {"n_train": 1, "added": own})
    assert "cannot be told apart" in said
    assert "On the 4 scores of c, added by --add, this law is wrong by 6.00 (no error: one" in said
    one = benchmark_scores(judged(error=0.01, flops_error=0.02, benchmark=["x", "y"] * 6))
    assert list(one["benchmark"]) == ["x", "y"]
    assert set(one["scores"]) == {6}


def test_models_of_unknown_tokens_are_not_compared_with_the_flops_law():
    flops = np.where(np.arange(12) % 2, 0.03, np.nan)
    rows = judged(error=np.where(np.isnan(flops), 0.05, 0.01), flops_error=flops)
    found = summary_of(rows)
    assert found["flops_scores"] == 6
    assert found["mae_less_flops"] == pytest.approx(-0.02)  # of the same six scores
    said = verdict(found | {"n_train": 0, "added": None})
    assert "alone by 3.00 (0.00) on the 6 of models of known FLOPs" in said
    assert said.endswith("less than that of the FLOPs law on the scores that both predict.")
    none = {
        name: None if value != value else value
        for name, value in summary_of(judged(error=0.01, flops_error=np.nan)).items()
    }
    said = verdict(none | {"n_train": 0, "added": None})
    assert "a law of training FLOPs" not in said
    assert said.endswith("No training FLOPs are known, so a law of them cannot be compared.")


def test_what_stays_is_the_smallest_model_of_the_lineage():
    left = leave_out(DATA, 1, 3)
    of_model = DATA.lineage_of_family[DATA.family]
    for fold in range(3):
        (hidden,) = np.unique(of_model[left.test[fold].any(axis=1)])
        rows = np.flatnonzero(of_model == hidden)
        (stays,) = rows[left.train[fold, rows].any(axis=1)]
        assert DATA.params_b[stays] == DATA.params_b[rows].min()
        assert left.train[fold][of_model != hidden].all()
    assert not (left.train & left.test).any()
    assert len(leave_out(DATA, 0, 2).train) == 2
    assert len(leave_out(DATA, 0).train) == 3
    collapsed = lineages_as_families(DATA)
    assert collapsed.lineage_by_family() == {name: name for name in DATA.lineages}


def test_a_benchmark_that_no_other_lineage_has_is_not_predicted():
    scores = DATA.scores.copy()
    of_model = DATA.lineage_of_family[DATA.family]
    scores[of_model > 0, 3] = np.nan
    left = leave_out(replace(DATA, scores=scores), 0, 3)
    assert not left.test[:, :, 3].any()
    scores[of_model == 0, :3] = np.nan  # now the first lineage shares nothing with the others
    with pytest.raises(InputError, match="2 lineages share benchmarks with 3 scores of others"):
        leave_out(replace(DATA, scores=scores), 0, 3)


def test_models_of_an_edition_are_not_taken_for_added_ones():
    rows = pd.DataFrame({"model": ["qwen2.5-7b"], "lineage": ["qwen2.5"]})
    assert _added(Namespace(data=None, add=["mine.csv"], edition="2025"), rows) is None


def test_tables_that_cannot_be_evaluated_are_refused(folder, capsys):
    ask = ("evaluate", "--data", folder / "table.csv", "--out", folder / "out")
    for more, says in (
        ((), "2 lineages have scores and can be left out, an evaluation needs 3"),
        (("--n-train", 1), "2 lineages with two models or more"),
        (("--n-train", 2), "invalid choice"),
        (("--folds", 1), "1 is too small"),
    ):
        assert run(*ask, *more) == 2
        assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "out").exists()
    with pytest.raises(InputError, match="4 folds: the table has 3 lineages to leave out"):
        leave_out(DATA, 0, 4)
