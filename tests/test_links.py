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
    PIECES,
    Logistic,
    Mixture,
    QuantileMixture,
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


def quantile_mixture(seed: int, benchmarks: int = 3) -> QuantileMixture:
    keys = jax.random.split(jax.random.key(seed), 4)
    return QuantileMixture(
        tilt=jax.random.normal(keys[0], (PIECES, benchmarks)),
        slack=0.02 * jnp.exp(0.7 * jax.random.normal(keys[1], (benchmarks,))),
        centre=jax.random.normal(keys[2], (benchmarks,)),
        spread=jnp.exp(0.3 * jax.random.normal(keys[3], (benchmarks,))),
    )


@pytest.mark.parametrize("seed", range(4))
def test_quantile_mixture_is_undone_by_its_inverse(seed):
    link = quantile_mixture(seed)
    share = jnp.linspace(-0.1, 1.04, 300)[:, None] * jnp.ones((1, 3))
    predictor, rate = link.inverse(share)
    assert (rate > 0).all()
    np.testing.assert_allclose(link.share(predictor), share, atol=1e-6)
    np.testing.assert_allclose(link(predictor), np.clip(share, 0, 1), atol=1e-6)


def test_quantile_mixture_has_the_derivative_it_claims():
    link = quantile_mixture(7)
    share = jnp.linspace(-0.2, 1.1, 41)[:, None] * jnp.ones((1, 3))
    step = 1e-6
    up, _ = link.inverse(share + step)
    down, _ = link.inverse(share - step)
    np.testing.assert_allclose(link.inverse(share)[1], (up - down) / (2 * step), rtol=1e-4)


def test_quantile_mixture_stays_finite_far_away():
    link = quantile_mixture(8)
    far = jnp.asarray([[-1e6, 1e6, 0.0]])
    np.testing.assert_allclose(link(far)[0, :2], [0.0, 1.0])


def test_untilted_quantile_mixture_is_nearly_a_stretched_logistic():
    # Steps and slack make it a little flatter in the middle; no shift or stretch brings it closer
    # than this, which is small beside what tilts can do.
    link = QuantileMixture(jnp.zeros((PIECES, 1)), jnp.full(1, 0.02), jnp.zeros(1), jnp.ones(1))
    share = np.linspace(0.01, 0.99, 99)
    predictor = np.asarray(link.inverse(jnp.asarray(share)[:, None])[0])[:, 0]
    logit = np.log(share / (1 - share))
    slope, intercept = np.polyfit(predictor, logit, 1)
    off = np.abs(1 / (1 + np.exp(-(slope * predictor + intercept))) - share)
    assert off.max() < 0.06
