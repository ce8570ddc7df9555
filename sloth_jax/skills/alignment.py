"""Skills of several draws or fits in one order, and how alike they are."""

from __future__ import annotations

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.products import matmul


def whitening(theta: Array, counted: Array | None = None) -> Array:
    """The transform after which skills are uncorrelated with unit variances over models.

    Args:
        theta: ``(model, skill)``.
        counted: which models count, ``(model,)``, bool; None for all.

    Returns:
        T, ``(skill, skill)``: the inverse of the covariance's Cholesky factor, transposed; NaN
        where the covariance is singular.
    """
    weight = jnp.ones(theta.shape[0], theta.dtype) if counted is None else counted
    weight = (weight / jnp.sum(weight)).astype(theta.dtype)
    centred = theta - matmul(weight, theta)[None, :]
    covariance = matmul(centred.T, weight[:, None] * centred)
    factor = jnp.linalg.cholesky(covariance)
    return jnp.linalg.inv(factor).T


def canonical_order(loading: Array) -> Array:
    """Signed permutation that sorts skills by how much they explain, loadings mostly positive.

    Args:
        loading: ``(benchmark, skill)``.

    Returns:
        P, ``(skill, skill)``: ``loading @ P`` has its skills by falling sum of squares, each with
        a positive sum.
    """
    order = jnp.argsort(-jnp.sum(loading**2, axis=0), stable=True)
    sign = jnp.where(jnp.sum(loading, axis=0) < 0.0, -1.0, 1.0).astype(loading.dtype)
    return (jnp.eye(loading.shape[1], dtype=loading.dtype) * sign[None, :])[:, order]


def align(loadings: Array, target: Array | None = None, *, rounds: int = 20) -> Array:
    """Order and signs of skills in each draw that bring draws together.

    Rotation-sign-permutation of posterior draws (Papastamoulis and Ntzoufras 2022), after each
    was rotated: of all orders and signs, the one nearest to a target, which is the mean of the
    aligned draws unless given.

    Args:
        loadings: ``(draw, benchmark, skill)``, each rotated by the same criterion.
        target: ``(benchmark, skill)``; None starts from the first draw and iterates.
        rounds: most passes over the draws without a target.

    Returns:
        Signed permutations P, ``(draw, skill, skill)``, to be multiplied from the right.

    Raises:
        InputError: if there are NaN loadings, or more than 7 skills, whose orders are too many.
    """
    skills = loadings.shape[2]
    if not bool(jnp.isfinite(loadings).all()):
        raise InputError("loadings to align hold NaN: leave out draws that did not converge")
    if skills > 7:
        raise InputError(f"{skills} skills have too many orders to try: align at most 7")
    orders = jnp.asarray(list(permutations(range(skills))))

    @jax.jit
    def nearest(loadings: Array, target: Array) -> Array:
        def one(loading: Array) -> Array:
            # sum of squares to the target falls with |a_k' t_k|: the sign follows the product
            products = matmul(loading.T, target)  # of old skill i with target skill k
            chosen = products[orders, jnp.arange(skills)[None, :]]  # (order, skill)
            order = orders[jnp.argmax(jnp.sum(jnp.abs(chosen), axis=1))]
            sign = jnp.where(products[order, jnp.arange(skills)] < 0.0, -1.0, 1.0)
            unsigned = jax.nn.one_hot(order, skills, dtype=loading.dtype).T
            return unsigned * sign.astype(loading.dtype)[None, :]

        return jax.vmap(one)(loadings)

    if target is not None:
        return nearest(loadings, target)
    found = nearest(loadings, loadings[0])
    for _ in range(rounds):
        again = nearest(loadings, jnp.mean(matmul(loadings, found), axis=0))
        if np.array_equal(again, found):
            break
        found = again
    return found


def congruence(left: Array, right: Array) -> Array:
    """Tucker's coefficient of congruence of each pair of skills, ``(skill, skill)``.

    Args:
        left: loadings, ``(benchmark, skill)``.
        right: the same of another solution.

    Returns:
        Cosines between the columns of the two, in [-1, 1].
    """
    norms = jnp.sqrt(jnp.outer(jnp.sum(left**2, axis=0), jnp.sum(right**2, axis=0)))
    return matmul(left.T, right) / norms


def match_skills(loading: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tucker congruence of each skill with its partner in another solution.

    Args:
        loading: ``(benchmark, skill)``.
        other: the same benchmarks, at least as many skills.

    Returns:
        The congruence of each skill, in [0, 1] since signs are arbitrary, and which skill of the
        other is its partner, ``(skill,)`` each; partners are chosen for the largest sum. Above 0.95
        two skills count as equal, above 0.85 as similar (Lorenzo-Seva and ten Berge 2006).

    Raises:
        InputError: if the other has fewer skills.

    Examples:
        The same skills in another order, one of them with its sign turned:

        >>> loading = np.array([[1.0, 0.0], [0.8, 0.1], [0.0, 1.0]])
        >>> alike, partner = match_skills(loading, loading[:, ::-1] * [1.0, -1.0])
        >>> alike.round(3).tolist(), partner.tolist()
        ([1.0, 1.0], [1, 0])
    """
    if other.shape[1] < loading.shape[1]:
        raise InputError(
            f"{loading.shape[1]} skills cannot each have a partner among {other.shape[1]}"
        )
    between = np.abs(np.asarray(congruence(jnp.asarray(loading), jnp.asarray(other))))
    from scipy.optimize import linear_sum_assignment  # takes a third of a second to load

    rows, columns = linear_sum_assignment(-between)
    return between[rows, columns], columns
