"""Do 90 % intervals hold 90 % of held-out scores? Cross-validated calibration of fits.

Every fold hides models of some families and fits the law to the rest (n_train = 0 hides families
whole: the cold start). Writes held_out.csv (a summary of the draws of each held-out score),
summary.json, by_group.csv and calibration.png, and beside the fit a conformal baseline: the mode's
medians with their errors in other folds around them. Shares inside intervals are means over scores
and over families, whose scores miss together.

Run: python experiments/calibration.py --leaderboard v2 --n-train 1 --out out/calibration_v2_1
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import (
    HeldOut,
    command_line,
    draw_held_out,
    drawing,
    execute,
    save,
    settings_of,
)
from matplotlib.ticker import PercentFormatter

import sloth_jax as sj
from sloth_jax.cli.console import show_progress, tell
from sloth_jax.evaluation.folds import PROTOCOLS, Folds, make_folds, size_ratio
from sloth_jax.evaluation.held_out import score_rows
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks, published_groups
from sloth_jax.evaluation.scoring import published_mean
from sloth_jax.evaluation.scoring_rules import (
    LEVELS,
    conformal_draws,
    corrected_levels,
    crps,
    family_means,
    interval_score,
    probability_integral_transform,
)
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.plotting.calibration import plot_pit, plot_reliability
from sloth_jax.plotting.figure_style import BLUE, GREY

RATIOS = (2.0, 8.0)  # held-out size over the largest training size of its family
NAMES = {level: f"{100 * level:.0f}" for level in LEVELS}
RESAMPLES = 4000  # of families, for intervals of shares
TRUST = {
    "Pareto k at most": "max_pareto_k",
    "R-hat at most": "max_rhat",
    "divergences": "divergences",
}
SHOWN = (
    "mae crps coverage_50 coverage_50_families coverage_90 coverage_90_families width_90 "
    "mae_conformal crps_conformal coverage_90_corrected"
).split()


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit every fold, score its held-out models, save and draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--leaderboard", choices=LEADERBOARDS, required=True)
    parser.add_argument("--n-train", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="published")
    options = parser.parse_args(arguments)
    folds, settings = folds_of(options), settings_of(options, FOLD_SETTINGS)
    key = jax.random.key(options.seed)
    tell(f"{len(folds.tested)} folds, {len(jax.devices())} devices")
    began = time.perf_counter()
    held = draw_held_out(folds.table, folds.train, folds.test, settings, key)
    seconds = time.perf_counter() - began
    with show_progress("finding the mode of every fold"):
        modes = FitMethod(replace(settings, inference="mode"))(folds.table, folds.train, key)
    rows = judged(folds, held, modes)
    groups, fitted = by_group(rows), held.fitted
    found: dict[str, Any] = summarise(rows)
    summary = save(
        options,
        {"held_out": rows, "by_group": groups},
        settings,
        leaderboard=options.leaderboard,
        n_train=options.n_train,
        protocol=options.protocol,
        inference=options.inference,
        **found,
        seconds=round(seconds, 1),
        max_pareto_k=worst(np.max(fitted.pareto_k)),
        max_rhat=worst(np.max(fitted.max_rhat)),
        min_ess=worst(np.min(fitted.min_ess)),
        divergences=int(fitted.divergences.sum()),
    )
    draw(options.out / "calibration.png", rows, groups, summary)
    print(", ".join(f"{name} {summary[name]:.4f}" for name in SHOWN))
    known = [f"{name} {summary[key]}" for name, key in TRUST.items() if summary[key] is not None]
    tell(f"{seconds:.0f} s, {', '.join(known)}. Results: {options.out}")


def folds_of(options: argparse.Namespace) -> Folds:
    """The folds of a setting."""
    table = sj.load_leaderboard(corrected=False)
    table = table.select_benchmarks(leaderboard_benchmarks(options.leaderboard))
    n_train = options.n_train
    # The cold start has no published folds: it hides those of one training model whole.
    groups = published_groups(options.leaderboard, max(n_train, 1))
    folds = make_folds(table, groups, n_train=n_train, protocol=options.protocol, complete=False)
    return folds.select([0, 1]) if options.smoke else folds


def worst(value: float) -> float | None:
    """A rounded number for JSON; None where an inference has none."""
    return None if math.isnan(value) else round(float(value), 4)


def judged(folds: Folds, held: HeldOut, modes: np.ndarray) -> pd.DataFrame:
    """A row per held-out score: draws, corrected intervals and the conformal baseline, judged.

    Args:
        folds: the setting.
        held: draws of the held-out scores.
        modes: predictions by the mode, ``(fold, model, benchmark)``.
    """
    fold, model, benchmark, draws, _ = held
    truth = folds.table.scores[model, benchmark]
    mode = modes[fold, model, benchmark].astype(np.float64)
    pit = probability_integral_transform(draws, truth)
    rows = score_rows(folds.table, model, benchmark, draws, LEVELS)
    rows.insert(0, "fold", fold)
    rows = rows.assign(
        size_ratio=size_ratio(folds)[fold, model],
        mean=draws.mean(axis=0),
        sd=draws.std(axis=0),
        pit=pit,
        mode=mode,
    )
    corrected = corrected_levels(pit, fold)
    for level, name in NAMES.items():
        rows[f"interval_score_{name}"] = interval_score(draws, truth, level)
        shares = enumerate(corrected[level])
        ends = [np.quantile(draws[:, e], [0.5 - q / 2, 0.5 + q / 2]) for e, q in shares]
        rows[f"lower_corrected_{name}"], rows[f"upper_corrected_{name}"] = np.array(ends).T
    baseline = conformal_draws(mode, truth, fold, benchmark)
    ends = [np.ravel(central_interval(one, 0.9)) for one in baseline]
    rows["lower_conformal_90"], rows["upper_conformal_90"] = np.array(ends).T
    rows["crps_conformal"] = [
        float(crps(one, truth[e : e + 1])[0]) for e, one in enumerate(baseline)
    ]
    return rows


def summarise(rows: pd.DataFrame) -> dict[str, float]:
    """The numbers of a setting.

    ``mae``, ``mae_conformal``: aggregated as published, over a fold's models, then folds, then
    benchmarks. ``_families``: means over families of their own means. All others: plain means over
    held-out scores.
    """

    def published(column: str) -> float:
        error = np.abs(rows[column].to_numpy() - rows["score"].to_numpy())
        errors = rows[["fold", "model", "benchmark"]].assign(method=column, abs_error=error)
        return float(published_mean(errors).iloc[0])

    family = rows["family"].to_numpy()
    found = {"mae": published("median")}
    for name in NAMES.values():
        found[f"coverage_{name}"] = mean(rows[f"covered_{name}"])
        found[f"coverage_{name}_families"] = family_means(rows[f"covered_{name}"], family).mean()
        found[f"width_{name}"] = mean(rows[f"width_{name}"])
        found[f"interval_score_{name}"] = mean(rows[f"interval_score_{name}"])
        for kind in ("corrected", "conformal"):
            if f"lower_{kind}_{name}" in rows:
                lower, upper = rows[f"lower_{kind}_{name}"], rows[f"upper_{kind}_{name}"]
                inside = (lower <= rows["score"]) & (rows["score"] <= upper)
                found[f"coverage_{name}_{kind}"] = mean(inside)
                found[f"coverage_{name}_{kind}_families"] = family_means(inside, family).mean()
                found[f"width_{name}_{kind}"] = mean(upper - lower)
    found["crps"] = mean(rows["crps"])
    found["mae_conformal"] = published("mode")
    found["crps_conformal"] = mean(rows["crps_conformal"])
    found["scores"] = len(rows)
    return {name: round(value, 6) for name, value in found.items()}


def mean(values: Any) -> float:
    """Mean as a number."""
    return float(np.mean(np.asarray(values)))


def parts(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Held-out scores of each benchmark, then by how far their model is away, by name."""
    low, high = RATIOS
    ratio = rows["size_ratio"]
    near, far, farther = (
        f"size up to {low:g} x",
        f"size {low:g} to {high:g} x",
        f"size over {high:g} x",
    )
    away = np.select(
        [ratio.isna(), ratio <= low, ratio <= high], ["family unseen", near, far], farther
    )
    distances = [name for name in (near, far, farther, "family unseen") if (away == name).any()]
    benchmarks = rows["benchmark"].to_numpy()
    found = {name: rows[benchmarks == name] for name in pd.unique(rows["benchmark"])}
    return found | {name: rows[away == name] for name in distances}


