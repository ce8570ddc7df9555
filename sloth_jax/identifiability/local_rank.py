"""How many parameters a table determines: the rank of the law's Jacobian at a random law."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.design import TINY, covariates

_ENTRIES = 10_000  # of a block of families, about


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
    blocks = [(model[part], benchmark[part]) for part in _blocks(table.family[model])]
    # Singular values of all columns that families share are roots of this product's eigenvalues.
    shared = x.shape[1] * skills + benchmarks * (skills + 1)
    gram = np.zeros((shared, shared))
    for rows, column in blocks:
        part = _columns(x[rows], theta[rows], loading, column)
        gram += part.T @ part
    length = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    square = np.linalg.eigvalsh(gram / length / length[:, None])[-1]
    rank, left, largest = 0, np.zeros((0, shared)), 0.0
    for rows, column in blocks:
        part = _columns(x[rows], theta[rows], loading, column) / length
        own, part, most = _without_families(part, loading, table.family[rows], column)
        left = np.linalg.qr(np.vstack([left, part]), mode="r")  # the same but for turned rows
        rank, largest = rank + own, max(largest, most)
    values = np.linalg.svd(left, compute_uv=False)
    rank += int((values > TINY * np.sqrt(largest**2 + square)).sum())
    return rank, families * skills + shared - skills**2 - skills


def _blocks(family: np.ndarray) -> list[slice]:
    """Whole families in blocks, so that memory does not grow with the table.

    Args:
        family: of each entry, sorted, ``(entry,)``.
    """
    ends = np.append(np.flatnonzero(np.diff(family)) + 1, len(family))
    block = (ends - 1) // _ENTRIES
    last = ends[np.append(np.diff(block) > 0, True)]
    return [slice(a, b) for a, b in zip(np.append(0, last[:-1]), last, strict=True)]


def _columns(
    x: np.ndarray, theta: np.ndarray, loading: np.ndarray, benchmark: np.ndarray
) -> np.ndarray:
    """Derivatives of entries with respect to what families share, ``(entry, column)``.

    Args:
        x: covariates of each entry's model, ``(entry, covariate)``.
        theta: its skills, ``(entry, skill)``.
        loading: ``(benchmark, skill)``.
        benchmark: of each entry, ``(entry,)``.
    """
    entries = len(benchmark)
    of_slope = x[:, :, None] * loading[benchmark][:, None, :]
    of_loading = np.zeros((entries, *loading.shape))
    of_loading[np.arange(entries), benchmark] = theta
    of_bias = np.eye(len(loading))[benchmark]
    return np.hstack([of_slope.reshape(entries, -1), of_loading.reshape(entries, -1), of_bias])


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
    kept = values > TINY * loading.shape[1] ** 0.5  # no value of unit columns is larger
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    turn = axes.transpose(0, 2, 1) * inverse[:, None, :] / length[:, :, None]
    basis = (loading[benchmark][:, None, :] @ turn[place])[:, 0]  # orthonormal in each family
    entries, skills = basis.shape
    column = (place[:, None] * skills + np.arange(skills)).ravel()
    size = (entries, len(first) * skills)
    basis = csr_matrix((basis.ravel(), column, np.arange(entries + 1) * skills), shape=size)
    left = columns - basis @ (basis.T @ columns)
    return int(kept.sum()), left, float(values.max())
