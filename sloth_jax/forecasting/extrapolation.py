"""How far a query lies outside the models that a law was learnt from.

A law answers any query; the walks of families widen intervals with distance. But no
table tells how compute turns into skill at sizes, tokens or tokens per parameter that none of its
models has, nor how a family goes on far beyond its own models, so answers there are marked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard

RANGES = ("params_b", "tokens_t", "tokens_per_param")
# A twentieth beyond the edge is rounding of sizes in names, not another regime.
_MARGIN = 1.05
# The sizes of a family are steps of about two, so that the next one is what the law is for.
_FAMILY_MARGIN = 2.0
_OF_FAMILY = RANGES[:2]  # tokens per parameter say nothing more of a family


def beyond(
    table: Leaderboard,
    params_b: np.ndarray,
    tokens_t: np.ndarray,
    families: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Factors by which queries leave the ranges of a table's scored models.

    Args:
        table: the training table.
        params_b: parameters in billions, ``(query,)``.
        tokens_t: tokens in trillions, ``(query,)``.
        families: family of each query, ``(query,)``; None looks at the whole table alone.

    Returns:
        A row per query with a column for each of :data:`RANGES`: 1 inside, 3 at three times the
        largest of the table, a third at a third of the smallest. With families also
        ``family_params_b`` and ``family_tokens_t``, the same for the scored models of its family;
        1 where it has none.

    Examples:
        Twice the largest size of the table, and tokens that it has:

        >>> import sloth_jax as sj
        >>> table = sj.load_leaderboard(edition="2024")
        >>> most = np.nanmax(table.params_b[table.observed.any(axis=1)])
        >>> beyond(table, np.array([2 * most]), np.array([1.0]))["params_b"].tolist()
        [2.0]
    """
    scored = np.isfinite(table.scores).any(axis=1) & table.known
    scored = scored if scored.any() else table.known
    queried = _ranges(np.asarray(params_b, float), np.asarray(tokens_t, float))
    seen = _ranges(table.params_b[scored], table.tokens_t[scored])
    found = {name: _factor(queried[name], seen[name]) for name in RANGES}
    if families is not None:
        names = np.asarray(table.families, dtype=object)[table.family[scored]]
        for name in _OF_FAMILY:
            own = [seen[name][names == family] for family in families]
            factors = [_factor(at, some) for at, some in zip(queried[name], own, strict=True)]
            found[f"family_{name}"] = np.asarray(factors, float)
    return pd.DataFrame(found)


def beyond_in_words(
    table: Leaderboard,
    params_b: np.ndarray,
    tokens_t: np.ndarray,
    families: Sequence[str] | None = None,
) -> list[str]:
    """The same in words, ``(query,)``; empty where a query lies inside.

    A model counts as outside its family only at more than twice the largest, or less than half of
    the smallest, of the family's models.
    """
    found = []
    for row in beyond(table, params_b, tokens_t, families).to_dict("records"):
        parts = []
        for column, factor in row.items():
            name = str(column).removeprefix("family_")
            of_family = name != column
            if max(factor, 1.0 / factor) > (_FAMILY_MARGIN if of_family else _MARGIN):
                end = "largest" if factor > 1 else "smallest"
                digits = f"{factor:.3g}" if factor > 1 else f"{factor:.2g}"
                whose = " of its family" if of_family else ""
                parts.append(f"{name} {digits} x the {end}{whose}")
        found.append("; ".join(parts))
    return found


def in_short(words: str) -> str:
    """The first of :func:`beyond_in_words` for a narrow column, as ``params_b 3 x``."""
    first, *others = words.split("; ")
    return first.partition(" the ")[0] + (" ..." if others else "")


def _factor(queried: np.ndarray, seen: np.ndarray) -> np.ndarray:
    if not seen.size:
        return np.ones_like(queried)
    return np.maximum(queried / seen.max(), 1.0) * np.minimum(queried / seen.min(), 1.0)


def _ranges(params_b: np.ndarray, tokens_t: np.ndarray) -> dict[str, np.ndarray]:
    # Trillions over billions: a thousand tokens per parameter to the unit.
    return dict(zip(RANGES, (params_b, tokens_t, 1e3 * tokens_t / params_b), strict=True))
