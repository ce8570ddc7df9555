"""What is the size of a mixture of experts? Forecasts by total, active, or both parameters.

The bundled mixtures of experts whose token counts are public are predicted by laws that count
their parameters in three ways, each lineage of them left out in turn: its scores are predicted from
the bundled table and the other mixtures. Writes held_out.csv, summary.json and mixtures.png.

Run: python experiments/mixtures.py --out out/mixtures
"""

from __future__ import annotations

import argparse
import json
import tempfile
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
from sloth_jax.columns import COLUMNS
from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.leaderboard import bundled_mixtures
from sloth_jax.plots import BLUE, GREEN, ORANGE, style
from sloth_jax.provenance import versions

KINDS = {"total": "translog", "active": "active", "both": "total_and_active"}


def run(options: argparse.Namespace) -> None:
    """Fit with each lineage of mixtures left out, score, save and draw."""
    began = time.perf_counter()
    mixtures = bundled_mixtures()
    dense = sj.load_leaderboard()
    settings = replace(sj.SamplerSettings(), skills=options.skills, inference=options.inference)
    kinds = KINDS
    if options.smoke:
        dense = dense.subset(np.arange(len(dense.models)) < 24)
        settings = replace(settings, skills=1, warmup=10, draws=10, chains=2, max_tree_depth=3,
                           starts=1, start_steps=20)  # fmt: skip
        kinds, mixtures = {"both": KINDS["both"]}, mixtures.iloc[:3]
    frame = pd.concat([dense.to_frame(), mixtures], ignore_index=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        frame.to_csv(path, index=False)
        table = sj.load_leaderboard(path)
    names = np.asarray(table.models, dtype=object)
    mixed = np.isin(names, mixtures["model"])
    key, forecast_key = jax.random.split(jax.random.key(options.seed))
    parts = []
    for lineage in dict.fromkeys(mixtures["lineage"]):
        hidden = np.isin(names, mixtures.loc[mixtures["lineage"] == lineage, "model"])
        query = sj.Query.from_frame(table.subset(hidden).to_frame()[list(COLUMNS)], table)
        for label, kind in kinds.items():
            tell(f"{lineage} left out, {label} parameters ...")
            fit = sj.sample_posterior(
                table.hide(hidden), key=key, settings=settings, covariates=kind
            )
            predicted = sj.forecast(fit, query, key=forecast_key).draws
            parts.append(_scored(predicted, table, hidden, lineage, label))
    rows = pd.concat(parts, ignore_index=True)
    means = pd.DataFrame(rows.groupby("size")[["error", "crps", "covered_90", "width_90"]].mean())
    means = means.loc[list(kinds)]
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "held_out.csv", rows.to_csv(index=False, float_format="%.6g"))
    record: dict[str, Any] = {
        "mixtures": int(mixed.sum()),
        "scores": int(len(rows) / len(kinds)),
        "by_size": json.loads(means.round(5).to_json(orient="index")),
        "inference": options.inference,
        "seed": options.seed,
        "smoke": options.smoke,
        "seconds": round(time.perf_counter() - began, 1),
        "settings": asdict(settings),
        "versions": versions(),
    }
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    draw(rows, list(kinds), out / "mixtures.png")
    print(means.to_string(float_format="%.4f"))


def _scored(
    draws: np.ndarray, table: sj.Leaderboard, hidden: np.ndarray, lineage: str, size: str
) -> pd.DataFrame:
    """A row per held-out score; ``draws`` is ``(draw, model, benchmark)`` of the hidden models."""
    model, benchmark = np.nonzero(table.observed[hidden])
    truth = table.scores[hidden][model, benchmark]
    at = draws[:, model, benchmark]
    lower, upper = central_interval(at, 0.9)
    return pd.DataFrame(
        {
            "size": size,
            "lineage": lineage,
            "model": np.asarray(table.models, dtype=object)[hidden][model],
            "benchmark": np.asarray(table.benchmarks, dtype=object)[benchmark],
            "score": truth,
            "median": np.median(at, axis=0),
            "lower_90": lower,
            "upper_90": upper,
            "error": np.abs(np.median(at, axis=0) - truth),
            "crps": crps(at, truth),
            "covered_90": covered(at, truth, 0.9),
            "width_90": upper - lower,
        }
    )


def draw(rows: pd.DataFrame, sizes: list[str], path: Path) -> None:
    """Predicted less measured, model by model."""
    models = list(dict.fromkeys(rows["model"]))
    with style():
        figure, ax = plt.subplots(figsize=(6.5, 0.8 + 0.55 * len(models)), layout="constrained")
        for at, (size, colour) in enumerate(zip(sizes, (BLUE, ORANGE, GREEN), strict=False)):
            shown = rows[rows["size"] == size]
            place = [len(models) - 1 - models.index(m) + 0.25 * (1 - at) for m in shown["model"]]
            ax.plot(
                shown["median"] - shown["score"], place, "o", color=colour, markersize=4,
                alpha=0.7, label=f"{size} parameters",
            )  # fmt: skip
        ax.axvline(0.0, color="black", linewidth=0.8)
        ax.set_yticks(range(len(models))[::-1], models)
        ax.set_xlabel("predicted median less measured score")
        ax.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--inference", choices=("nuts", "laplace", "svi"), default="laplace")
    parser.add_argument(
        "--skills",
        type=number(1),
        default=sj.SamplerSettings().skills,
        metavar="D",
        help="of the law",
    )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="a few models, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit("mixtures", lambda: run(options), interrupted="stopped; nothing was written")


if __name__ == "__main__":
    main()
