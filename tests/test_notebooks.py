"""Every notebook runs from its first cell to its last, and its page is made of the same cells."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from nbformat import v4

ROOT = Path(__file__).resolve().parents[1]
BUILD = runpy.run_path(str(ROOT / "scripts" / "build_notebooks.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    quick = {"SLOTH_JAX_QUICK": "1", "MPLBACKEND": "Agg"}
    command, env = [sys.executable, str(path)], os.environ | quick
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "problems:" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_page_has_the_same_cells(path):
    """Where this fails: python scripts/build_notebooks.py NAME."""
    source = jupytext.read(path)
    kinds = [cell["cell_type"] for cell in source.cells]
    assert kinds[0] == "markdown"
    assert kinds.count("code") > 3
    page = jupytext.read(path.with_suffix(".ipynb"))
    cells = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (source, page)]
    assert cells[0] == cells[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_page_shows_pictures_and_nothing_of_a_machine(path):
    text = path.with_suffix(".ipynb").read_text()
    assert len(text) < 600_000
    outputs = [out for cell in json.loads(text)["cells"] for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert not any(out.get("name") == "stderr" or "ename" in out for out in outputs)
    assert "/home/" not in text
    assert "/tmp/" not in text


def test_the_same_script_gives_the_same_notebook():
    one, other = (json.dumps(BUILD["as_notebook"](NOTEBOOKS[0])) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (v4.new_output("stream", name="stderr", text="careful"), "wrote to stderr: careful"),
        (v4.new_output("stream", name="stdout", text="wrote /folder/x.csv"), "differs by machine"),
        (
            v4.new_output("display_data", {"text/plain": "<Axes at 0x7f12ab34cd>"}),
            "'0x7f12ab34cd', which differs",
        ),
    ],
)
def test_outputs_of_one_machine_are_refused(output, reason):
    with pytest.raises(SystemExit, match=reason):
        BUILD["_tidied"](output, "some notebook", "/folder")


def test_kinds_of_output_that_browsers_do_not_show_are_left_out():
    data = {"text/plain": "a figure", "image/png": "AAAA", "text/latex": "x"}
    kept = BUILD["_tidied"](v4.new_output("display_data", data), "some notebook", "/folder")
    assert set(kept.data) == {"text/plain", "image/png"}
