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

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError, check_choice
from sloth_jax.showing import Shown
from sloth_jax.wording import did_you_mean, one_line, quoted

PROTOCOLS = ("published", "strict")


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


@dataclass(frozen=True, eq=False, repr=False)
class Folds(Shown):
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
    check_choice("protocol", protocol, PROTOCOLS)
    table = table.subset(table.known)  # the published methods have no use for the others
    tested = _checked_groups(table, groups, n_train)
    if complete:
        enough = _complete_models(table) > n_train
        table = table.subset(table.observed.all(axis=1) & enough[table.family])
    else:
        table = table.subset(table.observed.sum(axis=1) > 0)
    masks = [_masks(table, families, n_train, protocol) for families in tested]
    train, test = (np.array(part) for part in zip(*masks, strict=True))
    return Folds(
        table=table,
        train=train[:, :, None] & table.observed,
        test=test,
        tested=tested,
        n_train=n_train,
        protocol=protocol,
    )


def _masks(
    table: Leaderboard, families: tuple[str, ...], n_train: int, protocol: str
) -> tuple[np.ndarray, np.ndarray]:
    """Models that may train and models that are predicted in one fold, ``(model,)`` each."""
    whole = table.observed.all(axis=1)
    lineage = table.lineage_of_family[table.family]
    train, test = np.ones(len(table.models), bool), np.zeros(len(table.models), bool)
    largest_of_lineage: dict[int, float] = {}
    for name in families:
        f = table.families.index(name)
        in_family = table.family == f
        rows = np.flatnonzero(in_family & whole)
        rows = rows[np.argsort(table.params_b[rows], kind="stable")]
        test[rows[n_train:]] = True
        # With no training model of its own the whole family is hidden: the cold start.
        largest = float(table.params_b[rows[n_train - 1]]) if n_train else -np.inf
        train[in_family & (table.params_b > largest)] = False
        root = int(table.lineage_of_family[f])
        largest_of_lineage[root] = max(largest, largest_of_lineage.get(root, -np.inf))
    train[test] = False  # a predicted model can be as large as a training model
    if protocol == "strict":
        for root, largest in largest_of_lineage.items():
            train[(lineage == root) & (table.params_b > largest)] = False
    return train, test


def size_ratio(folds: Folds) -> np.ndarray:
    """How far each prediction extrapolates in size.

    Returns:
        ``(fold, model)`` parameters of a predicted model over those of the largest training model
        of its family in that fold; NaN for models that the fold does not predict.
    """
    table = folds.table
    ratio = np.full(folds.test.shape, np.nan)
    for k, f in {(k, table.family[m]) for k, m in np.argwhere(folds.test)}:
        in_family = table.family == f
        seen = table.params_b[in_family & folds.train[k].any(axis=1)]
        rows = np.flatnonzero(in_family & folds.test[k])
        if seen.size:
            ratio[k, rows] = table.params_b[rows] / seen.max()
    return ratio


def _check_n_train(n_train: int) -> None:
    if n_train < 0:
        raise InputError(f"n_train is {n_train}: 0 hides tested families whole, 1 keeps a model")


def _complete_models(table: Leaderboard) -> np.ndarray:
    """Returns ``(family,)``, the number of models with size, tokens and all scores."""
    rows = table.family[table.observed.all(axis=1) & table.known]
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
