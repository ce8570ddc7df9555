"""Folds of cross-validation: which scores a method may learn from, which models it must predict.

A fold hides the large models of some families and keeps their ``n_train`` smallest; all other
families stay whole (Maia Polo et al., arXiv 2412.06540). Every fold is a mask on the arrays of one
table, so a method can run all of them in one compiled program.

Two protocols: ``published`` is the authors' own. In it a large derivative of a tested base model,
such as Orca 2 on Llama 2, stays in training and gives away what its base can do. ``strict`` hides
it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.tables import read_bundled
from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, one_line, quoted

LEADERBOARDS = ("v1", "v2", "both")
"""The two Open LLM Leaderboards with 6 benchmarks each, and their 12 together."""

PROTOCOLS = ("published", "strict")

# A direction of a design whose columns have length 1 is null below this part of the largest
# singular value; in single precision below this many roundings.
_RANK_TOLERANCE = 1e-8
_ROUNDINGS = 8
# Null directions are found with an error of about one rounding over the smallest singular value
# that counts; their entries are zero below this many times the tolerance.
_ZERO = 100
_NAMED = 6  # names that a message lists before it counts the rest


def leaderboard_benchmarks(leaderboard: str) -> tuple[str, ...]:
    """Returns the bundled benchmarks of a leaderboard, in the bundled table's order.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.

    Raises:
        InputError: there is no such leaderboard.
    """
    _check_choice("leaderboard", leaderboard, LEADERBOARDS)
    return tuple(
        row["benchmark"]
        for row in _bundled_rows("benchmarks.csv")
        if leaderboard in (row["leaderboard"], "both")
    )


def published_groups(leaderboard: str, n_train: int) -> tuple[tuple[str, ...], ...]:
    """Returns the families that each published fold tests together.

    The names are the published ones, those of ``load_leaderboard(corrected=False)``; the corrected
    table spells a few families differently.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.
        n_train: models of each tested family that stay in training, 1 or 2.

    Raises:
        InputError: there are no published folds of this kind.
    """
    _check_choice("leaderboard", leaderboard, LEADERBOARDS)
    if n_train not in (1, 2):
        raise InputError(
            f"no published folds keep {n_train} training models of a tested family: choose 1 or 2"
        )
    groups: dict[int, list[str]] = {}
    for row in _bundled_rows("folds.csv"):
        if (row["leaderboard"], int(row["n_train"])) == (leaderboard, n_train):
            groups.setdefault(int(row["fold"]), []).append(row["family"])
    return tuple(tuple(groups[fold]) for fold in sorted(groups))


def published_errors(leaderboard: str, n_train: int) -> dict[str, float]:
    """Returns the published mean absolute error of every published method, a fraction.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.
        n_train: models of each tested family that stay in training.

    Returns:
        method -> error, in the published order; empty where nothing was published.
    """
    return {
        row["method"]: float(row["mean_abs_error"])
        for row in _bundled_rows("published_errors.csv")
        if (row["leaderboard"], int(row["n_train"])) == (leaderboard, n_train)
    }


def lineage_groups(table: Leaderboard, n_train: int) -> tuple[tuple[str, ...], ...]:
    """Groups for any table: the families of a lineage that can be tested, one lineage a group.

    Args:
        table: models and scores.
        n_train: models of each tested family that stay in training, 1 or more.

    Returns:
        for each lineage in the table's order its families with at least ``n_train + 1`` models
        that have all scores; lineages without such a family are left out.

    Raises:
        InputError: ``n_train`` is less than 1.
    """
    _check_n_train(n_train)
    count = _complete_models(table)
    groups = [
        tuple(
            name
            for f, name in enumerate(table.families)
            if table.lineage_of_family[f] == lineage and count[f] > n_train
        )
        for lineage in range(len(table.lineages))
    ]
    return tuple(group for group in groups if group)


@dataclass(frozen=True, eq=False)
class Folds:
    """Folds of cross-validation as masks on one table.

    Attributes:
        table: the models and their scores, those to be predicted among them.
        train: ``(fold, model, benchmark)`` True where a method may use the score.
        test: ``(fold, model)`` True for models to be predicted; none of their scores is in
            ``train``.
        tested: ``(fold,)`` names of the families that each fold tests.
        n_train: complete models of each tested family that stay in training.
        protocol: one of :data:`PROTOCOLS`.
    """

    table: Leaderboard
    train: np.ndarray
    test: np.ndarray
    tested: tuple[tuple[str, ...], ...]
    n_train: int
    protocol: str

    @property
    def names(self) -> tuple[str, ...]:
        """``(fold,)`` the tested families of each fold in one text, for labels and tables."""
        return tuple(" + ".join(families) for families in self.tested)

    def select(self, indices: Sequence[int]) -> Folds:
        """Returns some of the folds, in the order of ``indices``, on the same table.

        Args:
            indices: positions of folds, at least one.

        Raises:
            ValueError: ``indices`` is not a list of whole numbers, or is empty.
            IndexError: there is no such fold.
        """
        chosen = np.asarray(indices)
        whole = np.issubdtype(chosen.dtype, np.integer)  # a mask would pass for positions 0 and 1
        if chosen.ndim != 1 or not chosen.size or not whole:
            raise ValueError("indices must be positions of folds, at least one")
        return replace(
            self,
            train=self.train[chosen],
            test=self.test[chosen],
            tested=tuple(self.tested[k] for k in chosen),
        )


def make_folds(
    table: Leaderboard,
    groups: Sequence[Sequence[str]],
    *,
    n_train: int,
    protocol: str = "published",
    complete: bool = True,
) -> Folds:
    """Makes one fold of each group of families.

    In a fold the ``n_train`` smallest models of each tested family are training models, the rest
    of the family is predicted, and all other families train. Of two models with the same number
    of parameters the one that stands first in the table counts as the smaller. Only complete
    models, those with a score on each of the table's benchmarks, are counted and predicted.

    Args:
        table: models and scores, already reduced to the benchmarks that matter.
        groups: families to be tested together, see :func:`published_groups` and
            :func:`lineage_groups`.
        n_train: complete models of each tested family that stay in training; 0 hides the
            families whole, and in the strict protocol their lineages.
        protocol: ``"published"``; or ``"strict"``, which also hides every model of a tested
            lineage that is larger than the largest training model among the lineage's tested
            families in the fold.
        complete: True keeps complete models only, and of those only families with at least
            ``n_train + 1``, as published. False keeps every model with a score and masks what is
            missing. An incomplete model of a tested family then trains where it is not larger
            than the family's largest complete training model; it is never predicted.

    Raises:
        InputError: the groups do not fit the table, ``n_train`` is negative, or there is no
            such protocol.
    """
    _check_n_train(n_train)
    _check_choice("protocol", protocol, PROTOCOLS)
    tested = _checked_groups(table, groups, n_train)
    if complete:
        enough = _complete_models(table) > n_train
        table = table.subset(table.observed.all(axis=1) & enough[table.family])
    else:
        table = table.subset(table.observed.sum(axis=1) > 0)
    whole = table.observed.all(axis=1)
    lineage = table.lineage_of_family[table.family]

    trains = np.ones((len(tested), len(table.models)), dtype=bool)
    test = np.zeros_like(trains)
    for k, families in enumerate(tested):
        largest_of_lineage: dict[int, float] = {}
        for name in families:
            f = table.families.index(name)
            in_family = table.family == f
            rows = np.flatnonzero(in_family & whole)
            rows = rows[np.argsort(table.params_b[rows], kind="stable")]
            test[k, rows[n_train:]] = True
            # With no training model of its own the whole family is hidden: the cold start.
            largest = float(table.params_b[rows[n_train - 1]]) if n_train else -np.inf
            trains[k, in_family & (table.params_b > largest)] = False
            root = int(table.lineage_of_family[f])
            largest_of_lineage[root] = max(largest, largest_of_lineage.get(root, -np.inf))
        trains[k, test[k]] = False  # a predicted model can be as large as a training model
        if protocol == "strict":
            for root, largest in largest_of_lineage.items():
                trains[k, (lineage == root) & (table.params_b > largest)] = False
    return Folds(
        table=table,
        train=trains[:, :, None] & table.observed,
        test=test,
        tested=tested,
        n_train=n_train,
        protocol=protocol,
    )


def size_ratio(folds: Folds) -> np.ndarray:
    """How far each prediction extrapolates in size.

    Returns:
        ``(fold, model)`` parameters of a predicted model over those of the largest training model
        of its family in that fold; NaN for models that the fold does not predict.
    """
    table = folds.table
    ratio = np.full(folds.test.shape, np.nan)
    for k, f in zip(*np.nonzero(_tested_families(folds)), strict=True):
        in_family = table.family == f
        seen = table.params_b[in_family & folds.train[k].any(axis=1)]
        rows = np.flatnonzero(in_family & folds.test[k])
        if seen.size:
            ratio[k, rows] = table.params_b[rows] / seen.max()
    return ratio


class Deficiency(NamedTuple):
    """Training scores of one fold that leave part of the law's design undetermined.

    Attributes:
        fold: position of the fold.
        benchmark: benchmark whose training models these are, or ``"all"``.
        families: families whose intercepts are not determined, in the table's order.
        message: what is not determined and which predictions depend on it, one line.
    """

    fold: int
    benchmark: str
    families: tuple[str, ...]
    message: str


def rank_deficiencies(
    folds: Folds, covariates: np.ndarray, covariate_names: Sequence[str] | None = None
) -> list[Deficiency]:
    """Finds the folds whose training models do not determine slopes and family intercepts.

    The design is ``[covariates | one column per family]`` over the training models; families
    without one are left out unless they are tested. The law is identified only where it has full
    column rank (arXiv 2412.06540): otherwise there are directions in which parameters can move
    without changing a training score, and a held-out model whose row has a part in such a
    direction gets whatever prediction the fit happened to start from.

    Args:
        folds: the folds.
        covariates: ``(model, covariate)`` of ``folds.table``; best in float64, since rounding
            makes columns look independent that are not.
        covariate_names: ``(covariate,)`` what messages call them; default: ``covariate 1``...

    Returns:
        one entry per fold and benchmark that is deficient; a single one with the benchmark
        ``"all"`` where all benchmarks of a fold have the same training models.

    Raises:
        ValueError: the covariates are not one finite row per model, or the names do not fit them.
    """
    covariates = np.asarray(covariates)
    rounding = 0.0
    if np.issubdtype(covariates.dtype, np.floating):
        rounding = float(np.finfo(covariates.dtype).eps)
    tolerance = max(_RANK_TOLERANCE, _ROUNDINGS * rounding)
    covariates = covariates.astype(np.float64)
    models = len(folds.table.models)
    if covariates.ndim != 2 or len(covariates) != models or not np.isfinite(covariates).all():
        raise ValueError(
            f"covariates must be finite, of shape (model, covariate) with {models} models; got"
            f" shape {covariates.shape}"
        )
    if covariate_names is None:
        covariate_names = [f"covariate {i + 1}" for i in range(covariates.shape[1])]
    if len(covariate_names) != covariates.shape[1]:
        raise ValueError(f"{covariates.shape[1]} covariates but {len(covariate_names)} names")

    found = []
    tested = _tested_families(folds)
    for k, train in enumerate(folds.train):
        masks: dict[str, np.ndarray] = dict(zip(folds.table.benchmarks, train.T, strict=True))
        if (train == train[:, :1]).all():
            masks = {"all": train[:, 0]}
        # Benchmarks with the same training models share one decomposition.
        known: dict[bytes, tuple[tuple[str, ...], str] | None] = {}
        for benchmark, rows in masks.items():
            key = rows.tobytes()
            if key not in known:
                known[key] = _deficiency(
                    folds.table,
                    rows,
                    folds.test[k],
                    tested[k],
                    covariates,
                    covariate_names,
                    tolerance,
                )
            deficiency = known[key]
            if deficiency is not None:
                families, what = deficiency
                place = f"fold {quoted(folds.names[k])}"
                if len(masks) > 1:
                    place += f", benchmark {benchmark}"
                found.append(Deficiency(k, benchmark, families, one_line(f"{place}: {what}")))
    return found


def _deficiency(
    table: Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    tested: np.ndarray,
    covariates: np.ndarray,
    covariate_names: Sequence[str],
    tolerance: float,
) -> tuple[tuple[str, ...], str] | None:
    """Looks for null directions of one design.

    Args:
        table: names of models and families.
        train: ``(model,)`` rows of the design.
        test: ``(model,)`` rows that are predicted from it.
        tested: ``(family,)`` families that keep their column even without a row.
        covariates: ``(model, covariate)``.
        covariate_names: ``(covariate,)``.
        tolerance: part of the largest singular value below which a direction is null.

    Returns:
        the families in null directions and a sentence; None if the design has full column rank.
    """
    kept = tested.copy()
    kept[table.family[train]] = True
    families = np.flatnonzero(kept)
    columns = np.hstack([covariates, table.family[:, None] == families])
    design, held_out = columns[train], columns[test]
    length = np.linalg.norm(design, axis=0)
    length[length == 0] = 1.0  # a column of zeros is a null direction by itself
    _, singular, directions = np.linalg.svd(design / length)  # directions: (column, column)
    null = directions[(singular > tolerance * singular.max(initial=0.0)).sum() :]
    if not len(null):
        return None

    weight = np.linalg.norm(null, axis=0)  # of each column, whatever basis was returned
    slopes, intercepts = np.split(weight > _ZERO * tolerance, [len(covariate_names)])
    named = tuple(table.families[f] for f in families[intercepts])
    parts = [name for name, hit in zip(covariate_names, slopes, strict=True) if hit]
    if named:
        parts.append(f"the {'family' if len(named) == 1 else 'families'} {_listed(named)}")
    row = held_out / length
    along = np.linalg.norm(row @ null.T, axis=1) > _ZERO * tolerance * np.linalg.norm(row, axis=1)
    moved = [table.models[m] for m in np.flatnonzero(test)[along]]
    verdict = (
        f"predictions of {_listed(moved)} depend on what is left open, so do not trust them"
        if moved
        else "no prediction of a held-out model depends on it"
    )
    directions_text = "one combination" if len(null) == 1 else f"{len(null)} combinations"
    return named, (
        f"the training scores leave {directions_text} of {' and '.join(parts)} undetermined;"
        f" {verdict}"
    )


def _listed(names: Sequence[str]) -> str:
    """Joins names; a long list is cut, with the number of those left out."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _tested_families(folds: Folds) -> np.ndarray:
    """Returns ``(fold, family)``, True where the fold predicts a model of the family."""
    table = folds.table
    member = table.family[:, None] == np.arange(len(table.families))  # (model, family)
    return (folds.test[:, :, None] & member).any(axis=1)


