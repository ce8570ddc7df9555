"""The page on more data, from finished runs of more_data.py.

Run: python experiments/more_data_table.py --out docs/more_data.md out/more_data
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from _pages import differences, filled, finished, fixed, markdown_table, with_error, write_page
from _runner import execute
from more_data import UNKNOWN

TESTED = {
    "2024": "Models of the edition 2024",
    "2025": "Models of lineages that only the edition 2025 has",
    "both": "Both together",
}
HEAD = (
    *("learnt from", "lineages", "models", "error", "CRPS", "50 % hold", "90 % hold"),
    *("width", "FLOPs law, error", "CRPS over that from 2024"),
)


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    parts = []
    for folder in folders:
        run = finished(folder, "more_data.py", ["learning", "ratios"])
        changed = differences(run, ("inference", "skills", "surface", "size"))
        title = ", ".join(f"{name} {value}" for name, value in changed.items()).capitalize()
        tables = [tested_table(run, tested) for tested in TESTED]
        parts.append(f"## {title or 'The default'}\n\n{verdict(run)}\n\n" + "\n".join(tables))
        parts.append(
            f"Seed {run['seed']}, {run['orders']} random orders of lineages. CRPS of the law that "
            f"learnt from all of the edition 2025 over that from 2024, by benchmark:\n\n"
            + by_benchmark(run)
        )
    return filled("more_data", runs="\n".join(parts))


def verdict(run: dict[str, Any]) -> str:
    """What was found on all held-out models, in a few sentences."""

    def one(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
        return next(row for row in rows if all(row[name] == w for name, w in wanted.items()))

    whole = {"tested": "both", "asked": "all"}
    ratio = one(run["ratios"], **whole, edition="2025", benchmark="all")
    few = one(run["learning"], tested="both", edition="2024")
    many = one(run["learning"], **whole, edition="2025")
    more = one(run["ratios"], **whole, edition=UNKNOWN, over="2025", benchmark="all")
    models = one(run["learning"], **whole, edition=UNKNOWN)["models"] - many["models"]
    found = (
        f"On all held-out models together, learning from {fixed(many['lineages'], 0)} lineages of "
        f"the edition 2025 gives {with_error(ratio, 'crps', 3)} times the CRPS of learning from "
        f"{fixed(few['lineages'], 0)} lineages of the edition 2024, and 90 % intervals hold "
        f"{with_error(many, 'coverage_90', 3)} of the scores where they held "
        f"{with_error(few, 'coverage_90', 3)}."
    )
    added = (
        f"With the {fixed(models, 0)} models of unknown tokens too, the CRPS is "
        f"{with_error(more, 'crps', 3)} times that without them."
    )
    return fill(f"{found}{told_apart(ratio)} {added}{told_apart(more)}", 100)


def told_apart(ratio: dict[str, Any]) -> str:
    """What to add where a ratio is within two standard errors of 1."""
    told = abs(1.0 - ratio["crps"]) > 2.0 * ratio["crps_se"]
    return "" if told else " The two cannot be told apart."


def tested_table(run: dict[str, Any], tested: str) -> str:
    """What was found on one set of held-out models."""
    ratios = {
        (row["edition"], row["asked"]): row
        for row in run["ratios"]
        if (row["tested"], row["benchmark"], row["over"]) == (tested, "all", "2024")
    }
    rows, first = [], None
    for row in run["learning"]:
        if row["tested"] != tested:
            continue
        first = first or row
        name = f"{row['edition']}, {row['asked']}"
        ratio = ratios.get((row["edition"], row["asked"]), {"crps": 1.0})
        rows.append(
            [
                name,
                *(fixed(row[what], 0) for what in ("lineages", "models")),
                *(with_error(row, what, 4) for what in ("mae", "crps")),
                *(with_error(row, f"coverage_{level}", 3) for level in (50, 90)),
                with_error(row, "width_90", 3),
                with_error(row, "flops_mae", 4),
                with_error(ratio, "crps", 3),
            ]
        )
    assert first is not None
    about = f"{first['scores']} scores of {first['tested_lineages']} lineages"
    return f"{TESTED[tested]}, {about}:\n\n{markdown_table(HEAD, rows)}"


def by_benchmark(run: dict[str, Any]) -> str:
    """Ratios of CRPS by benchmark, all lineages of 2025 against 2024."""
    found: dict[str, list[str]] = {}
    for row in run["ratios"]:
        whole = (row["edition"], row["asked"]) == ("2025", "all")
        if whole and row["benchmark"] != "all":
            found.setdefault(row["benchmark"], []).append(with_error(row, "crps", 2))
    heads = ("benchmark", *(name[0].lower() + name[1:] for name in TESTED.values()))
    return markdown_table(heads, ([name, *cells] for name, cells in found.items()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
