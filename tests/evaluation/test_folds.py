"""Folds: the published ones model by model, what each protocol hides, and what a fold can tell."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from small import BENCHMARKS, leaderboard, table

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.folds import Folds, lineage_groups, make_folds, size_ratio
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks, published_groups
from sloth_jax.evaluation.rank_deficiency import rank_deficiencies

SETTINGS = [(name, n_train) for name in LEADERBOARDS for n_train in (1, 2)]
NAMES = ("log_params", "log_tokens", "product")


@cache
def published(name: str) -> Leaderboard:
    return load_leaderboard(corrected=False).select_benchmarks(leaderboard_benchmarks(name))


def published_folds(name: str, n_train: int, **options) -> Folds:
    groups = published_groups(name, n_train)
    return make_folds(published(name), groups, n_train=n_train, **options)


def hidden_by_strict(plain: Folds, strict: Folds) -> dict[str, set[str]]:
    """Models that train under the published protocol only, by the name of the fold."""
    assert plain.table.models == strict.table.models
    assert (plain.test == strict.test).all()
    assert not (strict.train & ~plain.train).any()
    hidden = (plain.train & ~strict.train).any(axis=2)
    assert not (strict.train[hidden]).any()
    return {
        name: {plain.table.models[m] for m in np.flatnonzero(row)}
        for name, row in zip(plain.names, hidden, strict=True)
        if row.any()
    }


def with_gaps(board: Leaderboard, *gaps: tuple[str, str]) -> Leaderboard:
    scores = board.scores.copy()
    for model, benchmark in gaps:
        scores[board.models.index(model), board.benchmarks.index(benchmark)] = np.nan
    return replace(board, scores=scores)


def covariates(board: Leaderboard) -> np.ndarray:
    size, tokens = np.log(board.params_b), np.log(board.tokens_t)
    return np.stack([size, tokens, size * tokens], axis=1)


def grid(families: int = 6, sizes: int = 4) -> Leaderboard:
    """Families of 1, 2, 4... billion parameters; two of them share a lineage."""
    pairs = [(f, size) for f in range(families) for size in range(sizes)]
    frame = pd.DataFrame(
        {
            "model": [f"family{f}-{size}" for f, size in pairs],
            "family": [f"family{f}" for f, _ in pairs],
            "lineage": [f"lineage{f // 2}" for f, _ in pairs],
            "post_trained": False,
            "params_b": [2.0**size for _, size in pairs],
            "tokens_t": [1.0 + f + 0.3 * size for f, size in pairs],
        }
    )
    return leaderboard(frame, np.full((len(frame), len(BENCHMARKS)), 0.5))


def sized(*models: tuple[str, float, float]) -> Leaderboard:
    """A table of models ``family-size`` with sizes and tokens; each family is its own lineage."""
    frame = pd.DataFrame(models, columns=["model", "params_b", "tokens_t"])
    frame["family"] = frame["model"].str.split("-").str[0]
    frame["lineage"], frame["post_trained"] = frame["family"], False
    return leaderboard(frame, np.full((len(frame), len(BENCHMARKS)), 0.5))


def test_the_leaderboards_share_no_benchmark():
    v1, v2, both = map(leaderboard_benchmarks, LEADERBOARDS)
    assert (len(v1), len(v2)) == (6, 6)
    assert both == v1 + v2 == load_leaderboard().benchmarks
    assert ("MMLU" in v1, "IFEval" in v2) == (True, True)


@pytest.mark.parametrize(("name", "n_train"), SETTINGS)
def test_the_published_roles(shared, name, n_train):
    roles = defaultdict(dict)
    with (shared / "data" / "cv_folds.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["leaderboard"], row["n_train"]) == (name, str(n_train)):
                roles[int(row["fold"])][row["model"]] = (row["family"], row["role"])
    folds = published_folds(name, n_train)
    board = folds.table
    assert board.observed.all()
    assert np.bincount(board.family).min() >= n_train + 1
    assert folds.train.shape == (len(roles), len(board.models), len(board.benchmarks))
    for k, families in enumerate(folds.tested):
        trains = folds.train[k].all(axis=1)
        assert (folds.train[k].any(axis=1) == trains).all()
        assert (trains ^ folds.test[k]).all()  # every model is one or the other
        here = {
            model: (board.families[f], "test" if folds.test[k, m] else "train")
            for m, (model, f) in enumerate(zip(board.models, board.family, strict=True))
            if board.families[f] in families
        }
        assert here == roles[k]


def test_there_are_73_published_folds():
    counts = [len(published_groups(name, n_train)) for name, n_train in SETTINGS]
    assert counts == [19, 15, 12, 9, 11, 7]
    assert sum(counts) == 73
    assert ("pythia", "dolly-v2") in published_groups("v1", 1)


@pytest.mark.parametrize(
    ("name", "n_train", "expected"),
    [
        ("v1", 1, {}),
        ("v1", 2, {}),
        (
            "v2",
            1,
            {
                "qwen2 + qwen2-instruct + dolphin-2.9.2-qwen2": {"orca_mini_v7_72b"},
                "yi-1.5 + yi-1.5-chat + dolphin-2.9.1-yi-1.5": {"blossom-v5.1-34b"},
            },
        ),
        (
            "v2",
            2,
            {
                "llama-2 + llama-2-chat": {"orca_mini_v3_70b"},
                "orca_mini_v3_": {"llama-2-70b", "llama-2-70b-chat"},
            },
        ),
        ("both", 1, {}),
        ("both", 2, {}),
    ],
)
def test_what_strict_hides_in_the_published_folds(name, n_train, expected):
    plain = published_folds(name, n_train)
    assert hidden_by_strict(plain, published_folds(name, n_train, protocol="strict")) == expected


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
        "family0-0", "family0-1", "family0-2", "family2-0", "family2-2",
    )  # fmt: skip
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


@pytest.mark.parametrize(("name", "n_train"), SETTINGS)
def test_all_rows_leave_the_published_test_models_as_they_are(name, n_train):
    plain = published_folds(name, n_train)
    more = published_folds(name, n_train, complete=False)
    assert len(more.table.models) > len(plain.table.models)
    kept = np.array([more.table.models.index(model) for model in plain.table.models])
    assert (more.test[:, kept] == plain.test).all()
    assert more.test.sum() == plain.test.sum()
    assert (more.train[:, kept] == plain.train).all()


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


def test_no_published_fold_is_deficient():
    folds = published_folds("v2", 2)
    assert rank_deficiencies(folds, covariates(folds.table), NAMES) == []


def test_tokens_that_vary_in_held_out_models_only():
    # Within each family's training models the tokens are constant; those of a grow later.
    board = sized(
        ("a-0", 1.0, 1.0), ("a-1", 2.0, 1.0), ("a-2", 4.0, 3.0),
        ("b-0", 1.0, 2.0), ("b-1", 3.0, 2.0), ("b-2", 9.0, 2.0),
        ("c-0", 2.0, 5.0), ("c-1", 6.0, 5.0),
    )  # fmt: skip
    folds = make_folds(board, [("a",), ("b",)], n_train=1)
    assert rank_deficiencies(folds.select([1]), covariates(board), NAMES) == []
    (found,) = rank_deficiencies(folds, covariates(board), NAMES)
    # a has log t = 0 in training: its intercept is not part of what cannot be told apart.
    assert found == (
        0,
        "all",
        ("b", "c"),
        "fold 'a': the training scores leave one combination of log_tokens and the families b, c"
        " undetermined; predictions of a-2 depend on what is left open, so do not trust them",
    )
    (single,) = rank_deficiencies(folds, covariates(board).astype(np.float32), NAMES)
    assert single == found


def test_a_deficiency_that_no_prediction_depends_on():
    board = sized(
        ("a-0", 1.0, 2.0), ("a-1", 2.0, 2.0), ("a-2", 4.0, 2.0),
        ("b-0", 1.0, 3.0), ("b-1", 3.0, 3.0), ("b-2", 9.0, 3.0),
    )  # fmt: skip
    folds = make_folds(board, [("a",)], n_train=2)
    (found,) = rank_deficiencies(folds, covariates(board))
    assert found.families == ("a", "b")
    assert "one combination of covariate 2 and the families a, b" in found.message
    assert found.message.endswith("no prediction of a held-out model depends on it")


@pytest.mark.parametrize("seed", range(20))
def test_deficiencies_against_the_rank_of_the_design(seed):
    rng = np.random.default_rng(seed)
    board = sized(
        *(
            (f"{name}-{i}", 1.0 + i, tokens + float(rng.random() < 0.15))
            for name, tokens in zip("abcd", rng.integers(1, 4, 4), strict=True)
            for i in range(rng.integers(2, 5))
        )
    )
    folds = make_folds(board, lineage_groups(board, 1), n_train=1)
    found = {d.fold: d for d in rank_deficiencies(folds, covariates(board), NAMES)}
    rank = np.linalg.matrix_rank
    for k in range(len(folds.tested)):
        rows = [
            [*x, *(float(board.family[m] == f) for f in range(4))]
            for m, x in enumerate(covariates(board))
        ]
        design = np.array([row for m, row in enumerate(rows) if folds.train[k, m, 0]])
        held_out = {m: row for m, row in enumerate(rows) if folds.test[k, m]}
        assert (k in found) == (rank(design) < 7)
        if k not in found:
            continue
        # Determined: without its column the design has a lower rank.
        named = {
            name
            for f, name in enumerate(board.families)
            if rank(np.delete(design, 3 + f, axis=1)) == rank(design)
        }
        assert set(found[k].families) == named
        # A prediction depends on what is open where its row is new to the design.
        moved = [m for m, row in held_out.items() if rank([*design, row]) > rank(design)]
        text = ", ".join(board.models[m] for m in moved)
        expected = f"predictions of {text} depend" if moved else "no prediction"
        assert f"; {expected}" in found[k].message


def test_a_long_list_of_families_is_cut_in_the_message_only():
    board = sized(*((f"f{f}-{i}", 1.0 + i + f, 2.0 + f) for f in range(9) for i in range(3)))
    folds = make_folds(board, [("f0",)], n_train=1)
    (found,) = rank_deficiencies(folds, covariates(board), NAMES)
    assert found.families == tuple(f"f{f}" for f in range(9))
    assert "f5 and 3 more" in found.message


def test_benchmarks_with_other_training_models_are_judged_by_themselves():
    board = sized(
        ("a-0", 1.0, 2.0), ("a-1", 2.0, 2.0),
        ("b-0", 1.0, 3.0), ("b-1", 3.0, 3.0), ("b-2", 9.0, 4.0), ("b-3", 6.0, 5.0),
        ("c-0", 1.0, 3.0),
    )  # fmt: skip
    # b-2 and b-3 tell tokens from families; without c-0, no model of c, whose column goes.
    gaps = [(model, name) for model in ("b-2", "b-3") for name in ("ARC", "GSM8K")]
    board = with_gaps(board, *gaps, ("c-0", "GSM8K"))
    folds = make_folds(board, [("a",)], n_train=1, complete=False)
    found = rank_deficiencies(folds, covariates(board), NAMES)
    assert [(d.fold, d.benchmark, d.families) for d in found] == [
        (0, "ARC", ("a", "b", "c")),
        (0, "GSM8K", ("a", "b")),
    ]
    assert found[0].message.startswith("fold 'a', benchmark ARC: the training scores")


def test_a_tested_family_without_training_scores_is_named():
    board = published_folds("v2", 1)
    train = board.train.copy()
    k = board.names.index("bloom")
    f = board.table.families.index("bloom")
    train[k, board.table.family == f] = False
    (found,) = rank_deficiencies(replace(board, train=train), covariates(board.table), NAMES)
    assert (found.fold, found.families) == (k, ("bloom",))
    assert "one combination of the family bloom undetermined; predictions of bloom-" in (
        found.message
    )


def test_covariates_must_fit():
    folds = make_folds(grid(), [("family0",)], n_train=1)
    x = covariates(folds.table)
    for bad in (x[:-1], x[:, 0], np.where(x == x[0], np.nan, x)):
        with pytest.raises(ValueError, match="must be finite, of shape"):
            rank_deficiencies(folds, bad)
    with pytest.raises(ValueError, match="3 covariates but 2 names"):
        rank_deficiencies(folds, x, NAMES[:2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: leaderboard_benchmarks("V1"),
            "no leaderboard 'V1'; did you mean 'v1'? (there are v1, v2, both)",
        ),
        (lambda: published_groups("xyz", 1), "no leaderboard 'xyz' (there are v1, v2, both)"),
        (
            lambda: published_groups("v1", 3),
            "no published folds keep 3 training models of a tested family: choose 1 or 2",
        ),
    ],
)
def test_unknown_published_folds(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


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


def test_corrected_names_are_suggested():
    corrected = load_leaderboard().select_benchmarks(leaderboard_benchmarks("v1"))
    with pytest.raises(InputError, match=r"no family 'open_llama_' .* did you mean 'open_llama'"):
        make_folds(corrected, published_groups("v1", 2), n_train=2)


def test_tables_of_these_tests_are_what_the_loader_gives(tmp_path):
    data, _ = table()
    data.to_csv(tmp_path / "table.csv")
    loaded = load_leaderboard(tmp_path / "table.csv")
    assert loaded.models == data.models
    np.testing.assert_array_equal(loaded.scores, data.scores)
    np.testing.assert_array_equal(loaded.family, data.family)
