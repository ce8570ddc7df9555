"""The commands that plan: plan, require and compare."""

from __future__ import annotations

import json

import jax
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from commands import run
from small import BENCHMARKS, table

from sloth_jax.inference.fit import fit as fit_law
from sloth_jax.inference.storage import save_fit


@pytest.fixture(scope="module")
def fit():
    return fit_law(table()[0], key=jax.random.key(0), skills=1, steps=60, draws=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fit):
    at = tmp_path_factory.mktemp("planning")
    save_fit(fit, at / "fit.nc")
    (at / "candidates.csv").write_text(
        "model,family,params_b,tokens_t\nsmall,family0,2,15\nlarge,nobody,64,2\n"
    )
    return at


def test_plan_on_the_command_line(folder, capsys):
    ask = ("plan", "--fit", folder / "fit.nc", "--flops", 1e22, 1e24, "--budgets", 3)
    ask += ("--family", "family0", "--target", "MMLU=2,GSM8K=1")
    assert run(*ask, "--plot", folder / "plan.png", "--json", "--out", folder / "a.json") == 0
    assert run(*ask, "--json", "--out", folder / "b.json") == 0
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    found = json.loads((folder / "a.json").read_text())
    assert found["family_models"] == 4
    assert [row["flops"] for row in found["plans"]] == pytest.approx([1e22, 1e23, 1e24])
    assert {"params_b", "tokens_t", "mean", "lower", "upper", "outside"} <= set(found["plans"][0])
    assert plt.imread(folder / "plan.png").std() > 0.01  # something is drawn
    assert run(*ask) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_require_on_the_command_line(folder, capsys):
    ask = ("require", "--fit", folder / "fit.nc", "--benchmark", "mmlu", "--family", "Family-0")
    ask += ("--tokens-t", 2, "--plot", folder / "require.png")
    assert run(*ask, "--score", 0.5, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["solved"] == "params_b"
    assert (found["family"], found["family_models"]) == ("family0", 4)
    assert "note: family 'Family-0' is taken for 'family0'" in captured.err
    assert run(*ask, "--score", 0.9, "--params-b-bounds", 0.1, 4) == 0
    assert "not reached within bounds" in capsys.readouterr().out


def test_compare_on_the_command_line(folder, capsys):
    ask = ("compare", folder / "candidates.csv", "--fit", folder / "fit.nc")
    assert run(*ask, "--out", folder / "compared.csv", "--plot", folder / "compared.png") == 0
    rows = pd.read_csv(folder / "compared.csv")
    assert len(rows) == 2 * (len(BENCHMARKS) + 1)
    assert rows["outside"].notna().any()  # a small model on 15 trillion tokens
    assert "lies outside the training table" in capsys.readouterr().err


def test_next_on_the_command_line(folder, capsys):
    (folder / "one.csv").write_text("model,family,params_b,tokens_t\nmine,family0,64,2\n")
    ask = ("next", "--fit", folder / "fit.nc", "--query", folder / "one.csv", "--steps", 2)
    assert run(*ask, "--equal-cost") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mine, 0 of 4 benchmarks known; mean width of 90 % intervals")
    assert len(lines) == 5
    assert run(*ask, "--cost", "mmlu=1e-6", "--wanted", "ARC,GSM8K", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["level"]) == ("mine", 0.9)
    first = found["steps"][0]
    assert (first["benchmark"], first["cost"]) == ("MMLU", 1e-6)
    assert first["lower"] <= first["width"] <= first["upper"]
    assert run(*ask, "--out", folder / "next.csv") == 0
    rows = pd.read_csv(folder / "next.csv")
    assert rows["step"].tolist() == [1, 2]
    assert set(rows["cost"]) <= {14042, 1172, 10042, 1319}  # items


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "--flops", 0, "--family", "a"), "budget 0 FLOPs"),
        (("plan", "--flops", 1e23, "--family", "a", "--target", "MMLUU"), "did you mean"),
        (("plan", "--flops", 1e23, "--family", "a", "--target", "MMLU=x"), "'x' is not a number"),
        (("plan", "--flops", 1e23, "--family", "a", "--budgets", 5), "--budgets needs two"),
        (
            ("plan", "--flops", 1e23, "--family", "a", "--params-b-bounds", 9, 1),
            "bounds of params_b are crossed",
        ),
        (("plan", "--flops", 1e23, "--family", "a", "--plot", "plan.doc"), "ends in .png"),
        (("plan", "--flops", 1e23, "--family", "a", "--out", "/no/such/folder/x"), "no folder"),
        (("require", "--benchmark", "MMLU", "--score", 80, "--family", "a"), "not between 0 and 1"),
        (
            ("require", "--benchmark", "MMLU", "--score", 0.5, "--family", "a", "--probability", 1),
            "not between 0 and 1",
        ),
        (
            ("require", "--benchmark", "MMLU", "--score", 0.5, "--family", "a", "--tokens-t", -2),
            "--tokens-t -2 is not a positive number",
        ),
        (("next", "--model", "family0-9"), "no model 'family0-9' in the training table; did you"),
        (("next", "--model", "family0-1"), "family0-1: 0 of 4 benchmarks unknown; a choice needs"),
        (("next", "--query", "candidates.csv"), "2 models are queried: ask for one at a time"),
        (("next", "--model", "family0-1", "--cost", "MMLU"), "cost 'MMLU': write a name and a"),
        (("next", "--model", "family0-1", "--cost", "Elo=1"), "cost of 'Elo': no such benchmark"),
        (("next", "--model", "family0-1", "--wanted", "Elo"), "wanted 'Elo': no such benchmark"),
        (("require", "--benchmark", "Elo", "--score", 0.5, "--family", "a"), "no target 'Elo'"),
    ],
)
def test_bad_commands_are_one_line(arguments, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(*arguments, "--fit", folder / "fit.nc") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err.splitlines()[-1]
    assert sorted(folder.iterdir()) == before


def test_a_foreign_fit_is_refused(folder, capsys):
    (folder / "foreign.nc").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")  # a pickle
    ask = ("plan", "--flops", 1e23, "--family", "a", "--fit", folder / "foreign.nc")
    assert run(*ask) == 2
    assert "not a file of save_fit" in capsys.readouterr().err
    assert not (folder / "pwned").exists()
