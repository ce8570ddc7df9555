"""Draws of the prior contract to nothing, draws of a posterior do where the table decides."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from small import table

from sloth_jax import InputError, fit
from sloth_jax.law.hierarchical import zero_raw_params
from sloth_jax.law.pivots import TriangularLoadings
from sloth_jax.skills.contraction import contraction

KEY, DRAWS = jax.random.key(0), 4000


@pytest.fixture(scope="module")
def fitted():
    return fit(table()[0], key=KEY, skills=2, surface="translog", steps=60, draws=200)


def test_draws_of_the_prior_are_not_contracted(fitted):
    gauged = TriangularLoadings(fitted.settings.prior.loading, fitted.pivots)
    loading = gauged.sample(KEY, (DRAWS,))
    blank, unravel = ravel_pytree(zero_raw_params(fitted.observations, 2, fitted.settings.prior))
    position = jax.random.normal(KEY, (DRAWS, blank.size))
    numbers = jax.vmap(lambda n, own: ravel_pytree(unravel(n)._replace(loading=own))[0])
    params = fitted.law.params._replace(loading=jax.vmap(gauged.loading)(loading))
    prior = replace(
        fitted, position=numbers(position, loading), law=fitted.law._replace(params=params)
    )
    found = contraction(prior)
    # A variance of so many draws is off by 2.2 %.
    np.testing.assert_allclose(found["contraction"], 0.0, atol=0.1)
    assert found["prior_decides"].all()


def test_a_table_decides_slopes_and_noise(fitted):
    found = contraction(fitted)
    by = found.set_index(["parameter", "of"])["contraction"]
    assert by["length of slope", "log_params"] > 0.5
    assert by["log noise, level", ""] > 0.5
    assert (found["contraction"] <= 1.0).all()
    np.testing.assert_array_equal(found["prior_decides"], found["contraction"] < 0.5)


def test_a_mode_is_refused(fitted):
    mode = replace(fitted, settings=replace(fitted.settings, inference="mode"))
    with pytest.raises(InputError, match="a mode has no draws"):
        contraction(mode)
