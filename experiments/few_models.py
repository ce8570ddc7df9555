"""What does seeing a family's small models buy? Error and interval width with 0 to 3 of them.

The models to predict are the same throughout: those of each family that are larger than its three
smallest. They are predicted with none of the family seen (a cold start), then with its smallest
one, two and three models. Writes held_out.csv, summary.json and few_models.png.

Run: python experiments/few_models.py --leaderboard v1 --out out/few_models_v1
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import (
    command_line,
    drawing,
    edition_2024,
    execute,
    predict_held_out,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.evaluation.folds import Folds
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks
from sloth_jax.plotting.figure_style import BLUE

MOST = 3  # observed models of a family
SCORED = ["error", "width_90", "covered_90", "crps"]


def train_on(folds: Folds, count: int) -> np.ndarray:
    """Training scores of the same folds with fewer models of the tested families.

    Args:
        folds: of ``n_train = MOST``.
        count: how many of the smallest models of each tested family stay in training.

    Returns:
        ``(fold, model, benchmark)``, bool.
    """
    table, train = folds.table, folds.train.copy()
    for fold, families in enumerate(folds.tested):
        for family in families:
            mine = table.family == table.families.index(family)
            seen = np.flatnonzero(mine & train[fold].any(axis=1))
            by_size = seen[np.argsort(table.params_b[seen], kind="stable")]
            train[fold, by_size[count:]] = False
    return train


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the folds once for each number of observed models, score, save and draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--leaderboard", choices=LEADERBOARDS, required=True)
    options = parser.parse_args(arguments)
    table = edition_2024().select_benchmarks(leaderboard_benchmarks(options.leaderboard))
    groups = sj.lineage_groups(table, n_train=MOST)
    folds = sj.make_folds(table, groups, n_train=MOST, protocol="strict", complete=False)
    counts = range(MOST + 1)
    if options.smoke:
        folds, counts = folds.select([0, 1]), range(2)
    settings = settings_of(options, FOLD_SETTINGS)
    key = jax.random.key(options.seed)
    parts = []
    for count in counts:
        tell(f"{count} models of a family observed: {len(folds.tested)} folds ...")
        part = predict_held_out(folds.table, train_on(folds, count), folds.test, settings, key)
        parts.append(part.assign(observed=count))
    rows = pd.concat(parts, ignore_index=True)
    means = pd.DataFrame(rows.groupby("observed")[SCORED].mean())
    # Scores of one family miss together.
    errors = means.copy()
    for count, part in zip(counts, parts, strict=True):
        of_family = part["family"].to_numpy()
        errors.loc[count] = [mean_and_error(part[n].to_numpy(), of_family)[1] for n in SCORED]
    record = save(
        options,
        {"held_out": rows},
        settings,
        leaderboard=options.leaderboard,
        families=rows["family"].nunique(),
        scores=len(parts[0]),
        by_observed=json.loads(means.round(5).to_json(orient="index")),
        standard_errors=json.loads(errors.round(5).to_json(orient="index")),
    )
    title = (
        f"{options.leaderboard}: {record['scores']} scores of larger models of "
        f"{record['families']} families; bars: two standard errors over families"
    )
    draw(options.out / "few_models.png", means, errors, title)
    print(means.to_string(float_format="%.4f"))
    tell(f"{record['seconds']:.0f} s. Results: {options.out}")


def draw(path: Path, means: pd.DataFrame, errors: pd.DataFrame, title: str) -> None:
    """Error and interval width against the number of observed models."""
    titles = {"error": "mean absolute error", "width_90": "mean width of 90 % intervals"}
    with drawing(path, 1, 2, figsize=(8.0, 3.4)) as (figure, axes):
        for ax, (name, what) in zip(axes, titles.items(), strict=True):
            bars = 2.0 * errors[name]
            ax.errorbar(means.index, means[name], bars, color=BLUE, marker="o", capsize=3)
            ax.set_ylim(bottom=0.0)
            ax.set_xticks(means.index)
            ax.set_title(what)
            ax.set_xlabel("models of the family observed")
        figure.suptitle(title)


if __name__ == "__main__":
    execute(main)
