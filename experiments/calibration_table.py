"""The page of the calibration, from finished runs of calibration.py.

Run: python experiments/calibration_table.py --out docs/calibration.md out/calibration_*/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from _pages import filled, finished, fixed, markdown_table, write_page
from _runner import execute

import sloth_jax as sj

ROWS = {
    "mean absolute error of the median": "mae",
    "the same of the mode": "mae_conformal",
    "CRPS": "crps",
    "CRPS of the conformal baseline": "crps_conformal",
    "share inside 50 % intervals": "coverage_50",
    "share inside 80 % intervals": "coverage_80",
    "share inside 90 % intervals": "coverage_90",
    "share inside 95 % intervals": "coverage_95",
    "mean over families, 50 %": "coverage_50_families",
    "mean over families, 90 %": "coverage_90_families",
    "mean width of 90 % intervals": "width_90",
    "the same of the conformal baseline": "width_90_conformal",
    "share inside the conformal baseline's": "coverage_90_conformal",
    "share inside corrected 90 % intervals": "coverage_90_corrected",
    "their mean width": "width_90_corrected",
    "interval score, 90 %": "interval_score_90",
    "skills of the law": "skills",
    "held-out scores": "scores",
    "largest Pareto k of any fold": "max_pareto_k",
    "largest R-hat of any fold": "max_rhat",
    "divergences": "divergences",
    "seconds": "seconds",
}
FIGURE = {False: "calibration_v1_1.png", True: "calibration_strict_v1_1.png"}
BESIDE = {  # by whether all runs are of the strict protocol
    False: "Under the strict protocol: [calibration_strict.md](calibration_strict.md).",
    True: "Under the published protocol: [calibration.md](calibration.md).",
}
COLUMNS = "scores error crps crps_conformal coverage_50 coverage_90 width_90".split()


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    runs: dict[str, dict[str, Any]] = {}
    groups = []
    for folder in folders:
        run = finished(folder, "calibration.py", ["leaderboard", "n_train", "mae"])
        title = f"{run['leaderboard']}, n = {run['n_train']}"
        usual = {"protocol": "published", "inference": sj.FitSettings().inference}
        title = ", ".join([title, *(run[name] for name in usual if run[name] != usual[name])])
        runs[title] = {**run, "skills": run["settings"]["skills"]}
        rows = pd.read_csv(folder / "by_group.csv").to_dict("records")
        lines = [[str(row["group"]), *(cell(row[name]) for name in COLUMNS)] for row in rows]
        groups.append(f"### {title}\n\n{markdown_table(['group', *COLUMNS], lines)}")
    lines = [[name, *(cell(run[key]) for run in runs.values())] for name, key in ROWS.items()]
    overall = markdown_table(["", *runs], lines)
    strict = all(run["protocol"] == "strict" for run in runs.values())
    named = {"beside": BESIDE[strict], "figure": FIGURE[strict]}
    return filled("calibration", overall=overall, groups="\n".join(groups), **named)


def cell(value: float | None) -> str:
    """Whole numbers and large ones without decimals."""
    whole = value is not None and (float(value).is_integer() or value >= 10)
    return fixed(value, 0 if whole else 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
