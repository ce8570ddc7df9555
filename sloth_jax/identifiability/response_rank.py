"""What answers determine of abilities and items: the rank of a bilinear law's Jacobian.

The law is ``eta_mi = a_i' theta_m - b_i`` wherever model m answered item i. With k skills and no
prior its parameters are determined up to ``k x k + k`` numbers at best: one invertible matrix that
turns skills, and one shift.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

_MOST = 2000  # unknowns of models in a dense matrix
_ZERO = 1e-10  # eigenvalues, squares of singular values, below this share of the largest
_GUESSES = 300
_FIRST = 64  # patterns of answers after which models' parts are looked at, then twice as many


class ResponseRank(NamedTuple):
    """What answers determine.

    Attributes:
        rank: of the Jacobian.
        expected: number of parameters less ``k x k + k``.
        models: positions of the models that were looked at: all, or as many as fit, at random.
        undetermined: positions of those whose abilities do not follow from answers, taking those of
            the largest group that moves as one for known.
    """

    rank: int
    expected: int
    models: np.ndarray
    undetermined: np.ndarray


def connected_blocks(answered: np.ndarray) -> tuple[np.ndarray, ...]:
    """Models in blocks that share no item, the largest first; each ``(model in block,)``.

    Args:
        answered: ``(model, item)`` bool; models without an answer are a block each.
    """
    models = len(answered)
    # Every item ties its models to the first of them.
    first = answered.argmax(axis=0)
    ends = [np.unique(first[row]) for row in answered]
    one = np.repeat(np.arange(models), [len(end) for end in ends])
    edges = (np.ones(len(one), bool), (one, np.concatenate([*ends, one[:0]])))
    label = connected_components(csr_matrix(edges, shape=(models, models)), directed=False)[1]
    found = [np.flatnonzero(label == one) for one in np.unique(label)]
    return tuple(sorted(found, key=len, reverse=True))


def response_rank(answered: np.ndarray, *, skills: int, seed: int = 0) -> ResponseRank:
    """Rank of the law's Jacobian at a generic point, and what it should be.

    What an item's own ``k + 1`` numbers explain of its answers is projected out of the columns of
    the models, so that an item that at most ``k + 1`` models answered tells nothing of them.

    Args:
        answered: ``(model, item)`` bool.
        skills: number of skills k.
        seed: of the point, and of the models that are looked at where all are too many.
    """
    rng = np.random.default_rng(seed)
    chosen = np.arange(len(answered))
    if len(chosen) * skills > _MOST:
        chosen = np.sort(rng.choice(len(chosen), _MOST // skills, replace=False))
    answered = answered[chosen]
    answered = answered[:, answered.any(axis=0)]
    models, items = answered.shape
    theta = rng.normal(size=(models, skills))
    loading = rng.normal(size=(items, skills))
    x = np.column_stack([theta, -np.ones(models)])
    # Items that the same models answered have the same projection.
    patterns, place = np.unique(np.packbits(answered, axis=0), axis=1, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    count = np.bincount(place.ravel(), minlength=patterns.shape[1])
    groups = sorted(
        np.split(order, np.cumsum(count)[:-1]), key=lambda group: -answered[:, group[0]].sum()
    )
    each, most = np.arange(skills), models * skills - skills**2 - skills
    gram = np.zeros((models, skills, models, skills))
    rank = int(np.minimum(answered.sum(axis=0), skills + 1).sum())
    look = _FIRST
    for at, group in enumerate(groups):
        if at == look:  # those of most models come first; more of them can add nothing to all
            look *= 2
            if _of_models(gram.reshape(models * skills, -1), theta, rng)[0] == most:
                break
        who = np.flatnonzero(answered[:, group[0]])
        if len(who) > skills + 1:
            basis, _ = np.linalg.qr(x[who])
            left = np.eye(len(who)) - basis @ basis.T
            square = loading[group].T @ loading[group]
            gram[np.ix_(who, each, who, each)] += left[:, None, :, None] * square[None, :, None, :]
    own, undetermined = _of_models(gram.reshape(models * skills, -1), theta, rng)
    expected = items * (skills + 1) + models * skills - skills**2 - skills
    return ResponseRank(rank + own, expected, chosen, chosen[undetermined])


def _of_models(
    gram: np.ndarray, theta: np.ndarray, rng: np.random.Generator
) -> tuple[int, np.ndarray]:
    """Rank of the models' part, and the models that move without the others, positions."""
    models, skills = theta.shape
    diagonal = np.diag(gram)
    length = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(gram / length[:, None] / length[None])
    free = values <= _ZERO * max(values[-1], 1e-300)
    rank = int((~free).sum())
    if free.sum() <= skills**2 + skills or rank == 0:
        return rank, np.arange(models if rank == 0 else 0)
    # A move that changes no answer: where models move as one, it is theta C + d.
    move = vectors[:, free] @ rng.normal(size=free.sum()) / length
    move = move.reshape(models, skills)
    known = np.column_stack([theta, np.ones(models)])
    apart = np.arange(models)
    for _ in range(_GUESSES):
        few = rng.choice(models, min(skills + 1, models), replace=False)
        shape, *_ = np.linalg.lstsq(known[few], move[few], rcond=None)
        far = np.abs(move - known @ shape).max(axis=1)
        moving = np.flatnonzero(far > 1e-4 * max(np.abs(move).max(), 1e-300))
        apart = min(apart, moving, key=len)
    return rank, apart
