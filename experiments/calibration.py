"""Do 90 % intervals hold 90 % of held-out scores? Cross-validated calibration of fits.

Every fold hides models of some families and fits the law to the rest (n_train = 0 hides families
whole: the cold start). Writes held_out.csv (a summary of the draws of each held-out score),
summary.json, by_group.csv and calibration.png, and beside the fit a conformal baseline: the mode's
medians with their errors in other folds around them. Shares inside intervals are told over scores
and over families, whose scores miss together.

Run: python experiments/calibration.py --leaderboard v2 --n-train 1 --out out/calibration_v2_1
"""

from __future__ import annotations

import argparse
import json
import math
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
from sloth_jax.cli.console import Parser, number, run_and_exit, show_progress, tell
from sloth_jax.evaluation.folds import PROTOCOLS, Folds, make_folds, size_ratio
from sloth_jax.evaluation.methods import FOLD_SETTINGS, SMOKE_SETTINGS, FitMethod
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks, published_groups
from sloth_jax.evaluation.scoring import published_mean
from sloth_jax.evaluation.scoring_rules import (
    LEVELS,
    central_interval,
    conformal_draws,
    corrected_levels,
    covered,
    crps,
    interval_score,
    mean_over_families,
    probability_integral_transform,
)
from sloth_jax.files import write_text
from sloth_jax.inference.devices import use_cores
from sloth_jax.inference.settings import INFERENCES
from sloth_jax.plotting.calibration import plot_coverage, plot_pit
from sloth_jax.plotting.figure_style import style
from sloth_jax.provenance import versions

RATIOS = (2.0, 8.0)  # held-out size over the largest training size of its family


def run(options: argparse.Namespace) -> None:
    """Fit every fold, score its held-out models, save and draw."""
    folds = _folds(options.leaderboard, options.n_train, options.protocol)
    settings = FOLD_SETTINGS
    if options.smoke:
        folds, settings = folds.select([0, 1]), SMOKE_SETTINGS
    settings = replace(settings, skills=options.skills, inference=options.inference)
    table = folds.table
    key = jax.random.key(options.seed)
    tell(f"{len(folds.tested)} folds, {len(jax.devices())} devices")
    began = time.perf_counter()
    with show_progress("fitting every fold"):
        fitted = FitMethod(settings).sample(table, folds.train, key)
    seconds = time.perf_counter() - began
    with show_progress("finding the mode of every fold"):
        modes = FitMethod(replace(settings, inference="mode"))(table, folds.train, key)

    fold, model, benchmark = np.nonzero(folds.test[:, :, None] & table.observed[None])
    truth = table.scores[model, benchmark]
    draws = fitted.draws.transpose(1, 0, 2, 3)[:, fold, model, benchmark].astype(np.float64)
    predicted = modes[fold, model, benchmark].astype(np.float64)
    baseline = conformal_draws(predicted, truth, fold, benchmark)
    pit = probability_integral_transform(draws, truth)
    corrected = corrected_levels(pit, fold)

    rows = pd.DataFrame(
        {
            "fold": fold,
            "model": np.asarray(table.models, dtype=object)[model],
            "family": np.asarray(table.families, dtype=object)[table.family[model]],
            "benchmark": np.asarray(table.benchmarks, dtype=object)[benchmark],
            "size_ratio": size_ratio(folds)[fold, model],
            "score": truth,
            "mean": draws.mean(axis=0),
            "median": np.median(draws, axis=0),
            "sd": draws.std(axis=0),
            "pit": pit,
            "crps": crps(draws, truth),
            "mode": predicted,
        }
    )
    for level in LEVELS:
        name = f"{100 * level:.0f}"
        rows[f"lower_{name}"], rows[f"upper_{name}"] = central_interval(draws, level)
        rows[f"covered_{name}"] = covered(draws, truth, level)
        rows[f"interval_score_{name}"] = interval_score(draws, truth, level)
        asked = corrected[level]
        ends = [np.quantile(draws[:, e], [0.5 - q / 2, 0.5 + q / 2]) for e, q in enumerate(asked)]
        rows[f"lower_corrected_{name}"], rows[f"upper_corrected_{name}"] = np.array(ends).T
    nine = [central_interval(d, 0.9) for d in baseline]
    rows["lower_conformal_90"] = [float(lower[0]) for lower, _ in nine]
    rows["upper_conformal_90"] = [float(upper[0]) for _, upper in nine]
    rows["crps_conformal"] = [float(crps(d, truth[e : e + 1])[0]) for e, d in enumerate(baseline)]

    summary: dict[str, Any] = {
        "leaderboard": options.leaderboard,
        "n_train": options.n_train,
        "protocol": options.protocol,
        "inference": options.inference,
        "seed": options.seed,
        "smoke": options.smoke,
        **summarise(rows),
        "seconds": round(seconds, 1),
        "max_pareto_k": _worst(np.max(fitted.pareto_k)),
        "max_rhat": _worst(np.max(fitted.max_rhat)),
        "min_ess": _worst(np.min(fitted.min_ess)),
        "divergences": int(fitted.divergences.sum()),
        "settings": asdict(settings),
        "versions": versions(),
        "devices": len(jax.devices()),
    }
    groups = by_group(rows)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "held_out.csv", rows.to_csv(index=False, float_format="%.6g"))
    write_text(out / "by_group.csv", groups.to_csv(index=False, float_format="%.4g"))
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    draw(out / "calibration.png", rows, groups, summary)
    told = ("mae", "crps", "coverage_50", "coverage_50_families", "coverage_90",
            "coverage_90_families", "width_90", "mae_conformal", "crps_conformal",
            "coverage_90_corrected")  # fmt: skip
    print(", ".join(f"{name} {summary[name]:.4f}" for name in told))
    trust = {
        "Pareto k at most": summary["max_pareto_k"],
        "R-hat at most": summary["max_rhat"],
        "divergences": summary["divergences"],
    }
    told = ", ".join(f"{name} {value}" for name, value in trust.items() if value is not None)
    tell(f"{seconds:.0f} s, {told}. Results: {out}")


