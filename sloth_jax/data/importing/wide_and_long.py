"""Tables of any shape: wide, a column per benchmark; or long, with the columns benchmark and score.

Missing facts may be read off names; columns in percent are recognised.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sloth_jax.data.importing.names import add_row
from sloth_jax.data.importing.result import TABLE, Facts, Imported
from sloth_jax.data.rows import facts_given, fraction_of, number_of
from sloth_jax.data.schema import ABOUT, Header, bundled_floors, match_benchmark, read_header
from sloth_jax.data.tables import RawTable, TableError
from sloth_jax.wording import spelling


class _ScoreColumn(NamedTuple):
    """A column of scores, what is 1 in it, and the columns about it, by kind."""

    benchmark: str
    position: int
    unit: float
    about: dict[str, int]


@dataclass
class _Model:
    """What a table has of a model; ``row`` is the number of its first row."""

    row: int
    facts: dict[str, Any]
    rows: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


def read_any_table(table: RawTable, facts: Facts) -> Imported:
    """Reads a wide or a long table."""
    found = Imported(table.source, TABLE, rows_in=len(table.rows), facts=facts)
    header = read_header(table, whole=False)
    found.notes += header.warnings
    keys = {spelling(name): position for position, name in enumerate(table.header)}
    long = "benchmark" in keys and "score" in keys
    if long:
        about = {kind: {"": keys[kind]} if kind in keys else {} for kind in ABOUT}
        header = header._replace(benchmarks={"": keys["score"]}, about=about)
    columns = _score_columns(table, header, found)
    models: dict[str, _Model] = {}
    for row, number in enumerate(table.numbers):
        name = table.rows[row][header.facts["model"]]
        if not name:
            found.reject(number, "", "no name of a model")
            continue
        if long:
            benchmark = table.rows[row][keys["benchmark"]]
            benchmark = match_benchmark(benchmark, list(bundled_floors())) or benchmark
            columns = [columns[0]._replace(benchmark=benchmark)]
        try:
            scores, about = _read_scores(table, row, columns)
            model = _Model(number, facts_given(table, row, header.facts))
        except TableError as error:
            found.reject(number, name, f"a cell cannot be used: {error}")
            continue
        model = models.setdefault(name, model)
        if model.rows and not long:
            found.reject(number, name, f"stands there twice: row {model.row} is kept")
        elif scores.keys() & model.scores.keys():
            found.reject(number, name, f"a second score on it: {columns[0].benchmark}")
        else:
            model.scores |= scores
            model.about |= about
            model.rows += 1
    for name, model in models.items():
        add_row(found, model.row, name, name, model.scores, given=model.facts, about=model.about)
        # A model's rows become one: the others are in it, kept or rejected.
        found.rows_in -= model.rows - 1
    return found


def _score_columns(table: RawTable, header: Header, found: Imported) -> list[_ScoreColumn]:
    columns = []
    for name, position in header.benchmarks.items():
        about = {kind: at[name] for kind, at in header.about.items() if name in at}
        columns.append(_ScoreColumn(name, position, _unit(table, position, found), about))
    return columns


def _unit(table: RawTable, position: int, found: Imported) -> float:
    """100 for a column in percent, most of whose numbers are above 1; else 1."""
    known = []
    for row in range(len(table.rows)):
        with suppress(TableError):
            known.append(number_of(table, row, position))
    known = [value for value in known if not math.isnan(value)]
    if sum(value > 1.0 for value in known) <= len(known) / 2:
        return 1.0
    found.notes.append(f"column {table.header[position]}: percent, divided by 100")
    return 100.0


def _read_scores(
    table: RawTable, row: int, columns: list[_ScoreColumn]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Scores by benchmark, and the cells about them by column."""
    scores = {
        column.benchmark: fraction_of(table, row, column.position, column.unit)
        for column in columns
    }
    about = {
        f"{column.benchmark} {kind}": _about(table, row, column.about[kind], kind, column.unit)
        for kind in ABOUT
        for column in columns
        if kind in column.about
    }
    return scores, about


def _about(table: RawTable, row: int, position: int, kind: str, unit: float) -> Any:
    """A standard error in the unit of its score, a number of items, or a source's name."""
    if kind == "source":
        return table.rows[row][position]
    value = number_of(table, row, position)
    return None if math.isnan(value) else value / unit if kind == "se" else value
