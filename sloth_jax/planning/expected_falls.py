"""How far a measurement is expected to narrow the predictions of a model's other scores.

Given a draw of the law all scores are normal inside their links, with the noise of a measurement,
so that this is known in closed form, whatever the outcome: with the score ``f(Z)`` of a standard
normal ``Z``, and ``R`` its correlation with the best linear prediction from what is measured ::

    f(Z) = sum_k a_k He_k(Z) / sqrt(k!)        E Var(f(Z) | measured) = sum_{k>=1} a_k^2 (1 - R^2k)

(Mehler's formula; the a_k by Gauss-Hermite quadrature.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss, hermevander

from sloth_jax.law.forward import Params
from sloth_jax.planning.one_model import ModelScores, given
from sloth_jax.planning.outcomes import scores_of

_NODES = 40  # of the quadrature
_DEGREE = 24  # of Hermite polynomials: scores are clipped at 0 and 1, which takes many


class Coefficients(NamedTuple):
    """Scores as functions of standard normals.

    Attributes:
        squares: a_k^2 of each score for k = 1, 2, ..., ``(draw, benchmark, degree)``.
        variance: of each predictor before anything is measured, ``(draw, benchmark)``.
    """

    squares: np.ndarray
    variance: np.ndarray


def pick(
    scores: ModelScores, params: Params, targets: Sequence[int], cost: np.ndarray, steps: int
) -> tuple[list[int], list[float]]:
    """Benchmarks one after the other, each with the largest expected fall per cost.

    Args:
        scores: of the model.
        params: of each draw.
        targets: positions of the wanted benchmarks.
        cost: of each benchmark, ``(benchmark,)``, positive.
        steps: how many, at most.

    Returns:
        Positions, and the share of the mean variance of the wanted others that goes by each.
    """
    functions = coefficients(scores, params)
    covariance = scores.covariance
    picked: list[int] = []
    falls: list[float] = []
    while len(picked) < steps:
        fall, before = expected_falls(functions, covariance, targets)
        # What is known tells nothing more.
        free = ~scores.known & ~np.isin(np.arange(cost.size), picked)
        free &= [any(j != at and j not in picked for j in targets) for at in range(cost.size)]
        if not free.any():
            break
        best = int(np.argmax(np.where(free, fall / cost, -np.inf)))
        others = [j for j in targets if j != best]
        picked.append(best)
        falls.append(float(fall[best] * len(targets) / before[others].sum()))
        at = np.array([best])
        _, covariance = given(scores.mean.copy(), covariance, at, scores.mean)
    return picked, falls


def coefficients(scores: ModelScores, params: Params) -> Coefficients:
    """Hermite coefficients of every score of every draw."""
    nodes, weights = hermegauss(_NODES)
    weights = weights / weights.sum()
    variance = np.maximum(np.diagonal(scores.covariance, axis1=1, axis2=2), 0.0)
    spread = np.sqrt(variance)
    value = scores_of(params, scores.mean[:, None] + spread[:, None] * nodes[None, :, None])
    # He_k / sqrt(k!), whose squares average 1
    polynomial = hermevander(nodes, _DEGREE) / np.sqrt(
        [float(math.factorial(k)) for k in range(_DEGREE + 1)]
    )
    found = np.einsum("dqj,q,qk->djk", value, weights, polynomial)
    return Coefficients(found[:, :, 1:] ** 2, variance)


def expected_falls(
    functions: Coefficients, covariance: np.ndarray, targets: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Expected fall of the variance of wanted scores, if one more benchmark is measured.

    Args:
        functions: of the scores before anything is measured.
        covariance: of predictors given what is, ``(draw, benchmark, benchmark)``.
        targets: positions of the wanted benchmarks.

    Returns:
        The fall by each benchmark, summed over wanted others and divided by the number wanted,
        ``(benchmark,)``; and the variance of each score as it is, ``(benchmark,)``; averages over
        draws, squared fractions.
    """
    own = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    total = np.where(functions.variance > 0.0, functions.variance, 1.0)
    now = _left(functions, own / total)
    informative = own > 1e-9 * total
    told = covariance**2 / np.where(informative, own, 1.0)[:, None, :]
    told = np.where(informative[:, None, :], told, 0.0)  # (draw, score, measured)
    after = np.stack(
        [_left(functions, (own - told[:, :, at]) / total) for at in range(own.shape[1])], axis=2
    )
    fall = (now[:, :, None] - after).mean(axis=0)  # (score, measured)
    np.fill_diagonal(fall, 0.0)
    return fall[list(targets)].sum(axis=0) / max(len(targets), 1), now.mean(axis=0)


def _left(functions: Coefficients, unexplained: np.ndarray) -> np.ndarray:
    """Expected variance of scores, ``(draw, benchmark)``, by the share of Z's that is left."""
    # sum_k a_k^2 (1 - R^2k)
    explained = np.clip(1.0 - unexplained, 0.0, 1.0)[:, :, None]
    degree = np.arange(1, functions.squares.shape[2] + 1)
    return (functions.squares * (1.0 - explained**degree)).sum(axis=2)
