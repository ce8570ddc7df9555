"""Broken tables, killed fits, and what only a process of its own shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import generated_tables
import kill_and_resume
from running import run

ROOT = Path(__file__).resolve().parents[2]


def test_generated_tables(tmp_path):
    done = run(generated_tables.main, tmp_path / "out", "--smoke")
    rows = done.csv("tables", keep_default_na=False)
    assert f"{len(rows)} tables, 0 failed" in done.printed
    assert {"one line", "result, skills not determined"} <= set(rows["outcome"])
    # No table can be read with one of these faults.
    unreadable = rows["fault"].isin(["text", "no column", "bytes", "empty"])
    assert set(rows.loc[unreadable, "outcome"]) == {"one line"}
    assert done.summary["outcomes"] == rows["outcome"].value_counts().to_dict()
    assert list((done.out / "failures").iterdir()) == []


def test_kill_and_resume(tmp_path):
    done = run(kill_and_resume.main, tmp_path / "out", "--smoke")
    rows = done.csv("kills", keep_default_na=False)
    assert rows["killed"].sum() == 1
    assert rows["same"].all()
    assert set(rows["unreadable"]) == {""}
    assert "give the same predictions" in done.printed


def test_a_script_ends_with_one_line_and_a_code(tmp_path):
    script = str(ROOT / "experiments" / "own_models.py")
    arguments = ("--family", "qwen3", "--out", str(tmp_path / "out"))
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "own_models: no family 'qwen3' in the bundled table\n"
