"""The page docs/comparison.md: our errors beside the published ones, from finished runs.

Reads the folders that cross_validation.py wrote, twelve for the whole page (three leaderboards, one
or two training models, two protocols), and those of calibration.py, whose medians are rows of ours.
Writes Markdown. What is missing is left blank.

Run: python experiments/comparison_table.py --out docs/comparison.md out/*/
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.cli.console import Parser, run_and_exit
from sloth_jax.errors import InputError
from sloth_jax.evaluation.folds import PROTOCOLS
from sloth_jax.evaluation.methods import ABLATIONS, FOLD_SETTINGS, OURS
from sloth_jax.evaluation.published import LEADERBOARDS, published_errors
from sloth_jax.evaluation.published_methods import published_methods
from sloth_jax.files import check_writable, write_text

PLAIN = "logF_sigmoid_faminter"
SETTINGS = [(leaderboard, n_train) for n_train in (1, 2) for leaderboard in LEADERBOARDS]
# What the published comparison is asked to be reproduced to; networks have a random start, many
# minima and a looser stop, and are compared by rank.
REPRODUCED = ("logF_sigmoid", "logSlogT_sigmoid", "pca", "factor_sigmoid")

Averages = dict[tuple[str, str, int], pd.DataFrame]


def read(folders: list[Path]) -> tuple[Averages, dict[tuple[str, str, int], dict]]:
    """Summaries and records of runs, by protocol, leaderboard and training models.

    Raises:
        InputError: if a folder holds no finished run, a smoke run, or a setting that another has.
    """
    summaries: Averages = {}
    records = {}
    medians: dict[tuple[str, str, int], dict[str, float]] = {}
    for folder in folders:
        if (folder / "summary.json").exists():
            place, name, error = _read_calibration(folder)
            if place[2] == 0:
                continue  # the cold start has no published errors to stand beside
            if name in medians.setdefault(place, {}):
                raise InputError(f"{folder}: a second run of {name} on {' '.join(map(str, place))}")
            medians[place][name] = error
            continue
        try:
            record = json.loads((folder / "run.json").read_text())
            summary = pd.read_csv(folder / "summary.csv", index_col="method")
            settings = record["settings"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder}: no finished run of cross_validation.py ({error})"
            ) from None
        if settings["smoke"]:
            raise InputError(f"{folder}: a smoke run, whose numbers mean nothing; leave it out")
        place = (settings["protocol"], settings["leaderboard"], settings["n_train"])
        if place in summaries:
            raise InputError(f"{folder}: a second run of {' '.join(map(str, place))}; name one")
        summaries[place], records[place] = summary, record
    for place, errors in medians.items():
        found = pd.DataFrame({"average": errors})
        if place in summaries:
            others = summaries[place].drop(index=list(errors), errors="ignore")
            found = pd.concat([others, found])
        summaries[place] = found
    return summaries, records


def _read_calibration(folder: Path) -> tuple[tuple[str, str, int], str, float]:
    """Setting, name of the method and error of a run of calibration.py."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        place = (summary["protocol"], summary["leaderboard"], summary["n_train"])
        skills, inference = summary["settings"]["skills"], summary["inference"]
        smoke, error = summary["smoke"], float(summary["mae"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{folder}: no finished run of calibration.py ({problem})") from None
    if smoke:
        raise InputError(f"{folder}: a smoke run, whose numbers mean nothing; leave it out")
    changed = [
        *([f"d={skills}"] if skills != FOLD_SETTINGS.skills else []),
        *([inference] if inference != FOLD_SETTINGS.inference else []),
    ]
    return place, "_".join(["fit", *changed]), error


def _heading(first: str) -> list[str]:
    names = [f"{leaderboard}, n = {n}" for leaderboard, n in SETTINGS]
    return [f"| {first} | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(SETTINGS)]


def _cell(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.4f}"


def page(summaries: Averages, records: dict[tuple[str, str, int], dict]) -> str:
    """The whole page as Markdown."""

    def average(protocol: str, method: str) -> list[float | None]:
        found = []
        for leaderboard, n in SETTINGS:
            summary = summaries.get((protocol, leaderboard, n))
            known = summary is not None and method in summary.index
            found.append(float(summary.loc[method, "average"]) if known else None)  # pyright: ignore
        return found

    def row(name: str, values: list[float | None]) -> str:
        return f"| {name} | " + " | ".join(_cell(value) for value in values) + " |"

    published = {place: published_errors(*place) for place in SETTINGS}
    names = list(published_methods(1))
    lines = [
        "# The published comparison",
        "",
        "Mean absolute error on held-out models, a fraction of a full score: mean over a fold's",
        "held-out models, then over folds, then over benchmarks (Maia Polo et al., arXiv",
        "2412.06540).",
        "`n` is the number of training models per tested family. Written by",
        "`experiments/comparison_table.py` from runs of `experiments/cross_validation.py` and",
        "`experiments/calibration.py`; a comparison's `differences.csv` has the intervals of all",
        "differences to the plain baseline.",
        "",
        "## In short",
        "",
        "`fit` is the default of `sj.fit`, the median of draws of Laplace's approximation,",
        "`fit_mode` the mode around which it draws, `fit_svi` and `fit_nuts` the other inferences;",
        "they learn from every observed score, the 28 from complete rows.",
        "The best of the 28 is picked after seeing the answers. The settings of ours were chosen",
        "on other splits (`sloth_jax/evaluation/splits.py`); the forms of their links and of the",
        "noise are older and were chosen with these folds in view. How well intervals hold:",
        "[calibration.md](calibration.md).",
        "",
        *_heading("method"),
        row(f"plain: `{PLAIN}`, as published", [published[p][PLAIN] for p in SETTINGS]),
        row(f"plain: `{PLAIN}`, here", average("published", PLAIN)),
        row("best of the 28, as published", [min(published[p].values()) for p in SETTINGS]),
    ]
    for protocol in PROTOCOLS:
        title = "" if protocol == "published" else ", strict protocol"
        best = []
        for leaderboard, n in SETTINGS:
            summary = summaries.get((protocol, leaderboard, n))
            # The best of a few would look worse than it is.
            whole = summary is not None and set(names) <= set(summary.index)
            best.append(float(summary.loc[names, "average"].min()) if whole else None)  # pyright: ignore
        plain = average(protocol, PLAIN)
        if protocol != "published" and any(value is not None for value in plain):
            lines.append(row(f"plain: `{PLAIN}`, here{title}", plain))
        if any(value is not None for value in best):
            lines.append(row(f"best of the 28, here{title}", best))
        ours = {
            name: average(protocol, name) for name in dict.fromkeys(OURS + ABLATIONS["inference"])
        }
        lines += [
            row(f"ours: `{name}`{title}", values)
            for name, values in ours.items()
            if any(value is not None for value in values)
        ]
    lines += [
        "",
        "The strict protocol also hides from training every model of a tested lineage that is",
        "larger than the training models of its tested families. On complete rows that changes two",
        "folds of v2 for each n, and none of v1 and both: there the 28 have the same",
        "errors.",
        "",
        "![Errors of all methods on v1, one training model per family](heatmap_v1_1.png)",
        "",
        "Curves of one fold, v2 with one training model: what each method makes of Qwen2 when it",
        "has seen the smallest model of each family only.",
        "",
        "![Predicted curves and measured scores of the Qwen2 families](curves_qwen2.png)",
        "",
        "What the surface of size and tokens does to the error, on v2 with one training model:",
        "three stiffer ones against the default, with 90 % intervals of a paired bootstrap over",
        f"families. `--methods {' '.join(ABLATIONS)}` draws all such figures.",
        "",
        "![Error with other surfaces minus that of the default](ablation_surface_v2_1.png)",
        "",
        "## How well the published numbers are reproduced",
        "",
        *_heading(""),
    ]
    rank, furthest, pca, seconds = [], [], [], []
    for leaderboard, n in SETTINGS:
        summary = summaries.get(("published", leaderboard, n))
        if summary is None or not set(names) <= set(summary.index):
            for values in (rank, furthest, pca, seconds):
                values.append(None)
            continue
        ours = summary.loc[names, "average"]
        theirs = pd.Series(published[leaderboard, n])[names]
        gap = (ours - theirs).abs()
        rank.append(float(ours.corr(theirs, method="spearman")))
        strict = [m for m in names if m.startswith(REPRODUCED)]
        furthest.append(float(gap[strict].max()))
        pca.append(float(gap[[m for m in names if m.startswith("pca")]].max()))
        methods = records["published", leaderboard, n]["methods"]
        seconds.append(sum(methods[m]["seconds"] for m in names))
    lines += [
        row("rank correlation over the 28 methods", rank),
        row("largest difference, PCA", pca),
        row("largest difference, all with a logistic link", furthest),
        "| seconds for the 28 methods | "
        + " | ".join("" if s is None else f"{s:.0f}" for s in seconds)
        + " |",
        "",
        "Fits with a logistic link start where the published ones started and stop by their rule,",
        "so they end where those did. Networks (`trainlink`) start where the published ones did,",
        "but stop sooner (see `sloth_jax/evaluation/baselines.py`). Training errors are in a run's",
        "summary.csv; the published ones are not known, so where a mean differs nobody can say",
        "which fit is closer to its minimum.",
        "",
        "## All methods",
        "",
        "As published / here.",
        "",
        *_heading("method"),
    ]
    for name in names:
        theirs = [_cell(published[place][name]) for place in SETTINGS]
        ours = [_cell(value) for value in average("published", name)]
        cells = [f"{a} / {b}" for a, b in zip(theirs, ours, strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line and run."""
    parser = Parser(
        prog="comparison_table.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options = parser.parse_args()

    def work() -> None:
        check_writable(options.out)
        write_text(options.out, page(*read(options.runs)))

    run_and_exit("comparison_table", work, interrupted="nothing was written")


if __name__ == "__main__":
    main()
