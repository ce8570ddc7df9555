"""Which parameters a design leaves undetermined, and which predictions depend on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.design import column_lengths

# Null directions are found with an error of about one rounding over the smallest singular value
# that counts; their entries are zero below this many times the tolerance.
_ZERO = 100
_NAMED = 6  # names that a message lists before it counts the rest


def null_directions(
    table: Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    kept: np.ndarray,
    covariates: np.ndarray,
    covariate_names: Sequence[str],
    tolerance: float,
) -> tuple[tuple[str, ...], str] | None:
    """Families and covariates in the null space of ``[covariates | one column per family]``.

    Args:
        table: names of models and families.
        train: ``(model,)`` rows of the design.
        test: ``(model,)`` rows that are predicted from it.
        kept: ``(family,)`` families that have a column even without a row.
        covariates: ``(model, covariate)``.
        covariate_names: ``(covariate,)``.
        tolerance: part of the largest singular value below which a direction is null.

    Returns:
        The families in null directions and a sentence; None if the design has full column rank.
    """
    kept = kept.copy()
    kept[table.family[train]] = True
    families = np.flatnonzero(kept)
    columns = np.hstack([covariates, table.family[:, None] == families])
    length = column_lengths(columns[train])  # a column of zeros is a null direction by itself
    # directions: (column, column)
    _, singular, directions = np.linalg.svd(columns[train] / length)
    null = directions[(singular > tolerance * singular.max(initial=0.0)).sum() :]
    if not len(null):
        return None

    weight = np.linalg.norm(null, axis=0)  # of each column, whatever basis was returned
    slopes, intercepts = np.split(weight > _ZERO * tolerance, [len(covariate_names)])
    named = tuple(table.families[f] for f in families[intercepts])
    parts = [name for name, hit in zip(covariate_names, slopes, strict=True) if hit]
    if named:
        parts.append(f"the {'family' if len(named) == 1 else 'families'} {_listed(named)}")
    row = columns[test] / length
    along = np.linalg.norm(row @ null.T, axis=1) > _ZERO * tolerance * np.linalg.norm(row, axis=1)
    moved = [table.models[m] for m in np.flatnonzero(test)[along]]
    verdict = (
        f"predictions of {_listed(moved)} depend on what is left open, so do not trust them"
        if moved
        else "no prediction of a held-out model depends on it"
    )
    count = "one combination" if len(null) == 1 else f"{len(null)} combinations"
    return named, (
        f"the training scores leave {count} of {' and '.join(parts)} undetermined; {verdict}"
    )


def _listed(names: Sequence[str]) -> str:
    """Joins names; a long list is cut, with the number of those left out."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
