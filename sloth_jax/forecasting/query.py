"""Queries: models to be predicted, checked against the training table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard, runs_of
from sloth_jax.data.rows import ModelFacts, agree_by_family, parse_models
from sloth_jax.data.schema import FACTS, match_benchmark, read_header
from sloth_jax.data.tables import RawTable
from sloth_jax.errors import InputError
from sloth_jax.forecasting.query_formats import parse_query_text, read_queried
from sloth_jax.showing import Shown, some
from sloth_jax.wording import counted, did_you_mean, quoted, spelling

_QUANTITIES = ("params_b", "tokens_t")
# Numbers whose logarithms differ by less are one number, rounded.
_ROUNDING = 0.05


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
        runs: ``(query,)`` training run that each model is a checkpoint of, empty where of none;
            ``()`` where none is. What the training table has of a run is used.
        warnings: what was ignored or assumed, one sentence each.
    """

    models: tuple[str, ...]
    families: tuple[str, ...]
    lineages: tuple[str, ...]
    post_trained: np.ndarray
    params_b: np.ndarray
    active_params_b: np.ndarray
    tokens_t: np.ndarray
    runs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def _line(self) -> str:
        return f"{counted(len(self.models), 'model')}: {some(self.models)}"

    def _rows(self) -> pd.DataFrame:
        return self.to_frame()

    def to_frame(self) -> pd.DataFrame:
        """A row per model; :func:`load_query` makes the same query of it."""
        kinds = [None if np.isnan(kind) else kind > 0.5 for kind in self.post_trained]
        found = pd.DataFrame(
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
        return found.assign(run=list(self.runs)) if self.runs else found


def load_query(path: str | Path | pd.DataFrame, leaderboard: Leaderboard) -> Query:
    """Loads models to be predicted.

    The columns ``model``, ``family``, ``params_b`` and ``tokens_t`` are needed; ``lineage``,
    ``post_trained``, ``active_params_b``, ``released`` and ``run`` may be given. A row of a run of
    the training table is predicted as that model at other tokens. Columns of the
    training table's benchmarks are ignored with a warning. A family is the training table's if its
    name is, up to case and punctuation; then its lineage and whether it is post-trained come from
    there.

    Args:
        path: CSV, parquet or JSON file, or a data frame with a row per model; JSON is a list of
            objects, one per model.
        leaderboard: the training table.

    Raises:
        TableError: the table cannot be read, has other columns, or contradicts the training table.
    """
    return query_of(read_queried(path), leaderboard)


def parse_query(content: bytes, leaderboard: Leaderboard, source: str) -> Query:
    """Reads models to be predicted from a text, as from standard input; see :func:`load_query`.

    Args:
        content: CSV or JSON in UTF-8.
        leaderboard: the training table.
        source: what error messages call the text.

    Raises:
        TableError: the text is not a query for this training table.
    """
    return query_of(parse_query_text(content, source), leaderboard)


def known_name(name: str, choices: Iterable[str]) -> str:
    """The one of ``choices`` that is spelt like ``name`` up to case and punctuation, else ``name``.

    Raises:
        InputError: if several are, and none of them is the name itself.
    """
    alike = [choice for choice in choices if spelling(choice) == spelling(name)]
    if name in alike or not alike:
        return name
    if len(alike) > 1:
        raise InputError(
            f"{quoted(name)} may be {' or '.join(map(quoted, alike))}: write the one that is meant"
        )
    return alike[0]


def query_of(table: RawTable, leaderboard: Leaderboard) -> Query:
    """Cells of text as a query; see :func:`load_query`."""
    header = read_header(table)
    warnings = header.warnings
    for name, position in header.benchmarks.items():
        if match_benchmark(name, leaderboard.benchmarks) is None:
            choices = [*leaderboard.benchmarks, *FACTS]
            raise table.error(
                "no such benchmark or column in the training table"
                f"{did_you_mean(name, choices) or ': remove the column'}",
                column=table.header[position],
            )
    scored = [table.header[position] for position in header.benchmarks.values()]
    if scored:
        warnings.append(f"{table.source}: scores are not used to predict: {', '.join(scored)}")
    given = parse_models(table, header.facts, whole=True)
    models, renamed = _with_known_names(table, given, leaderboard)
    families = tuple(facts.family for facts in models)
    new_runs = _check_runs(table, models, leaderboard)
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
        runs=runs_of(facts.run for facts in models),
        warnings=(*warnings, *renamed, *new_runs, *_contradictions(table, models, leaderboard)),
    )


