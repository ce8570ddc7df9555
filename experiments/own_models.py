"""What three small models of one's own tell about a large one: its intervals before and after.

A lineage of the bundled table plays a user's own: it is taken out whole, and the large model of one
of its families is predicted as a cold start. Then the family's smallest models join the table from
a file, as `sloth-jax predict --add MINE.csv` has it, and the large one is predicted again. Writes
mine.csv, predictions.csv, run.json and own_models.png.

Run: python experiments/own_models.py --out out/own_models
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj
from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.devices import use_cores
from sloth_jax.errors import InputError
from sloth_jax.files import frame_csv, write_text
from sloth_jax.leaderboard import add_models
from sloth_jax.plots import plot_intervals, style
from sloth_jax.provenance import versions

LEVEL = 0.9
FACTS = ["model", "family", "lineage", "post_trained", "params_b", "tokens_t"]


def run(options: argparse.Namespace) -> None:
    """Predict before and after, save, draw, print."""
    began = time.perf_counter()
    full = sj.load_leaderboard()
    small, large = _members(full, options.family, options.small)
    lineage = full.lineage_of_family[full.families.index(options.family)]
    others = full.subset(full.lineage_of_family[full.family] != lineage)
    rows = full.to_frame()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    mine = out / "mine.csv"
    write_text(mine, frame_csv(rows.iloc[small].dropna(axis=1, how="all")))
    tables = {"cold start": others, f"{options.small} small models added": add_models(others, mine)}

    settings = sj.SamplerSettings()
    if options.smoke:
        settings = replace(
            settings, skills=1, warmup=5, draws=5, max_tree_depth=3, starts=1, start_steps=20
        )
    fit_key, forecast_key = jax.random.split(jax.random.key(options.seed))
    forecasts, problems = {}, {}
    for name, table in tables.items():
        tell(f"{name}: sampling ...")
        posterior = sj.sample_posterior(
            table, key=fit_key, settings=settings, progress=not options.smoke
        )
        problems[name] = posterior.diagnostics.problems()
        query = sj.Query.from_frame(rows.iloc[[large]][FACTS], table)
        forecasts[name] = sj.forecast(posterior, query, key=forecast_key)

    truth = full.scores[large]
    parts = []
    for name, forecast in forecasts.items():
        one = forecast.summary(LEVEL).assign(known=name, truth=truth)
        parts.append(one.assign(inside=(one["lower"] <= truth) & (truth <= one["upper"])))
    found = pd.concat(parts, ignore_index=True)
    found["width"] = found["upper"] - found["lower"]
    found["error"] = (found["median"] - found["truth"]).abs()
    measured = found[found["truth"].notna()]
    means = measured.groupby("known", sort=False)[["width", "error", "inside"]].mean()
    write_text(out / "predictions.csv", frame_csv(found, "%.6f"))
    record = {
        "experiment": "own_models",
        "family": options.family,
        "small": [full.models[at] for at in small],
        "large": full.models[large],
        "left_out": sorted(set(full.models) - set(others.models)),
        "means": means.to_dict("index"),
        "problems": problems,
        "seed": options.seed,
        "smoke": options.smoke,
        "seconds": round(time.perf_counter() - began, 1),
        "settings": asdict(settings),
        "versions": versions(),
    }
    write_text(out / "run.json", json.dumps(record, indent=2) + "\n")
    draw(out / "own_models.png", forecasts, truth, full.floors, record)
    print(means.to_string(float_format="%.3f"))
    tell(f"{record['seconds']} s. Results: {out}")


def _members(table: sj.Leaderboard, family: str, count: int) -> tuple[np.ndarray, int]:
    """The smallest models of a family, and its largest."""
    if family not in table.families:
        raise InputError(f"no family {family!r} in the bundled table")
    rows = np.flatnonzero(table.family == table.families.index(family))
    if rows.size <= count:
        raise InputError(f"family {family}: {rows.size} models, {count} small and a large needed")
    by_size = rows[np.argsort(table.params_b[rows], kind="stable")]
    return by_size[:count], int(by_size[-1])


def draw(
    path: Path,
    forecasts: dict[str, sj.Forecast],
    truth: np.ndarray,
    floors: np.ndarray,
    record: dict,
) -> None:
    """A panel before and one after: medians and intervals beside the measured scores."""
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), sharey=True, layout="constrained")
        figure.get_layout_engine().set(wspace=0.08)  # pyright: ignore - "100%" and "0%" meet
        for (name, forecast), ax in zip(forecasts.items(), axes, strict=True):
            lower, upper = forecast.interval(LEVEL)
            plot_intervals(
                np.median(forecast.draws, axis=0)[0], lower[0], upper[0], forecast.benchmarks,
                truth=truth, floors=floors, level=LEVEL, ax=ax,
            )  # fmt: skip
            width = record["means"][name]["width"]
            ax.set_title(f"{name}: intervals {100 * width:.0f} points wide")
        figure.suptitle(
            f"{record['large']}, predicted without and with {', '.join(record['small'])}",
            x=0.01,
            ha="left",
        )
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--family", default="qwen2", help="whose part it is (default: qwen2)")
    parser.add_argument(
        "--small", type=number(1), default=3, metavar="N", help="models measured (default: 3)"
    )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="hardly any draws; means nothing")
    options = parser.parse_args()
    use_cores(4)
    run_and_exit("own_models", lambda: run(options), interrupted="stopped; partly written")


if __name__ == "__main__":
    main()
