"""Predictions and fits by the command: what they hold, and that they can be repeated."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from commands import POINT, predict, refused, run

import sloth_jax
from sloth_jax.cli.predict import _text

TINY = ["--skills", "1", "--draws", "20"]
NUTS = ["--skills", "1", "--inference", "nuts", "--draws", "8", "--warmup", "20"]
SHOWN = ["model", "benchmark", "mean", "median", "lower", "upper"]
COLUMNS = [*SHOWN, "level", "family_models", "outside"]


def test_predictions_have_intervals_and_are_reproducible(folder, capsys):
    assert predict(folder, *TINY, "--out", folder / "a.csv", "--seed", 3, "--level", 0.8) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no training model of unheard-of" in captured.err
    first = pd.read_csv(folder / "a.csv")
    assert list(first.columns) == COLUMNS
    assert len(first) == 8
    assert (first["lower"] < first["upper"]).all()
    assert (first["level"] == 0.8).all()
    assert list(first["family_models"]) == [3] * 4 + [0] * 4

    # The same seed gives the same bytes, whatever the order of the table's rows.
    lines = (folder / "table.csv").read_text().splitlines()
    (folder / "shuffled.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    again = ("--out", folder / "b.csv", "--seed", 3, "--level", 0.8)
    assert predict(folder, *TINY, *again, table="shuffled.csv") == 0
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


@pytest.mark.parametrize(("options", "name"), [(TINY, "laplace"), (NUTS, "nuts"), (POINT, "mode")])
def test_a_saved_fit_gives_the_same_predictions(folder, capsys, options, name):
    kept = folder / "fit.nc"
    assert run("fit", "--data", folder / "table.csv", *options, "--seed", 3, "--out", kept) == 0
    told = capsys.readouterr().err.splitlines()
    (summary,) = (line for line in told if line.startswith(f"{name}, "))
    assert told[-2] == f"Wrote {kept}: 12 models of 4 families, 4 benchmarks"
    assert told[-1] == f"Next: sloth-jax predict --fit {kept} --query QUERY.csv"
    problems = sloth_jax.load_fit(kept).diagnostics.problems()
    warnings = {f"warning: {problem}" for problem in problems}
    assert warnings <= set(told)
    assert (name == "nuts") <= bool(problems)  # so few draws agree on nothing
    assert not (folder / "fit.nc.unfinished").exists()
    out = ("--seed", 3, "--out")
    assert predict(folder, *options, *out, folder / "a.csv") == 0
    query = ("predict", "--query", folder / "query.csv")
    capsys.readouterr()
    assert run(*query, "--fit", kept, *out, folder / "b.csv") == 0
    again = capsys.readouterr().err.splitlines()
    assert again[0].startswith(summary)  # kept with the fit
    assert not warnings & set(again)
    assert (" (-v repeats " in again[0]) >= bool(warnings)
    assert run(*query, "--fit", kept, *out, folder / "b.csv", "-v") == 0
    assert warnings <= set(capsys.readouterr().err.splitlines())
    assert run(*query, "--fit", kept, *out, folder / "b.csv", "-q") == 0
    assert capsys.readouterr().err == ""
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_point_is_another_word_for_the_mode(folder):
    assert predict(folder, *POINT, "--out", folder / "p.csv") == 0
    mode = ("--skills", 1, "--inference", "mode", "--out", folder / "m.csv")
    assert predict(folder, *mode) == 0
    assert (folder / "p.csv").read_bytes() == (folder / "m.csv").read_bytes()
    predictions = pd.read_csv(folder / "p.csv")
    assert (predictions["lower"] < predictions["upper"]).all()
    assert predictions["mean"].between(0, 1).all()


def test_surface_and_size_are_what_was_asked_for(folder):
    kept = folder / "fit.nc"
    options = (*POINT, "--surface", "flops", "--size", "total")
    assert run("fit", "--data", folder / "table.csv", *options, "--out", kept) == 0
    settings = sloth_jax.load_fit(kept).settings
    assert (settings.surface, settings.size, settings.skills) == ("flops", "total", 1)


THIN = {
    "one size": (lambda f: f.assign(params_b=7.0), "grow with size comes from the prior"),
    "one token count": (lambda f: f.assign(tokens_t=2.0), "grow with tokens comes from the prior"),
    "one lineage": (lambda f: f[f["lineage"] == "lineage0"], "there is one lineage"),
    "few scores": (
        lambda f: f.assign(MMLU=f["MMLU"].where(f.index < 2)),
        "benchmarks with fewer than 4 scores: MMLU (2): most of what",
    ),
}


@pytest.mark.parametrize("name", THIN)
def test_tables_that_tell_little_are_answered_with_a_warning(name, folder, capsys):
    change, says = THIN[name]
    change(pd.read_csv(folder / "table.csv")).to_csv(folder / "thin.csv", index=False)
    out = folder / "out.csv"
    assert predict(folder, *POINT, "--out", out, table="thin.csv") == 0
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("warning: ") and says in line for line in told)
    assert np.isfinite(pd.read_csv(out)[["lower", "upper"]]).all(axis=None)


def test_a_table_too_small_for_the_law_is_answered_as_such(folder, capsys):
    pd.read_csv(folder / "table.csv").iloc[:3].to_csv(folder / "three.csv", index=False)
    out = folder / "out.csv"
    assert predict(folder, "--out", out, table="three.csv") == 1
    refused(capsys, out, "too small", "more than 3 models", "--add")
    (folder / "query.csv").unlink()  # before the query is looked at
    assert run("fit", "--data", folder / "three.csv", "--out", folder / "fit.nc") == 1
    refused(capsys, folder / "fit.nc", "too small")


def test_queries_far_beyond_the_table_are_answered_and_marked(folder, capsys):
    (folder / "query.csv").write_text(
        "model,family,params_b,tokens_t\nsmall,family0,2,1\nhuge,family0,3200,400\n"
    )
    assert predict(folder, *POINT, "--out", folder / "p.csv") == 0
    predictions = pd.read_csv(folder / "p.csv", keep_default_na=False)
    outside = predictions.groupby("model")["outside"].first()
    assert outside["small"] == ""
    assert "params_b 200 x the largest" in outside["huge"]
    assert "huge lies outside the training table" in capsys.readouterr().err


def test_without_out_a_table_is_printed(folder, capsys):
    assert predict(folder, *POINT) == 0
    head, names, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("scores as fractions, lower and upper end of intervals of 90 %")
    assert names.split() == [*SHOWN, "family_models", "outside"]
    assert len(rows) == 8
    assert rows[0].endswith("params_b 4 x ...")
    assert all(re.fullmatch(r"\d\.\d{3}", cell) for row in rows for cell in row.split()[2:6])


def test_printed_columns_that_say_nothing_are_left_out():
    rows = {"model": ["a", "b"], "benchmark": "MMLU", "mean": 0.5, "median": 0.5, "lower": 0.25}
    rows |= {"upper": 0.75, "level": 0.8, "family_models": 3, "outside": ""}
    summary = pd.DataFrame(rows)
    assert _text(summary, 0.8).splitlines()[1].split() == SHOWN
    summary["outside"] = ["", "params_b 3.14 x the largest of its family"]
    head, names, first, second = _text(summary, 0.8).splitlines()
    assert "intervals of 80 %; outside: beyond" in head
    assert names.split()[-1] == "outside"
    assert first.split()[-1] == "0.750"
    assert second.endswith("params_b 3.14 x")


def test_groups_are_predicted_as_means_of_their_parts(folder, capsys):
    (folder / "floors.csv").write_text("benchmark,floor,group\nMMLU,0.25,S\nARC,0.25,S\n")
    grouped = ("--floors", folder / "floors.csv")
    out = folder / "a.csv"
    assert predict(folder, *TINY, *grouped, "--plot", folder / "a.png", "--out", out) == 0
    assert "note: S is the mean of 2 benchmarks, all the same" in capsys.readouterr().err
    rows = pd.read_csv(out).set_index(["model", "benchmark"])
    assert len(rows) == 2 * 5
    parts = rows.loc[("big", "MMLU"), "mean"], rows.loc[("big", "ARC"), "mean"]
    assert rows.loc[("big", "S"), "mean"] == pytest.approx(np.mean(parts), abs=2e-6)
    assert rows.loc[("big", "S"), "lower"] < rows.loc[("big", "S"), "upper"]
    # A suite beside its parts would count twice.
    (folder / "floors.csv").write_text("benchmark,floor,group\nMMLU,0.25,GSM8K\nARC,0.25,GSM8K\n")
    assert predict(folder, *TINY, *grouped, "--out", folder / "b.csv") == 2
    refused(capsys, folder / "b.csv", "benchmark 'GSM8K' is also the group of 2 benchmarks (MMLU")
