"""The command: its output, its determinism, and one clear line for everything it cannot use."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small import table

import sloth_jax
from sloth_jax.cli import fit as cli_fit
from sloth_jax.cli.main import main
from sloth_jax.files import check_writable, write_text

QUERY = "model,family,params_b,tokens_t\nbig,family0,64,2\nother,unheard-of,8,2\n"
TINY = ["--skills", "1", "--draws", "20"]
NUTS = ["--skills", "1", "--inference", "nuts", "--draws", "8", "--warmup", "20"]
POINT = ["--skills", "1", "--point"]
PRINTED = ["model", "benchmark", "mean", "median", "lower", "upper", "level", "family_models"]
COLUMNS = [*PRINTED, "outside"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(cli_fit, "USUAL", replace(cli_fit.USUAL, steps=40))


@pytest.fixture
def folder(tmp_path):
    data, _ = table(families=4, sizes=3)
    data.to_csv(tmp_path / "table.csv")
    (tmp_path / "query.csv").write_text(QUERY)
    return tmp_path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return 0 if stop.value.code is None else int(stop.value.code)


def predict(folder, *more: object, table="table.csv", query="query.csv") -> int:
    return run("predict", "--data", folder / table, "--query", folder / query, *more)


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
    assert told[-1].startswith(name)
    problems = sloth_jax.load_fit(kept).diagnostics.problems()
    assert {f"warning: {problem}" for problem in problems} <= set(told)
    assert (name == "nuts") <= bool(problems)  # so few draws agree on nothing
    assert not (folder / "fit.nc.unfinished").exists()
    out = ("--seed", 3, "--out")
    assert predict(folder, *options, *out, folder / "a.csv") == 0
    query = ("predict", "--query", folder / "query.csv")
    capsys.readouterr()
    assert run(*query, "--fit", kept, *out, folder / "b.csv") == 0
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()
    assert told[-1] in capsys.readouterr().err.splitlines()  # kept with the fit


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
    "few models": (lambda f: f.iloc[:3], "3 models are fewer than the 4 benchmarks"),
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
    refused(capsys, folder / "q.csv", "the table has params_b 1.0: leave it empty")


def test_without_out_a_table_is_printed(folder, capsys):
    assert predict(folder, *POINT) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == PRINTED
    assert len(printed) == 9


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


def edit(row: int, column: str, value: object):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype(object)
        frame.loc[row, column] = value
        return frame

    return change


def no_scores(frame: pd.DataFrame) -> pd.DataFrame:
    frame[["MMLU", "ARC", "HellaSwag", "GSM8K"]] = np.nan
    return frame


# name: change of the table, what the one line must say
BAD_TABLES = {
    "missing column": (lambda f: f.drop(columns="tokens_t"), ["tokens_t", "missing"]),
    "duplicated model": (edit(1, "model", "family0-0"), ["row 3", "family0-0", "row 2"]),
    "percent": (edit(2, "MMLU", 45.2), ["row 4", "MMLU", "45.2", "did you mean fractions?"]),
    "negative score": (edit(2, "ARC", -0.1), ["row 4", "ARC", "-0.1"]),
    "text score": (edit(0, "ARC", "good"), ["row 2", "ARC", "good"]),
    "zero size": (edit(0, "params_b", 0), ["row 2", "params_b", "positive"]),
    "negative tokens": (edit(0, "tokens_t", -1), ["row 2", "tokens_t", "positive"]),
    "missing tokens": (edit(3, "tokens_t", ""), ["row 5", "tokens_t", "empty"]),
    "infinite size": (edit(3, "params_b", "inf"), ["row 5", "params_b", "infinite"]),
    "no rows": (lambda f: f.iloc[:0], ["no rows"]),
    "no scores": (no_scores, ["without scores"]),
}


def refused(capsys, out, *says: str) -> None:
    captured = capsys.readouterr()
    error = [line for line in captured.err.splitlines() if line.startswith("sloth-jax")]
    assert len(error) == 1, captured.err
    assert captured.err.endswith(error[0] + "\n")
    for words in says:
        assert words in error[0]
    assert captured.out == ""
    assert not out.exists()


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

    monkeypatch.setattr(cli_fit, "load_leaderboard", must_not_run)
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

    monkeypatch.setattr(cli_fit, "fit", interrupt)
    assert predict(folder, *POINT, "--out", folder / "out.csv") == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (folder / "out.csv").exists()


def test_check_of_the_bundled_table_holds(capsys):
    assert run("check") == 0
    assert capsys.readouterr().out.startswith("The assumptions hold")
    assert run("check", "--benchmarks", "MMLU", "ARC", "--json") == 0
    assert json.loads(capsys.readouterr().out)["skills"] == 2


def test_check_exits_with_one_where_an_assumption_fails(folder, capsys):
    frame = pd.read_csv(folder / "table.csv")
    frame["tokens_t"] = 2.0
    frame.to_csv(folder / "constant.csv", index=False)
    assert run("check", folder / "constant.csv", "--skills", 1) == 1
    assert "no family varies its tokens" in capsys.readouterr().out
    assert run("check", folder / "constant.csv", "--skills", 9) == 2
    assert "9 skills do not fit" in capsys.readouterr().err


def test_data_describes_the_bundled_table(capsys):
    assert run("data") == 0
    printed = capsys.readouterr().out
    assert "178 models" in printed
    assert "MATH Lvl 5" in printed


def test_data_writes_a_table_that_predict_accepts(tmp_path, capsys):
    assert run("data", "--out", tmp_path / "t.csv") == 0
    loaded = sloth_jax.load_leaderboard(tmp_path / "t.csv")
    bundled = sloth_jax.load_leaderboard()
    assert loaded.models == bundled.models
    np.testing.assert_array_equal(loaded.scores, bundled.scores)
    np.testing.assert_array_equal(loaded.floors, bundled.floors)
    assert run("data", "--uncorrected", "--out", tmp_path / "u.csv") == 0
    assert (tmp_path / "t.csv").read_bytes() != (tmp_path / "u.csv").read_bytes()
    assert "left out" in capsys.readouterr().err


KEPT = """
import jax
from sloth_jax.cli.fit import prepare
prepare()
print(jax.config.jax_compilation_cache_dir)
"""


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, "sloth_jax/compiled"),
        ({"XDG_CACHE_HOME": "{}/no folder/file"}, "None"),
        ({"JAX_COMPILATION_CACHE_DIR": "{}/mine"}, "mine"),
    ],
)
def test_compiled_programs_are_kept_where_the_user_keeps_caches(tmp_path, chosen, found):
    (tmp_path / "no folder").write_text("")
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path)}
    environment |= {name: value.format(tmp_path) for name, value in chosen.items()}
    done = subprocess.run(
        [sys.executable, "-c", KEPT], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith(found)


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"sloth-jax {sloth_jax.__version__}\n"


@pytest.mark.parametrize("command", [(), ("predict",), ("check",), ("data",)])
def test_help_shows_an_example(command, capsys):
    assert run(*command, "--help") == 0
    assert re.search(r"example: sloth-jax \w+", capsys.readouterr().out)


def test_the_installed_command_runs():
    done = subprocess.run(
        [sys.executable, "-m", "sloth_jax.cli.main", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("sloth-jax ")


def test_write_text_replaces_a_file_whole_and_readable(tmp_path):
    path = tmp_path / "a.csv"
    write_text(path, "old\n")
    write_text(path, "new\n")
    assert path.read_text() == "new\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert path.stat().st_mode & stat.S_IRUSR


def test_check_writable_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
