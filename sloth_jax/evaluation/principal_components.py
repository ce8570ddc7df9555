"""Baselines on principal components of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.law.surface import log_flops
from sloth_jax.showing import Shown
from sloth_jax.skills.downstream import principal_components


@dataclass(frozen=True, repr=False)
class PrincipalComponents(Shown):
    """PCA of the training scores, components regressed on log FLOPs and family, mapped back.

    Call it as a :class:`sloth_jax.evaluation.crossval.Method`; nothing in it is random.

    Attributes:
        components: how many.
        family_slopes: a slope per family on log FLOPs, or one for all.
        complete: it cannot use incomplete rows.
    """

    components: int
    family_slopes: bool = False
    complete: bool = True

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row; see :class:`sloth_jax.evaluation.crossval.Method`.

        Raises:
            InputError: if a training row lacks a score, or there are fewer benchmarks than
                components.
        """
        del key
        whole, some = np.all(train, axis=2), np.any(train, axis=2)
        if (whole != some).any():
            missing = np.argwhere(some & ~whole)[0][1]
            raise InputError(
                f"pca needs complete rows, and {table.models[missing]} lacks a score: leave it out"
            )
        if self.components > len(table.benchmarks):
            raise InputError(
                f"{self.components} components of {len(table.benchmarks)} benchmarks: ask for less"
            )
        family = np.eye(len(table.families))[table.family]
        flops = log_flops(table)[:, None]
        design = np.hstack([flops * family if self.family_slopes else flops, family])
        predicted = np.empty((len(train), *table.scores.shape))
        for fold, rows in enumerate(np.asarray(whole)):
            found = principal_components(table.scores[rows], self.components)
            components = (table.scores[rows] - found.mean) @ found.axes.T
            slope = np.linalg.lstsq(design[rows], components, rcond=None)[0]
            predicted[fold] = design @ slope @ found.axes + found.mean
        return predicted
