"""Lineages side by side in bins of one size: a few dense programs instead of one per lineage."""

from __future__ import annotations

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
    """

    rows: Array
    real: Array
    lineage: Array
    same_lineage: Array
    same_family: Array
    walk: Array


def fill_bins(lineage: np.ndarray, family: np.ndarray, x: np.ndarray) -> tuple[Bins, ...]:
    """Put lineages into bins, each lineage in one.

    Small lineages get bins of their own size where that makes at most half the work: a bin costs
    the cube of its places.

    Args:
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.

    Returns:
        One kind of bins or two, the smaller first.
    """
    places = 2 * -(-np.bincount(lineage) // 2)  # a pair of places belongs to one lineage
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
        kinds.append(_bins(_deal(places, chosen), chosen, lineage, family, x))
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
