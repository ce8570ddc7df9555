"""The page of the calibration, from finished runs of calibration.py.

Run: python experiments/calibration_table.py --out docs/calibration.md out/calibration_*/
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

import sloth_jax as sj
from sloth_jax.cli.console import Parser, run_and_exit
from sloth_jax.files import write_text

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
HEAD = """# Do the intervals hold what they promise?

Fits of the default configuration, cross-validated on the published folds: families are hidden but
for their `n` smallest models, and what is predicted is compared with what was measured; with
`n = 0` nothing of a family was seen, a cold start. The strict protocol also hides large relatives
of tested models. A score is one held-out model on one benchmark, a fraction. The conformal baseline
is the mode with its errors in other folds around it; corrected intervals are the fit's, at the
level that would have held enough scores in the other folds. Scores of one family miss together, so
shares are uncertain by more than their number suggests; means over families count every family
the same. A column without another inference's name is Laplace's approximation. R-hat is a maximum
over hundreds of scores and two short chains. Seconds are wall time on two cores, most with other
work beside.

![Coverage, ranks and coverage by group on v1](calibration_v1_1.png)

What seeing a family's models buys: `python experiments/few_models.py --leaderboard v1 --out DIR`.

Written by `experiments/calibration_table.py` from runs of `experiments/calibration.py`.
"""


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    runs: dict[str, dict[str, Any]] = {}
    parts = [HEAD]
    groups = []
    for folder in folders:
        try:
            summary = json.loads((folder / "summary.json").read_text())
            by_group = pd.read_csv(folder / "by_group.csv")
        except (OSError, ValueError):
            raise sj.InputError(f"{folder}: not a finished run of calibration.py") from None
        if summary.get("smoke"):
            raise sj.InputError(f"{folder}: a smoke run; its numbers mean nothing")
        title = f"{summary['leaderboard']}, n = {summary['n_train']}"
        if summary["protocol"] != "published":
            title += f", {summary['protocol']}"
        if summary["inference"] != "laplace":
            title += f", {summary['inference']}"
        runs[title] = {**summary, "skills": summary["settings"]["skills"]}
        groups.append((title, by_group))
    parts.append(_table(["", *runs], [[name, *(_cell(r[key]) for r in runs.values())]
                                      for name, key in ROWS.items()]))  # fmt: skip
    parts.append("## By benchmark and by distance\n\nDistance is the size of a held-out model over "
                 "that of the largest training model of its family.\n")  # fmt: skip
    for title, by_group in groups:
        columns = ["scores", "error", "crps", "crps_conformal", "coverage_50", "coverage_90",
                   "width_90"]  # fmt: skip
        lines = [
            [str(row["group"]), *(_cell(row[column]) for column in columns)]
            for row in by_group.to_dict("records")
        ]
        parts += [f"### {title}\n", _table(["group", *columns], lines)]
    return "\n".join(parts)


def _cell(value: float | None) -> str:
    if value is None:  # of another inference
        return ""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:.4f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options: argparse.Namespace = parser.parse_args()
    run_and_exit(
        "calibration_table",
        lambda: write_text(options.out, page(options.runs)),
        interrupted="stopped; nothing was written",
    )


if __name__ == "__main__":
    main()
