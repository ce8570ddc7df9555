"""The search against functions whose largest value is known."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sloth_jax.planning.maximise import maximise, maximise_square

POINTS = 65
EXACT = 1e-4 / (POINTS - 1)  # the search ends within 7e-5 steps of the grid

FUNCTIONS = {
    "smooth": (lambda x: -((x - 0.3137) ** 2), 0.3137),
    "kink": (lambda x: -jnp.abs(x - 0.7071), 0.7071),
    "kink of two slopes": (lambda x: jnp.minimum(x, 0.5 + 0.01 * (0.5 - x)), 0.5),
    "left end": (lambda x: -x, 0.0),
    "right end": (jnp.exp, 1.0),
    "two peaks": (lambda x: jnp.maximum(1.0 - (x - 0.2) ** 2, 1.1 - 9.0 * (x - 0.9) ** 2), 0.9),
    "constant": (jnp.zeros_like, 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_top_of_a_line_is_found(name):
    value, top = FUNCTIONS[name]
    at, largest = jax.jit(partial(maximise, value, POINTS))()
    assert at == pytest.approx(top, abs=EXACT)
    assert largest == pytest.approx(float(value(at[None])[0]), abs=1e-15)
    assert largest >= np.asarray(value(jnp.linspace(0.0, 1.0, 20_001))).max() - EXACT
    if "end" in name or name == "constant":
        assert at == top  # exactly


def test_single_precision_finds_the_top_as_far_as_values_differ():
    value, _ = FUNCTIONS["smooth"]
    grid = jnp.linspace(0.0, 1.0, POINTS, dtype=jnp.float32)
    at, _ = maximise(lambda x: value(x.astype(jnp.float32)), POINTS)
    assert value(at.astype(jnp.float32)) >= value(grid).max()
    assert at == pytest.approx(0.3137, abs=1e-3)


def test_a_ridge_across_the_square_is_climbed():
    """Long and narrow, aslant to both axes: a search along one axis at a time would creep."""

    def value(u, v):
        return -((u - v) ** 2) - 1e-3 * (u + v - 1.1) ** 2

    first, second = jax.jit(partial(maximise_square, value, (POINTS, 33)))()
    assert (first, second) == pytest.approx((0.55, 0.55), abs=1e-4)
