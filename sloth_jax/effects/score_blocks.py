"""What is observed of each lineage on each benchmark, as blocks of a few sizes."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sloth_jax.arrays import on_device
from sloth_jax.effects.bins import ScoreBlocks


def score_blocks(
    rows: np.ndarray,
    mask: np.ndarray,
    lineage: np.ndarray,
    observed: np.ndarray,
    same_family: np.ndarray,
    walk: np.ndarray,
) -> tuple[tuple[ScoreBlocks, ...], np.ndarray]:
    """Blocks of the scores in bins, by size, and :attr:`sloth_jax.effects.bins.Bins.pair_index`.

    Args:
        rows: position of each model in the table, ``(bin, slot)``.
        mask: 1 where there is a model, else 0, ``(bin, slot)``.
        lineage: of each model, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool.
        same_family: 1 for two models of one family, ``(bin, slot, slot)``.
        walk: covariance of the walk between models of one lineage, of the same shape.
    """
    shape = (rows.shape[0], observed.shape[1], *walk.shape[1:])
    bin_, benchmark, slot = np.nonzero((observed[rows] & (mask > 0.0)[:, :, None]).swapaxes(1, 2))
    # A block is a run of scores in the order of bin, benchmark, lineage.
    own = lineage[rows[bin_, slot]]
    key = (bin_ * shape[1] + benchmark) * (int(lineage.max()) + 1) + own
    order = np.argsort(key, kind="stable")
    bin_, benchmark, slot, key = (a[order] for a in (bin_, benchmark, slot, key))
    first = np.flatnonzero(np.diff(key, prepend=-1))  # score of each block
    number = np.diff(first, append=len(key))  # of scores in each block
    rank = np.arange(len(key)) - np.repeat(first, number)  # of each score in its block
    found, pair_index, taken = [], np.full(shape, -1, np.int64), 0
    sizes = 2 * -(-number // 2)
    limits = _sizes_apart(sizes)
    for low, size in zip([0, *limits], limits, strict=False):
        block = np.flatnonzero((sizes > low) & (sizes <= size))
        inside = np.repeat((sizes > low) & (sizes <= size), number)
        at = np.repeat(np.arange(len(block)), number[block])
        slots, filled = np.zeros((len(block), size), int), np.zeros((len(block), size))
        slots[at, rank[inside]], filled[at, rank[inside]] = slot[inside], 1.0
        b, j = bin_[first[block]], benchmark[first[block]]
        both = filled[:, :, None] * filled[:, None, :]
        pairs = (b[:, None, None], slots[:, :, None], slots[:, None, :])  # as ScoreBlocks.pairs
        of_pairs = (pairs[0], j[:, None, None], *pairs[1:])  # bin, benchmark, slot, slot
        index = tuple(np.broadcast_to(a, both.shape)[both > 0.0] for a in of_pairs)
        pair_index[index] = taken + np.flatnonzero(both)
        taken += both.size
        made = on_device(
            bin=b,
            benchmark=j,
            slot=slots,
            mask=filled,
            same_family=both * same_family[pairs],
            walk=both * walk[pairs],
        )
        found.append(ScoreBlocks(**made))
    return tuple(found), np.where(pair_index < 0, taken, pair_index)


def _sizes_apart(sizes: np.ndarray) -> list[int]:
    """Sizes to which blocks are padded, the last the largest: at most three.

    Work is the cube of a size. A further size is a further program to compile, so that it has to
    save half of the work.
    """
    if not len(sizes):
        return []
    known, number = np.unique(sizes, return_counts=True)
    below = np.concatenate([[0], np.cumsum(number)])

    def work(ends: tuple[int, ...]) -> float:
        starts = (0, *(end + 1 for end in ends[:-1]))
        return sum(
            float(known[e]) ** 3 * (below[e + 1] - below[s])
            for s, e in zip(starts, ends, strict=True)
        )

    best = (len(known) - 1,)
    for more in (1, 2):
        ends = [(*some, len(known) - 1) for some in combinations(range(len(known) - 1), more)]
        least = min(ends, key=work, default=best)
        if 2.0 * work(least) > work(best):
            break
        best = least
    return [int(known[end]) for end in best]
