"""The page of few items, from finished runs of few_items.py and items_to_forecast.py.

Run: python experiments/few_items_table.py --out docs/items.md out/few_items out/items_to_forecast
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
HEADS = {"thinned": "All benchmarks of the bundled table, answers drawn from real scores"}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if they are not folders of finished runs, or are of smoke runs.
    """
    if len(folders) != 2:
        raise sj.InputError(
            f"{len(folders)} folders: the page is of a run of few_items.py and one of "
            "items_to_forecast.py"
        )
    run = finished(folders[0], "few_items.py", ["new_versions", "simulated"])
    chain = finished(folders[1], "items_to_forecast.py", ["families"])
    widths = pd.read_csv(folders[1] / "means.csv")
    means = json.loads(pd.read_csv(folders[0] / "means.csv").to_json(orient="records"))
    banks = list(dict.fromkeys(row["bank"] for row in means))
    of = run["simulated"]
    return filled(
        "items",
        tables="\n".join(bank_table(means, bank) for bank in banks),
        verdict=fill(" ".join(verdict(means, bank) for bank in banks), 100),
        versions=version_table(run["new_versions"]),
        chain="\n".join(chain_table(widths, part) for part in dict.fromkeys(widths["part"])),
        chain_verdict=fill(" ".join(chain_verdict(widths, chain)), 100),
        models=f"{of['models']:,}",
        items=f"{of['items']:,}",
        correlation=fixed(of["skill_correlation"], 4),
        fit_seconds=fixed(of["fit_seconds"], 0),
        selection_seconds=fixed(of["selection_seconds"], 0),
        seed=run["seed"],
    )


def chain_table(means: pd.DataFrame, part: str) -> str:
    """Forecasts of large models by the items that small ones answered."""
    head = ["items of each small model", "width, 90 %", "times all", "error", "CRPS", "90 % hold"]
    rows = json.loads(means[means["part"] == part].to_json(orient="records"))
    lines = [
        [
            {0: "none: a cold start", -1: "all"}.get(row["items"], f"{row['items']:,}"),
            with_error(row, "width", 3),
            fixed(row["ratio"], 2),
            with_error(row, "error", 3),
            with_error(row, "crps", 4),
            with_error(row, "coverage_90", 2),
        ]
        for row in rows
    ]
    return f"**{HEADS.get(part, f'{part}, real answers')}**\n\n{markdown_table(head, lines)}"


def chain_verdict(means: pd.DataFrame, run: dict[str, Any]) -> list[str]:
    """What a hundred items of each small model are worth, a sentence for each part."""
    found = []
    for part, own in means.groupby("part", sort=False):
        asked = own[own["items"] > 0]["items"]
        count = int(asked.iloc[(asked - 100).abs().argmin()])
        ratio = own.set_index("items")["ratio"]
        found.append(
            f"{HEADS.get(str(part), f'{part}, real answers')} "
            f"({len(run['families'][part])} families): with {count} items the interval is "
            f"{ratio[count]:.2f} times as wide as with all, without any {ratio[0]:.2f} times."
        )
    return found


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
