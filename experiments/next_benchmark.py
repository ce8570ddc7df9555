"""Which benchmark next: does the picked one narrow the others, and is it better than another?

All but a few scores of some models of the bundled table are hidden, and three more are revealed one
after the other: those that `sloth-jax next --equal-cost` picks for each model, the same for all
(those with the largest expected fall averaged over the models), or at random. Each time the law is
fitted anew, to all models with their revealed scores. What is compared are the scores that no way
of choosing has revealed: the error of the median and the width of 90 % intervals, against the fit
before. Writes held_out.csv, picks.csv, falls.csv, promised.csv, summary.json and
next_benchmark.png.

Run: python experiments/next_benchmark.py --out out/next_benchmark
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import (
    command_line,
    drawing,
    edition_2024,
    execute,
    first_models,
    legend_below,
    predict_held_out,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.planning.next_benchmark import mean_falls
from sloth_jax.plotting.figure_style import BLUE, GREY, ORANGE

WAYS = {"picked": BLUE, "fixed": ORANGE, "random": GREY}
NUMBERS = {"error": "error", "crps": "CRPS", "width_90": "width"}


def hide(table: sj.Leaderboard, models: int, stay: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Models whose scores are hidden, and those of their scores that stay.

    Args:
        table: models and scores.
        models: how many, drawn from those with every score.
        stay: how many scores of each stay.
        seed: which models and scores.

    Returns:
        Positions ``(chosen,)``, and ``(model, benchmark)`` True where a score may be used.
    """
    rng = np.random.default_rng(seed)
    complete = np.flatnonzero(table.observed.all(axis=1))
    if complete.size < models:
        raise sj.InputError(f"--models {models}: the table has {complete.size} complete ones")
    chosen = np.sort(rng.permutation(complete)[:models])
    kept = table.observed.copy()
    kept[chosen] = False
    for row in chosen:
        kept[row, rng.permutation(len(table.benchmarks))[:stay]] = True
    return chosen, kept


