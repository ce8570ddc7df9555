"""How many parameters a table determines: the rank of the law's Jacobian at a random law."""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.design import TINY, column_lengths, covariates


def local_rank(
    table: Leaderboard, *, skills: int, surface: str = "smooth", seed: int = 0
) -> tuple[int, int]:
    """Rank of the law's Jacobian at a generic point, and what it should be.

    For ``eta_mj = lambda_j' (alpha_f + B' x_m) + b_j`` over the observed entries::

        d eta / d alpha_f = lambda_j    d eta / d B = x_m lambda_j'
        d eta / d lambda_j = theta_m    d eta / d b_j = 1

    Where the parameters are, but for a set of measure zero, does not matter.

    Args:
        table: models and scores, every model with at least one.
        skills: number of skills d.
        surface: one of :data:`sloth_jax.law.surface.KINDS`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the point.

    Returns:
        The rank, and the number of parameters less ``d x d + d``: of one invertible matrix that
        turns skills, and of one shift.
    """
    rng = np.random.default_rng(seed)
    x = covariates(table, surface)
    families, benchmarks = len(table.families), len(table.benchmarks)
    loading = rng.normal(size=(benchmarks, skills))
    theta = rng.normal(size=(families, skills))[table.family]
    theta = theta + x @ rng.normal(size=(x.shape[1], skills))
    model, benchmark = np.nonzero(table.observed)
    by_family = np.argsort(table.family[model], kind="stable")
    model, benchmark = model[by_family], benchmark[by_family]
    entries, width = len(model), x.shape[1]
    of_slope = x[model][:, :, None] * loading[benchmark][:, None, :]
    of_loading = np.zeros((entries, benchmarks, skills))
    of_loading[np.arange(entries), benchmark] = theta[model]
    of_bias = np.eye(benchmarks)[benchmark]
    shared = np.hstack(
        [of_slope.reshape(entries, width * skills), of_loading.reshape(entries, -1), of_bias]
    )
    shared /= column_lengths(shared)
    rank, left, largest = _without_families(shared, loading, table.family[model], benchmark)
    largest = np.hypot(largest, np.linalg.norm(shared, 2))
    rank += int((np.linalg.svd(left, compute_uv=False) > TINY * largest).sum())
    return rank, families * skills + shared.shape[1] - skills**2 - skills


def _without_families(
    columns: np.ndarray, loading: np.ndarray, family: np.ndarray, benchmark: np.ndarray
) -> tuple[int, np.ndarray, float]:
    """Columns without what families' intercepts explain, each of its own entries alone.

    So the rank of the whole Jacobian is that of many small matrices and of a narrow one.

    Args:
        columns: ``(entry, column)``.
        loading: ``(benchmark, skill)``.
        family: of each entry, sorted, ``(entry,)``; each has one.
        benchmark: of each entry, ``(entry,)``.

    Returns:
        Rank of the families' columns, what is left of the others, and the largest singular value
        of the families' columns, which are of length 1.
    """
    first = np.flatnonzero(np.diff(family, prepend=-1))
    count = np.zeros((len(first), len(loading)))
    place = np.cumsum(np.diff(family, prepend=-1) > 0) - 1
    np.add.at(count, (place, benchmark), 1.0)
    # Entries of one benchmark are alike: a row for each benchmark, as long as all of them.
    root = np.sqrt(count)[:, :, None] * loading
    length = np.sqrt((root**2).sum(axis=1))
    _, values, axes = np.linalg.svd(root / length[:, None, :], full_matrices=False)
    kept = values > TINY * values.max()
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    turn = axes.transpose(0, 2, 1) * inverse[:, None, :] / length[:, :, None]
    basis = (loading[benchmark][:, None, :] @ turn[place])[:, 0]  # orthonormal in each family
    sums = np.add.reduceat(basis[:, :, None] * columns[:, None, :], first)
    left = columns - (basis[:, :, None] * sums[place]).sum(axis=1)
    return int(kept.sum()), left, float(values.max())
