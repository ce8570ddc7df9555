"""Links increase onto [0, 1], and the mixture's grid is what its constants claim."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls
from small import random_links

from sloth_jax.links import (
    GRID_CENTRES,
    GRID_LOGISTIC_WEIGHTS,
    GRID_STEEPNESS,
    Logistic,
    Mixture,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["logistic", "mixture", "network"])
def test_links_increase_within_the_unit_interval(name, seed):
    link = random_links(seed, 4)[name]
    # Beyond about 18 the network's squashed input is 1 in float64, and no link can rise on.
    predictor = jnp.linspace(-8.0, 8.0, 201)[:, None] * jnp.ones((1, 4))
    share = link(predictor)
    assert share.shape == predictor.shape
    assert (np.diff(share, axis=0) > 0).all()
    assert (share >= 0).all()
    assert (share <= 1).all()


def test_grid_weights_are_the_least_squares_fit_to_the_logistic():
    eta = np.linspace(-8.0, 8.0, 400)
    curves = np.asarray(
        jax.nn.sigmoid(GRID_STEEPNESS * (eta[:, None] - np.array(GRID_CENTRES)[None, :]))
    )
    heavy = 1e3  # holds the sum of the weights at one
    design = np.vstack([curves, heavy * np.ones(len(GRID_CENTRES))])
    target = np.append(np.asarray(jax.nn.sigmoid(eta)), heavy)
    weights, _ = nnls(design, target)
    np.testing.assert_allclose(weights, GRID_LOGISTIC_WEIGHTS, atol=2e-4)


def test_untilted_mixture_is_nearly_logistic():
    eta = jnp.linspace(-8.0, 8.0, 400)[:, None]
    mixture = Mixture(jnp.zeros((len(GRID_CENTRES), 1)))
    assert np.abs(mixture(eta) - Logistic()(eta)).max() < 0.02  # as its docstring says


@pytest.mark.parametrize("seed", range(3))
def test_mixture_has_mean_and_variance_of_the_logistic_distribution(seed):
    link = random_links(seed, 3)["mixture"]
    edges = np.linspace(-60.0, 60.0, 40001)
    share = np.asarray(link(jnp.asarray(edges)[:, None] * jnp.ones((1, 3))))
    mass, middle = np.diff(share, axis=0), (edges[1:] + edges[:-1]) / 2
    mean = middle @ mass
    variance = ((middle[:, None] - mean[None, :]) ** 2 * mass).sum(axis=0)
    np.testing.assert_allclose(mean, 0.0, atol=1e-4)
    np.testing.assert_allclose(variance, np.pi**2 / 3, rtol=1e-4)


def test_a_constant_tilt_changes_nothing():
    link = random_links(0, 3)["mixture"]
    assert isinstance(link, Mixture)
    eta = jnp.linspace(-3.0, 3.0, 7)[:, None] * jnp.ones((1, 3))
    np.testing.assert_allclose(Mixture(link.tilt + 2.0)(eta), link(eta), atol=1e-12)
