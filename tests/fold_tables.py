"""Tables and folds for tests of cross-validation."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from small import BENCHMARKS, leaderboard

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.evaluation.folds import Folds, make_folds
from sloth_jax.evaluation.published import LEADERBOARDS, leaderboard_benchmarks, published_groups

SETTINGS = [(name, n_train) for name in LEADERBOARDS for n_train in (1, 2)]
NAMES = ("log_params", "log_tokens", "product")


@cache
def published(name: str) -> Leaderboard:
    return load_leaderboard(corrected=False).select_benchmarks(leaderboard_benchmarks(name))


def published_folds(name: str, n_train: int, **options) -> Folds:
    groups = published_groups(name, n_train)
    return make_folds(published(name), groups, n_train=n_train, **options)


def hidden_by_strict(plain: Folds, strict: Folds) -> dict[str, set[str]]:
    """Models that train under the published protocol only, by the name of the fold."""
    assert plain.table.models == strict.table.models
    assert (plain.test == strict.test).all()
    assert not (strict.train & ~plain.train).any()
    hidden = (plain.train & ~strict.train).any(axis=2)
    assert not (strict.train[hidden]).any()
    return {
        name: {plain.table.models[m] for m in np.flatnonzero(row)}
        for name, row in zip(plain.names, hidden, strict=True)
        if row.any()
    }


def with_gaps(board: Leaderboard, *gaps: tuple[str, str]) -> Leaderboard:
    scores = board.scores.copy()
    for model, benchmark in gaps:
        scores[board.models.index(model), board.benchmarks.index(benchmark)] = np.nan
    return replace(board, scores=scores)


def covariates(board: Leaderboard) -> np.ndarray:
    size, tokens = np.log(board.params_b), np.log(board.tokens_t)
    return np.stack([size, tokens, size * tokens], axis=1)


def grid(families: int = 6, sizes: int = 4) -> Leaderboard:
    """Families of 1, 2, 4... billion parameters; two of them share a lineage."""
    pairs = [(f, size) for f in range(families) for size in range(sizes)]
    frame = pd.DataFrame(
        {
            "model": [f"family{f}-{size}" for f, size in pairs],
            "family": [f"family{f}" for f, _ in pairs],
            "lineage": [f"lineage{f // 2}" for f, _ in pairs],
            "post_trained": False,
            "params_b": [2.0**size for _, size in pairs],
            "tokens_t": [1.0 + f + 0.3 * size for f, size in pairs],
        }
    )
    return leaderboard(frame, np.full((len(frame), len(BENCHMARKS)), 0.5))


def sized(*models: tuple[str, float, float]) -> Leaderboard:
    """A table of models ``family-size`` with sizes and tokens; each family is its own lineage."""
    frame = pd.DataFrame(models, columns=["model", "params_b", "tokens_t"])
    frame["family"] = frame["model"].str.split("-").str[0]
    frame["lineage"], frame["post_trained"] = frame["family"], False
    return leaderboard(frame, np.full((len(frame), len(BENCHMARKS)), 0.5))
