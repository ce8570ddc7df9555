"""What is observed of each lineage on each benchmark, as blocks of a few sizes."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sloth_jax.arrays import on_device
from sloth_jax.effects.bins import ScoreBlocks


def score_blocks(
    rows: np.ndarray,
    real: np.ndarray,
    lineage: np.ndarray,
    observed: np.ndarray,
    same_family: np.ndarray,
    walk: np.ndarray,
) -> tuple[tuple[ScoreBlocks, ...], np.ndarray]:
    """Blocks of the scores in bins, and :attr:`sloth_jax.effects.bins.Bins.entry`.

    Args:
        rows: position of each model in the table, ``(bin, place)``.
        real: 1 where there is a model, else 0, ``(bin, place)``.
        lineage: of each model, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool.
        same_family: 1 for two models of one family, ``(bin, place, place)``.
        walk: covariance of the walk between models of one lineage, of the same shape.
    """
    shape = (rows.shape[0], observed.shape[1], *walk.shape[1:])
    bin_, benchmark, place = np.nonzero((observed[rows] & (real > 0.0)[:, :, None]).swapaxes(1, 2))
    # Scores of one lineage stand together within a bin and a benchmark.
    own = lineage[rows[bin_, place]]
    key = (bin_ * shape[1] + benchmark) * (int(lineage.max()) + 1) + own
    order = np.argsort(key, kind="stable")
    bin_, benchmark, place, key = (a[order] for a in (bin_, benchmark, place, key))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    number = np.diff(first, append=len(key))
    rank = np.arange(len(key)) - np.repeat(first, number)
    found, entry, taken = [], np.full(shape, -1, np.int64), 0
    sizes = 2 * -(-number // 2)
    limits = _sizes_apart(sizes)
    for low, size in zip([0, *limits], limits, strict=False):
        block = np.flatnonzero((sizes > low) & (sizes <= size))
        inside = np.repeat((sizes > low) & (sizes <= size), number)
        at = np.repeat(np.arange(len(block)), number[block])
        places, full = np.zeros((len(block), size), int), np.zeros((len(block), size))
        places[at, rank[inside]], full[at, rank[inside]] = place[inside], 1.0
        b, j = bin_[first[block]], benchmark[first[block]]
        pair = (b[:, None, None], places[:, :, None], places[:, None, :])
        both = full[:, :, None] * full[:, None, :]
        among = taken + np.arange(both.size).reshape(both.shape)
        in_block = both > 0.0
        wide = [np.broadcast_to(a, both.shape)[in_block] for a in (pair[0], j[:, None, None])]
        wide += [np.broadcast_to(a, both.shape)[in_block] for a in pair[1:]]
        entry[tuple(wide)] = among[in_block]
        taken += both.size
        made = on_device(
            bin=b,
            benchmark=j,
            place=places,
            real=full,
            same_family=both * same_family[pair],
            walk=both * walk[pair],
        )
        found.append(ScoreBlocks(**made))
    return tuple(found), np.where(entry < 0, taken, entry)


def _sizes_apart(sizes: np.ndarray) -> list[int]:
    """Sizes up to which blocks stand together, the last the largest: at most three.

    Every further one makes at most half the work, which is the cube of a size: it is a further
    program to compile.
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
