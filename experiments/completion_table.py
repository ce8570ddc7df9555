"""The page of filled gaps, from a finished run of completion.py.

Run: python experiments/completion_table.py --out docs/completion.md out/completion
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, markdown_table, only_run, with_error, write_page
from _runner import execute

COLUMNS = {
    "median_error": "median error",
    "mae": "mean error",
    "crps": "CRPS",
    "crps_less_law": "CRPS, less the law's",
    "coverage_50": "50 % hold",
    "coverage_90": "90 % hold",
    "width_90": "width",
}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "completion.py", ["editions"])
    parts = []
    for edition, rows in run["editions"].items():
        for pattern in dict.fromkeys(row["pattern"] for row in rows):
            own = [row for row in rows if row["pattern"] == pattern]
            cells = [[row["method"], *(cell(row, name) for name in COLUMNS)] for row in own]
            table = markdown_table(["method", *COLUMNS.values()], cells)
            head = f"## Edition {edition}, {pattern} hidden"
            asked = f"{own[0]['scores']:,} scores of {own[0]['models']} models"
            parts.append(f"{head}\n\n{asked}.\n\n{table}")
    settings = run["settings"]
    how = f"{settings['inference']}, {settings['skills']} skills, {settings['surface']} surface"
    seconds = f"{run['seconds'] / 60:.0f} minutes"
    return filled("completion", tables="\n".join(parts), how=how, seed=run["seed"], minutes=seconds)


def cell(row: dict[str, Any], name: str) -> str:
    """A number with its standard error in brackets; none for the law beside itself."""
    return "" if name == "crps_less_law" and row[name] == 0.0 else with_error(row, name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
