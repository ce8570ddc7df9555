"""Folds of any table: what each protocol hides, and which groups can be tested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fold_tables import grid, hidden_by_strict, published, published_folds, sized, with_gaps
from small import BENCHMARKS, table

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.folds import lineage_groups, make_folds, size_ratio


def test_strict_hides_larger_models_of_the_lineage_and_nothing_else():
    groups = [("llama-2", "llama-2-chat"), ("opt",)]
    plain, strict = (
        make_folds(published("v2"), groups, n_train=1, protocol=protocol)
        for protocol in ("published", "strict")
    )
    # The largest training model is a 7B: the 7B derivatives stay.
    assert hidden_by_strict(plain, strict) == {
        "llama-2 + llama-2-chat": {
            "openhermes-13b",
            "orca-2-13b",
            "orca_mini_v3_13b",
            "orca_mini_v3_70b",
            "wizardlm-13b-v1.0",
            "wizardlm-70b-v1.0",
        }
    }
    assert (plain.protocol, strict.protocol) == ("published", "strict")


def test_strict_measures_each_lineage_by_its_own_families():
    board = replace(grid(), params_b=np.array([1.0, 2, 4, 8] + [10.0, 20, 40, 80] * 5))
    # family0 and family1 are lineage0; family2 and family3 lineage1; family4 and family5 lineage2.
    plain, strict = (
        make_folds(board, [("family0", "family2")], n_train=2, protocol=protocol)
        for protocol in ("published", "strict")
    )
    hidden = {"family0 + family2": {f"family1-{i}" for i in range(4)} | {"family3-2", "family3-3"}}
    assert hidden_by_strict(plain, strict) == hidden


@pytest.mark.parametrize("protocol", ["published", "strict"])
def test_nothing_predicted_is_learnt_from(protocol):
    board = with_gaps(grid(), ("family0-0", "ARC"), ("family2-3", "MMLU"))
    for complete in (True, False):
        groups = lineage_groups(board, 2)
        folds = make_folds(board, groups, n_train=2, protocol=protocol, complete=complete)
        assert not (folds.train & folds.test[:, :, None]).any()
        assert not (folds.train & ~folds.table.observed).any()
        assert folds.test.any(axis=1).all()
        assert (folds.n_train, folds.tested) == (2, groups)


def test_equal_sizes_are_taken_in_the_order_of_the_table():
    board = sized(("a-0", 7.0, 1.0), ("a-1", 7.0, 2.0), ("a-2", 1.0, 1.0), ("b-0", 1.0, 1.0))
    folds = make_folds(board, [("a",)], n_train=2)
    assert folds.table.models == ("a-0", "a-1", "a-2")  # b has one model
    assert folds.test.tolist() == [[False, True, False]]
    assert folds.train.all(axis=2).tolist() == [[True, False, True]]


def test_complete_drops_rows_and_then_families():
    board = with_gaps(
        grid(families=3, sizes=3),
        *((f"family1-{i}", "ARC") for i in (0, 2)),
        ("family2-1", "ARC"),
    )
    folds = make_folds(board, [("family2",)], n_train=1)
    assert folds.table.models == (
        "family0-0",
        "family0-1",
        "family0-2",
        "family2-0",
        "family2-2",
    )
    assert folds.test.tolist() == [[False] * 4 + [True]]


def test_incomplete_models_train_up_to_the_size_of_the_training_models():
    everything = tuple(("family1-0", name) for name in BENCHMARKS)
    board = with_gaps(
        grid(families=3, sizes=5),
        ("family0-0", "ARC"),  # smaller than the one complete training model
        ("family0-2", "ARC"),  # larger
        ("family2-4", "MMLU"),  # in a family that is not tested
        *everything,
    )
    folds = make_folds(board, [("family0",)], n_train=1, complete=False)
    assert "family1-0" not in folds.table.models
    assert len(folds.table.models) == 14
    model = {name: m for m, name in enumerate(folds.table.models)}
    test = {name for name, m in model.items() if folds.test[0, m]}
    assert test == {"family0-3", "family0-4"}
    expected = folds.table.observed.copy()
    expected[[model["family0-2"], model["family0-3"], model["family0-4"]]] = False
    assert (folds.train[0] == expected).all()
    assert folds.train[0, model["family0-0"]].tolist() == [True, False, True, True]
    assert folds.train[0, model["family2-4"]].tolist() == [False, True, True, True]

    # The split of complete models is the published one.
    plain = make_folds(board, [("family0",)], n_train=1)
    assert test == {plain.table.models[m] for m in np.flatnonzero(plain.test[0])}


def test_lineage_groups():
    board = grid(families=5)
    lineages = (("family0", "family1"), ("family2", "family3"), ("family4",))
    assert lineage_groups(board, 3) == lineages
    assert lineage_groups(board, 4) == ()
    gaps = [("family2-0", "MMLU"), ("family4-1", "ARC")]
    assert lineage_groups(with_gaps(board, *gaps), 3) == (("family0", "family1"), ("family3",))
    assert len(make_folds(board, lineages, n_train=3).names) == 3


def test_select():
    folds = published_folds("v2", 2)
    some = folds.select([4, 1])
    assert some.table is folds.table
    assert some.names == (folds.names[4], folds.names[1])
    assert (some.train == folds.train[[4, 1]]).all()
    assert (some.test == folds.test[[4, 1]]).all()
    assert (some.n_train, some.protocol) == (2, "published")
    for bad in ([], [0.0], [[1]], folds.n_train, [True] + [False] * 8):
        with pytest.raises(ValueError, match="positions of folds"):
            folds.select(bad)
    with pytest.raises(IndexError):
        folds.select([9])


def test_size_ratio():
    folds = published_folds("v1", 2)
    ratio = size_ratio(folds)
    assert (np.isnan(ratio) == ~folds.test).all()
    k = folds.names.index("llama-2 + llama-2-chat")
    for model in ("llama-2-70b", "llama-2-70b-chat"):
        assert ratio[k, folds.table.models.index(model)] == 70 / 13
    tied = make_folds(sized(("a-0", 7.0, 1.0), ("a-1", 7.0, 2.0)), [("a",)], n_train=1)
    np.testing.assert_array_equal(size_ratio(tied), [[np.nan, 1.0]])


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (
            [("familly1",)],
            {},
            "no family 'familly1' in the table; did you mean 'family1'?",
        ),
        ([("\n",)], {}, r"no family '\n' in the table: name one of the table's families"),
        (
            ["family0", ("family1", "family2")],
            {"n_train": 3},
            "family 'family2' has 3 models with all scores, and testing it with n_train = 3 needs"
            " 4: leave the family out, or choose other benchmarks or a smaller n_train",
        ),
        (
            ["family3"],
            {"complete": False},
            "family 'family3' has 1 model with all scores, and testing it with n_train = 1 needs"
            " 2: leave the family out, or choose other benchmarks or a smaller n_train",
        ),
        (
            [("family0", "family1", "family0")],
            {},
            "family 'family0' is twice in group 1: name it once",
        ),
        (["family0", ()], {}, "group 2 of 2 is empty: name a family in it"),
        (
            [],
            {"n_train": 2},
            "no families to test: give at least one group, of families with 3 models or more that"
            " have all scores",
        ),
        (
            ["family0"],
            {"n_train": -1},
            "n_train is -1: 0 hides tested families whole, 1 keeps a model",
        ),
        (
            ["family0"],
            {"protocol": "strickt"},
            "no protocol 'strickt'; did you mean 'strict'? (there are published, strict)",
        ),
    ],
)
def test_groups_that_cannot_be_tested(groups, options, message):
    gaps = [("family2-0", "MMLU"), *((f"family3-{i}", "ARC") for i in range(3))]
    with pytest.raises(InputError) as error:
        make_folds(with_gaps(grid(), *gaps), groups, **{"n_train": 1, **options})
    assert str(error.value) == message


def test_lineage_groups_refuses_fewer_than_no_training_models():
    with pytest.raises(InputError, match="n_train is -1"):
        lineage_groups(grid(), -1)


@pytest.mark.parametrize("protocol", ["published", "strict"])
def test_the_cold_start_hides_families_whole(protocol):
    folds = make_folds(grid(), [["family0"], ["family3"]], n_train=0, protocol=protocol)
    of_lineage = folds.table.lineage_of_family[folds.table.family]
    for k, name in enumerate(("family0", "family3")):
        family = folds.table.families.index(name)
        own = folds.table.family == family
        assert (folds.test[k] == own).all()
        hidden = ~folds.train[k].any(axis=1)
        lineage = of_lineage == folds.table.lineage_of_family[family]
        assert (hidden == (own if protocol == "published" else lineage)).all()


def test_tables_of_these_tests_are_what_the_loader_gives(tmp_path):
    data, _ = table()
    data.to_csv(tmp_path / "table.csv")
    loaded = load_leaderboard(tmp_path / "table.csv")
    assert loaded.models == data.models
    np.testing.assert_array_equal(loaded.scores, data.scores)
    np.testing.assert_array_equal(loaded.family, data.family)
