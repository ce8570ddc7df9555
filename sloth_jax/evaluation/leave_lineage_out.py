"""How well a fit predicts lineages nobody has seen, by its training table alone.

Leaving single scores out tells how well a law fills gaps in families it knows. What is to be
forecast is another family, so whole lineages are left out, in two ways:

* by importance sampling from the fit to the whole table (PSIS-LOO; Vehtari, Gelman and Gabry 2017;
  Vehtari et al. 2024), with everything that is peculiar to a lineage, its families and its models
  integrated out exactly: one fit, but rough where a lineage moves what all share;
* by fitting again without some lineages at a time (K-fold cross-validation, to which the same
  authors resort where importance sampling is rough), which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod
from sloth_jax.evaluation.scoring_rules import crps
from sloth_jax.evaluation.splits import balanced_groups
from sloth_jax.inference.leave_lineage_out import _summed
from sloth_jax.inference.settings import FitSettings


@dataclass(frozen=True, eq=False)
class Refitted:
    """How far predictions of lineages are off by fits that never saw them.

    Attributes:
        lineages: names of the lineages with a score.
        crps: sum of the continuous ranked probability scores of each lineage's scores, fractions,
            ``(lineage,)``.
        scores: how many scores that are, ``(lineage,)``.
        max_rhat: largest rank-normalised R-hat of all refits' predictions; NaN but of NUTS.
        max_pareto_k: largest Pareto k of all refits; NaN but of approximations.
    """

    lineages: tuple[str, ...]
    crps: np.ndarray
    scores: np.ndarray
    max_rhat: float
    max_pareto_k: float

    @property
    def mean(self) -> float:
        """Mean over scores, a fraction; less is better."""
        return float(self.crps.sum() / self.scores.sum())

    def more_than(self, other: Refitted) -> tuple[float, float]:
        """By how much the mean of another one of the same table is less, and its standard error."""
        change, error = _summed(self.crps - other.crps)
        return change / int(self.scores.sum()), error / int(self.scores.sum())


def deal_lineages(table: Leaderboard, groups: int) -> np.ndarray:
    """Lineages in groups of about as many scores each.

    Args:
        table: with at least as many scored lineages as groups.
        groups: how many groups, at least 2.

    Returns:
        Group of each lineage, ``(lineage,)``; -1 for one without a score.

    Raises:
        InputError: if there are fewer scored lineages than groups.
    """
    of_model = table.lineage_of_family[table.family]
    count = np.bincount(of_model, table.observed.sum(axis=1), minlength=len(table.lineages))
    if (count > 0).sum() < groups:
        raise InputError(
            f"{groups} groups of lineages need as many lineages with scores, the table has "
            f"{(count > 0).sum()}: ask for fewer groups"
        )
    return balanced_groups(count, groups)


def refit_without_lineages(
    table: Leaderboard, *, key: Array, settings: FitSettings = FOLD_SETTINGS, groups: int = 8
) -> Refitted:
    """Fit without one group of lineages at a time, and predict that group.

    Args:
        table: scores.
        key: random key.
        settings: what is fitted and how.
        groups: how many refits; see :func:`deal_lineages`.

    Raises:
        InputError: as :func:`deal_lineages`, or if a group cannot be fitted.
    """
    of_lineage = deal_lineages(table, groups)
    of_model = table.lineage_of_family[table.family]
    hidden = of_lineage[of_model][None, :] == np.arange(groups)[:, None]
    train = table.observed[None] & ~hidden[:, :, None]
    found = FitMethod(settings).sample(table, train, key)
    error = np.zeros(table.scores.shape)
    for group, rows in enumerate(hidden):
        entries = np.nonzero(table.observed & rows[:, None])
        error[entries] = crps(found.draws[group][:, *entries], table.scores[entries])
    of_score = of_model[np.nonzero(table.observed)[0]]
    scored = np.unique(of_score)
    summed = np.bincount(of_score, error[table.observed], minlength=len(table.lineages))
    return Refitted(
        lineages=tuple(table.lineages[at] for at in scored),
        crps=summed[scored],
        scores=np.bincount(of_score)[scored],
        max_rhat=float(np.max(found.max_rhat)),
        max_pareto_k=float(np.max(found.pareto_k)),
    )
