"""The page on test-time compute, from finished runs of test_time_compute.py.

Run: python experiments/test_time_compute_table.py --out docs/test_time_compute.md FOLDER FOLDER
where one folder is of a run on simulated data, and the other of one with --attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from _pages import filled, finished, fixed, markdown_table, with_error, write_page
from _runner import execute

import sloth_jax as sj

ALL = "all"


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, is a smoke run, or one of the two is missing.
    """
    runs = {}
    for folder in folders:
        run = finished(folder, "test_time_compute.py", ["data"])
        runs[run["data"]] = run
    for wanted in ("simulated", "attempts"):
        if wanted not in runs:
            raise sj.InputError(f"no run on {wanted} data among the folders: give one of each")
    held_out, simulated = runs["attempts"], runs["simulated"]
    return filled(
        "test_time_compute",
        tries=held_out["tries"],
        seen=held_out["settings"]["seen"],
        skills=held_out["settings"]["skills"],
        runs=held_out["runs"],
        models=held_out["models"],
        problems=held_out["problems"],
        fits=held_out["fits"],
        converged=held_out["converged"],
        effective=fixed(held_out["least_effective"], 0),
        development=", ".join(held_out["development"]),
        verdict=verdict(held_out),
        scores=by_method(held_out),
        settings=by_setting(held_out),
        seed=held_out["settings"]["seed"],
        minutes=fixed(held_out["seconds"] / 60, 0),
        simulations=simulated["simulations"],
        simulated_models=simulated["models"],
        simulated_problems=simulated["problems"],
        simulated_tries=f"{simulated['tries']:,}",
        spread=simulated["spread"],
        inside=of_simulations(simulated),
    )


def one(run: dict[str, Any], **wanted: object) -> dict[str, Any]:
    """The row of scores that has these values."""
    return next(row for row in run["scores"] if all(row[name] == w for name, w in wanted.items()))


def verdict(run: dict[str, Any]) -> str:
    """What was found at the largest k, and where intervals are too narrow."""
    rows = {
        name: one(run, tested=ALL, method=name, k=run["tries"])
        for name in ("law", "beta-binomial", "plug-in")
    }
    law, alone = rows["law"], rows["beta-binomial"]
    apart = abs(law["mae"] - alone["mae"]) > 2.0 * (law["mae_se"] + alone["mae_se"])
    which = "" if apart else " The errors of the first two cannot be told apart."
    errors = ", ".join(f"{name} {with_error(row, 'mae', 4)}" for name, row in rows.items())
    inside = (
        f"90 % intervals of the law hold {with_error(law, 'coverage_90', 3)} of the runs, those of "
        f"the beta-binomial {with_error(alone, 'coverage_90', 3)}."
    )
    narrow = " ".join(too_narrow(run, method) for method in ("law", "beta-binomial"))
    found = f"Mean absolute error of pass@{run['tries']}: {errors}.{which} {inside} {narrow}"
    return fill(found.strip(), 100)


def too_narrow(run: dict[str, Any], method: str) -> str:
    """A sentence on the k whose intervals hold least, where that is clearly less than promised."""
    rows = [row for row in run["scores"] if row["tested"] == ALL and row["method"] == method]
    least = min(rows, key=lambda row: row["coverage_90"])
    if least["coverage_90"] + 2.0 * (least["coverage_90_se"] or 0.0) >= run["level"]:
        return ""
    return (
        f"Intervals of the {method} are too narrow: at k = {least['k']} they hold "
        f"{with_error(least, 'coverage_90', 3)}."
    )


def by_method(run: dict[str, Any]) -> str:
    """Scores at some k, of all models and of those not looked at in development."""
    head = ("tested, method", "k", "models", "error", "bias", "90 % hold", "width")
    rows = []
    for tested in (ALL, "not in development"):
        for method in ("law", "beta-binomial", "plug-in"):
            for k in sorted({1, (run["tries"] + 1) // 2, run["tries"]}):
                rows.append(cells(one(run, tested=tested, method=method, k=k), tested))
    return markdown_table(head, rows)


def by_setting(run: dict[str, Any]) -> str:
    """Scores at the largest k of each setting."""
    head = ("setting, method", "k", "models", "error", "bias", "90 % hold", "width")
    rows = [
        cells(row, row["tested"])
        for row in run["scores"]
        if row["tested"] not in (ALL, "not in development")
        and row["k"] == run["tries"]
        and row["method"] != "plug-in"
    ]
    return markdown_table(head, rows)


def cells(row: dict[str, Any], tested: str) -> list[str]:
    """One line of a table."""
    return [
        f"{tested}: {row['method']}",
        fixed(row["k"], 0),
        fixed(row["models"], 0),
        with_error(row, "mae", 4),
        with_error(row, "bias", 4),
        with_error(row, "coverage_90", 3),
        with_error(row, "width_90", 4),
    ]


def of_simulations(run: dict[str, Any]) -> str:
    """Share of simulations inside their band, by k."""
    rows = [[k, fixed(share, 2)] for k, share in run["inside"].items()]
    return markdown_table(("k", "90 % hold"), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