def _with_known_names(
    table: RawTable, models: Sequence[ModelFacts], leaderboard: Leaderboard
) -> tuple[list[ModelFacts], list[str]]:
    """The models with families and lineages spelt as in the training table, and what changed."""
    found, notes = [], {}
    runs = set(leaderboard.run) - {""}
    known = {"family": leaderboard.families, "lineage": leaderboard.lineages, "run": runs}
    for row, facts in enumerate(models):
        for column, choices in known.items():
            name = getattr(facts, column)
            if not name:
                continue
            try:
                meant = known_name(name, choices)
            except InputError as error:
                raise table.error(str(error), row, column) from None
            if meant != name:
                what = f"{column} {quoted(name)} is taken for {quoted(meant)} of the training table"
                notes[f"{table.source}: {what}"] = None
                facts = facts._replace(**{column: meant})
        found.append(facts)
    return found, list(notes)


def _check_runs(
    table: RawTable, models: Sequence[ModelFacts], leaderboard: Leaderboard
) -> list[str]:
    """A warning of runs that the training table does not have.

    Raises:
        TableError: a row is of a run whose checkpoints there are of another family or size.
    """
    first = {name: m for m, name in reversed(list(enumerate(leaderboard.run)))}
    for row, facts in enumerate(models):
        if not facts.run or facts.run not in first:
            continue
        m = first[facts.run]
        there: dict[str, str | float] = {"family": leaderboard.families[leaderboard.family[m]]}
        for name in ("params_b", "active_params_b"):
            there[name] = float(getattr(leaderboard, name)[m])
        for name, value in there.items():
            if str(getattr(facts, name)) != str(value):
                what = f"run {quoted(facts.run)} has {name} {quoted(str(value))} in the training"
                what += f" table, not {quoted(str(getattr(facts, name)))}: a run is of one model"
                raise table.error(what, row, "run")
    new = sorted({facts.run for facts in models} - first.keys() - {""})
    text = "the training table has no checkpoint of it, so each row is predicted as a new model"
    return [f"{table.source}: run {quoted(name)}: {text}" for name in new]


def _contradictions(
    table: RawTable, models: Sequence[ModelFacts], leaderboard: Leaderboard
) -> list[str]:
    """A warning per model whose name is a training model's that has other facts."""
    keys = [spelling(name) for name in leaderboard.models]
    # A spelling may be that of two models: opt-1.3b and opt-13b.
    places = {key: m for m, key in enumerate(keys) if keys.count(key) == 1}
    exact = {name: m for m, name in enumerate(leaderboard.models)}
    warnings = []
    for facts in models:
        m = exact.get(facts.model, places.get(spelling(facts.model)))
        if m is None:
            continue
        there = {name: float(getattr(leaderboard, name)[m]) for name in _QUANTITIES}
        other = [
            f"{name} {getattr(facts, name):g} here and {value:g} there"
            for name, value in there.items()
            if abs(math.log(getattr(facts, name) / value)) > _ROUNDING
        ]
        family = leaderboard.families[leaderboard.family[m]]
        if facts.family != family:
            other.append(f"family {quoted(facts.family)} here and {quoted(family)} there")
        if other:
            warnings.append(
                f"{table.source}: model {quoted(facts.model)} is another one than the training "
                f"table's: {'; '.join(other)}; predicted as it stands here"
            )
    return warnings
