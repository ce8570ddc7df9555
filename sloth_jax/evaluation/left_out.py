"""Refits without some lineages of a table, and what they predict of those, beside a FLOPs law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.baselines import Baseline
from sloth_jax.evaluation.held_out import mean_and_error, score_rows, summarise
from sloth_jax.evaluation.methods import FitMethod
from sloth_jax.evaluation.splits import split_by_lineage
from sloth_jax.inference.settings import FitSettings
from sloth_jax.progress import Progress, silent

_FOLDS = 6  # of the bundled table: a few minutes on two cores
_LEAST_LINEAGES = 3  # of fewer, standard errors over lineages say nothing
_LEAST_SCORES = 3  # of a benchmark that a refit sees


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Lineages that are left out in turn.

    Attributes:
        table: the scored models.
        n_train: how many of a left-out lineage's smallest models stay.
        train: scores that a refit may use, ``(fold, model, benchmark)``, bool.
        test: scores that it is to predict, likewise.
    """

    table: Leaderboard
    n_train: int
    train: np.ndarray
    test: np.ndarray


def leave_out(table: Leaderboard, n_train: int, folds: int | None = None) -> LeftOut:
    """Groups of lineages to leave out together, of about as many models each.

    Args:
        table: models and scores.
        n_train: how many of a left-out lineage's smallest models stay, 0 or 1.
        folds: how many groups; None for six, or as many as the table allows.

    Raises:
        InputError: if fewer than three lineages can be left out, or fewer than ``folds``.
    """
    table = table.subset(np.asarray(table.observed.any(axis=1)))
    models = np.bincount(table.lineage_of_family[table.family])
    able = int((models > n_train).sum())
    if able < _LEAST_LINEAGES:
        more = " with two models or more" if n_train else ""
        raise InputError(
            f"{able} lineages{more} have scores and can be left out, an evaluation needs "
            f"{_LEAST_LINEAGES}: add models of other lineages"
        )
    if folds is not None and folds > able:
        raise InputError(
            f"{folds} folds: the table has {able} lineages to leave out; ask for {able} or fewer"
        )
    split = split_by_lineage(lineages_as_families(table), n_train, folds=min(folds or _FOLDS, able))
    learnt = split.train.sum(axis=1) >= _LEAST_SCORES  # (fold, benchmark)
    test = split.test[:, :, None] & table.observed[None] & learnt[:, None, :]
    of_model = table.lineage_of_family[table.family]
    found = np.unique(of_model[test.any(axis=(0, 2))]).size
    if found < _LEAST_LINEAGES:
        raise InputError(
            f"{found} lineages share benchmarks with {_LEAST_SCORES} scores of others, an "
            f"evaluation needs {_LEAST_LINEAGES}: ask for more --folds, or add models"
        )
    return LeftOut(table, n_train, split.train, test)


def lineages_as_families(table: Leaderboard) -> Leaderboard:
    """The same models and scores, each lineage one family."""
    count = len(table.lineages)
    return replace(
        table,
        families=table.lineages,
        family=table.lineage_of_family[table.family],
        lineage_of_family=np.arange(count),
        post_trained_of_family=np.zeros(count),
    )


def predict_left_out(
    left: LeftOut, settings: FitSettings, key: Array, progress: Progress = silent
) -> pd.DataFrame:
    """Refit without each group of lineages and predict it.

    Args:
        left: from :func:`leave_out`.
        settings: of the fits.
        key: random key.
        progress: told of every refit.

    Returns:
        A row per left-out score: ``fold``, the columns of
        :func:`sloth_jax.evaluation.held_out.score_rows` with 50 % and 90 % intervals, and
        ``flops_law``, ``flops_error``: prediction and absolute error of the FLOPs law, which has no
        intervals, NaN of models of unknown FLOPs. Fractions.
    """
    table, count, together = left.table, len(left.train), len(jax.devices())
    parts: list[pd.DataFrame] = []
    with progress("refitting without some lineages", count) as advance:
        for start in range(0, count, together):
            # The last fold stands in for those that are missing: another number would be compiled.
            at = np.minimum(np.arange(start, start + together), count - 1)
            draws = FitMethod(settings).sample(table, left.train[at], key).draws
            for fold in range(start, min(start + together, count)):
                model, benchmark = np.nonzero(left.test[fold])
                drawn = draws[fold - start][:, model, benchmark].astype(np.float64)
                rows = score_rows(table, model, benchmark, drawn, (0.5, 0.9))
                parts.append(rows.assign(fold=fold + 1, _model=model, _benchmark=benchmark))
            advance(min(together, count - start))
    rows = pd.concat(parts, ignore_index=True)
    with progress("fitting the FLOPs law"):
        plain = _predict_by_flops(left, key)
    predicted = plain[rows["fold"] - 1, rows.pop("_model"), rows.pop("_benchmark")]
    rows.insert(0, "fold", rows.pop("fold"))
    return rows.assign(flops_law=predicted, flops_error=np.abs(predicted - rows["score"]))


def _predict_by_flops(left: LeftOut, key: Array) -> np.ndarray:
    """Scores by the FLOPs law, ``(fold, model, benchmark)``; NaN of models of unknown FLOPs."""
    known = left.table.known
    table = left.table.subset(known)
    active = np.where(np.isnan(table.active_params_b), table.params_b, table.active_params_b)
    table, law = replace(lineages_as_families(table), params_b=active), flops_law(left.n_train)
    found = np.full(left.train.shape, np.nan)
    found[:, known] = law(table, left.train[:, known], key)
    return found


def flops_law(n_train: int) -> Callable[[Leaderboard, np.ndarray, Array], np.ndarray]:
    """A sigmoid of log training FLOPs for each benchmark, its floor learnt too.

    Args:
        n_train: with a model of each left-out lineage seen, lineages have intercepts of their own;
            without, one intercept serves all (Owen, arXiv 2401.04757).
    """
    return Baseline("flops", None, "logistic", family_intercepts=n_train > 0)


def summary_of(rows: pd.DataFrame) -> dict[str, float]:
    """Errors and coverage over all left-out scores, each with ``_se``, its error over lineages.

    ``flops_mae`` and ``mae_less_flops`` are over the ``flops_scores`` of models of known FLOPs.
    """
    found = summarise(rows)
    lineage = rows["lineage"].to_numpy()
    for name, values in (
        ("flops_mae", rows["flops_error"]),
        ("mae_less_flops", rows["error"] - rows["flops_error"]),
    ):
        found[name], found[f"{name}_se"] = mean_and_error(values.to_numpy(), lineage)
    counts = {"families": rows["family"].nunique(), "models": rows["model"].nunique()}
    return found | counts | {"flops_scores": int(rows["flops_error"].notna().sum())}


def benchmark_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """:func:`summary_of` of each benchmark, in the order in which they first appear."""
    return pd.DataFrame(
        [
            {"benchmark": name} | summary_of(one)
            for name, one in rows.groupby("benchmark", sort=False)
        ]
    )
