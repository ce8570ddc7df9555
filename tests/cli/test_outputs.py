"""Where answers go: formats by ending, nothing that is read is replaced, standard input."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from commands import POINT, predict, refused, run
from small import BENCHMARKS

from sloth_jax.cli import fitting
from sloth_jax.cli.output import draw_models
from sloth_jax.forecasting.intervals import central_interval


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_fit(monkeypatch):
    """What is refused is refused before a table is read."""

    def must_not_run(*_args, **_kwargs):
        raise AssertionError("read a table before looking at the outputs")

    monkeypatch.setattr(fitting, "load_leaderboard", must_not_run)


def piped(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_one_fit_answers_in_every_format(folder, capsys, monkeypatch):
    kept = folder / "fit.nc"
    assert run("fit", "--data", folder / "table.csv", *POINT, "--out", kept) == 0
    ask = ("predict", "--fit", kept, "--query", folder / "query.csv", "--out")
    for name in ("p.csv", "p.csv.gz", "p.parquet", "p.JSON"):
        assert run(*ask, folder / name) == 0
    rows = pd.read_csv(folder / "p.csv")
    pd.testing.assert_frame_equal(rows, pd.read_csv(folder / "p.csv.gz"))
    kept_whole = pd.read_parquet(folder / "p.parquet").replace("", float("nan"))
    pd.testing.assert_frame_equal(rows, kept_whole, atol=1e-6, check_dtype=False)
    record = json.loads((folder / "p.JSON").read_text())
    assert record["level"] == 0.9
    assert {"settings", "diagnostics", "problems", "seed", "versions"} <= set(record)
    assert [row["model"] for row in record["predictions"]] == rows["model"].tolist()

    # The same query as JSON in a file, and from standard input in both formats.
    models = json.dumps(pd.read_csv(folder / "query.csv").to_dict("records"))
    (folder / "query.json").write_text(models)
    figure = folder / "p.png"
    ask = ("predict", "--fit", kept, "--json", "--query")
    capsys.readouterr()
    answers = []
    for query, text in (
        (folder / "query.json", ""),
        ("-", models),
        ("-", (folder / "query.csv").read_text()),
    ):
        piped(monkeypatch, text)
        assert run(*ask, query, *(("--plot", figure) if not answers else ())) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers == [record] * 3
    assert plt.imread(figure).std() > 0.01  # something is drawn


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--out", "p.xlsx"), "ending is not known; name a file that ends in .csv, .csv.gz"),
        (("--out", "predictions"), "ending is not known"),
        (("--out", "p.csv", "--json"), "--json writes JSON"),
        (("--plot", "p.jpeg"), "ends in .png, .pdf or .svg"),
        (("--out", "query.csv"), "--out query.csv: this command reads"),
        (("--out", "link.csv"), "this command reads"),
        (("--out", "hard.csv"), "this command reads"),
        (("--out", "mine.csv", "--add", "mine.csv"), "reads mine.csv"),
        (("--out", "floors.csv", "--floors", "./floors.csv"), "reads ./floors.csv"),
        (("--out", "mine.csv", "--task", "mine.csv"), "reads mine.csv"),
        (("--out", "table.csv"), "this command reads"),
        (("--plot", "figure.png", "--add", "figure.png"), "--plot figure.png: this command reads"),
        (("--out", "folder.csv"), "it is a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused(options, says, folder, capsys, monkeypatch, no_fit):
    monkeypatch.chdir(folder)
    for name in ("mine.csv", "floors.csv", "figure.png"):
        (folder / name).write_text("kept")
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to("query.csv")
    os.link(folder / "query.csv", folder / "hard.csv")
    before = {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()}
    assert predict(folder, *options) == 2
    refused(capsys, folder / "nothing", says)
    assert before == {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()}


def test_a_fit_and_an_import_replace_nothing_that_they_read(folder, capsys, monkeypatch, no_fit):
    monkeypatch.chdir(folder)
    kept = (folder / "table.csv").read_bytes()
    (folder / "fit.nc").symlink_to("table.csv")
    for arguments, says in (
        (("fit", "--data", "table.csv", "--out", "fit.nc"), "reads table.csv"),
        (("fit", "--out", "fit.csv"), "ends in .nc"),
        (("import", "table.csv", "--out", "table.csv"), "--out table.csv: this command reads"),
        (("import", "table.csv", "--out", "a.csv", "--rejected", "table.csv"), "--rejected"),
        (("import", "table.csv", "--out", "a.csv", "--guessed", "./a.csv"), "--out names it too"),
        (("import", "table.csv", "--out", "a.xlsx"), "ending is not known"),
    ):
        assert run(*arguments) == 2
        refused(capsys, folder / "a.csv", says)
    assert (folder / "table.csv").read_bytes() == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "standard input: is empty"),
        ("[]", "standard input: the list has no models"),
        ('[{"model": "a", "family": "f", "params_b": [7], "tokens_t": 1}]', "a list is no value"),
        ("model,family,params_b\na,f,7\n", "standard input: column 'tokens_t' is missing"),
    ],
)
def test_bad_standard_input_is_refused(text, says, folder, capsys, monkeypatch):
    piped(monkeypatch, text)
    ask = ("predict", "--data", folder / "table.csv", "--query", "-", "--out", folder / "p.csv")
    assert run(*ask) == 2
    refused(capsys, folder / "p.csv", says)


@pytest.mark.parametrize("stdin", [Terminal(), None])
def test_a_terminal_is_not_waited_for(stdin, folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run("predict", "--data", folder / "table.csv", "--query", "-") == 2
    refused(capsys, folder / "nothing", "--query -: nothing is piped")


@pytest.mark.parametrize("option", ["--query", "--data", "--add", "--floors", "--task", "--fit"])
def test_folders_given_as_files_are_refused(option, folder, capsys):
    (folder / "a folder").mkdir()
    given = {"--data": folder / "table.csv", "--query": folder / "query.csv"}
    if option == "--fit":
        del given["--data"]
    given[option] = folder / "a folder"
    arguments = [part for pair in given.items() for part in pair]
    assert run("predict", *arguments, "--out", folder / "p.csv") == 2
    refused(capsys, folder / "p.csv", "a folder")
    assert not (folder / "p.csv").exists()


WRITE = """
import sys
from sloth_jax.files import clear_leftovers, write_text
path, text = sys.argv[1:]
for _ in range(150):
    clear_leftovers(path)
    write_text(path, text * 20_000)
"""


def test_a_figure_of_any_names_is_drawn(tmp_path):
    models = ("$\\no$ 模型", "x" * 300, *(f"model {k}" for k in range(30)))
    draws = np.random.default_rng(0).random((20, len(models), len(BENCHMARKS)))
    ends = np.median(draws, axis=0), *central_interval(draws, 0.8)
    names = ("a$b", "$c$", "d", "e")
    for name in ("p.svg", "p.pdf"):
        draw_models(str(tmp_path / name), models, names, ends, floors=np.zeros(4), level=0.8)
    drawn = (tmp_path / "p.svg").read_text()
    assert all(words in drawn for words in ("80 % interval", "model 21", "$c$", "x" * 37 + "..."))
    assert "model 22" not in drawn


def test_two_processes_that_write_one_file_leave_it_whole(tmp_path):
    path = tmp_path / "p.csv"
    whole = {letter * 20_000 for letter in "ab"}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, path, letter], stderr=subprocess.PIPE)
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_text())
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert seen <= whole
    assert path.read_text() in whole
    assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]
