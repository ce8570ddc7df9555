"""Rotation to a simple structure by gradient projection (Jennrich 2001, 2002)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from sloth_jax.products import matmul

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
    function.__name__: function for function in (varimax, quartimin, geomin)
}


def slope_tolerance(loading: Array, tolerance: float | None) -> float:
    """Relative slope that counts as zero: twice the cube root of the precision unless given."""
    return 2.0 * float(jnp.finfo(loading.dtype).eps) ** (1 / 3) if tolerance is None else tolerance


def transform_loading(loading: Array, transform: Array, oblique: bool) -> Array:
    """Loadings after a transform, which is orthogonal unless ``oblique``."""
    return rotate_loading(loading, transform) if oblique else matmul(loading, transform)


@partial(jax.jit, static_argnames=("criterion", "oblique", "starts", "steps", "tolerance"))
def minimise_criterion(
    loading: Array,
    key: Array,
    *,
    criterion: str,
    oblique: bool,
    starts: int,
    steps: int,
    tolerance: float | None = None,
    first: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Gradient projection from many starts; arguments as of :func:`sloth_jax.skills.rotate`.

    Returns:
        Transforms, ``(start, skill, skill)``, values of the criterion and relative slopes where
        each start ended, ``(start,)``; the value of one that diverged is infinite.
    """
    skills = loading.shape[1]
    random = jax.random.normal(key, (starts - 1, skills, skills), loading.dtype)
    begin = jnp.eye(skills, dtype=loading.dtype) if first is None else first
    begin = jnp.concatenate([begin[None], jnp.linalg.qr(random)[0]])

    def objective(transform: Array) -> Array:
        return CRITERIA[criterion](transform_loading(loading, transform, oblique))

    search = _Search(objective, oblique, steps, slope_tolerance(loading, tolerance))
    transforms, values, slopes = jax.vmap(search.descend)(begin)
    return transforms, jnp.where(jnp.isfinite(values), values, jnp.inf), slopes


class _State(NamedTuple):
    transform: Array
    step: Array  # length of the last step
    count: Array  # steps so far


class _Search(NamedTuple):
    """Gradient projection from one start.

    Attributes:
        objective: criterion of a transform.
        oblique: allowed are transforms with columns of length one, otherwise orthogonal ones.
        steps: most steps.
        zero: relative slope that counts as zero.
    """

    objective: Callable[[Array], Array]
    oblique: bool
    steps: int
    zero: float

    def descend(self, start: Array) -> tuple[Array, Array, Array]:
        """Transform, value and relative slope at the end."""
        begin = _State(start, jnp.full((), _FIRST_STEP, start.dtype), jnp.zeros((), int))
        end = jax.lax.while_loop(lambda now: now.count < self.steps, self.step, begin)
        value, downhill, gradient = self.slope_at(end.transform)
        return end.transform, value, _relative(downhill, gradient)

    def step(self, now: _State) -> _State:
        """One step downhill, halved until it gains half of what the slope promises."""
        value, downhill, gradient = self.slope_at(now.transform)
        square = jnp.sum(downhill**2)

        def moved(step: Array) -> Array:
            return _nearest_allowed(now.transform - step * downhill, self.oblique)

        def too_far(carry: tuple[Array, Array]) -> Array:
            step, halvings = carry
            enough = self.objective(moved(step)) < value - 0.5 * square * step
            return ~enough & (halvings < _HALVINGS)

        step, halvings = jax.lax.while_loop(
            too_far, lambda c: (c[0] * 0.5, c[1] + 1), (2.0 * now.step, jnp.zeros((), int))
        )
        # Where no step helps, precision is exhausted.
        done = (_relative(downhill, gradient) < self.zero) | (halvings == _HALVINGS)
        return _State(
            transform=jnp.where(done, now.transform, moved(step)),
            step=step,
            count=jnp.where(done, self.steps, now.count + 1),
        )

    def slope_at(self, transform: Array) -> tuple[Array, Array, Array]:
        """Value, gradient along the surface of allowed transforms, and whole gradient."""
        value, gradient = jax.value_and_grad(self.objective)(transform)
        return value, _along_surface(transform, gradient, self.oblique), gradient


def _relative(downhill: Array, gradient: Array) -> Array:
    """Norm of the projected gradient, over that of the whole gradient where this is above 1."""
    # What is left of large numbers that cancel is known to fewer digits.
    return jnp.sqrt(jnp.sum(downhill**2)) / jnp.maximum(1.0, jnp.sqrt(jnp.sum(gradient**2)))


def _along_surface(transform: Array, gradient: Array, oblique: bool) -> Array:
    """Part of a gradient along the surface of allowed transforms."""
    if oblique:  # columns of length one
        return gradient - transform * jnp.sum(transform * gradient, axis=0, keepdims=True)
    product = matmul(transform.T, gradient)
    return gradient - matmul(transform, 0.5 * (product + product.T))


def _nearest_allowed(matrix: Array, oblique: bool) -> Array:
    """The allowed transform that is nearest."""
    if oblique:
        return matrix / jnp.sqrt(jnp.sum(matrix**2, axis=0, keepdims=True))
    return _nearest_orthogonal(matrix)


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
