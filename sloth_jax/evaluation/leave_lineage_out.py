"""Cross-validation over lineages: how well a fit predicts lineages that it has not seen.

Leaving single scores out says how well a law fills gaps in families it knows. A forecast is of
another family, so whole lineages are left out: here by fitting again without some of them at a
time, which is exact; :mod:`sloth_jax.inference.leave_lineage_out` does it by importance sampling
from one fit, which is rough where a lineage moves what all share (Vehtari, Gelman and Gabry 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod
from sloth_jax.evaluation.scoring_rules import crps
from sloth_jax.evaluation.splits import split_by_lineage
from sloth_jax.inference.leave_lineage_out import sum_with_error
from sloth_jax.inference.settings import FitSettings
from sloth_jax.showing import Shown


@dataclass(frozen=True, eq=False, repr=False)
class LineageCrps(Shown):
    """Continuous ranked probability scores of lineages, predicted by fits without them.

    Attributes:
        lineages: names of the lineages with a score.
        crps: sum of the continuous ranked probability scores of each lineage's scores, fractions,
            ``(lineage,)``.
        scores: how many scores that are, ``(lineage,)``.
        max_rhat: of NUTS, the largest rank-normalised R-hat of all refits' predictions; else NaN.
        max_pareto_k: of approximations, the largest Pareto k of all refits; else NaN.
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

    def crps_difference(self, other: LineageCrps) -> tuple[float, float]:
        """Mean less that of another of the same table, and its standard error, fractions."""
        change, error = sum_with_error(self.crps - other.crps)
        return change / int(self.scores.sum()), error / int(self.scores.sum())


def cross_validate_lineages(
    table: Leaderboard, *, key: Array, settings: FitSettings = FOLD_SETTINGS, groups: int = 8
) -> LineageCrps:
    """Fit without one group of lineages at a time, and predict that group.

    Args:
        table: scores.
        key: random key.
        settings: what is fitted and how.
        groups: how many refits, each without some lineages of about as many models.

    Raises:
        InputError: if there are fewer scored lineages than groups, or a group cannot be fitted.
    """
    of_model = table.lineage_of_family[table.family]
    split = split_by_lineage(table, 0, folds=groups)
    if len(split.train) < groups:
        raise InputError(
            f"{groups} groups of lineages need as many lineages with scores, the table has "
            f"{len(split.train)}: ask for fewer groups"
        )
    found = FitMethod(settings).sample(table, split.train, key)
    error = np.zeros(table.scores.shape)
    for group, rows in enumerate(split.test):
        entries = np.nonzero(table.observed & rows[:, None])
        error[entries] = crps(found.draws[group][:, *entries], table.scores[entries])
    of_score = of_model[np.nonzero(table.observed)[0]]
    scored = np.unique(of_score)
    summed = np.bincount(of_score, error[table.observed], minlength=len(table.lineages))
    return LineageCrps(
        lineages=tuple(table.lineages[at] for at in scored),
        crps=summed[scored],
        scores=np.bincount(of_score)[scored],
        max_rhat=float(np.max(found.max_rhat)),
        max_pareto_k=float(np.max(found.pareto_k)),
    )
