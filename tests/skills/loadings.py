"""Loadings with a simple structure, and their comparison."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sloth_jax.skills.alignment import align, congruence

BENCHMARKS = 12


def simple(skills: int, seed: int) -> np.ndarray:
    """Loadings with a simple structure, turned at random."""
    rng = np.random.default_rng(seed)
    loading = 0.05 * rng.normal(size=(BENCHMARKS, skills))
    loading[np.arange(BENCHMARKS), np.arange(BENCHMARKS) % skills] += rng.uniform(0.5, 1.0)
    turn, _ = np.linalg.qr(rng.normal(size=(skills, skills)))
    return loading @ turn


def matched(left, right) -> np.ndarray:
    """Congruence of each skill with its partner."""
    order = align(jnp.asarray(left)[None], jnp.asarray(right))[0]
    return np.diag(np.asarray(congruence(jnp.asarray(left) @ order, jnp.asarray(right))))
