"""The house: which room may import which, and what the public face names."""

import ast
import subprocess
import sys
from pathlib import Path

import sloth_jax as sj

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("evaluation", "forecasting", "items", "planning", "plotting", "repeats", "skills")


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


def code_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def test_files_and_functions_can_be_held_in_mind():
    for path in sorted((ROOT / "sloth_jax").rglob("*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert code_of(node) <= 60, (path, node.name)


def test_no_room_is_above_2500_lines():
    rooms = [path for path in (ROOT / "sloth_jax").iterdir() if (path / "__init__.py").exists()]
    assert len(rooms) <= 13
    for room in rooms:
        lines = sum(len(path.read_text().splitlines()) for path in room.rglob("*.py"))
        assert lines <= 2500, room


def test_notebooks_and_pages_import_nothing_deeper_than_the_public_faces():
    pages = [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    for page in pages:
        assert "from sloth_jax" not in page.read_text(), page
