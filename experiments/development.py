"""How good is a configuration of the fit? Scores on development splits, on which defaults rest.

Splits of :mod:`sloth_jax.evaluation.splits`: later releases, whole lineages but for their families'
n smallest models, the corner of large models with many tokens, tables of two dozen models, and
lineages of a table with other benchmarks. The published folds are not among them, so that they
remain a test. Per split: mean absolute error of the median, CRPS, shares of scores inside 50 % and
90 % intervals, counted over scores and over families, mean width; with standard errors over
lineages. Writes scores.csv, summary.json and splits/, a file per split: a run that is stopped goes
on with the next.

Run: python experiments/development.py --out out/development
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import (
    check_same,
    command_line,
    edition_2024,
    execute,
    predict_held_out,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import NUMBERS, score_rows, summarise
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.evaluation.splits import (
    Split,
    small_tables,
    split_by_corner,
    split_by_date,
    split_by_lineage,
)
from sloth_jax.files import frame_csv, write_text
from sloth_jax.law.options import SIZES, SURFACES

COUNTS = (0, 1, 2, 3)  # models of a family that stay
SMALL = 24  # models of a small table
AVERAGED: tuple[dict[str, Any], ...] = (
    {"skills": 2},
    {"skills": 3},
    {"skills": 4},
    {"skills": 3, "surface": "translog"},
)
"""Laws that --average weighs; what a dictionary does not name is as without it."""


def development_splits(seed: int, *, smoke: bool = False) -> dict[str, Callable[[], list[Split]]]:
    """Name of each split -> what makes it: one table, or several that are scored together.

    Args:
        seed: of the small tables.
        smoke: one small table only, and its lineages.
    """
    table = edition_2024()
    if smoke:
        (small,) = small_tables(table, seed=seed, models=8, tables=1)
        return {
            "8 models": lambda: [small],
            "by lineage, n = 1": lambda: [split_by_lineage(small.table, 1, folds=2)],
        }
    return {
        "by date": lambda: [split_by_date(table)],
        **{f"by lineage, n = {n}": lambda n=n: [split_by_lineage(table, n)] for n in COUNTS},
        "by corner": lambda: [split_by_corner(table)],
        f"{SMALL} models": lambda: small_tables(table, seed=seed, models=SMALL),
        "other benchmarks": lambda: [split_by_lineage(_scored(sj.load_observational()), 1)],
    }


def _scored(table: sj.Leaderboard) -> sj.Leaderboard:
    return table.subset(np.asarray(table.observed.any(axis=1)))


def predict_splits(
    splits: list[Split], settings: sj.FitSettings, key: jax.Array, *, averaged: bool = False
) -> pd.DataFrame:
    """Rows of :func:`_runner.predict_held_out` of splits that count as one."""
    predict = predict_averaged if averaged else predict_held_out
    parts = [
        predict(one.table, one.train, one.test, settings, key).assign(table=at)
        for at, one in enumerate(splits)
    ]
    return pd.concat(parts, ignore_index=True)


def predict_averaged(
    table: sj.Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    settings: sj.FitSettings,
    key: jax.Array,
) -> pd.DataFrame:
    """As :func:`_runner.predict_held_out`, by the stacked forecasts of :data:`AVERAGED`."""
    fit_key, draw_key = jax.random.split(key)
    parts = []
    for fold, (mask, hidden) in enumerate(zip(train, test, strict=True)):
        seen = replace(table, scores=np.where(mask, table.scores, np.nan))
        fits = [sj.fit(seen, key=fit_key, settings=settings, **one) for one in AVERAGED]
        weights = sj.stacking_weights(fits)
        forecasts = [sj.forecast_table(one, key=draw_key) for one in fits]
        draws = sj.average(forecasts, weights.fits).draws
        model, benchmark = np.nonzero(hidden[:, None] & table.observed)
        rows = score_rows(table, model, benchmark, draws[:, model, benchmark])
        rows = rows.assign(fold=fold, pareto_k=weights.max_pareto_k.max(), max_rhat=np.nan)
        parts.append(rows.assign(**{f"weight_{at}": w for at, w in enumerate(weights.fits)}))
    return pd.concat(parts, ignore_index=True)


def summarise_split(rows: pd.DataFrame) -> dict[str, float]:
    """The numbers of a split, each with ``_se``, its standard error over lineages."""
    worst = {name: float(rows[name].max()) for name in ("pareto_k", "max_rhat")}
    return summarise(rows) | worst


def main(arguments: Sequence[str] | None = None) -> None:
    """Score every split that is not done yet, and save after each."""
    options = parse(arguments)
    settings = settings_of(options, FOLD_SETTINGS)
    if options.draws:
        chains = replace(settings.nuts, draws=-(-options.draws // settings.nuts.chains))
        settings = replace(settings, draws=options.draws, nuts=chains)
    splits = development_splits(options.seed, smoke=options.smoke)
    for name in options.splits or splits:
        if name not in splits:
            raise sj.InputError(f"no split {name!r}: {', '.join(splits)}")
    summary, folder = options.out / "summary.json", options.out / "splits"
    if summary.exists():
        wanted = {"seed": options.seed, "smoke": options.smoke, "average": options.average}
        kept = json.loads(summary.read_text())
        check_same(options.out, kept, wanted | {"settings": asdict(settings)})
    else:  # what the splits to come are made with
        save(options, {}, settings, average=options.average)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, float]] = {}
    key = jax.random.key(options.seed)
    for name, make in splits.items():
        if options.splits and name not in options.splits:
            continue
        path = folder / f"{name.replace(',', '').replace(' = ', '').replace(' ', '_')}.csv"
        tell(f"{name}: done before" if path.exists() else f"{name} ...")
        if not path.exists():
            rows = predict_splits(make(), settings, key, averaged=options.average)
            write_text(path, frame_csv(rows, "%.9g"))
        # What is kept is what is summarised, so that a run that was stopped gives the same.
        found[name] = summarise_split(pd.read_csv(path))
        scores = pd.DataFrame(found).T.rename_axis("split")
        means = scores[list(NUMBERS)].mean()
        last = pd.DataFrame([{"split": "mean", **means.to_dict()}])
        table = pd.concat([scores.reset_index(), last], ignore_index=True)
        rows = json.loads(table.to_json(orient="records"))
        save(options, {"scores": table}, settings, average=options.average, splits=rows)
        one = found[name]
        shown = (f"{what} {one[what]:.4f} ({one[f'{what}_se']:.4f})" for what in means.index)
        print(f"{name}: {', '.join(shown)}", flush=True)
    shown = (f"{what} {value:.4f}" for what, value in means.items())
    print(f"mean over splits: {', '.join(shown)}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__file__, __doc__)
    default = sj.FitSettings()
    parser.add_argument("--surface", choices=SURFACES, default=default.surface)
    parser.add_argument("--size", choices=SIZES, default=default.size)
    parser.add_argument(
        "--average", action="store_true", help="stack laws of several skills and surfaces"
    )
    parser.add_argument("--splits", nargs="+", metavar="NAME", help="only these; default: all")
    parser.add_argument("--draws", type=number(2), help="of each fit, all chains together")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    execute(main, interrupted="stopped; the same command goes on")
