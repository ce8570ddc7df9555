"""The page on which benchmark to measure next, from finished runs of next_benchmark.py.

Run: python experiments/next_benchmark_table.py --out docs/next_benchmark.md out/next_benchmark*/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from _pages import filled, finished, fixed, markdown_table, with_error, write_page
from _runner import execute

DIGITS = {"error": 4, "CRPS": 4, "width": 4}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    runs = [finished(folder, "next_benchmark.py", ["falls", "promised"]) for folder in folders]
    return filled("next_benchmark", runs="\n".join(map(of_run, runs)))


def of_run(run: dict[str, Any]) -> str:
    """What was found with so many scores known."""
    rows: dict[tuple[int, str], list[str]] = {}
    for row in run["falls"]:
        name, digits = row["number"], DIGITS[row["number"]]
        cells = rows.setdefault((row["step"], row["way"]), [str(row["scores"])])
        cells.append(f"{fixed(row['before'], digits)} to {fixed(row['after'], digits)}")
        cells.append(beyond_random(row, digits))
        if name == "width":
            cells.append(fixed(row["coverage_90"], 2))
    heads = ["revealed", "scores"]
    for name in DIGITS:
        heads += [name, "more than at random"]
    falls = markdown_table(
        [*heads, "90 % hold"],
        ([f"{step}, {way}", *cells] for (step, way), cells in rows.items()),
    )
    promised = markdown_table(
        ("step", "width before", "expected after", "came", "models inside the range"),
        (
            [
                step,
                *(fixed(one[n], 3) for n in ("before", "width", "came")),
                fixed(one["inside"], 2),
            ]
            for step, one in run["promised"].items()
        ),
    )
    first = ", ".join(f"{name} ({count})" for name, count in run["first_picks"].items())
    return (
        f"## {run['kept'] or 'No'} scores known\n\n"
        f"{run['models']} models of {run['lineages']} lineages, seed {run['seed']}. "
        f"First picks: {first}; the same for all: {run['fixed'][0]}.\n\n"
        f"{verdict(run)}\n\n{falls}\n"
        f"What was promised for the picked ones, and what came, means over models:\n\n{promised}"
    )


def verdict(run: dict[str, Any]) -> str:
    """How much better the picked ones are than random ones, a sentence per step."""
    found = []
    for step in range(1, run["steps"] + 1):
        error, width = (
            beyond_random(row, 4)
            for name in ("error", "width")
            for row in run["falls"]
            if (row["step"], row["way"], row["number"]) == (step, "picked", name)
        )
        scores = "one score" if step == 1 else f"{step} scores"
        found.append(f"After {scores} the picked ones lower the error by {error} and the width by ")
        found[-1] += f"{width} more than random ones."
    return fill(f"{' '.join(found)} Below two standard errors there is no telling.", 100)


def beyond_random(row: dict[str, Any], digits: int) -> str:
    """How much more than at random, with its standard error; none of random picks themselves."""
    return "" if row["way"] == "random" else with_error(row, "beyond_random", digits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
