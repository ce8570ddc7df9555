"""Every experiment runs from its command line, in its smallest form, and saves what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / script), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_held_out_llama3(tmp_path):
    printed = run("held_out_llama3.py", "--out", str(tmp_path / "out"), "--smoke")
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert len(table) == 24
    assert set(table["family_models"]) == {1}  # the 8B models stay
    assert table["truth"].notna().all()
    assert sum("meta-llama-3-70b" in line for line in printed.splitlines()) == 24
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "llama-3-sauerkrautlm-70b-instruct" in record["hidden"]
    assert {"seed", "settings", "scales", "versions", "diagnostics"} <= record.keys()
    assert (tmp_path / "out" / "held_out_llama3.png").stat().st_size > 10_000
