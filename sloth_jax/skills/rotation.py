"""Rotations of skills: which of all equivalent loadings to look at, and how to compare draws.

Loadings ``A (benchmark, skill)`` and skills ``theta (model, skill)`` predict the same scores as
``L = A T'^-1`` and ``theta T``. A rotation picks the ``T`` whose loadings are simplest by some
criterion: most of them near zero, so that a benchmark tells of few skills. Orthogonal rotations
keep skills uncorrelated, oblique ones keep their variances and let them correlate by ``T' T``.

The minimum is found by gradient projection from many random starts at once (Jennrich 2001 and
2002; Bernaards and Jennrich 2005, "Gradient projection algorithms and software for arbitrary
rotation criteria in factor analysis"). All criteria have local minima.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import linear_sum_assignment

from sloth_jax.errors import InputError
from sloth_jax.law.forward import Params
from sloth_jax.law.products import matmul

_FIRST_STEP = 1.0
_HALVINGS = 12  # of a step that does not lower the criterion enough
_GEOMIN = 0.01  # keeps the geometric mean from zero
_SAME = 0.99  # congruence above which two solutions are one
_CLOSE = 2e-3  # values that far apart, relatively, are one minimum reached in single precision


class Rotation(NamedTuple):
    """Rotated loadings.

    Attributes:
        loading: ``(benchmark, skill)``.
        transform: T, ``(skill, skill)``: skills are to be multiplied by it.
        correlation: of skills that were uncorrelated with unit variances before, ``T' T``; the
            identity after an orthogonal rotation.
        value: of the criterion.
        slope: norm of its projected gradient, which is zero at a minimum, over that of its whole
            gradient where this is above 1.
        converged: whether that is below the tolerance; if not, the rotation is the best found.
        agreeing: share of starts that ended within 0.2 % of the best value.
    """

    loading: Array
    transform: Array
    correlation: Array
    value: Array
    slope: Array
    converged: Array
    agreeing: Array


def varimax(loading: Array) -> Array:
    """Minus the variance of squared loadings over benchmarks, summed over skills (Kaiser 1958)."""
    square = loading**2
    centred = square - jnp.mean(square, axis=0, keepdims=True)
    return -0.25 * jnp.sum(centred**2)


def quartimin(loading: Array) -> Array:
    """Products of squared loadings of a benchmark, summed over pairs of skills (Carroll 1953)."""
    square = loading**2
    others = 1.0 - jnp.eye(loading.shape[1], dtype=loading.dtype)
    return 0.25 * jnp.sum(square * matmul(square, others))


def geomin(loading: Array) -> Array:
    """Geometric mean of a benchmark's squared loadings, summed over benchmarks (Yates 1987).

    A hundredth is added to each square, as is usual, or one zero would do for a whole benchmark.
    """
    return jnp.sum(jnp.exp(jnp.mean(jnp.log(loading**2 + _GEOMIN), axis=1)))


CRITERIA: dict[str, Callable[[Array], Array]] = {
    "varimax": varimax, "quartimin": quartimin, "geomin": geomin,
}  # fmt: skip


@partial(jax.jit, static_argnames=("criterion", "oblique", "starts", "steps", "tolerance"))
def rotate(
    loading: Array,
    key: Array,
    *,
    criterion: str = "geomin",
    oblique: bool = True,
    starts: int = 30,
    steps: int = 2000,
    tolerance: float | None = None,
    first: Array | None = None,
) -> Rotation:
    """Rotate loadings to the lowest value of a criterion over many starts.

    Args:
        loading: ``(benchmark, skill)`` of skills that are uncorrelated with unit variances.
        key: random key of the starts after the first.
        criterion: one of :data:`CRITERIA`; quartimin, also known as direct oblimin with gamma 0,
            only for oblique rotations makes sense of its name, but both work.
        oblique: whether skills may correlate.
        starts: how many starts.
        steps: most steps of gradient projection from each.
        tolerance: norm of the projected gradient that counts as zero, relative to that of the
            whole gradient where this is above 1; None for twice the cube root of the floating
            point precision, 1e-5 in double and 1e-2 in single.
        first: transform to start from first, ``(skill, skill)``; None starts from no rotation.

    Returns:
        A :class:`Rotation`; look at ``converged``.
    """
    transforms, values, slopes = _descend(
        loading, key, criterion, oblique, starts, steps, tolerance, first
    )
    best = jnp.argmin(values)
    return _rotation(loading, oblique, transforms, values, slopes, best, tolerance)


def local_optima(
    loading: Array,
    key: Array,
    *,
    criterion: str = "geomin",
    oblique: bool = True,
    starts: int = 60,
    steps: int = 2000,
) -> list[Rotation]:
    """Every rotation that random starts end in: a criterion may have several minima.

    Args:
        loading: as for :func:`rotate`, like all that follows.
        key: random key of the starts.
        criterion: one of :data:`CRITERIA`.
        oblique: whether skills may correlate.
        starts: how many starts.
        steps: most steps from each.

    Returns:
        Rotations with the lowest value first, each once however skills are ordered and signed;
        ``agreeing`` is the share of starts that ended there. Starts that did not converge are
        left out, unless none did.
    """
    transforms, values, slopes = _descend(
        loading, key, criterion, oblique, starts, steps, None, None
    )
    found: list[Rotation] = []
    counts: list[int] = []
    for at in np.argsort(np.asarray(values), kind="stable"):
        one = _rotation(loading, oblique, transforms, values, slopes, jnp.asarray(at), None)
        if not bool(one.converged) and (found or at != int(jnp.argmin(values))):
            continue
        for place, other in enumerate(found):
            order = align(one.loading[None], other.loading)[0]
            alike = jnp.diag(congruence(matmul(one.loading, order), other.loading))
            if float(jnp.min(alike)) > _SAME and abs(one.value - other.value) < 0.01 * abs(
                one.value
            ):
                counts[place] += 1
                break
        else:
            found.append(one)
            counts.append(1)
    return [
        r._replace(agreeing=jnp.asarray(n / starts)) for r, n in zip(found, counts, strict=True)
    ]


def _rotation(
    loading: Array,
    oblique: bool,
    transforms: Array,
    values: Array,
    slopes: Array,
    at: Array,
    tolerance: float | None,
) -> Rotation:
    """One of several solutions."""
    transform, value = transforms[at], values[at]
    return Rotation(
        loading=_rotated(loading, transform, oblique),
        transform=transform,
        correlation=matmul(transform.T, transform),
        value=value,
        slope=slopes[at],
        converged=slopes[at] < _zero(loading, tolerance),
        agreeing=jnp.mean(values <= value + _CLOSE * jnp.abs(value)),
    )


def _zero(loading: Array, tolerance: float | None) -> float:
    return 2.0 * float(jnp.finfo(loading.dtype).eps) ** (1 / 3) if tolerance is None else tolerance


def _rotated(loading: Array, transform: Array, oblique: bool) -> Array:
    return rotate_loading(loading, transform) if oblique else matmul(loading, transform)


@partial(jax.jit, static_argnames=("criterion", "oblique", "starts", "steps", "tolerance"))
def _descend(
    loading: Array,
    key: Array,
    criterion: str,
    oblique: bool,
    starts: int,
    steps: int,
    tolerance: float | None,
    first: Array | None,
) -> tuple[Array, Array, Array]:
    """Transforms, values and relative slopes where starts end, ``(start, ...)``."""
    skills = loading.shape[1]
    lowest = CRITERIA[criterion]
    zero = _zero(loading, tolerance)

    def objective(transform: Array) -> Array:
        return lowest(_rotated(loading, transform, oblique))

    def relative(slope: Array, gradient: Array) -> Array:
        # What is left of large numbers that cancel is known to fewer digits.
        return slope / jnp.maximum(1.0, jnp.sqrt(jnp.sum(gradient**2)))

    def project(transform: Array, gradient: Array) -> Array:
        """Gradient along the surface of allowed transforms."""
        if oblique:  # columns of length one
            along = jnp.sum(transform * gradient, axis=0, keepdims=True)
            return gradient - transform * along
        product = matmul(transform.T, gradient)
        return gradient - matmul(transform, 0.5 * (product + product.T))

    def back(moved: Array) -> Array:
        """The allowed transform that is nearest."""
        if oblique:
            return moved / jnp.sqrt(jnp.sum(moved**2, axis=0, keepdims=True))
        return _nearest_orthogonal(moved)

    def descend(start: Array) -> tuple[Array, Array, Array]:
        def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            transform, length, count, _ = carry
            value, gradient = jax.value_and_grad(objective)(transform)
            downhill = project(transform, gradient)
            slope = jnp.sqrt(jnp.sum(downhill**2))

            def tries(trial: Array) -> Array:
                return back(transform - trial * downhill)

            # Halve the step until it lowers the criterion by half of what the slope promises.
            def too_far(carry: tuple[Array, Array]) -> Array:
                trial, halved = carry
                enough = objective(tries(trial)) < value - 0.5 * slope**2 * trial
                return ~enough & (halved < _HALVINGS)

            trial, halved = jax.lax.while_loop(
                too_far, lambda c: (c[0] * 0.5, c[1] + 1), (2.0 * length, jnp.zeros((), int))
            )
            # Where no step helps, precision is exhausted.
            done = (relative(slope, gradient) < zero) | (halved == _HALVINGS)
            moved = jnp.where(done, transform, tries(trial))
            return moved, trial, jnp.where(done, steps, count + 1), slope

        def goes_on(carry: tuple[Array, Array, Array, Array]) -> Array:
            return carry[2] < steps

        first = jnp.full((), _FIRST_STEP, loading.dtype)
        begin = (start, first, jnp.zeros((), int), jnp.full((), jnp.inf, loading.dtype))
        transform, _, _, _ = jax.lax.while_loop(goes_on, step, begin)
        value, gradient = jax.value_and_grad(objective)(transform)
        downhill = project(transform, gradient)
        return transform, value, relative(jnp.sqrt(jnp.sum(downhill**2)), gradient)

    random = jax.random.normal(key, (starts - 1, skills, skills), loading.dtype)
    begin = jnp.eye(skills, dtype=loading.dtype) if first is None else first
    begin = jnp.concatenate([begin[None], jnp.linalg.qr(random)[0]])
    transforms, values, slopes = jax.vmap(descend)(begin)
    return transforms, jnp.where(jnp.isfinite(values), values, jnp.inf), slopes


def _nearest_orthogonal(matrix: Array) -> Array:
    """Polar factor of a matrix that is nearly orthogonal, by Newton and Schulz's iteration.

    Products only, so that thousands of draws are rotated side by side (Higham 2008, Functions of
    Matrices, section 8.3); the scaling brings all singular values below one.
    """
    matrix = matrix / jnp.sqrt(jnp.sum(matrix**2))

    def step(_: int, x: Array) -> Array:
        # X <- X (3 I - X' X) / 2
        return 1.5 * x - 0.5 * matmul(x, matmul(x.T, x))

    return jax.lax.fori_loop(0, 30, step, matrix)


def rotate_loading(loading: Array, transform: Array) -> Array:
    """Loadings ``(..., benchmark, skill)`` of skills that were multiplied by ``transform``."""
    return matmul(loading, jnp.swapaxes(jnp.linalg.inv(transform), -1, -2))


def rotate_params(params: Params, transform: Array) -> Params:
    """The law in other skills, with the same predictions.

    Args:
        params: parameters of one law.
        transform: T, ``(skill, skill)``, invertible. Effects on skills are to be multiplied by it.

    Returns:
        Loadings times ``T'^-1``, slopes times ``T``.
    """
    return params._replace(
        slope=matmul(params.slope, transform), loading=rotate_loading(params.loading, transform)
    )


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
    """
    if other.shape[1] < loading.shape[1]:
        raise InputError(
            f"{loading.shape[1]} skills cannot each have a partner among {other.shape[1]}"
        )
    between = np.abs(np.asarray(congruence(jnp.asarray(loading), jnp.asarray(other))))
    rows, columns = linear_sum_assignment(-between)
    return between[rows, columns], columns