def choices(
    fit: sj.Fit, chosen: np.ndarray, steps: int, seed: int, key: jax.Array
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Benchmarks that each way of choosing reveals, ``(chosen, step)`` positions each.

    Returns:
        By the names of :data:`WAYS`, and what is promised of those picked: rows of
        :func:`sloth_jax.planning.next_benchmark` with ``model``.
    """
    table, rng = fit.table, np.random.default_rng([seed, 1])
    even = dict.fromkeys(table.benchmarks, 1.0)
    promised, falls = [], []
    for row in chosen:
        name = table.models[row]
        rows = sj.next_benchmark(fit, name, key=key, steps=steps, costs=even, draws=300)
        promised.append(rows.assign(model=name))
        falls.append(mean_falls(fit, name, key=key, draws=300))
    hidden = ~table.observed[chosen]
    order = np.argsort(-np.nanmean(np.where(hidden, falls, np.nan), axis=0))
    found = {
        "picked": [[table.benchmarks.index(b) for b in one["benchmark"]] for one in promised],
        "fixed": [[j for j in order if free[j]][:steps] for free in hidden],
        "random": [rng.permutation(np.flatnonzero(free))[:steps] for free in hidden],
    }
    return {way: np.array(at) for way, at in found.items()}, pd.concat(promised, ignore_index=True)


def folds_of(
    kept: np.ndarray, chosen: np.ndarray, revealed: dict[str, np.ndarray], steps: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Masks of what may be used before and after every step, and what each is.

    Returns:
        ``(fold, model, benchmark)``, bool; and ``way, step`` of each fold, the first before any.
    """
    masks, names = [kept], [("before", 0)]
    for way, at in revealed.items():
        for step in range(1, steps + 1):
            mask = kept.copy()
            mask[chosen[:, None], at[:, :step]] = True
            masks.append(mask)
            names.append((way, step))
    return np.array(masks), pd.DataFrame(names, columns=["way", "step"])


def of_steps(rows: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Errors, CRPS and widths after each step beside those before, on the scores that all predict.

    Args:
        rows: of all folds, with ``way`` and ``step``; only scores that a fold had not seen.
        steps: how many.

    Returns:
        A row per step, way and number: ``before``, ``after``, ``fall`` with its standard error over
        lineages, and ``beyond_random``, how much larger the fall is than at random, likewise.
    """
    at = ["lineage", "model", "benchmark"]
    tables = {name: part.set_index(at) for name, part in rows.groupby(["way", "step"])}
    found = []
    for step in range(1, steps + 1):
        common = tables["before", 0].index
        for way in WAYS:
            common = common.intersection(tables[way, step].index)
        group = common.get_level_values("lineage").to_numpy()
        before, by_chance = (tables[one].loc[common] for one in (("before", 0), ("random", step)))
        for way in WAYS:
            after = tables[way, step].loc[common]
            for name, label in NUMBERS.items():
                fall = mean_and_error((before[name] - after[name]).to_numpy(), group)
                more = mean_and_error((by_chance[name] - after[name]).to_numpy(), group)
                found.append(
                    {
                        "step": step,
                        "way": way,
                        "number": label,
                        "scores": len(common),
                        "before": before[name].mean(),
                        "after": after[name].mean(),
                        "fall": fall[0],
                        "fall_se": fall[1],
                        "beyond_random": more[0],
                        "beyond_random_se": more[1],
                        "coverage_90": after["covered_90"].mean(),
                    }
                )
    return pd.DataFrame(found)


def kept_promises(rows: pd.DataFrame, promised: pd.DataFrame) -> pd.DataFrame:
    """Width that was expected after each step, and width that came, of each model."""
    after = rows[rows["way"] == "picked"].rename(columns={"width_90": "came"})
    came = after.groupby(["model", "step"], as_index=False)[["came"]].mean()
    found = promised.merge(came, on=["model", "step"])
    inside = found["came"].between(found["lower"], found["upper"])
    return found.assign(inside=inside)


def main(arguments: Sequence[str] | None = None) -> None:
    """Hide, choose, reveal, fit, compare."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--models", type=number(2), default=30, help="whose scores are hidden")
    parser.add_argument("--kept", type=number(0), default=2, help="scores of each that stay")
    parser.add_argument("--steps", type=number(1), default=3, help="scores that are revealed")
    options = parser.parse_args(arguments)
    full, models, steps = edition_2024(), options.models, options.steps
    if options.smoke:
        full, models, steps = first_models(full, 60), 2, 1
    settings = settings_of(options, FOLD_SETTINGS)
    chosen, kept = hide(full, models, options.kept, options.seed)
    seen = replace(full, scores=np.where(kept, full.scores, np.nan))
    fit_key, key, fold_key = jax.random.split(jax.random.key(options.seed), 3)
    tell("fitting without the hidden scores ...")
    fit = sj.fit(seen, key=fit_key, settings=settings)
    revealed, promised = choices(fit, chosen, steps, options.seed, key)
    train, names = folds_of(kept, chosen, revealed, steps)
    test = np.zeros(train.shape[:2], bool)
    test[:, chosen] = True
    tell(f"{len(train)} fits, before and after each step ...")
    rows = predict_held_out(full, train, test, settings, fold_key)
    at = [
        rows["fold"],
        *(
            [list(getattr(full, f"{what}s")).index(n) for n in rows[what]]
            for what in ("model", "benchmark")
        ),
    ]
    rows = rows[~train[tuple(at)]].join(names, on="fold")
    falls, promises = of_steps(rows, steps), kept_promises(rows, promised)
    picks = pd.DataFrame(
        [
            {
                "way": way,
                "model": full.models[row],
                "step": step + 1,
                "benchmark": full.benchmarks[j],
            }
            for way, at in revealed.items()
            for row, of_model in zip(chosen, at, strict=True)
            for step, j in enumerate(of_model)
        ]
    )
    first = picks[(picks["way"] == "picked") & (picks["step"] == 1)]["benchmark"].value_counts()
    record = save(
        options,
        {"held_out": rows, "picks": picks, "falls": falls, "promised": promises},
        settings,
        models=len(chosen),
        lineages=int(rows["lineage"].nunique()),
        steps=steps,
        kept=options.kept,
        falls=json.loads(falls.to_json(orient="records")),
        promised=json.loads(
            promises.groupby("step")[["before", "width", "came", "inside"]]
            .mean()
            .to_json(orient="index")
        ),
        first_picks=first.to_dict(),
        fixed=[full.benchmarks[j] for j in dict.fromkeys(revealed["fixed"][:, 0])],
    )
    draw(options.out / "next_benchmark.png", falls, record)
    print(falls.to_string(index=False, float_format="%.4f"))
    print(promises.groupby("step")[["before", "width", "came", "inside"]].mean().to_string())


def draw(path: Path, falls: pd.DataFrame, record: dict) -> None:
    """Fall of the error and of the width by each way of choosing, bars of one standard error."""
    panels = {"error": "fall of the mean absolute error", "width": "fall of the mean width"}
    with drawing(path, 1, 2, figsize=(8.4, 3.6)) as (figure, axes):
        for ax, (name, what) in zip(axes, panels.items(), strict=True):
            for place, ((way, colour), marker) in enumerate(zip(WAYS.items(), "oDs", strict=True)):
                part = falls[(falls["way"] == way) & (falls["number"] == name)]
                style = {"color": colour, "capsize": 3, "marker": marker, "linestyle": ""}
                x = part["step"] + 0.08 * (place - 1)
                ax.errorbar(x, part["fall"], part["fall_se"], label=way, **style)
            ax.axhline(0.0, color="0.7", zorder=0)
            ax.set_xticks(range(1, record["steps"] + 1))
            ax.set_xlabel("scores revealed")
            ax.set_title(what)
        axes[0].set_ylabel("fractions of a score")
        legend_below(figure, axes[0], 3)
        figure.suptitle(
            f"{record['models']} models of {record['lineages']} lineages, {record['kept']} scores "
            "of each known; bars: one standard error over lineages"
        )


if __name__ == "__main__":
    execute(main)
