"""Item banks of a known law, for tests."""

from __future__ import annotations

import numpy as np

from sloth_jax.items.bank import ItemBank


def simulated(models: int = 40, items: int = 160, seed: int = 0, *, gaps: float = 0.0):
    """A bank, and the skills, slopes and difficulties that it is from."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=models)
    slope, difficulty = np.exp(0.4 * rng.normal(size=items)), 1.5 * rng.normal(size=items)
    p = 1.0 / (1.0 + np.exp(difficulty - theta[:, None] * slope))
    made = (rng.random(p.shape) >= gaps).astype(int)
    right = (rng.random(p.shape) < p) * made
    names = (tuple(f"m{i}" for i in range(models)), tuple(f"i{i}" for i in range(items)))
    return ItemBank(*names, right, made), theta, slope, difficulty
