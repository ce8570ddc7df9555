"""Inverses and determinants of small matrices, against LAPACK's."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sloth_jax.effects.batched_inverse import batched_inverse


def test_inverses_and_determinants_are_those_of_lapack():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 6, 6))
    matrices = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(6)
    inverted, parts = batched_inverse(jnp.asarray(matrices))
    np.testing.assert_allclose(inverted, np.linalg.inv(matrices), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(parts.sum(axis=1), np.linalg.slogdet(matrices)[1], rtol=1e-9)
