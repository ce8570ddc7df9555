"""Rotation to a simple structure by gradient projection (Jennrich 2001, 2002)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from sloth_jax.law.products import matmul

_FIRST_STEP = 1.0
_HALVINGS = 12  # of a step that does not lower the criterion enough
_GEOMIN = 0.01  # keeps the geometric mean from zero


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
