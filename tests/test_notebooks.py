"""Every notebook runs from its first cell to its last, and opens as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    quick = {"SLOTH_JAX_QUICK": "1", "MPLBACKEND": "Agg"}
    command, env = [sys.executable, str(path)], os.environ | quick
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "problems:" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_opens_as_a_notebook(path):
    notebook = jupytext.read(path)
    kinds = [cell["cell_type"] for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert kinds.count("code") > 3
