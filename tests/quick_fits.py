"""Fits of a small table with few draws, each made once."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pandas as pd
from small import table

from sloth_jax import Fit, FitSettings, Leaderboard, NutsSettings, Query, fit, load_query

NUTS = NutsSettings(chains=2, warmup=30, draws=30, max_tree_depth=4)
QUICK = FitSettings(skills=1, draws=60, steps=60, nuts=NUTS)
KEY = jax.random.key(0)
QUERY = """model,family,lineage,post_trained,params_b,tokens_t
big,family0,lineage0,False,16,2
new-in-lineage,stranger,lineage0,False,4,2
new,alien,aliens,False,4,2
new-unknown,martian,martians,,4,2
"""


@cache
def half_observed() -> Leaderboard:
    """Half of the scores removed at random, but for the first family, which tests look at."""
    made, _ = table(noise=0.01)
    rng = np.random.default_rng(1)
    gone = (rng.random(made.scores.shape) < 0.5) & (made.family > 0)[:, None]
    return replace(made, scores=np.where(gone, np.nan, made.scores))


@cache
def quick_fit(inference: str = "laplace") -> Fit:
    """A fit of that table."""
    return fit(half_observed(), key=KEY, settings=QUICK, inference=inference)


def read_query(text: str, data: Leaderboard) -> Query:
    """A query from the text of a CSV file."""
    return load_query(pd.read_csv(io.StringIO(text)), data)


def same(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
