"""The published optimiser finds known minima and keeps to its rules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sloth_jax.evaluation.optimise import Plateau, descend_on_plateau


def absolute_distance(target):
    def objective(z):
        distance = jnp.sum(jnp.abs(z - target))
        return distance, distance

    return objective


def test_plateau_descent_finds_the_minimum_of_a_sharp_function():
    # A fixed rate would swing around the corner for ever.
    end = descend_on_plateau(
        absolute_distance(jnp.asarray([1.0, -2.0])), jnp.zeros(2), learning_rate=0.1
    )
    np.testing.assert_allclose(end.argument, [1.0, -2.0], atol=1e-3)
    assert end.error < 1e-3
    assert Plateau().stop_patience < end.steps < Plateau().max_steps


def test_plateau_descent_keeps_the_smallest_error_not_the_last():
    def objective(z):  # the loss falls to the right, the error is smallest at 1
        return -z[0], jnp.abs(z[0] - 1.0)

    end = descend_on_plateau(objective, jnp.zeros(1), learning_rate=0.01)
    assert end.argument[0] == pytest.approx(1.0, abs=0.01)


def test_plateau_descent_holds_what_is_not_free_and_respects_bounds():
    end = descend_on_plateau(
        absolute_distance(jnp.asarray([-1.0, -1.0, 1.0])),
        jnp.asarray([0.5, 0.5, 0.5]),
        learning_rate=0.1,
        free=jnp.asarray([1.0, 1.0, 0.0]),
        least=jnp.asarray([0.0, -jnp.inf, 0.0]),
    )
    np.testing.assert_allclose(end.argument, [0.0, -1.0, 0.5], atol=1e-3)


def test_plateau_descent_stops_by_its_rules():
    quick = Plateau(stop_patience=7)
    flat = descend_on_plateau(
        lambda z: (0.0 * z[0], 0.0 * z[0]), jnp.ones(1), learning_rate=0.1, rule=quick
    )
    assert flat.steps == 8  # the first step improves on nothing having been seen
    capped = descend_on_plateau(
        absolute_distance(jnp.zeros(1)), jnp.ones(1), learning_rate=1e-4, rule=Plateau(max_steps=9)
    )
    assert capped.steps == 9
    diverged = descend_on_plateau(
        lambda z: (jnp.log(z[0]), jnp.log(z[0])), -jnp.ones(1), learning_rate=0.1, rule=quick
    )
    assert diverged.steps == 7
    assert diverged.error == jnp.inf


def test_plateau_descents_side_by_side_are_those_alone():
    targets = jnp.asarray([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.1]])

    def one(target):
        return descend_on_plateau(absolute_distance(target), jnp.zeros(2), learning_rate=0.1)

    together = jax.vmap(one)(targets)
    for i, target in enumerate(targets):
        np.testing.assert_allclose(together.argument[i], one(target).argument, atol=1e-10)
