"""The covariance of predictors by effects as one matrix: plain, for a few scores, and for tests.

Planning asks for scores of models that a table does not have; tests compare the fast algebra of
:mod:`sloth_jax.effects.elimination` with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sloth_jax.effects.spread import Spread


class Cells(NamedTuple):
    """Scores in a list, measured or not, of one lineage or several.

    Attributes:
        model, family, lineage: numbers that tell them apart, ``(cell,)`` each.
        benchmark: position of the benchmark, ``(cell,)``.
        basis: :func:`sloth_jax.effects.walk.walk_basis` of the model's size, ``(cell,
            coefficient)``.
        run: a number that checkpoints of one run share and others do not have, ``(cell,)``; None
            where there are no runs.
        log_tokens: of the model, ``(cell,)``; of no use without runs.
    """

    model: np.ndarray
    family: np.ndarray
    lineage: np.ndarray
    benchmark: np.ndarray
    basis: np.ndarray
    run: np.ndarray | None = None
    log_tokens: np.ndarray | None = None


def dense_covariance(
    cells: Cells,
    loading: np.ndarray,
    skill: Spread,
    benchmark: Spread,
    run_length: Any = None,
) -> np.ndarray:
    """Covariance of predictors by effects, as one matrix: slow, plain, and for any cells.

    Args:
        cells: which scores.
        loading: ``(..., benchmark, skill)``.
        skill: spread of effects on skills, ``(..., skill)`` each.
        benchmark: spread of effects on single benchmarks, ``(..., benchmark)`` each.
        run_length: of the process along training runs, ``(...)``; None without runs.

    Returns:
        ``(..., cell, cell)``, without the noise of scores.
    """
    same_model, same_family, same_lineage, same_benchmark = (
        (part[:, None] == part[None, :]).astype(float)
        for part in (cells.model, cells.family, cells.lineage, cells.benchmark)
    )
    if run_length is not None and cells.run is not None and cells.log_tokens is not None:
        same_run = cells.run[:, None] == cells.run[None, :]
        apart = np.abs(cells.log_tokens[:, None] - cells.log_tokens[None, :])
        length = np.asarray(run_length, float)[..., None, None]
        same_model = np.where(same_run, np.exp(-apart / length), same_model)
    walk = cells.basis[:, 1:] @ cells.basis[:, 1:].T

    at = np.asarray(loading, float)[..., cells.benchmark, :]
    found: Any = 0.0
    for k in range(at.shape[-1]):
        one = [np.asarray(part, float)[..., k, None, None] for part in skill]
        found = found + at[..., :, None, k] * at[..., None, :, k] * _between(
            one, same_lineage, walk, same_family, same_model
        )
    own = [np.asarray(part, float)[..., cells.benchmark, None] for part in benchmark]
    return found + same_benchmark * _between(own, same_lineage, walk, same_family, same_model)


def _between(
    spread: list[np.ndarray],
    lineage: np.ndarray,
    walk: np.ndarray,
    family: np.ndarray,
    model: np.ndarray,
) -> np.ndarray:
    a, b, c, d, s = (part**2 for part in spread)
    return lineage * (a + b * walk + family * (c + d * walk)) + model * s
