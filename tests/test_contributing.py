"""The recipes of CONTRIBUTING.md run as they stand, and are short."""

import re
import sys
from pathlib import Path

import jax
import pytest

from sloth_jax.law.links import LINKS
from sloth_jax.law.options import SURFACES
from sloth_jax.law.surface import COLUMNS, LINEAR

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {
    part.splitlines()[0]: code[0]
    for part in (ROOT / "CONTRIBUTING.md").read_text().split("\n## ")
    if (code := re.findall(r"```python\n(.*?)```", part, re.DOTALL))
}


@pytest.fixture
def registries():
    """What recipes register is forgotten."""
    kept = [(known, known.copy()) for known in (LINKS, COLUMNS, LINEAR)]
    surfaces = SURFACES.copy()
    yield
    for known, before in kept:
        known.clear()
        known.update(before)
    SURFACES[:] = surfaces


def test_recipes_are_short():
    assert len(SECTIONS) == 6
    for name, code in SECTIONS.items():
        assert len(code.splitlines()) < 40, name


def test_a_link_of_ones_own_stands_in_the_comparison(registries, capsys):
    names: dict = {}
    with jax.numpy_rank_promotion("allow"):  # a recipe may leave it to broadcasting
        exec(SECTIONS["Add a link"], names)
        exec(SECTIONS["Compare it"], names)
    printed = capsys.readouterr().out
    assert "sloped logit" in printed
    assert "quantiles" in printed


@pytest.mark.parametrize("recipe", ["Add a surface", "Change a prior", "Add a baseline"])
def test_a_recipe_runs(registries, recipe):
    exec(SECTIONS[recipe], {})


def test_an_experiment_of_ones_own_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "experiments"), *sys.path])
    names = {"__file__": "widths.py"}
    exec(SECTIONS["Add an experiment"], names)
    names["main"](["--smoke", "--out", str(tmp_path)])  # pyright: ignore
    assert (tmp_path / "widths.csv").exists()
    assert (tmp_path / "summary.json").exists()
