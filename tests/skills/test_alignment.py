"""Skills of several draws or fits in one order and scale."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from loadings import matched
from small import random_links, random_params

from sloth_jax import InputError
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.skills.alignment import align, canonical_order, match_skills, whitening


def test_whitened_skills_have_unit_variances_and_no_correlation():
    params = random_params(1, 3, 6, random_links(0, 6)["logistic"])
    x = jnp.asarray(np.random.default_rng(1).normal(size=(30, 4)))
    theta = skills_of(params, x)
    np.testing.assert_allclose(np.cov((theta @ whitening(theta)).T, ddof=0), np.eye(3), atol=1e-10)


def test_canonical_order_is_idempotent():
    loading = jnp.asarray(np.random.default_rng(2).normal(size=(6, 4)))
    ordered = loading @ canonical_order(loading)
    strength = np.asarray(jnp.sum(ordered**2, axis=0))
    assert (np.diff(strength) <= 0).all()
    assert (np.asarray(ordered).sum(axis=0) >= 0).all()
    np.testing.assert_array_equal(canonical_order(ordered), np.eye(4))


def test_draws_are_aligned_whatever_their_order_and_signs():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(8, 3))
    draws = truth[None] + 0.05 * rng.normal(size=(200, 8, 3))
    for draw in draws:
        draw[:] = draw[:, rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    aligned = np.asarray(jnp.asarray(draws) @ align(jnp.asarray(draws)))
    assert aligned.std(axis=0).max() < 0.1
    assert (np.abs(matched(aligned.mean(axis=0), truth)) > 0.999).all()
    towards = np.asarray(jnp.asarray(draws) @ align(jnp.asarray(draws), jnp.asarray(truth)))
    np.testing.assert_allclose(towards.mean(axis=0), truth, atol=0.05)


def test_loadings_that_cannot_be_aligned_are_refused():
    with pytest.raises(InputError, match="NaN"):
        align(jnp.full((2, 4, 2), jnp.nan))
    with pytest.raises(InputError, match="at most 7"):
        align(jnp.zeros((2, 9, 8)))


def test_congruence_finds_partners_whatever_order_and_sign():
    rng = np.random.default_rng(1)
    loading = rng.normal(size=(9, 3))
    other = np.column_stack([-loading[:, 2], rng.normal(size=9), loading[:, 0], loading[:, 1]])
    alike, partner = match_skills(loading, other)
    np.testing.assert_allclose(alike, 1.0)
    np.testing.assert_array_equal(partner, [2, 3, 0])
    with pytest.raises(InputError, match="4 skills cannot each have a partner among 3"):
        match_skills(other, loading)
