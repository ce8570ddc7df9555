"""Bins in parts of one shape, of which each device takes one.

Lineages are independent given what all of them share, so their density is a sum over parts. All
that a part refers to is in it: devices meet for the sum alone. (Left to itself the compiler would
gather all scores of a benchmark on every device, and be no faster for it.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jax.sharding import Mesh

from sloth_jax.effects.bins import AnyBins, Bins, Checkpoints, NestedBins, ScoreBlocks, SplitBins


def split_bins(bins: AnyBins, mesh: Mesh, lineages: int) -> AnyBins:
    """The same lineages in parts, one for each device; large ones, families in bins, stay whole.

    Bins go to parts in turn, since neighbours are of lineages of about the same size. Parts that
    have fewer bins or blocks get empty ones, which add nothing to any sum.

    Args:
        bins: of a table, not split.
        mesh: the devices, along one axis.
        lineages: of the table.

    Returns:
        Bins of the same kinds, in arrays of NumPy where they are split.
    """
    return tuple(
        some if isinstance(some, NestedBins) else SplitBins(_split(some, mesh.size, lineages), mesh)
        for some in bins
    )


def _split(bins: Any, parts: int, lineages: int) -> Bins:
    count, places = np.shape(bins.rows)
    missing = -count % parts
    in_turn = np.arange(count + missing).reshape(-1, parts).T  # (part, bin)

    def dealt(values: Any, empty: float | np.ndarray = 0) -> Any:
        values = np.asarray(values)
        more = np.broadcast_to(np.asarray(empty, values.dtype), (missing, *values.shape[1:]))
        return np.concatenate([values, more])[in_turn]

    blocks: list[ScoreBlocks] = []
    moved, taken = [], 0
    for some in bins.blocks:
        dealt_blocks, rank = _split_blocks(some, parts)
        blocks.append(dealt_blocks)
        _, most, size = dealt_blocks.real.shape
        moved.append(taken + rank[:, None] * size**2 + np.arange(size**2))
        taken += most * size**2
    entry_of = np.concatenate([*(one.ravel() for one in moved), [taken]])
    unit = np.eye(places)
    latent: dict[str, Any] = {
        name: dealt(value, unit)
        for name in ("covariance", "factor")
        if (value := getattr(bins, name)) is not None
    }
    if bins.checkpoints is not None:
        latent["checkpoints"] = Checkpoints(*(dealt(part) for part in bins.checkpoints))
    names = ("rows", "real", "same_lineage", "same_family", "walk")
    return Bins(
        lineage=dealt(bins.lineage, lineages),
        blocks=tuple(blocks),
        entry=dealt(entry_of.astype(np.int32)[np.asarray(bins.entry)], taken),
        **{name: dealt(getattr(bins, name)) for name in names},
        **latent,
    )


def _split_blocks(blocks: Any, parts: int) -> tuple[Any, np.ndarray]:
    """Blocks beside their bins, ``(part, block, ...)``, and which of its part's each is."""
    bin_, part = np.divmod(np.asarray(blocks.bin), parts)
    order = np.argsort(part, kind="stable")
    number = np.bincount(part, minlength=parts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(part)) - np.repeat(np.cumsum(number) - number, number)

    def placed(values: Any) -> Any:
        values = np.asarray(values)
        found = np.zeros((parts, int(number.max()), *values.shape[1:]), values.dtype)
        found[part, rank] = values
        return found

    return ScoreBlocks(*(placed(one) for one in blocks._replace(bin=bin_))), rank
