"""The study of suites and their parts, on a few made-up parts."""

from __future__ import annotations

import json
import shutil

import groups
import groups_table
import numpy as np
import pandas as pd
import pytest
from _runner import edition_2024
from running import refused, run

PARTS = {
    "hendrycksTest-a": "MMLU",
    "hendrycksTest-b": "MMLU",
    "bbh_navigate": "BBH",
    "bbh_snarks": "BBH",
    "math_a": "MATH Lvl 5",
    "math_b": "MATH Lvl 5",
    "gpqa_main": "GPQA",
    "gpqa_diamond": "GPQA",
    "musr_murder_mysteries": "MUSR",
    "musr_team_allocation": "MUSR",
}


@pytest.fixture
def subscores(tmp_path):
    """Parts that lie around their suites' bundled scores."""
    table = edition_2024()
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(table.scores, columns=list(table.benchmarks)).assign(Model=table.models)
    for part, suite in PARTS.items():
        moved = scores[suite] + 0.03 * rng.normal(size=len(scores))
        scores[part] = moved.clip(0.01, 0.99)
    path = tmp_path / "parts.csv"
    scores.drop(columns=list(set(PARTS.values()))).to_csv(path, index=False)
    return path


def test_tables_of_parts_and_suites(subscores):
    parts, suites, weights = groups.read_tables(subscores, "second")
    assert parts.groups() == {"BBH": (0, 1), "MATH Lvl 5": (2, 3), "GPQA": (4, 5), "MUSR": (6, 7)}
    assert suites.models == parts.models
    assert suites.benchmarks == ("BBH", "MATH Lvl 5", "GPQA", "MUSR", "IFEval", "MMLU-PRO")
    np.testing.assert_allclose(suites.scores[:, 0], parts.scores[:, :2].mean(axis=1))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert dict(zip(parts.benchmarks, parts.floors, strict=True))["bbh_navigate"] == 0.5


def test_the_study_and_its_page(tmp_path, subscores):
    given = ("--subscores", str(subscores), "--smoke", "--inference", "mode")
    done = run(groups.main, tmp_path / "out", *given)
    differences, scores = done.csv("differences"), done.csv("scores")
    assert set(scores["law"]) == {"suites", "strangers", "groups"}
    assert set(differences["share"]) == {groups.FEW, 1.0}
    scores, differences = scores[scores["share"] == 1.0], differences[differences["share"] == 1.0]
    whole = scores[(scores["of"] == "suite") & (scores["benchmark"] == "all")].set_index("law")
    less = differences[(differences["of"] == "suite") & (differences["benchmark"] == "all")]
    for row in less.itertuples():
        expected = whole.loc["groups", "crps"] - whole.loc[str(row.than), "crps"]
        assert row.crps == pytest.approx(expected, abs=1e-5)
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(groups_table.main, *page, str(done.out))
    shutil.copytree(done.out, tmp_path / "run")
    record = done.summary | {"smoke": False}
    (tmp_path / "run" / "summary.json").write_text(json.dumps(record))
    groups_table.main([*page, str(tmp_path / "run")])
    text = (tmp_path / "page.md").read_text()
    assert f"{100.0 * record['development'][0]['crps']:.2f} (" in text
    # What is done is not done again, and other settings are refused.
    again = run(groups.main, done.out, *given)
    assert "done before" in again.said
    assert "holds results with seed" in refused(
        groups.main, "--out", str(done.out), *given, "--seed", "1"
    )
    assert "cannot be read" in refused(
        groups.main, "--out", str(tmp_path), "--subscores", str(tmp_path / "none.csv")
    )
