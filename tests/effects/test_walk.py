"""The walk's basis."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sloth_jax.effects.walk import walk_basis


def test_a_walk_starts_at_the_smallest_size_and_goes_both_ways():
    knots = 0.5 * np.arange(-6, 19)
    ramps = np.asarray(walk_basis(jnp.asarray(knots)))
    np.testing.assert_array_equal(ramps[:, 0], 1.0)  # the level
    between = ramps[:, 1:] @ ramps[:, 1:].T
    beside = np.sign(knots)[:, None] == np.sign(knots)[None, :]
    smaller = np.minimum(np.abs(knots)[:, None], np.abs(knots)[None, :])
    np.testing.assert_allclose(between, np.where(beside, smaller, 0.0), atol=1e-12)
    # Straight between knots, and on beyond the last.
    for inside in ((0.5, 0.7, 0.9), (-1.0, -0.8, -0.6), (9.0, 14.0, 19.0), (-3.0, -5.0, -7.0)):
        low, middle, high = np.asarray(walk_basis(jnp.asarray(inside)))
        np.testing.assert_allclose(middle, (low + high) / 2, atol=1e-12)