def by_group(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage, width and errors by benchmark and by how far the held-out model is away."""
    columns = {name: name for name in ("error", "crps", "crps_conformal")}
    columns |= {f"coverage_{name}": f"covered_{name}" for name in NAMES.values()}
    columns["width_90"] = "width_90"
    found = []
    for name, some in parts(rows).items():
        means = {column: mean(some[source]) for column, source in columns.items()}
        found.append({"group": name, "scores": len(some), **means})
    return pd.DataFrame(found)


def with_band(values: np.ndarray, family: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over scores, and 90 % intervals of them by a bootstrap over families.

    Args:
        values: of each score, ``(score, quantity)``.
        family: of each score, ``(score,)``: its scores miss together.

    Returns:
        Means, lower and upper ends, ``(quantity,)`` each.
    """
    _, of = np.unique(family, return_inverse=True)
    sums, count = np.zeros((of.max() + 1, values.shape[1])), np.bincount(of).astype(float)
    np.add.at(sums, of, values)
    even = np.full(len(count), 1.0 / len(count))
    times = np.random.default_rng(0).multinomial(len(count), even, size=RESAMPLES)
    lower, upper = np.quantile((times @ sums) / (times @ count)[:, None], [0.05, 0.95], axis=0)
    return values.mean(axis=0), lower, upper


def reliability(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Levels from 0 to 1, shares of scores inside such intervals, and bands of the shares."""
    levels = np.linspace(0.0, 1.0, 101)
    # A score is inside the central interval of level L if |2 u - 1| <= L.
    away = np.abs(2.0 * rows["pit"].to_numpy() - 1.0)
    inside = away[:, None] <= levels[None, :] + 1e-9
    share, lower, upper = with_band(inside, rows["family"].to_numpy())
    return levels, share, (lower, upper)


def draw(path: Path, rows: pd.DataFrame, groups: pd.DataFrame, summary: dict[str, Any]) -> None:
    """The figure of a setting: coverage, ranks, coverage by group."""
    with drawing(path, 1, 3, figsize=(11.0, 4.2), width_ratios=(1.1, 1.0, 1.4)) as (figure, axes):
        left, middle, right = axes
        plot_reliability(*reliability(rows), ax=left)
        left.set_title("Share inside intervals")
        plot_pit(rows["pit"].to_numpy(), ax=middle)
        place = np.arange(len(groups))[::-1]
        right.axvline(0.9, color=GREY, linewidth=1.0)
        bands = [
            with_band(of[["covered_90"]].to_numpy(float), of["family"].to_numpy())
            for of in parts(rows).values()
        ]
        share, lower, upper = (np.concatenate(part) for part in zip(*bands, strict=True))
        right.hlines(place, lower, upper, color=BLUE, linewidth=4, alpha=0.3)
        right.plot(share, place, "o", color=BLUE)
        labels = [f"{g} ({n})" for g, n in zip(groups["group"], groups["scores"], strict=True)]
        right.set_yticks(place, labels)
        right.set_xlim(min(0.5, float(lower.min()) - 0.02), 1.02)
        right.set_title("Share inside 90 % intervals, by group")
        right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        right.set_xlabel("found (scores in brackets); bars: 90 % bands over families")
        figure.suptitle(
            f"{summary['leaderboard']}, {summary['n_train']} training model"
            f"{'' if summary['n_train'] == 1 else 's'} per family, "
            f"{summary['protocol']} protocol: 90 % intervals hold "
            f"{100 * summary['coverage_90']:.0f} % of {len(rows)} held-out scores",
            x=0.01,
            ha="left",
        )


if __name__ == "__main__":
    execute(main)
