"""Tables of a known law that a check must pass."""

from __future__ import annotations

from sloth_jax.identifiability.synthetic import synthetic_table


def made(seed: int = 0, *, families: int = 8, skills: int = 2):
    """A table of a law with so many skills, sizes and tokens varying inside families."""
    return synthetic_table(seed, families=families, skills=skills, noise=0.03, own=0.0)[0]
