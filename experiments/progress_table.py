"""The page of progress by year, from a finished run of progress.py.

Run: python experiments/progress_table.py --out docs/progress.md out/progress
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, fixed, markdown_table, only_run, write_page
from _runner import execute


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "progress.py", ["yearly"])
    skills = dict.fromkeys(row["skill"] for row in run["yearly"])
    of = {(row["kind"], row["skill"]): row for row in run["yearly"]}
    lines = [
        [name, interval(of["per year", name]), interval(of["compute", name])] for name in skills
    ]
    unsure = [name for name in skills if not certain(of["per year", name])]
    return filled(
        "progress",
        table=markdown_table(["skill", "a year adds, sd of models", "worth, times compute"], lines),
        verdict=verdict(unsure, len(skills)),
        lineages=run["lineages"],
        first=int(run["first"]),
        last=int(run["last"]),
        seed=run["seed"],
    )


def verdict(unsure: list[str], count: int) -> str:
    """Whether years bring anything that size and tokens do not."""
    if not unsure:
        return "The sign is known for every skill."
    if len(unsure) == count:
        return "For no skill is the sign known: a date tells little that size and tokens do not."
    return f"The sign is not known for {', '.join(unsure)}."


def interval(row: dict[str, Any]) -> str:
    """Median and interval."""
    return f"{fixed(row['median'], 2)} ({fixed(row['lower'], 2)} to {fixed(row['upper'], 2)})"


def certain(row: dict[str, Any]) -> bool:
    """Whether an interval has one sign."""
    return row["lower"] > 0.0 or row["upper"] < 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the run, write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
