"""The page of few items, from a finished run of few_items.py.

Run: python experiments/few_items_table.py --out docs/items.md out/few_items
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd
from _pages import filled, finished, fixed, markdown_table, with_error, write_page
from _runner import execute

import sloth_jax as sj

ESTIMATORS = ("mean", "law", "adjusted", "combined")


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    if len(folders) != 1:
        raise sj.InputError(f"{len(folders)} folders: the page is of one run of few_items.py")
    run = finished(folders[0], "few_items.py", ["new_versions", "simulated"])
    means = json.loads(pd.read_csv(folders[0] / "means.csv").to_json(orient="records"))
    banks = list(dict.fromkeys(row["bank"] for row in means))
    of = run["simulated"]
    return filled(
        "items",
        tables="\n".join(bank_table(means, bank) for bank in banks),
        verdict=fill(" ".join(verdict(means, bank) for bank in banks), 100),
        versions=version_table(run["new_versions"]),
        models=f"{of['models']:,}",
        items=f"{of['items']:,}",
        correlation=fixed(of["skill_correlation"], 4),
        fit_seconds=fixed(of["fit_seconds"], 0),
        selection_seconds=fixed(of["selection_seconds"], 0),
        seed=run["seed"],
    )


def bank_table(rows: list[dict[str, Any]], bank: str) -> str:
    """Errors and coverage by items asked and method, of one bank."""
    own = [row for row in rows if row["bank"] == bank]
    head = ["items", "chosen", *(f"{name}" for name in ESTIMATORS), "90 % hold, combined"]
    lines = []
    for count, method in dict.fromkeys((row["items"], row["method"]) for row in own):
        found = {
            row["estimator"]: row for row in own if (row["items"], row["method"]) == (count, method)
        }
        errors = [with_error(found[name], "error", 4) for name in ESTIMATORS]
        cover = with_error(found["combined"], "coverage_90", 2)
        lines.append([str(count), method, *errors, cover])
    return f"**{bank}**\n\n{markdown_table(head, lines)}"


def verdict(rows: list[dict[str, Any]], bank: str) -> str:
    """What a hundred items, or the count nearest to it, are worth."""
    counts = {row["items"] for row in rows if row["bank"] == bank}
    count = min(counts, key=lambda each: abs(each - 100))
    own = [row for row in rows if (row["bank"], row["items"]) == (bank, count)]
    (plain,) = (r for r in own if (r["method"], r["estimator"]) == ("random", "mean"))
    (best,) = (r for r in own if (r["method"], r["estimator"]) == ("stratified", "combined"))
    return (
        f"On {bank}, {count} stratified items and the combined estimate are wrong by "
        f"{with_error(best, 'error', 4)}, {best['error'] / plain['error']:.2f} times as much as "
        f"the plain mean of random items, {with_error(plain, 'error', 4)}."
    )


def version_table(rows: list[dict[str, Any]]) -> str:
    """Errors of predicted and copied scores on new versions."""
    head = ["bank", "new items", "scores", "predicted", "copied", "90 % hold"]
    lines = [
        [
            row["bank"].split(".")[0],
            row["kind"],
            str(row["scores"]),
            with_error(row, "error", 4),
            with_error(row, "copied_error", 4),
            with_error(row, "coverage_90", 2),
        ]
        for row in rows
    ]
    return markdown_table(head, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the run, write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
