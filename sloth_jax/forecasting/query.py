"""Queries: models to be predicted, checked against the training table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.rows import agree_by_family, parse_models
from sloth_jax.data.schema import COLUMNS, match_benchmark, read_header
from sloth_jax.data.tables import RawTable, read_table
from sloth_jax.showing import Shown, some
from sloth_jax.wording import did_you_mean, quoted, spelling


@dataclass(frozen=True, eq=False, repr=False)
class Query(Shown):
    """Models to be predicted, in the order of the query.

    Attributes:
        models: names of the models; dimension ``query``.
        families: ``(query,)`` family of each model; need not be in the training table.
        lineages: ``(query,)`` lineage of each model: as given, as in the training table, or the
            name of the family.
        post_trained: ``(query,)`` 1.0 post-trained, 0.0 base, NaN where neither the query nor the
            training table says.
        params_b: ``(query,)`` parameters in billions; of a mixture of experts, all of them.
        active_params_b: ``(query,)`` parameters active per token in billions; NaN where dense.
        tokens_t: ``(query,)`` pretraining tokens in trillions.
        warnings: what was ignored or assumed, one sentence each.
    """

    models: tuple[str, ...]
    families: tuple[str, ...]
    lineages: tuple[str, ...]
    post_trained: np.ndarray
    params_b: np.ndarray
    active_params_b: np.ndarray
    tokens_t: np.ndarray
    warnings: tuple[str, ...] = ()

    def _line(self) -> str:
        return f"{len(self.models)} models: {some(self.models)}"

    def _rows(self) -> pd.DataFrame:
        return self.to_frame()

    def to_frame(self) -> pd.DataFrame:
        """A row per model; :func:`load_query` makes the same query of it."""
        kinds = [None if np.isnan(kind) else kind > 0.5 for kind in self.post_trained]
        return pd.DataFrame(
            {
                "model": list(self.models),
                "family": list(self.families),
                "lineage": list(self.lineages),
                "post_trained": pd.Series(kinds, dtype="boolean"),
                "params_b": self.params_b,
                "active_params_b": self.active_params_b,
                "tokens_t": self.tokens_t,
            }
        )


def load_query(path: str | Path | pd.DataFrame, leaderboard: Leaderboard) -> Query:
    """Loads models to be predicted.

    The columns ``model``, ``family``, ``params_b`` and ``tokens_t`` are needed; ``lineage``,
    ``post_trained``, ``active_params_b`` and ``released`` may be given. Columns of the training
    table's benchmarks are ignored with a warning. Where a family is in the training table, its
    lineage and whether it is post-trained come from there.

    Args:
        path: CSV or parquet file, or a data frame with a row per model.
        leaderboard: the training table.

    Raises:
        TableError: the table cannot be read, has other columns, or contradicts the training table.
    """
    return query_of(read_table(path, "query"), leaderboard)


def query_of(table: RawTable, leaderboard: Leaderboard) -> Query:
    """Cells of text as a query; see :func:`load_query`."""
    header = read_header(table)
    warnings = header.warnings
    for name, position in header.benchmarks.items():
        if match_benchmark(name, leaderboard.benchmarks) is None:
            choices = [*leaderboard.benchmarks, *COLUMNS]
            raise table.error(
                "no such benchmark or column in the training table"
                f"{did_you_mean(name, choices) or ': remove the column'}",
                column=table.header[position],
            )
    scored = [table.header[position] for position in header.benchmarks.values()]
    if scored:
        warnings.append(f"{table.source}: scores are not used to predict: {', '.join(scored)}")
    models, unit_warnings = parse_models(table, header.facts, tokens_may_be_missing=False)

    spellings = {spelling(family): family for family in leaderboard.families}
    families = tuple(facts.family for facts in models)
    for family in dict.fromkeys(families):
        if family not in leaderboard.families and spelling(family) in spellings:
            warnings.append(
                f"{table.source}: family {quoted(family)} is taken as a new one; did you mean"
                f" {quoted(spellings[spelling(family)])}?"
            )
    lineages = agree_by_family(table, models, "lineage", leaderboard.lineage_by_family())
    known = leaderboard.post_trained_by_family()
    post_trained = agree_by_family(table, models, "post_trained", known)
    return Query(
        models=tuple(facts.model for facts in models),
        families=families,
        lineages=tuple(lineages.get(family, family) for family in families),
        post_trained=np.array([float(post_trained.get(family, math.nan)) for family in families]),
        params_b=np.array([facts.params_b for facts in models]),
        active_params_b=np.array([facts.active_params_b for facts in models]),
        tokens_t=np.array([facts.tokens_t for facts in models]),
        warnings=(*warnings, *unit_warnings),
    )
