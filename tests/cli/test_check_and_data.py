"""The commands that describe tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import run

import sloth_jax


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
    assert "450 models" in printed
    assert "trillion tokens (not known of 65 models)" in printed
    assert "nan" not in printed
    assert "MATH Lvl 5" in printed


def test_data_of_an_edition(tmp_path, capsys):
    assert run("data", "--edition", "2024", "--out", tmp_path / "t.csv") == 0
    table = sloth_jax.load_leaderboard(tmp_path / "t.csv")
    assert table.models == sloth_jax.load_leaderboard(edition="2024").models
    assert table.sources == ("",)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("data", "--edition", "2025", "--uncorrected"), "with corrections: leave it out"),
        (("check", "table.csv", "--edition", "2024"), "with corrections: leave it out"),
        (
            ("predict", "--data", "t.csv", "--query", "q.csv", "--edition", "2025"),
            "with corrections: leave it out",
        ),
        (("predict", "--fit", "f.nc", "--query", "q.csv", "--edition", "2025"), "with --fit"),
        (("data", "--edition", "2023"), "invalid choice: '2023'"),
    ],
)
def test_editions_are_of_the_bundled_table(arguments, part, capsys):
    assert run(*arguments) == 2
    assert part in capsys.readouterr().err


def test_data_writes_a_table_that_predict_accepts(tmp_path, capsys):
    assert run("data", "--out", tmp_path / "t.csv") == 0
    loaded = sloth_jax.load_leaderboard(tmp_path / "t.csv")
    bundled = sloth_jax.load_leaderboard()
    assert len(loaded.sources) == 3
    assert loaded.models == bundled.models
    np.testing.assert_array_equal(loaded.scores, bundled.scores)
    np.testing.assert_array_equal(loaded.floors, bundled.floors)
    assert run("data", "--uncorrected", "--out", tmp_path / "u.csv") == 0
    assert (tmp_path / "t.csv").read_bytes() != (tmp_path / "u.csv").read_bytes()
    assert "token counts of 13 models are not known and integrated out" in capsys.readouterr().err
