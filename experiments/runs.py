"""How well is the end of a training run forecast from its beginning?

Tables of training runs are drawn from a known law, a few of them with departures that the law does
not believe in: a shorter memory than its prior expects, or a random walk in log tokens, which has
none of its own. Of the largest run of every family only a first part of the tokens is seen, and its
last checkpoint is forecast: by the law that knows which rows are checkpoints of one run, by the
same law without that (every checkpoint a model of its own), and by the last score that was seen.
Then the same of the published checkpoints in checkpoints.csv, beside the bundled table. Writes
held_out.csv and summary.json.

Run: python experiments/runs.py --out out/runs
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, predict_held_out, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.evaluation.published import leaderboard_benchmarks
from sloth_jax.identifiability.synthetic import synthetic_runs

TRUTHS = {
    "as the law has it": {},
    "a quarter of its length": {"length": 0.5},
    "a random walk": {"walk": True},
}
SEEN = (0.1, 0.3, 0.5)  # of a run's tokens
RUNS, APART, LAST = "law with runs", "law without runs", "last score"
SCORED = ("error", "crps", "covered_50", "covered_90", "width_90")
PUBLISHED = Path(__file__).with_name("checkpoints.csv")


Fold = tuple[Sequence[str], float]  # runs whose ends are forecast, the share of tokens seen


def masks(table: sj.Leaderboard, folds: Sequence[Fold]) -> tuple[np.ndarray, np.ndarray]:
    """Scores that may be used, ``(fold, model, benchmark)``, and models to forecast, bool."""
    run = np.array(table.run)
    hidden, test = np.zeros((2, len(folds), len(run)), bool)
    for fold, (runs, share) in enumerate(folds):
        for name in runs:
            part = table.tokens_t / table.tokens_t[run == name].max()
            hidden[fold] |= (run == name) & (part > share + 1e-6)
            test[fold] |= (run == name) & (part == 1.0)
    return table.observed[None] & ~hidden[:, :, None], test


def last_seen(
    table: sj.Leaderboard, train: np.ndarray, test: np.ndarray, share: np.ndarray
) -> pd.DataFrame:
    """Rows of the last scores that were seen of each run, carried forward: a single number."""
    run = np.array(table.run)
    rows = []
    for fold, model in zip(*np.nonzero(test), strict=True):
        for j in np.flatnonzero(table.observed[model]):
            mine = np.flatnonzero((run == run[model]) & train[fold, :, j])
            if mine.size:
                last = mine[np.argmax(table.tokens_t[mine])]
                error = abs(table.scores[last, j] - table.scores[model, j])
                rows.append((share[fold], table.models[model], table.benchmarks[j], error, error))
    return pd.DataFrame(rows, columns=["seen", "model", "benchmark", "error", "crps"])


def forecasts(
    table: sj.Leaderboard, folds: Sequence[Fold], settings: sj.FitSettings, key: jax.Array
) -> pd.DataFrame:
    """Forecasts of the ends of some runs by every method, a row per score."""
    train, test = masks(table, folds)
    share = np.array([seen for _, seen in folds])
    found = [last_seen(table, train, test, share).assign(method=LAST)]
    for method, known in ((RUNS, table), (APART, replace(table, run=()))):
        rows = predict_held_out(known, train, test, settings, key)
        found.append(rows.assign(method=method, seen=share[rows["fold"]]))
    return pd.concat(found, ignore_index=True)


def simulated(options, settings: sj.FitSettings) -> pd.DataFrame:
    """Forecasts on tables of every truth."""
    small = {"families": 2, "sizes": 2, "checkpoints": 5} if options.smoke else {}
    parts = []
    for truth, how in TRUTHS.items():
        for repeat in range(1 if options.smoke else options.tables):
            table, _ = synthetic_runs(1000 * options.seed + repeat, **(small | how))
            size = pd.Series(table.params_b).groupby(table.family).transform("max").to_numpy()
            runs = sorted({table.run[m] for m in np.flatnonzero(table.params_b == size)})
            began = time.perf_counter() - options.began
            tell(f"{began:.0f} s: {truth}, table {repeat + 1}, {len(runs)} runs to forecast ...")
            key = jax.random.fold_in(jax.random.key(options.seed), repeat)
            rows = forecasts(table, [(runs, share) for share in SEEN], settings, key)
            parts.append(rows.assign(truth=truth, run=f"{repeat}/" + rows["model"].str[:-4]))
    return pd.concat(parts, ignore_index=True)


def published(options, settings: sj.FitSettings) -> pd.DataFrame:
    """Forecasts of the last checkpoint of each published run from those before."""
    benchmarks = leaderboard_benchmarks("v1")
    table = sj.load_leaderboard(edition="2024", benchmarks=benchmarks)
    rows = pd.read_csv(PUBLISHED).drop(columns="source")
    table = sj.add_models(table.subset(table.known), rows)
    folds: list[Fold] = []
    for run in sorted(set(table.run) - {""}):
        tokens = np.sort(table.tokens_t[np.array(table.run) == run])
        folds += [([run], float(share)) for share in tokens[:-1] / tokens[-1]]
    tell(f"published runs, {len(folds)} forecasts ...")
    found = forecasts(table, folds, settings, jax.random.key(options.seed))
    run_of = dict(zip(table.models, table.run, strict=True))
    return found.assign(run=found["model"].map(run_of))


def means(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Means of every truth, method and share, with standard errors over runs."""
    found = []
    for (truth, seen, method), part in rows.groupby(["truth", "seen", "method"], sort=False):
        one: dict[str, object] = {"truth": truth, "seen": seen, "method": method}
        one |= {"scores": len(part), "runs": part["run"].nunique()}
        for name in SCORED:
            values = part[name].to_numpy(float)
            one[name], one[f"{name}_se"] = mean_and_error(values, part["run"].to_numpy())
        found.append(one)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw tables, fit every part of them with and without runs, score and save."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--tables", type=number(1), default=6, metavar="N", help="of each truth")
    options = parser.parse_args(arguments)
    settings = settings_of(options, sj.FitSettings(draws=200))
    rows = simulated(options, settings)
    parts: dict[str, Any] = {"simulated": means(rows)}
    record = save(options, {"held_out": rows}, settings, repeats=options.tables, **parts)
    if not options.smoke:
        real = published(options, settings)
        parts["published"] = means(real.assign(truth=real["run"]))
        rows = pd.concat([rows, real], ignore_index=True)
        record = save(options, {"held_out": rows}, settings, repeats=options.tables, **parts)
    shown = pd.DataFrame([one for part in parts.values() for one in part])
    print(shown[["truth", "seen", "method", *SCORED]].to_string(float_format="%.4f", index=False))
    tell(f"{record['seconds']:.0f} s. Results: {options.out}")


if __name__ == "__main__":
    execute(main)
