"""Links increase onto the range of scores, and a quantile mixture is what its inverse says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import random_links

from sloth_jax.law.links import PIECES, QuantileMixture, of_benchmarks

# One program each: a step at a time they would be dozens.
share_at = jax.jit(lambda link, predictor: link(predictor))
inverse = jax.jit(lambda link, share: link.inverse(share))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["logistic", "network"])
def test_links_increase_within_the_unit_interval(name, seed):
    link = random_links(seed, 4)[name]
    # Beyond about 18 the network's squashed input is 1 in float64, and no link can rise on.
    predictor = jnp.linspace(-8.0, 8.0, 201)[:, None] * jnp.ones((1, 4))
    share = share_at(link, predictor)
    assert share.shape == predictor.shape
    assert (np.diff(share, axis=0) > 0).all()
    assert (share >= 0).all()
    assert (share <= 1).all()


@pytest.mark.parametrize("name", ["logistic", "quantiles", "network"])
def test_a_link_of_some_benchmarks_is_a_part_of_the_whole(name):
    link, at = random_links(0, 4)[name], jnp.asarray([3, 1])
    predictor = jax.random.normal(jax.random.key(0), (2, 5, 4))
    found = of_benchmarks(link, at)(predictor[..., at])
    np.testing.assert_allclose(found, link(predictor)[..., at], atol=1e-12)


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
    share = jnp.linspace(-0.149, 1.049, 300)[:, None] * jnp.ones((1, 3))
    predictor, rate = inverse(link, share)
    assert (rate > 0).all()
    np.testing.assert_allclose(share_at(link, predictor), share, atol=1e-6)


def test_quantile_mixture_has_the_derivative_it_claims():
    link = quantile_mixture(7)
    share = jnp.linspace(-0.2, 1.1, 41)[:, None] * jnp.ones((1, 3))
    step = 1e-6
    up, _ = inverse(link, share + step)
    down, _ = inverse(link, share - step)
    np.testing.assert_allclose(inverse(link, share)[1], (up - down) / (2 * step), rtol=1e-4)


def test_quantile_mixture_levels_off_far_away():
    link = quantile_mixture(8)
    far = jnp.asarray([[-1e6, 1e6, 0.0]])
    np.testing.assert_allclose(share_at(link, far)[0, :2], [-0.15, 1.05])


def test_a_constant_tilt_changes_nothing():
    link = quantile_mixture(9)
    share = jnp.linspace(0.0, 1.0, 7)[:, None] * jnp.ones((1, 3))
    tilted = link._replace(tilt=link.tilt + 2.0)
    np.testing.assert_allclose(inverse(tilted, share)[0], inverse(link, share)[0], atol=1e-12)


def test_untilted_quantile_mixture_is_nearly_a_stretched_logistic():
    # Steps and slack make it a little flatter in the middle; no shift or stretch brings it closer
    # than this, which is small beside what tilts can do.
    link = QuantileMixture(jnp.zeros((PIECES, 1)), jnp.full(1, 0.02), jnp.zeros(1), jnp.ones(1))
    share = np.linspace(0.01, 0.99, 99)
    predictor = np.asarray(inverse(link, jnp.asarray(share)[:, None])[0])[:, 0]
    logit = np.log(share / (1 - share))
    slope, intercept = np.polyfit(predictor, logit, 1)
    off = np.abs(1 / (1 + np.exp(-(slope * predictor + intercept))) - share)
    assert off.max() < 0.06
