"""The page of training runs, from a finished run of runs.py.

Run: python experiments/runs_table.py --out docs/runs.md out/runs
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, markdown_table, only_run, with_error, write_page
from _runner import execute

COLUMNS = {
    "error": "error",
    "crps": "CRPS",
    "covered_50": "50 % hold",
    "covered_90": "90 % hold",
    "width_90": "width",
}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "runs.py", ["simulated"])
    settings, published = run["settings"], ""
    if "published" in run:  # which a run that was cut off lacks
        rows = tables(run["published"], "scores")
        published = f"{filled('runs_published', published=rows)}\n"
    return filled(
        "runs",
        simulated=tables(run["simulated"], "runs"),
        published=published,
        repeats=run["repeats"],
        how=f"{settings['inference']}, {settings['skills']} skills, {settings['surface']} surface",
        seed=run["seed"],
        minutes=f"{run['seconds'] / 60:.0f} minutes",
    )


def tables(rows: list[dict[str, Any]], counted: str) -> str:
    """A table of each truth, or of each run."""
    parts = []
    for truth in dict.fromkeys(row["truth"] for row in rows):
        own = [row for row in rows if row["truth"] == truth]
        cells = [
            [
                row["method"],
                f"{100.0 * row['seen']:.0f} %",
                *(with_error(row, name) for name in COLUMNS),
            ]
            for row in own
        ]
        head = ["method", "seen", *COLUMNS.values()]
        parts.append(f"### {truth}: {own[0][counted]} {counted}\n\n{markdown_table(head, cells)}")
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
