"""Development splits: held-out models on which defaults are chosen, apart from the published folds.

A split hides scores of a table and says which models are to be predicted; it is a mask, as a fold
of :mod:`sloth_jax.evaluation.folds` is. Kinds:

* by date (:func:`split_by_date`): what was released later is predicted from what was there before,
  and from the smallest model of each later family;
* by lineage (:func:`split_by_lineage`): whole lineages are left out, but for the ``n`` smallest
  models of each of their families;
* by corner (:func:`split_by_corner`): the models with both many parameters and many tokens;
* small tables (:func:`small_tables`): the same question to tables of two dozen models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.showing import Shown

DATES = ("2023-07", "2024-01", "2024-05")
QUANTILES = (0.6, 0.7, 0.8)


@dataclass(frozen=True, eq=False, repr=False)
class Split(Shown):
    """Which scores may be used and which models are predicted.

    Attributes:
        name: what is held out, in a word or two.
        table: models and scores.
        train: ``(fold, model, benchmark)`` True where a score may be used.
        test: ``(fold, model)`` True for models to be predicted.
    """

    name: str
    table: Leaderboard
    train: np.ndarray
    test: np.ndarray


def _split(name: str, table: Leaderboard, hidden: np.ndarray, test: np.ndarray) -> Split:
    observed = table.observed
    scored = np.any(observed, axis=1)
    return Split(name, table, observed[None] & ~hidden[:, :, None], test & scored[None, :])


def smallest(table: Leaderboard, count: int, among: np.ndarray | None = None) -> np.ndarray:
    """The ``count`` smallest scored models of each family, ``(model,)``, bool.

    Args:
        table: models.
        count: how many.
        among: models that count, ``(model,)``, bool; None for all with a score.
    """
    among = np.any(table.observed, axis=1) if among is None else among
    found = np.zeros(len(table.models), bool)
    for family in range(len(table.families)):
        rows = np.flatnonzero((table.family == family) & among)
        found[rows[np.argsort(table.params_b[rows], kind="stable")][:count]] = True
    return found


def balanced_groups(load: np.ndarray, groups: int) -> np.ndarray:
    """Groups of about the same load: the largest first, each to the group that holds least.

    Args:
        load: of each item, ``(item,)``, not negative.
        groups: how many.

    Returns:
        Group of each item, ``(item,)``; -1 for one without load.
    """
    found, filled = np.full(load.size, -1), np.zeros(groups)
    for item in np.argsort(-load, kind="stable"):
        if load[item]:
            found[item] = np.argmin(filled)
            filled[found[item]] += load[item]
    return found


def split_by_date(table: Leaderboard, dates: tuple[str, ...] = DATES) -> Split:
    """Predict models of families whose first model was released at a date or later.

    A family's date is that of its first model. Of later families the smallest model is training.

    Args:
        table: models with release dates.
        dates: year and month, one fold each.

    Raises:
        InputError: if no model, or every one, is later than a date.
    """
    released = np.array([day or "9999" for day in table.released])
    first = np.array(
        [
            min(released[table.family == f]) if (table.family == f).any() else "9999"
            for f in range(len(table.families))
        ]
    )
    later = np.array([first[table.family] >= date for date in dates])
    for date, fold in zip(dates, later, strict=True):
        if fold.all() or not fold.any():
            raise InputError(f"date {date} does not divide the table: choose one among its dates")
    hidden = later & ~smallest(table, 1)[None]
    return _split("by date", table, hidden, hidden)


def split_by_lineage(table: Leaderboard, count: int, *, folds: int = 6) -> Split:
    """Leave lineages out but for the smallest models of each of their families.

    Args:
        table: models and scores.
        count: smallest models of each family that stay, 0 or more.
        folds: groups of lineages that are left out together, of about as many models each.
    """
    of_model = table.lineage_of_family[table.family]
    hidden_of = ~smallest(table, count) & table.observed.any(axis=1)
    waiting = np.bincount(of_model, hidden_of, minlength=len(table.lineages))
    group = balanced_groups(waiting, folds)
    used = np.unique(group[group >= 0])
    hidden = (group[of_model][None] == used[:, None]) & hidden_of[None]
    return _split(f"by lineage, n = {count}", table, hidden, hidden)


def split_by_corner(table: Leaderboard, quantiles: tuple[float, ...] = QUANTILES) -> Split:
    """Predict the models beyond a quantile of size and of tokens both, one fold for each quantile.

    Args:
        table: models and scores.
        quantiles: of the table's sizes and tokens; those that leave no model are left out.
    """
    folds = []
    for q in quantiles:
        large = table.params_b >= np.nanquantile(table.params_b, q)
        folds.append(large & (table.tokens_t >= np.nanquantile(table.tokens_t, q)))
    hidden = np.array([fold for fold in folds if fold.any()])
    return _split("by corner", table, hidden, hidden)


def small_tables(
    table: Leaderboard, *, seed: int, models: int = 24, tables: int = 4
) -> list[Split]:
    """Tables of a few whole lineages, in which the larger models of half the families are hidden.

    Args:
        table: to take lineages from.
        seed: which lineages.
        models: at least so many models each.
        tables: how many tables.
    """
    rng = np.random.default_rng(seed)
    of_model = table.lineage_of_family[table.family]
    found = []
    for _ in range(tables):
        chosen = np.zeros(len(table.models), bool)
        for lineage in rng.permutation(len(table.lineages)):
            if chosen.sum() < models and (of_model == lineage).sum() <= models // 2:
                chosen |= of_model == lineage
        part = table.subset(chosen)
        lineage = part.lineage_of_family[part.family]
        half = rng.permutation(len(part.lineages))[: (len(part.lineages) + 1) // 2]
        folds = [np.isin(lineage, half), ~np.isin(lineage, half)]
        hidden = np.array(folds) & ~smallest(part, 1)[None]
        hidden = hidden[hidden.any(axis=1)]
        found.append(_split(f"{models} models", part, hidden, hidden))
    return found
