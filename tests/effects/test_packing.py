"""Models packed into bins of equal shape."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax.effects.packing import _pack, fill_bins


@pytest.mark.parametrize("seed", range(5))
def test_every_model_has_one_place_in_one_bin(seed):
    rng = np.random.default_rng(seed)
    lineage = rng.permutation(np.repeat(np.arange(12), rng.integers(1, 4 + 8 * (seed % 2), 12)))
    family = 2 * lineage + rng.integers(0, 2, lineage.size)
    observed = rng.random((lineage.size, 3)) < 0.4
    bins = fill_bins(lineage, family, rng.uniform(0, 3, lineage.size), observed)
    rows, of_model = [], {}
    for kind, some in enumerate(bins):
        mask = np.asarray(some.mask) > 0
        assert mask.shape[1] % 2 == 0
        rows.append(np.asarray(some.rows)[mask])
        for at, slot in zip(*np.nonzero(mask), strict=True):
            row = int(some.rows[at, slot])
            assert int(some.lineage[at, slot // 2]) == lineage[row]
            of_model[row] = (kind, at)
        inside = np.asarray(some.rows)
        both = mask[:, :, None] & mask[:, None, :]
        for name, label in (("same_lineage", lineage), ("same_family", family)):
            same = label[inside][:, :, None] == label[inside][:, None, :]
            np.testing.assert_array_equal(getattr(some, name), both & same)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(lineage.size))
    for at in range(12):
        assert len({of_model[row] for row in np.flatnonzero(lineage == at)}) == 1


@pytest.mark.parametrize("seed", range(3))
def test_each_lineage_goes_to_the_first_bin_with_room(seed):
    rng = np.random.default_rng(seed)
    slots = rng.integers(0, 9, 60)
    chosen = np.flatnonzero(slots)
    free, expected = [], {}
    for at in sorted(range(len(chosen)), key=lambda at: -slots[chosen[at]]):
        room = [bin_ for bin_, left in enumerate(free) if left >= slots[chosen[at]]]
        if not room:
            free.append(8)
        into = room[0] if room else len(free) - 1
        expected[at] = (into, 8 - free[into])
        free[into] -= slots[chosen[at]]
    found = _pack(slots, chosen, 8)
    np.testing.assert_array_equal(found, [expected[at] for at in range(len(chosen))])
