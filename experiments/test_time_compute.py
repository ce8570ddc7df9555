"""How much do more attempts buy? Coverage pass@k of models that are held out, with bands.

Item data of models are drawn from a known law in the shape of the published ones (10 models, 128
problems, 10,000 attempts at each), many times over. Each time the last model is held out, and its
coverage predicted from draws of its skills, known to --spread standard deviations as a law of
skills would know them. With --folder, or --hub, the published files are fitted instead, skills
free, and every model's measured coverage is drawn beside the fitted one; the summary says which of
the two it ran on. Writes coverage.csv, summary.json and coverage.png.

With --attempts, a table of counted attempts (columns model, task, temperature, item, successes,
tries; any other column tells runs of a model apart), every model is held out: two of its attempts
at each problem are seen, and pass@k as all its tries measure it is predicted by the law of repeated
attempts, by a beta-binomial of its own attempts, and by plugging their shares in. Writes
held_out.csv, scores.csv, summary.json and held_out.png.

Run: python experiments/test_time_compute.py --out out/test_time_compute
and  python experiments/test_time_compute.py --attempts FILE.csv --out out/attempts
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _held_out_attempts import draw as draw_held_out, hold_out, read_runs, score
from _runner import command_line, drawing_grid, execute, save

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.plotting.figure_style import BLUE, INK
from sloth_jax.repeats.attempts import Attempts, chance_at_k, coverage, read_attempts
from sloth_jax.repeats.hub import download_attempts
from sloth_jax.repeats.response import ItemFit, fit_items, forecast_coverage, simulate_attempts

LEVEL = 0.9
K = np.unique(np.geomspace(1, 10_000, 25).round().astype(int))
SHOWN_K = (1, 10, 100, 1000, 10_000)
MODELS, SKILLS = 10, 2


def band(simulation: object, k: np.ndarray, draws: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Draws of a model's coverage beside the truth: a row per number of attempts.

    Args:
        simulation: number of the simulation, or name of the model.
        k: attempts, ``(k,)``.
        draws: fractions, ``(draw, k)``.
        truth: fractions, ``(k,)``.
    """
    lower, median, upper = np.quantile(draws, [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], axis=0)
    rows = {"simulation": simulation, "k": k, "truth": truth, "median": median}
    inside = (lower <= truth) & (truth <= upper)
    return pd.DataFrame(rows | {"lower": lower, "upper": upper, "inside": inside})


