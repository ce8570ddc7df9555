"""Covariates: units cancel, and their span is that of the raw product."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from small import EXACT

from sloth_jax.covariates import covariate_matrix, fit_scaling

SIZES = np.array([0.5, 7.0, 13.0, 70.0, 180.0])
TOKENS = np.array([2.4, 2.0, 1.0, 15.0, 3.5])


def test_units_cancel():
    in_billions = covariate_matrix(fit_scaling(SIZES, TOKENS), SIZES, TOKENS)
    in_ones = covariate_matrix(fit_scaling(SIZES * 1e9, TOKENS * 1e12), SIZES * 1e9, TOKENS * 1e12)
    np.testing.assert_allclose(in_billions, in_ones, atol=EXACT)


def test_logs_are_standardised():
    x = covariate_matrix(fit_scaling(SIZES, TOKENS), SIZES, TOKENS)
    np.testing.assert_allclose(x[:, :2].mean(axis=0), 0.0, atol=EXACT)
    np.testing.assert_allclose(x[:, :2].std(axis=0), 1.0, atol=EXACT)


def test_span_is_that_of_logs_and_their_raw_product():
    x = covariate_matrix(fit_scaling(SIZES, TOKENS), SIZES, TOKENS)
    s, t = np.log(SIZES), np.log(TOKENS)
    raw = np.column_stack([np.ones(5), s, t, s * t])
    ours = np.column_stack([np.ones(5), x])
    solution, *_ = np.linalg.lstsq(raw, ours, rcond=None)
    np.testing.assert_allclose(raw @ solution, ours, atol=1e-8)


def test_the_product_is_optional():
    scaling = fit_scaling(SIZES, TOKENS)
    without = covariate_matrix(scaling, SIZES, TOKENS, kind="additive")
    np.testing.assert_array_equal(without, covariate_matrix(scaling, SIZES, TOKENS)[:, :2])


def test_constant_tokens_give_a_finite_zero_covariate():
    x = covariate_matrix(fit_scaling(SIZES, np.full(5, 2.0)), SIZES, np.full(5, 2.0))
    assert jnp.isfinite(x).all()
    np.testing.assert_allclose(x[:, 1], 0.0, atol=EXACT)
