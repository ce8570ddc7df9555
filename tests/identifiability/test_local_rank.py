"""The local rank, against that of the Jacobian of the law."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from good_tables import made

from sloth_jax import Effects, Logistic, Params, fit_surface, scores
from sloth_jax.identifiability import local_rank as module
from sloth_jax.identifiability.local_rank import local_rank


def test_the_rank_is_that_of_the_differentiated_law():
    """By automatic differentiation, with family effects among the parameters."""
    good, skills = made(families=4), 2
    design = jnp.asarray(fit_surface(good).linear(good))
    rng = np.random.default_rng(0)
    shapes = {"family": (4, skills), "slope": (3, skills), "loading": (4, skills), "bias": (4,)}
    at = {name: jnp.asarray(0.5 * rng.normal(size=shape)) for name, shape in shapes.items()}

    def predicted(free):
        rest = {name: free[name] for name in ("slope", "loading", "bias")}
        params = Params(**rest, floor=jnp.asarray(good.floors), link=Logistic())
        return scores(params, design, Effects(free["family"][good.family])).ravel()

    jacobian = jax.jacfwd(predicted)(at)
    columns = [np.asarray(part).reshape(64, -1) for part in jax.tree.leaves(jacobian)]
    found = np.linalg.matrix_rank(np.hstack(columns), tol=1e-8)
    assert (found, found) == local_rank(good, skills=skills)


@pytest.mark.parametrize("entries", [1, 40])
def test_the_rank_by_blocks_of_families_is_the_rank_at_once(entries, monkeypatch):
    full = made(families=6)
    seen = np.random.default_rng(1).random(full.scores.shape) < 0.4
    gaps = replace(full, scores=np.where(seen, full.scores, np.nan))
    gaps = gaps.subset(gaps.observed.any(axis=1))
    at_once = [local_rank(table, skills=2) for table in (full, gaps)]
    monkeypatch.setattr(module, "_ENTRIES", entries)
    assert [local_rank(table, skills=2) for table in (full, gaps)] == at_once
