"""One clear line for everything that the command cannot use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from commands import POINT, predict, refused, run

from sloth_jax.cli import fitting


def edit(row: int, column: str, value: object):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype(object)
        frame.loc[row, column] = value
        return frame

    return change


def no_scores(frame: pd.DataFrame) -> pd.DataFrame:
    frame[["MMLU", "ARC", "HellaSwag", "GSM8K"]] = np.nan
    return frame


def nothing_known(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[3, ["params_b", "MMLU", "ARC", "HellaSwag", "GSM8K"]] = np.nan
    return frame


# name: change of the table, what the one line must say
BAD_TABLES = {
    "missing column": (lambda f: f.drop(columns="model"), ["'model'", "missing"]),
    "misspelt column": (
        lambda f: f.rename(columns={"tokens_t": "tokenz_t"}),
        ["'tokens_t' is missing", "did you mean 'tokenz_t'?"],
    ),
    "duplicated model": (edit(1, "model", "family0-0"), ["row 3", "family0-0", "row 2"]),
    "percent": (edit(2, "MMLU", 45.2), ["row 4", "MMLU", "45.2", "did you mean fractions?"]),
    "negative score": (edit(2, "ARC", -0.1), ["row 4", "ARC", "-0.1"]),
    "text score": (edit(0, "ARC", "good"), ["row 2", "ARC", "good"]),
    "zero size": (edit(0, "params_b", 0), ["row 2", "params_b", "positive"]),
    "negative tokens": (edit(0, "tokens_t", -1), ["row 2", "tokens_t", "positive"]),
    "neither size nor score": (nothing_known, ["row 5", "neither its size nor a score", "fill in"]),
    "infinite size": (edit(3, "params_b", "inf"), ["row 5", "params_b", "infinite"]),
    "no rows": (lambda f: f.iloc[:0], ["no rows"]),
    "no scores": (no_scores, ["without scores"]),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused_in_one_line(name, folder, capsys):
    change, says = BAD_TABLES[name]
    change(pd.read_csv(folder / "table.csv")).to_csv(folder / "bad.csv", index=False)
    out = folder / "out.csv"
    assert predict(folder, "--out", out, table="bad.csv") == 2
    refused(capsys, out, "bad.csv", *says)


def test_duplicated_column_is_refused(folder, capsys):
    text = (folder / "table.csv").read_text().replace("ARC", "MMLU", 1)
    (folder / "bad.csv").write_text(text)
    assert predict(folder, "--out", folder / "out.csv", table="bad.csv") == 2
    refused(capsys, folder / "out.csv", "bad.csv", "MMLU", "twice")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"model,fam\xff\xfe", "UTF-8"), (b'a,"b\n', "CSV"), (None, "no such file")],
)
def test_unreadable_tables_are_refused(folder, capsys, content, says):
    if content is not None:
        (folder / "bad.csv").write_bytes(content)
    assert predict(folder, "--out", folder / "out.csv", table="bad.csv") == 2
    refused(capsys, folder / "out.csv", "bad.csv", says)


def test_unknown_benchmark_in_a_query_is_refused(folder, capsys):
    (folder / "query.csv").write_text("model,family,params_b,tokens_t,MMLO\na,b,1,1,0.5\n")
    assert predict(folder, "--out", folder / "out.csv") == 2
    refused(capsys, folder / "out.csv", "query.csv", "MMLO", "did you mean 'MMLU'?")


def test_unknown_benchmark_in_floors_is_refused(folder, capsys):
    (folder / "floors.csv").write_text("benchmark,floor\nMMLO,0.25\n")
    out = folder / "out.csv"
    assert predict(folder, "--out", out, "--floors", folder / "floors.csv") == 2
    refused(capsys, out, "floors.csv", "MMLO")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--skills", 5), "5 skills do not fit 4 benchmarks"),
        (("--skills", 0), "too small"),
        (("--level", 1), "not between 0 and 1"),
        (("--level", "nan"), "not between 0 and 1"),
        (("--level", "high"), "invalid fraction value: 'high'"),
        (("--draws", 0), "too small"),
        (("--inference", "gibbs"), "invalid choice: 'gibbs'"),
        (("--surface", "plane"), "invalid choice: 'plane'"),
        (("--size", "both"), "invalid choice: 'both'"),
        (("--point", "--inference", "nuts"), "not allowed with argument"),
        (("--warmup", 50), "--warmup belongs to --inference nuts"),
        (("--point", "--draws", 50), "--draws: a mode has none"),
        (("--colour", "red"), "unrecognized arguments"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, says, folder, capsys):
    assert predict(folder, "--out", folder / "out.csv", *options) == 2
    refused(capsys, folder / "out.csv", says)


def test_unwritable_out_fails_before_the_fit(folder, capsys, monkeypatch):
    def must_not_run(*_args, **_kwargs):
        raise AssertionError("fitted before looking at --out")

    monkeypatch.setattr(fitting, "load_leaderboard", must_not_run)
    for out, says in [
        (folder / "no" / "p.csv", "no folder"),
        (folder, "it is a folder"),
    ]:
        assert predict(folder, "--out", out) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"sloth-jax: {out}")
        assert says in error
        assert error.count("\n") == 1


def test_an_interrupted_run_says_so(folder, capsys, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", interrupt)
    assert predict(folder, *POINT, "--out", folder / "out.csv") == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (folder / "out.csv").exists()


def test_saved_fits_that_cannot_be_used_are_refused(folder, capsys):
    kept = folder / "fit.nc"
    assert run("fit", "--data", folder / "table.csv", *POINT, "--out", kept) == 0
    query = ("predict", "--query", folder / "query.csv", "--out", folder / "c.csv")
    (folder / "cut.nc").write_bytes(kept.read_bytes()[:2000])
    capsys.readouterr()
    assert run(*query, "--fit", folder / "cut.nc") == 2
    refused(capsys, folder / "c.csv", "not a file of save_fit, or cut off")
    for option in (("--skills", 1), ("--inference", "nuts"), ("--point",), ("--surface", "flops")):
        assert run(*query, "--fit", kept, *option) == 2
        says = f"{option[0]} belongs to a new fit; leave it out with --fit"
        refused(capsys, folder / "c.csv", says)
