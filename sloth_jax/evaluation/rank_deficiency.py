"""What the training rows of a fold leave undetermined, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.evaluation.folds import Folds, tested_families
from sloth_jax.wording import one_line, quoted

# A direction of a design whose columns have length 1 is null below this part of the largest
# singular value; in single precision below this many roundings.
_RANK_TOLERANCE = 1e-8
_ROUNDINGS = 8
# Null directions are found with an error of about one rounding over the smallest singular value
# that counts; their entries are zero below this many times the tolerance.
_ZERO = 100
_NAMED = 6  # names that a message lists before it counts the rest


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
    tested = tested_families(folds)
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
