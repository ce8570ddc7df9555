"""``items cells``, ``prompts`` and ``parts``: from files to files, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sloth_jax.cli.main import main


def asked(*options: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["items", *map(str, options)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Cells of 8 templates and 20 items, filled in, and what is known of the templates."""
    made = tmp_path_factory.mktemp("prompts")
    templates = [f"t{n}" for n in range(8)]
    known = {"template": templates, "role": [0, 1] * 4, "hint": [0, 0, 1, 1] * 2,
             "shots": [0] * 4 + [1] * 4}  # fmt: skip
    pd.DataFrame(known).to_csv(made / "templates.csv", index=False)
    items = pd.DataFrame({"item": [f"i{n}" for n in range(20)]})
    items.to_csv(made / "items.csv", index=False)
    cells = made / "cells.csv"
    given = ("--templates", made / "templates.csv", "--items", made / "items.csv")
    assert asked("cells", *given, "--budget", 120, "--out", cells) == 0
    frame = pd.read_csv(cells)
    assert list(frame.columns) == ["template", "item", "correct"]
    assert len(frame) == 120
    assert frame["correct"].isna().all()
    rng = np.random.default_rng(0)
    number = frame["template"].str[1:].astype(int)
    chance = 0.4 + 0.35 * (number % 2)
    frame["correct"] = (rng.random(120) < chance).astype(int)
    frame.to_csv(made / "answers.csv", index=False)
    return made


def test_performance_over_templates(folder, capsys):
    out = folder / "performance.csv"
    given = ("--responses", folder / "answers.csv", "--items", folder / "items.csv")
    given += ("--templates", folder / "templates.csv")
    assert asked("prompts", *given, "--out", out) == 0
    rows = pd.read_csv(out)
    assert list(rows.columns) == ["kind", "name", "answers", "median", "lower_90", "upper_90"]
    assert rows["kind"].value_counts().to_dict() == {"template": 8, "quantile": 5}
    assert (rows["lower_90"] <= rows["median"]).all()
    assert (rows["median"] <= rows["upper_90"]).all()
    of_quantiles = rows[rows["kind"] == "quantile"]
    assert of_quantiles["median"].is_monotonic_increasing
    assert rows[rows["kind"] == "template"]["answers"].sum() == 120
    capsys.readouterr()
    assert asked("prompts", *given) == 0
    text = capsys.readouterr().out
    assert text.startswith("8 templates, 20 items, 120 answers; scores as fractions, 90 % interv")
    assert "median template" in text


def test_effects_of_parts(folder, capsys):
    given = ("--responses", folder / "answers.csv", "--templates", folder / "templates.csv")
    assert asked("parts", *given, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    rows = pd.DataFrame(record["rows"])
    effects = rows[rows["kind"] == "effect"].set_index("name")
    assert list(effects.index)[:4] == ["role", "hint", "shots", "role x hint"]
    assert effects.loc["role", "lower_90"] > 0.0
    subsets = rows[rows["kind"] == "subset"]
    assert subsets["probability"].sum() == pytest.approx(1.0)
    assert record["settings"]["action"] == "parts"
    assert record["seed"] == 0


def test_bad_input_is_one_line(folder, capsys):
    answers = ("--responses", folder / "answers.csv")
    twice = folder / "twice.csv"
    twice.write_text("template,role\nt0,1\nt0,0\n")
    few = folder / "few.csv"
    few.write_text("template,role\nt0,1\nt1,0\n")
    for options, says in (
        (("prompts",), "--responses is missing: prompts needs it"),
        (("prompts", *answers, "--bank", few), "--bank does not belong to prompts: leave it out"),
        (("parts", *answers), "--templates is missing: parts needs it"),
        (("parts", *answers, "--templates", few), "no row for template 't"),
        (("parts", *answers, "--templates", twice), "name each template once"),
        (("prompts", *answers, "--templates", few), "not one of the 2 templates given"),
        (("prompts", *answers, "--items", few), "no column 'item': it names each item"),
        (("cells", "--templates", 3, "--items", 4, "--budget", 13), "a budget of 13 cells"),
    ):
        assert asked(*options, "--out", folder / "no.csv") == 2
        assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "no.csv").exists()
