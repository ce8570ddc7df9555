"""The page of the development splits, from finished runs of development.py.

Run: python experiments/development_table.py --out docs/development.md out/development*/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from _pages import differences, filled, finished, markdown_table, with_error, write_page
from _runner import execute

COLUMNS = {
    "mae": "error",
    "crps": "CRPS",
    "coverage_50": "50 % hold",
    "coverage_90": "90 % hold",
    "coverage_50_families": "50 %, families",
    "coverage_90_families": "90 %, families",
    "width_90": "width",
}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    parts = []
    for folder in folders:
        run = finished(folder, "development.py", ["splits"])
        rows = [
            [row["split"], *(with_error(row, name) for name in COLUMNS)] for row in run["splits"]
        ]
        changed = differences(run, ("inference", "skills", "surface", "size"))
        title = ", ".join(f"{name} {value}" for name, value in changed.items()).capitalize()
        title = "Stacked laws" if run.get("average") else title or "The default"
        minutes = f"{run['seconds'] / 60:.0f} minutes on two cores, other work beside."
        table = markdown_table(["split", *COLUMNS.values()], rows)
        parts.append(f"## {title}\n\n{table}\nSeed {run['seed']}; {minutes}\n")
    return filled("development", runs="\n".join(parts))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
