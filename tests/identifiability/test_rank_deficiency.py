"""What the training scores of a fold leave undetermined, against ranks of designs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fold_tables import NAMES, covariates, grid, published_folds, sized, with_gaps

from sloth_jax.evaluation.folds import lineage_groups, make_folds
from sloth_jax.identifiability.rank_deficiency import rank_deficiencies


def test_no_published_fold_is_deficient():
    folds = published_folds("v2", 2)
    assert rank_deficiencies(folds, covariates(folds.table), NAMES) == []


def test_tokens_that_vary_in_held_out_models_only():
    # Within each family's training models the tokens are constant; those of a grow later.
    board = sized(
        ("a-0", 1.0, 1.0),
        ("a-1", 2.0, 1.0),
        ("a-2", 4.0, 3.0),
        ("b-0", 1.0, 2.0),
        ("b-1", 3.0, 2.0),
        ("b-2", 9.0, 2.0),
        ("c-0", 2.0, 5.0),
        ("c-1", 6.0, 5.0),
    )
    folds = make_folds(board, [("a",), ("b",)], n_train=1)
    assert rank_deficiencies(folds.select([1]), covariates(board), NAMES) == []
    (found,) = rank_deficiencies(folds, covariates(board), NAMES)
    # a has log t = 0 in training: its intercept is determined.
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
        ("a-0", 1.0, 2.0),
        ("a-1", 2.0, 2.0),
        ("a-2", 4.0, 2.0),
        ("b-0", 1.0, 3.0),
        ("b-1", 3.0, 3.0),
        ("b-2", 9.0, 3.0),
    )
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
        ("a-0", 1.0, 2.0),
        ("a-1", 2.0, 2.0),
        ("b-0", 1.0, 3.0),
        ("b-1", 3.0, 3.0),
        ("b-2", 9.0, 4.0),
        ("b-3", 6.0, 5.0),
        ("c-0", 1.0, 3.0),
    )
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
