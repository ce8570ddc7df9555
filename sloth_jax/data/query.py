"""Queries: models that nobody has trained yet, checked against the training table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.rows import agree_by_family, parse_rows
from sloth_jax.data.schema import COLUMNS, match_benchmark, sort_columns
from sloth_jax.data.tables import RawTable, read_table, table_from_frame
from sloth_jax.wording import did_you_mean, quoted, spelling


@dataclass(frozen=True, eq=False)
class Query:
    """Models to be predicted, in the order in which they were asked for.

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

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, leaderboard: Leaderboard, source: str = "query"
    ) -> Query:
        """Reads a query from a data frame; see :func:`load_query`.

        Args:
            frame: one row per model.
            leaderboard: the training table.
            source: what error messages call the frame.

        Raises:
            TableError: the frame is not a query for this training table.
        """
        return _query(table_from_frame(frame, source), leaderboard)


def load_query(path: str | Path, leaderboard: Leaderboard) -> Query:
    """Loads models to be predicted.

    The columns ``model``, ``family``, ``params_b`` and ``tokens_t`` are needed; ``lineage``,
    ``post_trained``, ``active_params_b`` and ``released`` may be given. Columns of the training
    table's benchmarks are ignored with a warning. Where a family is in the training table, its
    lineage and whether it is post-trained come from there.

    Args:
        path: CSV or parquet file.
        leaderboard: the training table.

    Raises:
        TableError: the table cannot be read, has other columns, or contradicts the training table.
    """
    return _query(read_table(Path(path)), leaderboard)


def _query(table: RawTable, leaderboard: Leaderboard) -> Query:
    columns, others, _, warnings = sort_columns(table)
    scored = []
    for name, position in others.items():
        header = table.header[position]
        if match_benchmark(name, leaderboard.benchmarks) is None:
            choices = [*leaderboard.benchmarks, *COLUMNS]
            raise table.error(
                "no such benchmark or column in the training table"
                f"{did_you_mean(name, choices) or ': remove the column'}",
                column=header,
            )
        scored.append(header)
    if scored:
        warnings.append(f"{table.source}: scores are not used to predict: {', '.join(scored)}")
    parsed = parse_rows(table, columns, tokens_may_be_missing=False)

    known_lineages = {
        family: leaderboard.lineages[lineage]
        for family, lineage in zip(leaderboard.families, leaderboard.lineage_of_family, strict=True)
    }
    known_post_trained = {
        family: bool(value > 0.5)
        for family, value in zip(
            leaderboard.families, leaderboard.post_trained_of_family, strict=True
        )
    }
    lineages = agree_by_family(table, "lineage", parsed.families, parsed.lineages, known_lineages)
    post_trained = agree_by_family(
        table, "post_trained", parsed.families, parsed.post_trained, known_post_trained
    )
    spellings = {spelling(family): family for family in leaderboard.families}
    for family in dict.fromkeys(parsed.families):
        if family not in known_lineages and spelling(family) in spellings:
            warnings.append(
                f"{table.source}: family {quoted(family)} is taken as a new one; did you mean"
                f" {quoted(spellings[spelling(family)])}?"
            )
    return Query(
        models=tuple(parsed.models),
        families=tuple(parsed.families),
        lineages=tuple(lineages.get(family, family) for family in parsed.families),
        post_trained=np.array(
            [float(post_trained.get(family, math.nan)) for family in parsed.families]
        ),
        params_b=np.array(parsed.params_b),
        active_params_b=np.array(parsed.active_params_b),
        tokens_t=np.array(parsed.tokens_t),
        warnings=tuple(warnings + parsed.warnings),
    )