def simulate(seed: int, problems: int, tries: int, spread: float) -> tuple[pd.DataFrame, float]:
    """One simulation: bands of the held-out model's coverage, and how well problems come back."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(MODELS, SKILLS))
    key, fit_key, draw_key = jax.random.split(jax.random.key(seed), 3)
    made, items = simulate_attempts(key, theta, problems=problems, tries=tries)
    seen = np.arange(MODELS) < MODELS - 1
    fit = fit_items(made.select(seen), theta=theta[seen], key=fit_key)
    # The law sees theta + spread z; given that, and the standard normal that theta is from:
    variance = spread**2 / (1.0 + spread**2)
    seen_as = (theta[-1] + spread * rng.normal(size=SKILLS)) / (1.0 + spread**2)
    drawn = seen_as + np.sqrt(variance) * rng.normal(size=(500, SKILLS))
    draws = forecast_coverage(fit, drawn, K, key=draw_key)
    a, b = (np.asarray(part, float) for part in items)
    truth = chance_at_k(1.0 / (1.0 + np.exp(-(a @ theta[-1] - b))), K).mean(axis=1)
    recovered = min(
        float(np.corrcoef(np.ravel(found), np.ravel(true))[0, 1])
        for found, true in zip(fit.items, items, strict=True)
    )
    return band(seed, K, draws, truth), recovered


def of_files(attempts: Attempts, key: jax.Array) -> tuple[pd.DataFrame, ItemFit]:
    """Measured and fitted coverage of models whose counts are given, skills free."""
    fit = fit_items(attempts, skills=min(SKILLS, len(attempts.models)), key=key)
    k = K[K <= attempts.tries[attempts.tries > 0].min()]
    measured = coverage(attempts, k)
    parts = []
    for at, model in enumerate(attempts.models):
        draws = forecast_coverage(fit, fit.theta[at], k, key=key)
        parts.append(band(model, k, draws, measured[at]))
    return pd.concat(parts, ignore_index=True), fit


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate or read, fit, save and draw."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--folder", type=Path, help="published files MATH_<model>.json")
    source.add_argument(
        "--hub", type=Path, metavar="DIR", help="fetch those files into DIR first, where they stay"
    )
    parser.add_argument("--simulations", type=number(2), default=50, metavar="N")
    parser.add_argument(
        "--spread", type=float, default=0.2, help="of what is known of the held-out model's skills"
    )
    source.add_argument(
        "--attempts", type=Path, metavar="FILE", help="counted attempts; every model is held out"
    )
    parser.add_argument(
        "--tries", type=number(2), default=10, metavar="N", help="at every problem of a run"
    )
    parser.add_argument(
        "--seen", type=number(1), default=2, metavar="N", help="of a held-out model's tries"
    )
    parser.add_argument(
        "--skills", type=number(1), default=2, metavar="D", help="of the law of repeated attempts"
    )
    options = parser.parse_args(arguments)
    if options.attempts is not None:
        of_attempts(options)
        return
    folder = options.folder if options.hub is None else download_attempts(options.hub)
    if folder is None:
        rows, found = of_simulations(options)
    else:
        attempts = read_attempts(folder)
        rows, fit = of_files(attempts, jax.random.key(options.seed))
        found = {"data": "files", "models": attempts.models, "converged": fit.converged}
    asked = {"seed": options.seed, "spread": options.spread}
    record = save(options, {"coverage": rows}, asked, **found)
    draw(rows, options.out / "coverage.png")
    tell(f"ran on {record['data']} data, {record['seconds']} s. Results: {options.out}")


def of_attempts(options: argparse.Namespace) -> None:
    """Hold every model of a table out, save, draw and print."""
    if options.seen >= options.tries:
        raise sj.InputError(f"--seen {options.seen} of --tries {options.tries}: nothing is left")
    parts = read_runs(options.attempts, tries=options.tries, smoke=options.smoke)
    asked = {"seed": options.seed, "seen": options.seen, "skills": options.skills}
    rows, fits = hold_out(parts, smoke=options.smoke, **asked)
    scores = score(rows)
    found = {
        "data": "attempts",
        "tries": options.tries,
        "level": LEVEL,
        "runs": len(rows[["setting", "run"]].drop_duplicates()),
        "models": rows["model"].nunique(),
        "problems": len(parts[0].attempts.problems),
        "development": sorted(set(rows.loc[rows["development"], "model"])),
        "scores": json.loads(scores.to_json(orient="records", double_precision=6)),
    }
    tables = {"held_out": rows, "scores": scores}
    record = save(options, tables, asked, **found, **fits)
    draw_held_out(rows, scores, options.out / "held_out.png", options.seen)
    shown = scores[(scores["tested"] == "all") & scores["k"].isin((5, options.tries))]
    print(shown.drop(columns="tested").to_string(index=False, float_format="%.4f"))
    tell(f"{record['runs']} runs held out, {record['seconds']} s. Results: {options.out}")


def of_simulations(options: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Bands of all simulations, and what the summary says of them."""
    count, problems, tries = options.simulations, 128, 10_000
    if options.smoke:
        count, problems, tries = 2, 16, 200
    parts, recovered = [], []
    for at in range(count):
        part, correlation = simulate(options.seed * 1000 + at, problems, tries, options.spread)
        parts.append(part)
        recovered.append(correlation)
        if (at + 1) % 10 == 0:
            tell(f"{at + 1} of {count} simulations")
    rows = pd.concat(parts, ignore_index=True)
    inside = rows[rows["k"].isin(SHOWN_K)].groupby("k")["inside"].mean()
    least, median = round(min(recovered), 5), round(float(np.median(recovered)), 5)
    print(inside.to_string())
    print(f"problems recovered: correlation {median} (median), {least} (least)")
    return rows, {
        "data": "simulated",
        "simulations": count,
        "models": MODELS,
        "problems": problems,
        "tries": tries,
        "spread": options.spread,
        "level": LEVEL,
        "inside": {str(k): round(float(share), 4) for k, share in inside.items()},
        "least_correlation": least,
        "median_correlation": median,
    }


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Coverage against attempts, truth solid, forecast dashed with its band."""
    names = list(dict.fromkeys(rows["simulation"]))[:10]
    with drawing_grid(path, len(names), 5, (2.4, 2.2)) as (figure, axes):
        for ax, name in zip(axes, names, strict=True):
            shown = rows[rows["simulation"] == name]
            k, looks = shown["k"], {"color": BLUE, "alpha": 0.25, "linewidth": 0}
            ax.fill_between(k, shown["lower"], shown["upper"], label="90 % band", **looks)
            ax.plot(k, shown["truth"], color=INK, linewidth=1.0, label="truth")
            ax.plot(k, shown["median"], "--", color=BLUE, label="forecast")
            ax.set_xscale("log")
            ax.set_ylim(0.0, 1.0)
            ax.set_title(str(name) if isinstance(name, str) else f"simulation {name}")
        axes[0].legend(fontsize=7)
        figure.supxlabel("attempts k", fontsize=9)
        figure.supylabel("coverage pass@k", fontsize=9)


if __name__ == "__main__":
    execute(main)
