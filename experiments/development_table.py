"""The page of the development splits, from finished runs of development.py.

Run: python experiments/development_table.py --out docs/development.md out/development*/
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import sloth_jax as sj
from sloth_jax.cli.console import Parser, run_and_exit
from sloth_jax.files import write_text

COLUMNS = {
    "mae": "error",
    "crps": "CRPS",
    "coverage_50": "50 % hold",
    "coverage_90": "90 % hold",
    "coverage_50_families": "50 %, families",
    "coverage_90_families": "90 %, families",
    "width_90": "width",
}
HEAD = """# Development splits

Defaults are chosen here, and not on the published folds, which are kept for
[the comparison](comparison.md) and [the calibration](calibration.md). Each split of the bundled
table (`sloth_jax/evaluation/splits.py`) hides models and predicts them from what is left:

- *by date*: models of families that were first released in July 2023, January 2024 or May 2024 or
  later, but for the smallest of each family;
- *by lineage, n*: whole lineages, but for the `n` smallest models of each of their families;
- *by corner*: models with both many parameters and many tokens, beyond the quantiles .6, .7 and .8;
- *24 models*: tables of a few whole lineages, the larger models of half of the families hidden;
- *other benchmarks*: the table of Ruan et al., by lineage, n = 1.

Error is the mean absolute error of the median, a fraction of a full score, CRPS the continuous
ranked probability score; then the share of scores inside 50 % and 90 % intervals, the same averaged
over families, and the mean width of 90 % intervals. In brackets: standard errors over lineages.
Written by `experiments/development_table.py` from runs of `experiments/development.py`.
"""


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if a folder is not a finished run, or is a smoke run.
    """
    parts = [HEAD]
    for folder in folders:
        try:
            summary = json.loads((folder / "summary.json").read_text())
            splits = summary["splits"]
        except (OSError, ValueError, KeyError):
            raise sj.InputError(f"{folder}: not a finished run of development.py") from None
        if summary["smoke"]:
            raise sj.InputError(f"{folder}: a smoke run; its numbers mean nothing")
        lines = [["split", *COLUMNS.values()], ["---", *["---:"] * len(COLUMNS)]]
        lines += [[row["split"], *(_cell(row, name) for name in COLUMNS)] for row in splits]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        minutes = f"{summary['seconds'] / 60:.0f} minutes on two cores, other work beside."
        parts.append(f"## {_title(summary)}\n\n{table}\nSeed {summary['seed']}; {minutes}\n")
    return "\n".join(parts)


def _title(summary: dict[str, Any]) -> str:
    """What differs from the default."""
    if summary.get("average"):
        return "Stacked laws"
    default = sj.FitSettings()
    names = ("inference", "skills", "surface", "size")
    asked = {name: summary["settings"][name] for name in names}
    changed = [
        f"{name} {value}" for name, value in asked.items() if value != getattr(default, name)
    ]
    return ", ".join(changed).capitalize() or "The default"


def _cell(row: dict[str, Any], name: str) -> str:
    value, error = row[name], row.get(f"{name}_se")
    digits = 3 if name.startswith("coverage") else 4
    found = f"{value:.{digits}f}"
    return found if error is None else f"{found} ({error:.{digits}f})"


if __name__ == "__main__":
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options: argparse.Namespace = parser.parse_args()
    run_and_exit(
        "development_table",
        lambda: write_text(options.out, page(options.runs)),
        interrupted="stopped; nothing was written",
    )
