"""How well are the gaps of a table filled? The law beside rank-2 matrix completion and means.

On both editions of the bundled table scores are hidden in two ways: 30 % of all scores at random,
three times over; and all but three scores of a third of the models, each third in turn. The law
sees sizes, tokens and families, the other two see scores alone. Scores of a benchmark's smaller
source are learnt from and not predicted. Writes scores.csv.gz and summary.json.

Run: python experiments/completion.py --out out/completion
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, first_models, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import show_progress, tell
from sloth_jax.data import EDITIONS
from sloth_jax.evaluation.held_out import mean_and_error, score_rows
from sloth_jax.evaluation.matrix_completion import (
    Hide,
    column_means,
    complete_matrix,
    hide_scores,
)
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod

KEPT = 3  # scores of a model whose others are hidden
SHARE = 0.3  # of scores hidden at random
REPEATS = 3
RESAMPLES = 500  # of models, for the error of a median
LAW, FACTORS, MEANS = "the law", "rank-2 completion", "column means"
NUMBERS = {
    "mae": "error",
    "crps": "crps",
    "coverage_50": "covered_50",
    "coverage_90": "covered_90",
    "width_90": "width_90",
}


def at_random(seen: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Masks that each hide a share of the scores, drawn anew for each."""
    return [seen & (rng.random(seen.shape) < SHARE) for _ in range(REPEATS)]


def by_model(seen: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Masks that each hide all but a few scores of a third of the models, each model once."""
    third = rng.permutation(np.arange(len(seen)) % 3)
    # Scores of a model in a random order, those that are not there last.
    order = np.argsort(np.argsort(np.where(seen, rng.random(seen.shape), 2.0), axis=1), axis=1)
    return [seen & (order >= KEPT) & (third == one)[:, None] for one in range(3)]


# What is hidden, and what matrix completion hides in turn to choose its penalty: gaps alike.
PATTERNS: dict[str, tuple[Hide, Hide]] = {
    "30 % of scores": (at_random, hide_scores),
    "all but three": (by_model, by_model),
}


def of_main_source(table: sj.Leaderboard) -> np.ndarray:
    """Scores of the source that has most of their benchmark, ``(model, benchmark)``, bool."""
    found = np.zeros(table.scores.shape, bool)
    for j, seen in enumerate(table.observed.T):
        counts = np.bincount(table.source[seen, j], minlength=len(table.sources))
        found[:, j] = seen & (table.source[:, j] == counts.argmax())
    return found


def predict(table: sj.Leaderboard, settings: sj.FitSettings, seed: int) -> pd.DataFrame:
    """Hide scores in every pattern, and predict them by every method.

    Returns:
        A row per method and hidden score, with the columns of
        :func:`sloth_jax.evaluation.held_out.score_rows`, ``pattern``, ``fold`` and ``method``.
    """
    rng = np.random.default_rng(seed)
    hidden = [
        (pattern, fold, mask)
        for pattern, (hide, _) in PATTERNS.items()
        for fold, mask in enumerate(hide(table.observed, rng))
    ]
    train = np.array([table.observed & ~mask for *_, mask in hidden])
    with show_progress("fitting the law to every fold"):
        drawn = FitMethod(settings).sample(table, train, jax.random.key(seed)).draws
    parts = []
    for (pattern, fold, mask), seen, law in zip(hidden, train, drawn, strict=True):
        scores = np.where(seen, table.scores, np.nan)
        methods: dict[str, Callable[[], np.ndarray]] = {
            LAW: lambda law=law: law.astype(np.float64),
            FACTORS: lambda s=scores, p=pattern: complete_matrix(s, hide=PATTERNS[p][1], seed=seed),
            MEANS: lambda s=scores: column_means(s),
        }
        # Fewer than two scores of a benchmark say nothing of it.
        asked = mask & of_main_source(table) & (seen.sum(axis=0) >= 2)
        model, benchmark = np.nonzero(asked)
        for name, draw in methods.items():
            rows = score_rows(table, model, benchmark, draw()[:, model, benchmark])
            parts.append(rows.assign(pattern=pattern, fold=fold, method=name))
    return pd.concat(parts, ignore_index=True)


def median_and_error(rows: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float]:
    """Median absolute error, and its standard error by a bootstrap over models."""
    errors = [part.to_numpy() for _, part in rows.groupby("model")["error"]]
    drawn = rng.integers(len(errors), size=(RESAMPLES, len(errors)))
    medians = [np.median(np.concatenate([errors[m] for m in one])) for one in drawn]
    return float(np.median(rows["error"])), float(np.std(medians))


def summarise(rows: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """Numbers of each pattern and method, each with ``_se``, its standard error over models.

    ``crps_less_law`` is the CRPS less that of the law on the same scores.
    """
    found = []
    for (pattern, method), part in rows.groupby(["pattern", "method"], sort=False):
        model = part["model"].to_numpy()
        one: dict[str, Any] = {"pattern": pattern, "method": method, "scores": len(part)}
        one["models"] = part["model"].nunique()
        rng = np.random.default_rng(seed)
        one["median_error"], one["median_error_se"] = median_and_error(part, rng)
        for name, column in NUMBERS.items():
            one[name], one[f"{name}_se"] = mean_and_error(part[column].to_numpy(), model)
        law = rows[(rows["pattern"] == pattern) & (rows["method"] == LAW)]
        less = part["crps"].to_numpy() - law["crps"].to_numpy()
        one["crps_less_law"], one["crps_less_law_se"] = mean_and_error(less, model)
        found.append(one)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Hide, predict, score and save, edition by edition."""
    options = command_line(__file__, __doc__).parse_args(arguments)
    settings = settings_of(options, FOLD_SETTINGS)
    parts, editions = [], {}
    for edition in sorted(EDITIONS):
        table = sj.load_leaderboard(edition=edition)
        table = table.subset(table.known)
        table = first_models(table) if options.smoke else table
        tell(f"edition {edition}: {len(table.models)} models ...")
        rows = predict(table, settings, options.seed)
        parts.append(rows.assign(edition=edition))
        editions[edition] = summarise(rows, options.seed)
        scores = pd.concat(parts, ignore_index=True)
        save(options, {"scores.csv.gz": scores}, settings, editions=editions)
        print(pd.DataFrame(editions[edition]).to_string(index=False, float_format="%.4f"))
        if options.smoke:
            break
    tell(f"Results: {options.out}")


if __name__ == "__main__":
    execute(main)
