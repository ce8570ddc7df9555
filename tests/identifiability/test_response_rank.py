"""Rank of the bilinear law of answers: against the dense Jacobian, and blocks of models."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax.identifiability import response_rank as ranks
from sloth_jax.identifiability.response_rank import connected_blocks, response_rank


def dense_rank(answered: np.ndarray, skills: int) -> int:
    """Of all derivatives of eta_mi = a_i' theta_m - b_i, side by side."""
    rng = np.random.default_rng(7)
    models, items = answered.shape
    theta, loading = rng.normal(size=(models, skills)), rng.normal(size=(items, skills))
    rows = []
    for m, i in np.argwhere(answered):
        of_model, of_item = np.zeros((models, skills)), np.zeros((items, skills + 1))
        of_model[m], of_item[i] = loading[i], [*theta[m], -1.0]
        rows.append(np.concatenate([of_model.ravel(), of_item.ravel()]))
    return int(np.linalg.matrix_rank(np.array(rows)))


@pytest.mark.parametrize("skills", [1, 2])
@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
def test_the_rank_is_that_of_the_dense_jacobian(skills, share):
    answered = np.random.default_rng(3).random((9, 14)) < share
    answered[:, ~answered.any(axis=0)] = True
    found = response_rank(answered, skills=skills)
    assert found.rank == dense_rank(answered, skills)
    assert found.expected == 14 * (skills + 1) + 9 * skills - skills**2 - skills
    if share == 1.0:
        assert found.rank == found.expected
        assert not len(found.undetermined)


def test_models_that_answered_too_little_are_found():
    answered = np.ones((12, 20), bool)
    answered[4, 1:] = answered[7, :] = False
    answered[7, 3] = True
    found = response_rank(answered, skills=2)
    assert found.undetermined.tolist() == [4, 7]
    assert found.expected - found.rank == 2  # one answer for two skills leaves one free, twice


def test_blocks_share_no_item():
    answered = np.zeros((5, 6), bool)
    answered[:3, :4] = answered[3, 4:] = True
    assert [block.tolist() for block in connected_blocks(answered)] == [[0, 1, 2], [3], [4]]


def test_of_many_models_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(ranks, "_MOST", 10)
    found = response_rank(np.ones((30, 8), bool), skills=2)
    assert len(found.models) == 5
    assert found.rank == found.expected
