"""Execute the notebooks and write them with their outputs, so that a browser of files shows them.

``notebooks/NAME.py`` is the source, ``notebooks/NAME.ipynb`` is made from it: the same cells, what
they printed, and their pictures. Times and paths of the machine are left out. It fails if a cell
raises, writes to stderr, or prints such a path. Needs ``pip install -e .[notebooks]``.

Run: python scripts/build_notebooks.py [NAME ...], minutes each; --quick for a rough try elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
_SHOWN = {"text/plain", "text/html", "image/png"}  # kinds of output that are kept
_LARGEST = 600_000  # bytes of a notebook


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    names = sorted(path.stem for path in NOTEBOOKS.glob("*.py"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="rough fits; needs --out")
    parser.add_argument("--out", type=Path, default=NOTEBOOKS, help="folder to write to")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(names)):
        parser.error(f"no notebook {unknown[0]!r} (there are {', '.join(names)})")
    if options.quick:
        if options.out.resolve() == NOTEBOOKS:
            parser.error("--quick makes numbers that mean nothing: give --out FOLDER")
        os.environ["SLOTH_JAX_QUICK"] = "1"
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or names:
        text = nbformat.writes(executed(NOTEBOOKS / f"{name}.py")) + "\n"
        if len(text) > _LARGEST:
            raise SystemExit(f"{name}: {len(text):,} bytes, above {_LARGEST:,}: smaller figures")
        path = options.out / f"{name}.ipynb"
        path.write_text(text)
        print(f"{path}: {len(text):,} bytes")


def executed(path: Path) -> Any:
    """The notebook of a script, with outputs that the same code makes again."""
    from nbclient import NotebookClient  # pyright: ignore[reportMissingImports]

    os.environ["JAX_PLATFORMS"] = "cpu"
    # Of tqdm where ipywidgets are missing: it draws text instead, and here nothing.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    notebook = as_notebook(path)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        # One output for what a cell prints, however it comes in pieces.
        client = NotebookClient(notebook, timeout=None, resources=resources, coalesce_streams=True)
        client.execute()
        for cell in notebook.cells:
            cell.metadata = {}
            if cell.cell_type == "code":
                cell.outputs = [_tidied(output, path.stem, folder) for output in cell.outputs]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def as_notebook(path: Path) -> Any:
    """The cells of a script, not executed; the same script always gives the same."""
    notebook = jupytext.read(path)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for place, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{place}"
    return notebook


def _tidied(output: Any, name: str, folder: str) -> Any:
    """One output without what changes from run to run."""
    if output.output_type == "stream":
        text = output.text
        if output.name == "stderr":
            raise SystemExit(f"{name}: a cell wrote to stderr: {text.strip()}")
    else:
        output.metadata = {}
        output.data = {kind: what for kind, what in output.data.items() if kind in _SHOWN}
        text = "".join(str(output.data.get(kind, "")) for kind in ("text/plain", "text/html"))
    machine = [path for path in (str(ROOT), str(Path.home()), folder) if len(path) > 1]
    if found := re.search("|".join([*map(re.escape, machine), "0x[0-9a-f]{6,}"]), text):
        raise SystemExit(f"{name}: a cell printed {found[0]!r}, which differs by machine")
    return output


if __name__ == "__main__":
    main()
