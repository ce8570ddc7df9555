"""How much do more attempts buy? Coverage pass@k of models that are held out, with bands.

Item data of models are drawn from a known law in the shape of the published ones (10 models, 128
problems, 10,000 attempts at each), many times over. Each time the last model is held out, and its
coverage predicted from draws of its skills, known to --spread standard deviations as a law of
skills would know them. With --folder, or --hub, the published files are fitted instead, skills
free, and every model's measured coverage is drawn beside the fitted one; the summary says which of
the two it ran on. Writes coverage.csv, summary.json and coverage.png.

Run: python experiments/test_time_compute.py --out out/test_time_compute
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.files import write_text
from sloth_jax.forecasting.attempts import Attempts, chance_at_k, coverage, read_attempts
from sloth_jax.forecasting.hub import download_attempts
from sloth_jax.forecasting.response import ItemFit, fit_items, forecast_coverage, simulate_attempts
from sloth_jax.plotting.figure_style import BLUE, INK, style
from sloth_jax.provenance import versions

LEVEL = 0.9
K = np.unique(np.geomspace(1, 10_000, 25).round().astype(int))
ASKED = (1, 10, 100, 1000, 10_000)
MODELS, SKILLS = 10, 2


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
    lower, upper = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    a, b = (np.asarray(part, float) for part in items)
    truth = chance_at_k(1.0 / (1.0 + np.exp(-(a @ theta[-1] - b))), K).mean(axis=1)
    recovered = min(
        float(np.corrcoef(np.ravel(found), np.ravel(true))[0, 1])
        for found, true in zip(fit.items, items, strict=True)
    )
    rows = pd.DataFrame(
        {"simulation": seed, "k": K, "truth": truth, "median": np.median(draws, axis=0),
         "lower": lower, "upper": upper, "inside": (lower <= truth) & (truth <= upper)}
    )  # fmt: skip
    return rows, recovered


def of_files(attempts: Attempts, key: jax.Array) -> tuple[pd.DataFrame, ItemFit]:
    """Measured and fitted coverage of models whose counts are given, skills free."""
    fit = fit_items(attempts, skills=min(SKILLS, len(attempts.models)), key=key)
    k = K[K <= attempts.tries[attempts.tries > 0].min()]
    measured = coverage(attempts, k)
    parts = []
    for at, model in enumerate(attempts.models):
        draws = forecast_coverage(fit, fit.theta[at], k, key=key)
        lower, upper = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
        parts.append(
            pd.DataFrame(
                {"simulation": model, "k": k, "truth": measured[at],
                 "median": np.median(draws, axis=0), "lower": lower, "upper": upper,
                 "inside": (lower <= measured[at]) & (measured[at] <= upper)}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True), fit


def run(options: argparse.Namespace) -> None:
    """Simulate or read, fit, save and draw."""
    began = time.perf_counter()
    record: dict[str, Any] = {"seed": options.seed, "smoke": options.smoke}
    folder = options.folder
    if options.hub is not None:
        folder = download_attempts(options.hub)
    if folder is not None:
        attempts = read_attempts(folder)
        rows, fit = of_files(attempts, jax.random.key(options.seed))
        record |= {"data": "files", "models": attempts.models, "converged": fit.converged}
    else:
        count, problems, tries = (
            (2, 16, 200) if options.smoke else (options.simulations, 128, 10_000)
        )
        found = []
        for at in range(count):
            found.append(simulate(options.seed * 1000 + at, problems, tries, options.spread))
            if (at + 1) % 10 == 0:
                tell(f"{at + 1} of {count} simulations")
        rows = pd.concat([part for part, _ in found], ignore_index=True)
        shown = rows[rows["k"].isin(ASKED)]
        inside = shown.groupby("k")["inside"].mean()
        record |= {
            "data": "simulated",
            "simulations": count,
            "models": MODELS,
            "problems": problems,
            "tries": tries,
            "spread": options.spread,
            "level": LEVEL,
            "inside": {str(k): round(float(inside.loc[k]), 4) for k in inside.index},
            "least_correlation": round(min(r for _, r in found), 5),
            "median_correlation": round(float(np.median([r for _, r in found])), 5),
        }
        print(inside.to_string())
        print(f"problems recovered: correlation {record['median_correlation']} (median), "
              f"{record['least_correlation']} (least)")  # fmt: skip
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "coverage.csv", rows.to_csv(index=False, float_format="%.6g"))
    record |= {"seconds": round(time.perf_counter() - began, 1), "versions": versions()}
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    draw(rows, out / "coverage.png")
    tell(f"ran on {record['data']} data, {record['seconds']} s. Results: {out}")


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Coverage against attempts, truth solid, forecast dashed with its band."""
    names = list(dict.fromkeys(rows["simulation"]))[:10]
    with style():
        height = -(-len(names) // 5)
        figure, axes = plt.subplots(
            height, min(5, len(names)), figsize=(2.3 * min(5, len(names)) + 0.5, 2.2 * height),
            layout="constrained", sharex=True, sharey=True, squeeze=False,
        )  # fmt: skip
        for ax in axes.ravel()[len(names) :]:
            ax.set_visible(False)
        for ax, name in zip(axes.ravel(), names, strict=False):
            shown = rows[rows["simulation"] == name]
            ax.fill_between(shown["k"], shown["lower"], shown["upper"], color=BLUE, alpha=0.25,
                            linewidth=0, label="90 % band")  # fmt: skip
            ax.plot(shown["k"], shown["truth"], color=INK, linewidth=1.0, label="truth")
            ax.plot(shown["k"], shown["median"], "--", color=BLUE, label="forecast")
            ax.set_xscale("log")
            ax.set_ylim(0.0, 1.0)
            ax.set_title(str(name) if isinstance(name, str) else f"simulation {name}")
        axes[0, 0].legend(fontsize=7)
        figure.supxlabel("attempts k", fontsize=9)
        figure.supylabel("coverage pass@k", fontsize=9)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--folder", type=Path, help="published files MATH_<model>.json")
    source.add_argument(
        "--hub", type=Path, metavar="DIR", help="fetch those files into DIR first, where they stay"
    )
    parser.add_argument("--simulations", type=number(2), default=50, metavar="N")
    parser.add_argument(
        "--spread", type=float, default=0.2, help="of what is known of the held-out model's skills"
    )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="two small simulations")
    options = parser.parse_args()
    run_and_exit(
        "test_time_compute", lambda: run(options), interrupted="stopped; nothing was written"
    )


if __name__ == "__main__":
    main()
