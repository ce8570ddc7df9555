"""The dense covariance, against the formula written out."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sloth_jax.effects.dense import Cells, dense_covariance
from sloth_jax.effects.spread import Spread
from sloth_jax.effects.walk import walk_basis


def test_covariance_between_two_scores_is_the_formula():
    # Two models of one lineage and two families, on one benchmark of one skill.
    family, lineage, x = (
        np.array([0, 1, 1, 2]),
        np.array([0, 0, 0, 1]),
        np.array([1.0, 2.5, 0.5, 1.0]),
    )
    a, b, c, d, s, aj, bj, cj, dj, lam = np.random.default_rng(0).uniform(0.3, 1.5, 10)
    some = [jnp.asarray([value]) for value in (a, b, c, d, s)]
    own = [jnp.asarray([value]) for value in (aj, bj, cj, dj, 0.0)]
    cells = Cells(
        np.arange(4), family, lineage, np.zeros(4, int), np.asarray(walk_basis(jnp.asarray(x)))
    )
    found = dense_covariance(cells, np.array([[lam]]), Spread(*some), Spread(*own))
    for m in range(4):
        for n in range(4):
            w = min(x[m], x[n])
            kin, close, same = lineage[m] == lineage[n], family[m] == family[n], m == n
            on_skill = kin * (a**2 + b**2 * w + close * (c**2 + d**2 * w)) + same * s**2
            alone = kin * (aj**2 + bj**2 * w + close * (cj**2 + dj**2 * w))
            assert found[m, n] == pytest.approx(lam**2 * on_skill + alone, rel=1e-12)