def _complete_models(table: Leaderboard) -> np.ndarray:
    """Returns ``(family,)``, the number of models with a score on every benchmark."""
    rows = table.family[table.observed.all(axis=1)]
    return np.bincount(rows, minlength=len(table.families))


def _checked_groups(
    table: Leaderboard, groups: Sequence[Sequence[str]], n_train: int
) -> tuple[tuple[str, ...], ...]:
    checked = tuple((group,) if isinstance(group, str) else tuple(group) for group in groups)
    if not checked:
        raise InputError(
            f"no families to test: give at least one group, of families with {n_train + 1} models"
            " or more that have all scores"
        )
    count = _complete_models(table)
    for number, group in enumerate(checked, 1):
        if not group:
            raise InputError(f"group {number} of {len(checked)} is empty: name a family in it")
        for name in group:
            if name not in table.families:
                hint = did_you_mean(name, table.families) or ": name one of the table's families"
                raise InputError(one_line(f"no family {quoted(name)} in the table{hint}"))
            if group.count(name) > 1:
                raise InputError(
                    one_line(f"family {quoted(name)} is twice in group {number}: name it once")
                )
            models = int(count[table.families.index(name)])
            if models <= n_train:
                raise InputError(
                    one_line(
                        f"family {quoted(name)} has {models}"
                        f" {'model' if models == 1 else 'models'} with all scores, and testing it"
                        f" with n_train = {n_train} needs {n_train + 1}: leave the family out, or"
                        " choose other benchmarks or a smaller n_train"
                    )
                )
    return checked


def _check_n_train(n_train: int) -> None:
    if n_train < 0:
        raise InputError(f"n_train is {n_train}: 0 hides tested families whole, 1 keeps a model")


def _check_choice(what: str, name: str, choices: Sequence[str]) -> None:
    if name not in choices:
        hint = did_you_mean(name, choices)
        raise InputError(
            one_line(f"no {what} {quoted(name)}{hint} (there are {', '.join(choices)})")
        )


@cache
def _bundled_rows(name: str) -> tuple[dict[str, str], ...]:
    table = read_bundled(name)
    return tuple(dict(zip(table.header, cells, strict=True)) for cells in table.rows)
