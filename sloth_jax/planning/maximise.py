"""The largest value of a function of one number, or of two, in the unit interval.

A grid finds the highest peak; golden-section search (Kiefer 1953) finds its top between the grid's
neighbours. No derivatives are used: expected scores have kinks where the random walks of families
in log size have knots, since a walk is straight in between (:mod:`sloth_jax.effects.walk`). A
draw's optimum is often exactly at such a knot. Shapes are static, so that the search runs under
``jit`` and ``vmap``.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_SECTIONS = 20  # each shortens the bracket by _GOLDEN: to 7e-5 of its length


def maximise(value: Callable[[Array], Array], points: int) -> tuple[Array, Array]:
    """Where in [0, 1] a function is largest, and its value there.

    Args:
        value: the function, of many arguments at once: ``(point,)`` to ``(point,)``.
        points: of the grid; peaks nearer than its step are not told apart. The result is within
            7e-5 steps of the top as far as rounding lets values differ.

    Returns:
        The argument and the value, scalars. Of equal values, the smallest argument on the grid.
    """
    # Compiled on its own it is traced once for the bracket and for its middle.
    value = jax.jit(value)
    grid = jnp.linspace(0.0, 1.0, points)
    values = value(grid)
    top = jnp.argmax(values)
    below, above = grid[jnp.maximum(top - 1, 0)], grid[jnp.minimum(top + 1, points - 1)]

    def section(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        at_left, at_right = value(jnp.stack([left, right]))
        keep_left = at_left >= at_right
        return jnp.where(keep_left, low, left), jnp.where(keep_left, right, high)

    low, high = lax.fori_loop(0, _SECTIONS, section, (below, above))
    middle = 0.5 * (low + high)
    refined = value(jnp.stack([middle, middle]))[0]
    # The grid's own point stays where nothing beats it, at an end of the interval for instance.
    better = refined > values[top]
    return jnp.where(better, middle, grid[top]), jnp.where(better, refined, values[top])


def maximise_square(
    value: Callable[[Array, Array], Array], points: tuple[int, int]
) -> tuple[Array, Array]:
    """Where in the unit square a function is largest.

    The best second argument is found for each first one, and the first by what that gives: the
    same search, nested.

    Args:
        value: the function, ``(point,)`` and ``(point,)`` to ``(point,)``.
        points: of the grids, for the first and the second argument.

    Returns:
        Both arguments, scalars.
    """

    def best_second(first: Array) -> tuple[Array, Array]:
        return maximise(lambda v: value(jnp.full_like(v, first), v), points[1])

    first, _ = maximise(lambda u: jax.vmap(best_second)(u)[1], points[0])
    return first, best_second(first)[0]
