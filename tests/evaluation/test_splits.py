"""Development splits: what is hidden, what stays, and that nothing predicted was seen."""

from __future__ import annotations

import numpy as np
import pytest

import sloth_jax as sj
from sloth_jax.errors import InputError
from sloth_jax.evaluation.splits import (
    DATES,
    balanced_groups,
    small_tables,
    smallest,
    split_by_corner,
    split_by_date,
    split_by_lineage,
)


@pytest.fixture(scope="module")
def data():
    return sj.load_leaderboard(edition="2024")


def of_all_kinds(data):
    yield split_by_date(data)
    yield from (split_by_lineage(data, count) for count in (0, 1, 2))
    yield split_by_corner(data)
    yield from small_tables(data, seed=0)


def test_no_score_of_a_predicted_model_may_be_used(data):
    for split in of_all_kinds(data):
        assert split.train.shape == (len(split.test), *split.table.scores.shape)
        assert split.test.any(axis=1).all()
        assert not split.train[split.test].any()
        assert not (split.train & ~split.table.observed[None]).any()


def test_smallest_models_of_each_family():
    data = sj.load_leaderboard(edition="2024")
    two = smallest(data, 2)
    for family in range(len(data.families)):
        rows = data.family == family
        scored = rows & data.observed.any(axis=1)
        assert two[rows].sum() == min(2, scored.sum())
        if (scored & ~two).any():
            assert data.params_b[rows & two].max() <= data.params_b[scored & ~two].min()


def test_by_date_only_the_smallest_models_of_later_families_are_seen(data):
    split = split_by_date(data)
    released = np.array([day or "9999" for day in data.released])
    for date, train in zip(DATES, split.train, strict=True):
        seen = train.any(axis=1)
        for family in np.unique(data.family):
            rows = data.family == family
            if min(released[rows]) >= date:
                assert seen[rows].sum() <= 1


def test_by_lineage_every_model_but_the_smallest_is_predicted_once(data):
    for count in (0, 1, 2):
        split = split_by_lineage(data, count)
        scored = data.observed.any(axis=1)
        np.testing.assert_array_equal(split.test.sum(axis=0), scored & ~smallest(data, count))
        of_model = data.lineage_of_family[data.family]
        for fold in split.test:  # a lineage is never divided between folds
            others = np.isin(of_model, of_model[fold]) & ~smallest(data, count) & scored
            np.testing.assert_array_equal(others, fold)


def test_groups_are_as_even_as_the_largest_item_allows():
    load = np.random.default_rng(0).integers(0, 30, 40)
    load[0] = 0
    group = balanced_groups(load, 4)
    np.testing.assert_array_equal(group < 0, load == 0)
    filled = np.bincount(group[load > 0], load[load > 0], minlength=4)
    # The last item of the fullest group went to the group that held least.
    for fullest in np.flatnonzero(filled == filled.max()):
        assert filled[fullest] - load[(group == fullest) & (load > 0)].min() <= filled.min()
    np.testing.assert_array_equal(np.sort(balanced_groups(np.array([3, 2]), 4)), [0, 1])


def test_the_corner_is_large_and_has_seen_many_tokens(data):
    split = split_by_corner(data, (0.7,))
    (corner,) = split.test
    for value in (data.params_b, data.tokens_t):
        assert value[corner].min() >= np.nanquantile(value, 0.7)


def test_small_tables_are_small_and_the_same_for_a_seed(data):
    first, again = (small_tables(data, seed=3, models=24, tables=2) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.table.models == other.table.models
        assert 24 <= len(one.table.models) < 36
        np.testing.assert_array_equal(one.test, other.test)


def test_a_date_that_does_not_divide_the_table_is_refused(data):
    with pytest.raises(InputError, match="date 1999-01 does not divide the table"):
        split_by_date(data, ("1999-01",))
