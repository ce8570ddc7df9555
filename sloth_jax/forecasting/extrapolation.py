"""How far a query lies outside the models that a law was learnt from.

A law answers any query; the walks of families widen intervals with distance. But no
table tells how compute turns into skill at sizes, tokens or tokens per parameter that none of its
models has, so answers there are marked.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard

RANGES = ("params_b", "tokens_t", "tokens_per_param")
# A twentieth beyond the edge is rounding of sizes in names, not another regime.
_MARGIN = 1.05


def beyond(table: Leaderboard, params_b: np.ndarray, tokens_t: np.ndarray) -> pd.DataFrame:
    """Factors by which queries leave the ranges of a table's scored models.

    Args:
        table: the training table.
        params_b: parameters in billions, ``(query,)``.
        tokens_t: tokens in trillions, ``(query,)``.

    Returns:
        A row per query with a column for each of :data:`RANGES`: 1 inside, 3 at three times the
        largest of the table, a third at a third of the smallest.
    """
    scored = np.isfinite(table.scores).any(axis=1)
    scored = scored if scored.any() else np.ones_like(scored)
    seen = _ranges(table.params_b[scored], table.tokens_t[scored])
    queried = _ranges(np.asarray(params_b, float), np.asarray(tokens_t, float))
    return pd.DataFrame(
        {
            name: np.maximum(queried[name] / seen[name].max(), 1.0)
            * np.minimum(queried[name] / seen[name].min(), 1.0)
            for name in RANGES
        }
    )


def beyond_in_words(table: Leaderboard, params_b: np.ndarray, tokens_t: np.ndarray) -> list[str]:
    """The same in words, ``(query,)``; empty where a query lies inside the table's ranges."""
    found = []
    for row in beyond(table, params_b, tokens_t).to_numpy():
        parts = [
            f"{name} {factor:.3g} x the largest"
            if factor > 1
            else f"{name} {factor:.2g} x the smallest"
            for name, factor in zip(RANGES, row, strict=True)
            if max(factor, 1.0 / factor) > _MARGIN
        ]
        found.append("; ".join(parts))
    return found


def _ranges(params_b: np.ndarray, tokens_t: np.ndarray) -> dict[str, np.ndarray]:
    # Trillions over billions: a thousand tokens per parameter to the unit.
    return dict(zip(RANGES, (params_b, tokens_t, 1e3 * tokens_t / params_b), strict=True))
