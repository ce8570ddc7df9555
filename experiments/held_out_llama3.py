"""The main job on real data: hide every Llama-3 model above 8B, predict the 70B pair.

Writes predictions.csv, run.json and held_out_llama3.png, and prints predictions, intervals and
the truth side by side. Run: python experiments/held_out_llama3.py --out out/held_out_llama3
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np

import sloth_jax as sj
from sloth_jax.files import write_text
from sloth_jax.plots import plot_intervals, style
from sloth_jax.provenance import versions

LINEAGE = "meta-llama-3"
LARGEST_SEEN_B = 8.0
ASKED = ("meta-llama-3-70b", "meta-llama-3-70b-instruct")
LEVEL = 0.9


def run(out: Path, *, seed: int, smoke: bool) -> None:
    """Fit, forecast, save, plot and print.

    Args:
        out: folder for the results; made if it is not there.
        seed: random seed.
        smoke: a fraction of the draws, to see that it runs; its numbers mean nothing.
    """
    began = time.perf_counter()
    full = sj.load_leaderboard()
    of_lineage = np.asarray(full.lineages)[full.lineage_of_family[full.family]] == LINEAGE
    hidden = of_lineage & (full.params_b > LARGEST_SEEN_B)
    training = full.subset(~hidden)
    asked = [full.models.index(model) for model in ASKED]
    frame = full.to_frame().iloc[asked]
    query = sj.Query.from_frame(
        frame[["model", "family", "lineage", "post_trained", "params_b", "tokens_t"]], training
    )
    truth = full.scores[asked]

    settings = sj.SamplerSettings()
    if smoke:
        settings = sj.SamplerSettings(warmup=5, draws=5, max_tree_depth=3, starts=1, start_steps=20)
    fit_key, forecast_key = jax.random.split(jax.random.key(seed))
    posterior = sj.sample_posterior(training, key=fit_key, settings=settings, progress=not smoke)
    predictions = sj.forecast(posterior, query, key=forecast_key)
    table = predictions.summary(LEVEL)
    table["truth"] = truth.ravel()
    table["inside"] = (table["lower"] <= table["truth"]) & (table["truth"] <= table["upper"])
    error = float(np.abs(table["median"] - table["truth"]).mean())

    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "predictions.csv", table.to_csv(index=False, float_format="%.6f"))
    record = {
        "experiment": "held_out_llama3",
        "seed": seed,
        "smoke": smoke,
        "hidden": [full.models[i] for i in np.flatnonzero(hidden)],
        "mean_absolute_error_of_median": error,
        "inside_90": int(np.sum(table["inside"])),
        "scores": len(table),
        "seconds": round(time.perf_counter() - began, 1),
        "diagnostics": vars(posterior.diagnostics),
        "settings": asdict(posterior.settings),
        "versions": versions(),
    }
    write_text(out / "run.json", json.dumps(record, indent=2) + "\n")
    plot(predictions, truth, training.floors, out / "held_out_llama3.png")

    print(table.drop(columns=["level"]).to_string(index=False, float_format="%.3f"))
    print(
        f"\nMean absolute error of the median {error:.3f}; {record['inside_90']} of {len(table)} "
        f"measured scores inside the 90 % intervals; {record['seconds']} s.\n"
        f"Figure: {out / 'held_out_llama3.png'}"
    )
    for problem in posterior.diagnostics.problems():
        print(f"Warning: the chains do not meet the standard for trust: {problem}")


def plot(predictions: sj.Forecast, truth: np.ndarray, floors: np.ndarray, path: Path) -> None:
    """One panel per model: predicted medians and intervals beside the measured scores."""
    lower, upper = predictions.interval(LEVEL)
    median = np.median(predictions.draws, axis=0)
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), sharey=True, layout="constrained")
        figure.get_layout_engine().set(wspace=0.08)  # pyright: ignore - "100%" and "0%" meet
        for i, (model, ax) in enumerate(zip(predictions.models, axes, strict=True)):
            plot_intervals(
                median[i], lower[i], upper[i], predictions.benchmarks,
                truth=truth[i], floors=floors, level=LEVEL, ax=ax,
            )  # fmt: skip
            ax.set_title(model)
        figure.suptitle("Predicted without any Llama-3 model above 8B", x=0.01, ha="left")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds, not minutes; means nothing")
    options = parser.parse_args()
    run(options.out, seed=options.seed, smoke=options.smoke)


if __name__ == "__main__":
    main()
