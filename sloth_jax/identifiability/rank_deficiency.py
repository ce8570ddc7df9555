"""What the training rows of a fold leave undetermined, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.null_directions import null_directions
from sloth_jax.wording import one_line, quoted

# A direction of a design whose columns have length 1 is null below this part of the largest
# singular value; in single precision below this many roundings.
_RANK_TOLERANCE = 1e-8
_ROUNDINGS = 8


class FoldMasks(Protocol):
    """What is asked of folds; :class:`sloth_jax.evaluation.folds.Folds` has it."""

    @property
    def table(self) -> Leaderboard:
        """Models and scores."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of the folds, ``(fold,)``."""
        ...

    @property
    def train(self) -> np.ndarray:
        """Scores that may be used, ``(fold, model, benchmark)``, bool."""
        ...

    @property
    def test(self) -> np.ndarray:
        """Models to be predicted, ``(fold, model)``, bool."""
        ...


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
    folds: FoldMasks, covariates: np.ndarray, covariate_names: Sequence[str] | None = None
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
    floating = np.issubdtype(covariates.dtype, np.floating)
    rounding = float(np.finfo(covariates.dtype).eps) if floating else 0.0
    tolerance = max(_RANK_TOLERANCE, _ROUNDINGS * rounding)
    covariates, names = _checked(folds, covariates.astype(np.float64), covariate_names)

    found = []
    member = folds.table.family[:, None] == np.arange(len(folds.table.families))
    tested = (folds.test[:, :, None] & member).any(axis=1)  # (fold, family)
    for k, train in enumerate(folds.train):
        masks: dict[str, np.ndarray] = dict(zip(folds.table.benchmarks, train.T, strict=True))
        if (train == train[:, :1]).all():
            masks = {"all": train[:, 0]}
        # Benchmarks with the same training models share one decomposition.
        known: dict[bytes, tuple[tuple[str, ...], str] | None] = {}
        for benchmark, rows in masks.items():
            key = rows.tobytes()
            if key not in known:
                known[key] = null_directions(
                    folds.table, rows, folds.test[k], tested[k], covariates, names, tolerance
                )
            deficiency = known[key]
            if deficiency is not None:
                families, what = deficiency
                place = f"fold {quoted(folds.names[k])}"
                if len(masks) > 1:
                    place += f", benchmark {benchmark}"
                found.append(Deficiency(k, benchmark, families, one_line(f"{place}: {what}")))
    return found


def _checked(
    folds: FoldMasks, covariates: np.ndarray, names: Sequence[str] | None
) -> tuple[np.ndarray, Sequence[str]]:
    models = len(folds.table.models)
    if covariates.ndim != 2 or len(covariates) != models or not np.isfinite(covariates).all():
        raise ValueError(
            f"covariates must be finite, of shape (model, covariate) with {models} models; got"
            f" shape {covariates.shape}"
        )
    if names is None:
        names = [f"covariate {i + 1}" for i in range(covariates.shape[1])]
    if len(names) != covariates.shape[1]:
        raise ValueError(f"{covariates.shape[1]} covariates but {len(names)} names")
    return covariates, names
