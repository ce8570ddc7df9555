"""``sloth-jax skills``, and ``plan`` for the names that it proposes."""

from __future__ import annotations

import json

import jax
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from commands import run
from small import table

from sloth_jax.inference.fit import fit as fit_law
from sloth_jax.inference.storage import save_fit
from sloth_jax.skills.summary import in_words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    at = tmp_path_factory.mktemp("skills")
    save_fit(fit_law(table()[0], key=jax.random.key(0), skills=2, steps=60, draws=60), at / "f.nc")
    return at


def test_skills_are_written_and_plan_takes_their_names(folder, capsys):
    ask = ("skills", "--fit", folder / "f.nc", "--out", folder / "out")
    assert run(*ask, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    # The table has one skill: the check says so first, and every file repeats it.
    assert found["interpretable"] == "no"
    assert "skills may not be interpreted" in captured.err
    tables = ("loadings", "correlations", "models", "families", "base_to_chat", "growth")
    for name in (*tables, "level_curves"):
        rows = pd.read_csv(folder / "out" / f"{name}.csv")
        assert set(rows["interpretable"]) == {"no"}
        assert {"median", "lower", "upper"} <= set(rows.columns)
    for name in ("loadings", "models", "level_curves", "growth", "base_to_chat", "correlations"):
        assert plt.imread(folder / "out" / f"{name}.png").std() > 0.01
    assert json.loads((folder / "out" / "summary.json").read_text()) == found
    names = [skill["name"] for skill in found["skills"]]
    assert len(set(names)) == 2
    assert all(0.0 <= skill["draws_with_this_name"] <= 1.0 for skill in found["skills"])
    assert [row["base"] for row in found["base_to_chat"]] == ["all", "all"]

    text = in_words(found)
    assert text.startswith("NOT IDENTIFIED")
    assert f"skill 2: {names[1]} (the same two benchmarks in" in text

    plan = ("plan", "--fit", folder / "f.nc", "--flops", 1e23, "--family", "family0", "--seed", 3)
    answers = []
    for target in (names[1].lower(), "skill 2"):
        assert run(*plan, "--target", target, "--plot", folder / "one.png") == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert f"best for {names[1]} (sd of models)" in answers[0]

    least = ("require", "--fit", folder / "f.nc", "--family", "family0", "--tokens-t", 2)
    assert run(*least, "--benchmark", "skill 1", "--score", "-0.5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["benchmark"], found["is_skill"]) == (names[0], True)
    assert found["reached"] == (found["probability"] >= found["asked"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("skills", "--out", "f.nc"), "it is a file; name a folder"),
        (("skills", "--out", "no/such"), "no folder no"),
        (("skills", "--out", "new", "--skills", 3), "--skills belongs to a new fit"),
    ],
)
def test_bad_commands_are_one_line(arguments, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(*arguments, "--fit", "f.nc") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err.splitlines()[-1]
    assert sorted(folder.iterdir()) == before


def test_a_name_that_no_skill_has_is_answered_with_the_names(folder, capsys):
    plan = ("plan", "--fit", folder / "f.nc", "--flops", 1e23, "--family", "family0")
    assert run(*plan, "--target", "ARC + ARC") == 2
    assert "no target 'ARC + ARC'" in capsys.readouterr().err
