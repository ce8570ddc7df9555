"""Bins in shards of one shape, one for each device.

Lineages are independent given what all of them share, so their density is a sum over shards. All
that a shard refers to is in it: devices communicate for the sum alone. (Left to itself the compiler
would gather all scores of a benchmark on every device, and be no faster for it.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jax.sharding import Mesh

from sloth_jax.effects.bins import AnyBins, Bins, Checkpoints, NestedBins, ScoreBlocks, ShardedBins


def shard_bins(bins: AnyBins, mesh: Mesh, lineages: int) -> AnyBins:
    """The same lineages in shards, one for each device; :class:`NestedBins` stay whole.

    Bins go to shards in turn, since neighbours are of lineages of about the same size. Shards that
    have fewer bins or blocks get empty ones, which add nothing to any sum.

    Args:
        bins: of a table, not sharded.
        mesh: the devices, along one axis.
        lineages: number of lineages of the table.

    Returns:
        Bins of the same kinds, in arrays of NumPy where they are sharded.
    """
    return tuple(
        some
        if isinstance(some, NestedBins)
        else ShardedBins(_shard(some, mesh.size, lineages), mesh)
        for some in bins
    )


def _shard(bins: Any, shards: int, lineages: int) -> Bins:
    """Bins of NumPy's arrays with a leading axis ``(shard,)``."""
    count, slots = np.shape(bins.rows)
    missing = -count % shards
    in_turn = np.arange(count + missing).reshape(-1, shards).T  # (shard, bin)

    def dealt(values: Any, empty: float | np.ndarray = 0) -> Any:
        values = np.asarray(values)
        more = np.broadcast_to(np.asarray(empty, values.dtype), (missing, *values.shape[1:]))
        return np.concatenate([values, more])[in_turn]

    blocks: list[ScoreBlocks] = []
    moved, taken = [], 0  # where elements of blocks are in their shard
    for some in bins.blocks:
        in_shards, rank = _shard_blocks(some, shards)
        blocks.append(in_shards)
        _, most, size = in_shards.mask.shape
        moved.append(taken + rank[:, None] * size**2 + np.arange(size**2))
        taken += most * size**2
    new_index = np.concatenate([*(one.ravel() for one in moved), [taken]])
    identity = np.eye(slots)
    optional: dict[str, Any] = {
        name: dealt(value, identity)
        for name in ("covariate_covariance", "covariate_root")
        if (value := getattr(bins, name)) is not None
    }
    if bins.checkpoints is not None:
        optional["checkpoints"] = Checkpoints(*(dealt(values) for values in bins.checkpoints))
    names = ("rows", "mask", "same_lineage", "same_family", "walk")
    return Bins(
        lineage=dealt(bins.lineage, lineages),
        blocks=tuple(blocks),
        pair_index=dealt(new_index.astype(np.int32)[np.asarray(bins.pair_index)], taken),
        **{name: dealt(getattr(bins, name)) for name in names},
        **optional,
    )


def _shard_blocks(blocks: Any, shards: int) -> tuple[Any, np.ndarray]:
    """Blocks in the shards of their bins, ``(shard, block, ...)``, and each one's rank there."""
    bin_, shard = np.divmod(np.asarray(blocks.bin), shards)
    order = np.argsort(shard, kind="stable")
    number = np.bincount(shard, minlength=shards)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(shard)) - np.repeat(np.cumsum(number) - number, number)

    def placed(values: Any) -> Any:
        values = np.asarray(values)
        found = np.zeros((shards, int(number.max()), *values.shape[1:]), values.dtype)
        found[shard, rank] = values
        return found

    return ScoreBlocks(*(placed(one) for one in blocks._replace(bin=bin_))), rank
