"""What does seeing a family's small models buy? Error and interval width with 0 to 3 of them.

The models to predict are the same throughout: those of each family that are larger than its three
smallest. They are predicted with none of the family seen (a cold start), then with its smallest
one, two and three models. Writes held_out.csv, summary.json and few_models.png.

Run: python experiments/few_models.py --leaderboard v1 --out out/few_models_v1
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj
from sloth_jax.calibration import central_interval, covered, crps
from sloth_jax.console import Parser, busy, number, run_and_exit, tell
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.folds import LEADERBOARDS, Folds, leaderboard_benchmarks, lineage_groups, make_folds
from sloth_jax.methods import FOLD_SETTINGS, PosteriorMethod
from sloth_jax.plots import style
from sloth_jax.provenance import versions
from sloth_jax.sampler import INFERENCES

MOST = 3  # observed models of a family


def with_observed(folds: Folds, count: int) -> Folds:
    """The same folds with fewer models of the tested families seen.

    Args:
        folds: of ``n_train = MOST``.
        count: how many of the smallest models of each tested family stay in training.
    """
    table, train = folds.table, folds.train.copy()
    of_model = np.asarray(table.families, dtype=object)[table.family]
    for fold, families in enumerate(folds.tested):
        for family in families:
            seen = np.flatnonzero((of_model == family) & train[fold].any(axis=1))
            by_size = seen[np.argsort(table.params_b[seen], kind="stable")]
            train[fold, by_size[count:]] = False
    return replace(folds, train=train)


def run(options: argparse.Namespace) -> None:
    """Sample the folds once for each number of observed models, score, save and draw."""
    table = sj.load_leaderboard().select_benchmarks(leaderboard_benchmarks(options.leaderboard))
    groups = lineage_groups(table, n_train=MOST)
    folds = make_folds(table, groups, n_train=MOST, protocol="strict", complete=False)
    settings = replace(FOLD_SETTINGS, skills=options.skills, inference=options.inference)
    counts = range(MOST + 1)
    if options.smoke:
        folds, counts = folds.select([0, 1]), range(0, 2)
        settings = replace(
            settings, skills=1, warmup=10, draws=10, chains=2, max_tree_depth=3, starts=1,
            start_steps=20,
        )  # fmt: skip
    began = time.perf_counter()
    parts, worst = [], 0.0
    for count in counts:
        some = with_observed(folds, count)
        tell(f"{count} models of a family observed: {len(some.tested)} folds ...")
        with busy("sampling every fold"):
            sampled = PosteriorMethod(settings).sample(
                some.table, some.train, jax.random.key(options.seed)
            )
        worst = max(worst, float(sampled.max_rhat.max()))
        table = some.table
        fold, model, benchmark = np.nonzero(some.test[:, :, None] & table.observed[None])
        truth = table.scores[model, benchmark]
        draws = sampled.draws.transpose(1, 0, 2, 3)[:, fold, model, benchmark].astype(np.float64)
        lower, upper = central_interval(draws, 0.9)
        parts.append(
            pd.DataFrame(
                {
                    "observed": count,
                    "family": np.asarray(table.families, dtype=object)[table.family[model]],
                    "model": np.asarray(table.models, dtype=object)[model],
                    "benchmark": np.asarray(table.benchmarks, dtype=object)[benchmark],
                    "score": truth,
                    "median": np.median(draws, axis=0),
                    "lower_90": lower,
                    "upper_90": upper,
                    "covered_90": covered(draws, truth, 0.9),
                    "crps": crps(draws, truth),
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows["error"] = (rows["median"] - rows["score"]).abs()
    rows["width_90"] = rows["upper_90"] - rows["lower_90"]
    kept = ["error", "width_90", "covered_90", "crps"]
    by_count = pd.DataFrame(rows.groupby("observed")[kept].mean())
    # Scores of one family miss together: the error of a mean is that over families.
    families = pd.DataFrame(rows.groupby(["observed", "family"])[["error", "width_90"]].mean())
    spread = pd.DataFrame(families.groupby("observed").sem())
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "held_out.csv", rows.to_csv(index=False, float_format="%.6g"))
    summary: dict[str, Any] = {
        "leaderboard": options.leaderboard,
        "inference": options.inference,
        "seed": options.seed,
        "smoke": options.smoke,
        "families": len(set(rows["family"])),
        "scores": len(parts[0]),
        "by_observed": {
            str(count): {name: round(float(by_count.loc[count, name]), 5) for name in kept}
            for count in counts
        },
        "max_rhat": round(worst, 4),
        "seconds": round(time.perf_counter() - began, 1),
        "settings": asdict(settings),
        "versions": versions(),
    }
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    draw(out / "few_models.png", by_count, spread, summary)
    print(by_count.to_string(float_format="%.4f"))
    tell(f"{summary['seconds']:.0f} s, R-hat at most {worst:.3f}. Results: {out}")


def draw(path: Path, means: pd.DataFrame, spread: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Error and interval width against the number of observed models."""
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
        titles = {"error": "mean absolute error", "width_90": "mean width of 90 % intervals"}
        for axis, (name, title) in zip(axes, titles.items(), strict=True):
            axis.errorbar(
                means.index, means[name], 2.0 * spread[name], color="#0072B2", marker="o", capsize=3
            )
            axis.set_ylim(bottom=0.0)
            axis.set_xticks(means.index)
            axis.set_title(title)
            axis.set_xlabel("models of the family observed")
        figure.suptitle(
            f"{summary['leaderboard']}: {summary['scores']} scores of larger models of "
            f"{summary['families']} families; bars: two standard errors over families"
        )
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--leaderboard", choices=LEADERBOARDS, required=True)
    parser.add_argument("--inference", choices=INFERENCES, default="nuts")
    parser.add_argument(
        "--skills", type=number(1), default=FOLD_SETTINGS.skills, metavar="D", help="of the law"
    )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="two folds, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit("few_models", lambda: run(options), interrupted="stopped; nothing was written")


if __name__ == "__main__":
    main()