def _worst(value: float) -> float | None:
    """A rounded number for JSON; None where an inference has none."""
    return None if math.isnan(value) else round(float(value), 4)


def draw(path: Path, rows: pd.DataFrame, groups: pd.DataFrame, summary: dict[str, Any]) -> None:
    """The figure of a setting: coverage, ranks, coverage by group."""
    with style():
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(11.0, 4.2), width_ratios=(1.0, 1.0, 1.4), layout="constrained"
        )
        overall = [(level, summary[f"coverage_{100 * level:.0f}"]) for level in LEVELS]
        plot_coverage(overall, ax=left)
        plot_pit(rows["pit"].to_numpy(), ax=middle)
        nine_of = groups.set_index("group")["coverage_90"]
        positions = np.arange(len(nine_of))[::-1]
        right.axvline(0.9, color="#7F7F7F", linewidth=1.0)
        right.scatter(nine_of, positions, color="#0072B2", zorder=3)
        right.set_yticks(
            positions, [f"{g} ({n})" for g, n in zip(nine_of.index, groups["scores"], strict=True)]
        )
        right.set_xlim(0.5, 1.02)
        right.set_title("Coverage of 90 % intervals, by group")
        right.set_xlabel("share of held-out scores inside (number of scores)")
        figure.suptitle(
            f"{summary['leaderboard']}, n = {summary['n_train']} training models per family, "
            f"{summary['protocol']} protocol, {len(rows)} held-out scores"
        )
        figure.savefig(path)
        plt.close(figure)


def _folds(leaderboard: str, n_train: int, protocol: str) -> Folds:
    table = sj.load_leaderboard(corrected=False)
    table = table.select_benchmarks(leaderboard_benchmarks(leaderboard))
    # The cold start has no published folds: it hides those of one training model whole.
    groups = published_groups(leaderboard, max(n_train, 1))
    return make_folds(table, groups, n_train=n_train, protocol=protocol, complete=False)


def summarise(rows: pd.DataFrame) -> dict[str, float]:
    """The numbers of a setting.

    ``mae``, ``mae_conformal``: aggregated as published, over a fold's models, then folds, then
    benchmarks. ``_families``: means over families of their own means. All others: plain means over
    held-out scores.
    """

    def published(column: str) -> float:
        errors = rows[["fold", "model", "benchmark"]].assign(
            method=column, abs_error=np.abs(rows[column].to_numpy() - rows["score"].to_numpy())
        )
        return float(published_mean(errors).iloc[0])

    family = rows["family"].to_numpy()
    found = {"mae": published("median")}
    for level in LEVELS:
        name = f"{100 * level:.0f}"
        found[f"coverage_{name}"] = _mean(rows[f"covered_{name}"])
        found[f"coverage_{name}_families"] = mean_over_families(rows[f"covered_{name}"], family)
        found[f"width_{name}"] = _mean(rows[f"upper_{name}"] - rows[f"lower_{name}"])
        found[f"interval_score_{name}"] = _mean(rows[f"interval_score_{name}"])
        for kind in ("corrected", "conformal"):
            if f"lower_{kind}_{name}" in rows:
                lower, upper = rows[f"lower_{kind}_{name}"], rows[f"upper_{kind}_{name}"]
                inside = (lower <= rows["score"]) & (rows["score"] <= upper)
                found[f"coverage_{name}_{kind}"] = _mean(inside)
                found[f"coverage_{name}_{kind}_families"] = mean_over_families(inside, family)
                found[f"width_{name}_{kind}"] = _mean(upper - lower)
    found["crps"] = _mean(rows["crps"])
    found["mae_conformal"] = published("mode")
    found["crps_conformal"] = _mean(rows["crps_conformal"])
    found["scores"] = len(rows)
    return {name: round(value, 6) for name, value in found.items()}


def _mean(values: Any) -> float:
    return float(np.mean(np.asarray(values)))


def by_group(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage, width and errors by benchmark and by how far the held-out model is away."""
    low, high = RATIOS
    ratio = rows["size_ratio"]
    away = np.select(
        [ratio.isna(), ratio <= low, ratio <= high],
        ["family unseen", f"size up to {low:g} x", f"size {low:g} to {high:g} x"],
        f"size over {high:g} x",
    )
    parts = []
    for groups in (rows["benchmark"], pd.Series(away, index=rows.index)):
        for name in dict.fromkeys(groups):
            some = rows[groups == name]
            parts.append(
                {
                    "group": name,
                    "scores": len(some),
                    "error": _mean(np.abs(np.asarray(some["median"]) - np.asarray(some["score"]))),
                    "crps": _mean(some["crps"]),
                    "crps_conformal": _mean(some["crps_conformal"]),
                    **{
                        f"coverage_{100 * level:.0f}": _mean(some[f"covered_{100 * level:.0f}"])
                        for level in LEVELS
                    },
                    "width_90": _mean(some["upper_90"] - some["lower_90"]),
                }
            )
    return pd.DataFrame(parts)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--leaderboard", choices=LEADERBOARDS, required=True)
    parser.add_argument("--n-train", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="published")
    parser.add_argument("--skills", type=number(1), default=FOLD_SETTINGS.skills, metavar="D")
    parser.add_argument("--inference", choices=INFERENCES, default=FOLD_SETTINGS.inference)
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="two folds, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit(
        "calibration",
        lambda: run(options),
        interrupted="stopped; nothing was written",
    )


if __name__ == "__main__":
    main()
