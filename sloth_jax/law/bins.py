"""Lineages side by side in bins of one size: a few dense programs instead of one per lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.law.arrays import on_device
from sloth_jax.law.walk import walk_basis


class Bins(NamedTuple):
    """Lineages side by side in bins of one size, so that all are computed by one small program.

    Attributes:
        rows: position of each model in the table, ``(bin, place)``; 0 where a place is empty.
        real: 1 where there is a model, else 0, ``(bin, place)``.
        lineage: of each pair of places, ``(bin, place / 2)``; the number of lineages where empty.
        same_lineage: 1 for two models of one lineage, ``(bin, place, place)``.
        same_family: 1 for two models of one family, ``(bin, place, place)``.
        walk: covariance of the walk between models of one lineage, ``(bin, place, place)``.
        covariance: prior covariance of unknown covariates, a unit matrix where known, ``(bin, unit,
            place, place)``; None where no lineage of these bins lacks one.
        factor: its lower triangular root, of the same shape.
    """

    rows: Array
    real: Array
    lineage: Array
    same_lineage: Array
    same_family: Array
    walk: Array
    covariance: Array | None = None
    factor: Array | None = None


Lacking = Mapping[int, tuple[np.ndarray, np.ndarray]]
"""Lineage that lacks covariates -> rows of its models, their covariance ``(unit, row, row)``."""


def fill_bins(
    lineage: np.ndarray, family: np.ndarray, x: np.ndarray, lacking: Lacking | None = None
) -> tuple[Bins, ...]:
    """Put lineages into bins, each lineage in one.

    Small lineages get bins of their own size where that makes at most half the work: a bin costs
    the cube of its places. Those that lack covariates have bins of their own too.

    Args:
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        lacking: prior covariance of unknown covariates; None where all are known.

    Returns:
        Bins of one kind or of several, the smaller first, those that lack covariates last.
    """
    places = 2 * -(-np.bincount(lineage) // 2)  # a pair of places belongs to one lineage
    lacks = np.isin(np.arange(places.size), list(lacking or {}))
    found = ()
    for some in (np.where(lacks, 0, places), np.where(lacks, places, 0)):
        if some.any():
            found += _kinds_of_bins(some, lineage, family, x, lacking or {})
    return found


def _kinds_of_bins(
    places: np.ndarray, lineage: np.ndarray, family: np.ndarray, x: np.ndarray, lacking: Lacking
) -> tuple[Bins, ...]:
    """One kind of bins or two, for the lineages that need places, ``(lineage,)``."""
    largest = int(places.max())

    def work(small: int) -> int:
        parts = [np.flatnonzero((places > 0) & (places <= small)), np.flatnonzero(places > small)]
        return sum(
            len(set(_deal(places, part)[:, 0])) * int(places[part].max()) ** 3
            for part in parts
            if len(part)
        )

    best = min(np.unique(places[places > 0]).tolist(), key=work)
    limits = [best, largest] if 2 * work(best) <= work(largest) else [largest]
    kinds = []
    for low, high in zip([0, *limits], limits, strict=False):
        chosen = np.flatnonzero((places > low) & (places <= high))
        bins = _bins(_deal(places, chosen), chosen, lineage, family, x)
        kinds.append(_with_covariances(bins, lacking, chosen))
    return tuple(kinds)


def _deal(places: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Bin and first place of each chosen lineage, ``(lineage, 2)``: the largest first."""
    size = int(places[chosen].max())
    free: list[int] = []
    found = np.zeros((len(chosen), 2), int)
    for at in np.argsort(-places[chosen], kind="stable"):
        taken = int(places[chosen[at]])
        fits = next((b for b, left in enumerate(free) if left >= taken), len(free))
        if fits == len(free):
            free.append(size)
        found[at] = fits, size - free[fits]
        free[fits] -= taken
    return found


def _bins(
    dealt: np.ndarray, chosen: np.ndarray, lineage: np.ndarray, family: np.ndarray, x: np.ndarray
) -> Bins:
    members = [np.flatnonzero(lineage == at) for at in chosen]
    size = 2 * -(-max(len(m) for m in members) // 2)
    count = int(dealt[:, 0].max()) + 1
    rows = np.zeros((count, size), int)
    real = np.zeros((count, size))
    owner = np.full((count, size // 2), int(lineage.max()) + 1)
    for at, (bin_, first), own in zip(chosen, dealt, members, strict=True):
        rows[bin_, first : first + len(own)] = own
        real[bin_, first : first + len(own)] = 1.0
        owner[bin_, first // 2 : (first + len(own) + 1) // 2] = at
    both = real[:, :, None] * real[:, None, :]
    same = both * (lineage[rows][:, :, None] == lineage[rows][:, None, :])
    basis = np.asarray(walk_basis(jnp.asarray(x)))[rows][:, :, 1:]
    in_family = both * (family[rows][:, :, None] == family[rows][:, None, :])
    made = on_device(
        rows=rows,
        real=real,
        lineage=owner,
        same_lineage=same,
        same_family=in_family,
        walk=same * np.einsum("lik,ljk->lij", basis, basis),
    )
    return Bins(**made)


def lacking_among(bins: tuple[Bins, ...], rows: np.ndarray, lineage: np.ndarray) -> Lacking:
    """What some models of bins lack, as for :func:`fill_bins` of these alone.

    Args:
        bins: of a whole table.
        rows: the models, ``(row,)``.
        lineage: their lineages by other numbers, ``(row,)``.
    """
    place = {row: at for at, row in enumerate(rows.tolist())}
    found = {}
    for some in bins:
        if some.covariance is None:
            continue
        in_bin, real, blocks = (np.asarray(a) for a in (some.rows, some.real, some.covariance))
        owner = np.repeat(np.asarray(some.lineage), 2, axis=1)
        for b, of_bin in enumerate(owner):
            for one in np.unique(of_bin[real[b] > 0.0]):
                at = [
                    p
                    for p in np.flatnonzero((of_bin == one) & (real[b] > 0.0))
                    if in_bin[b, p] in place
                ]
                if at:
                    new = np.array([place[row] for row in in_bin[b, at].tolist()])
                    found[int(lineage[new[0]])] = (new, blocks[b][:, at][:, :, at])
    return found


def _with_covariances(bins: Bins, lacking: Lacking, chosen: np.ndarray) -> Bins:
    """The same with the prior covariances of their lineages' unknown covariates."""
    if int(chosen[0]) not in lacking:
        return bins
    rows, real = np.asarray(bins.rows), np.asarray(bins.real) > 0.0
    bin_at, place_at = np.nonzero(real)
    where = dict(zip(rows[real].tolist(), zip(bin_at, place_at, strict=True), strict=True))
    units = lacking[int(chosen[0])][1].shape[0]
    covariance = np.tile(np.eye(rows.shape[1]), (rows.shape[0], units, 1, 1))
    factor = covariance.copy()
    for lineage in chosen.tolist():
        of_lineage, block = lacking[lineage]
        at = np.array([where[row] for row in of_lineage.tolist()])
        index = (at[0, 0], slice(None), at[:, 1][:, None], at[:, 1][None, :])
        # NumPy puts the dimension of the slice last between advanced indices.
        covariance[index] = np.moveaxis(block, 0, -1)
        factor[index] = np.moveaxis(np.linalg.cholesky(block), 0, -1)
    return bins._replace(**on_device(covariance=covariance, factor=factor))
