"""The published folds, model by model."""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np
import pytest
from fold_tables import SETTINGS, hidden_by_strict, published_folds

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.folds import make_folds
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks, published_groups


def test_the_leaderboards_share_no_benchmark():
    v1, v2, both = map(leaderboard_benchmarks, LEADERBOARDS)
    assert (len(v1), len(v2)) == (6, 6)
    assert both == v1 + v2 == load_leaderboard(edition="2024").benchmarks
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


@pytest.mark.parametrize(("name", "n_train"), SETTINGS)
def test_all_rows_leave_the_published_test_models_as_they_are(name, n_train):
    plain = published_folds(name, n_train)
    more = published_folds(name, n_train, complete=False)
    assert len(more.table.models) > len(plain.table.models)
    kept = np.array([more.table.models.index(model) for model in plain.table.models])
    assert (more.test[:, kept] == plain.test).all()
    assert more.test.sum() == plain.test.sum()
    assert (more.train[:, kept] == plain.train).all()


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


def test_corrected_names_are_suggested():
    corrected = load_leaderboard(edition="2024").select_benchmarks(leaderboard_benchmarks("v1"))
    with pytest.raises(InputError, match=r"no family 'open_llama_' .* did you mean 'open_llama'"):
        make_folds(corrected, published_groups("v1", 2), n_train=2)
