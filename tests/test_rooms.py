"""The house: which room may import which, and what the public face names."""

import subprocess
import sys
from pathlib import Path

import sloth_jax as sj

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("evaluation", "forecasting", "planning", "plotting", "skills")


def test_imports_run_downhill():
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_everything_on_the_public_faces_is_there():
    for face in (sj, *(getattr(sj, room) for room in ROOMS)):
        assert dir(face) == sorted(face.__all__)
        for name in face.__all__:
            assert getattr(face, name) is not None


def test_importing_the_package_loads_neither_jax_nor_pandas():
    code = "import sys, sloth_jax; print({'jax', 'pandas', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "set()"
