"""Tables with gaps, wide or long, in any units: one table of shares, and how they are taken back.

A long table has a row per score, with the columns ``model``, ``benchmark`` and ``score``, and if
you like ``scale``, ``se``, ``items``, ``source`` and ``floor``; a wide one has a row per model and
a column per benchmark. Both may have the facts of models (:data:`sloth_jax.data.schema.FACTS`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import parse_leaderboard
from sloth_jax.data.rows import facts_given, number_of
from sloth_jax.data.schema import (
    ABOUT,
    FACTS,
    Header,
    bundled_floors,
    match_benchmark,
    read_header,
)
from sloth_jax.data.tables import RawTable, cell_text, read_table
from sloth_jax.errors import InputError
from sloth_jax.identifiability.score_scales import (
    FRACTION,
    PERCENT,
    UNBOUNDED,
    ScoreScale,
    named_scale,
    recognise_scale,
)
from sloth_jax.showing import some
from sloth_jax.wording import quoted, spelling

_SCALE = "scale"
_OF_LONG = (*ABOUT, _SCALE)  # columns about scores in a long table
_TWO_SCALES = "benchmark {}: its rows name two scales, {} and {}: name one for all"
_LEAST_SCORES = 2  # of one score alone a benchmark's spread cannot be told


class SparseTable(NamedTuple):
    """Scores as shares, and how to take them back.

    Attributes:
        table: models and scores; those of unbounded scales are transformed.
        scales: scale of each benchmark, ``(benchmark,)``.
    """

    table: Leaderboard
    scales: tuple[ScoreScale, ...]


class _Score(NamedTuple):
    """A score as it stands in a table: which table, which row, and what is said about it."""

    value: float
    table: int
    row: int
    about: dict[str, str]


@dataclass
class _Cells:
    """What all tables say.

    Attributes:
        tables: in their order.
        facts: model -> column -> value, and table and row where it stands.
        scores: benchmark -> model -> score.
        first: model -> table and row where it stands first.
        notes: what was ignored or replaced.
    """

    tables: list[RawTable] = field(default_factory=list)
    facts: dict[str, dict[str, tuple[Any, int, int]]] = field(default_factory=dict)
    scores: dict[str, dict[str, _Score]] = field(default_factory=dict)
    first: dict[str, tuple[int, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_sparse(
    *sources: str | Path | pd.DataFrame | Leaderboard,
    floors: str | Path | pd.DataFrame | None = None,
) -> SparseTable:
    """Read tables with gaps, in the units in which people keep them.

    Fractions and percent are recognised by table and benchmark; scores that are neither, such as
    an Elo rating, are taken into (0, 1): see
    :class:`sloth_jax.identifiability.score_scales.ScoreScale`. A model without a family is a family
    of its own. A benchmark with fewer than two scores is left out, with a warning. A score of a
    later table takes the place of an earlier one's, with a warning.

    Args:
        sources: CSV or parquet files, or data frames, wide or long, or tables that are read
            already; at least one.
        floors: chance floors, fractions, see :func:`sloth_jax.data.reading.load_floors`.

    Returns:
        A :class:`SparseTable`.

    Raises:
        TableError: if a cell cannot be used, rows contradict each other on a fact of a model, a
            model has two scores on a benchmark in one table, or neither a score nor a size.
        InputError: if the scale of a benchmark cannot be told.
    """
    cells = _Cells()
    for source in sources:
        if isinstance(source, Leaderboard):
            cells.notes += source.warnings
            source, name = source.to_frame(), "the leaderboard"
        else:
            name = "data frame"
        _read(read_table(source, name), cells)
    few = {name: len(found) for name, found in cells.scores.items() if len(found) < _LEAST_SCORES}
    if few:
        counts = ", ".join(f"{name} ({count})" for name, count in few.items())
        cells.notes.append(
            f"benchmarks with fewer than {_LEAST_SCORES} scores are left out: {counts}; measure "
            "more models on them"
        )
    scores = {name: found for name, found in cells.scores.items() if name not in few}
    scales = {name: _scales(name, found) for name, found in scores.items()}
    merged = _merged(cells, scores, scales)
    board = parse_leaderboard(merged, floors)
    # A benchmark's results are in the units of the first table that has it.
    own = {name: scales[name][min(scales[name])] for name in board.benchmarks}
    percent = [name for name, scale in own.items() if scale.kind == PERCENT]
    taken = [f"in percent: {', '.join(percent)}"] if percent else []
    taken += [
        f"{name}: {scale.in_words()}"
        for name, scale in own.items()
        if scale.kind not in (FRACTION, PERCENT)
    ]
    board = replace(board, warnings=(*cells.notes, *taken, *board.warnings))
    return SparseTable(board, tuple(own.values()))


def _read(table: RawTable, cells: _Cells) -> None:
    """Add what a table says.

    Raises:
        TableError: if a cell cannot be used, or contradicts what stands before.
    """
    at = len(cells.tables)
    cells.tables.append(table)
    header = read_header(table, whole=False)
    keys = {spelling(name): position for position, name in enumerate(table.header)}
    long = "benchmark" in keys and "score" in keys
    if long:
        known = {"benchmark", "score", *_OF_LONG}
        ignored = [name for name in header.benchmarks if spelling(name) not in known]
        if ignored:
            cells.notes.append(f"{table.source}: ignored columns: {', '.join(ignored)}")
    else:
        cells.notes += header.warnings
    names: dict[str, str] = {}
    for row, texts in enumerate(table.rows):
        facts = facts_given(table, row, header.facts)
        model = facts.pop("model")
        cells.first.setdefault(model, (at, row))
        known = cells.facts.setdefault(model, {})
        for column, value in facts.items():
            other, *place = known.setdefault(column, (value, at, row))
            if not _agree(value, other):
                what = f"{_place(cells, place[0], place[1], at)} has {other} for this model: facts "
                what += "of a model must be the same in all its rows; mend one, or leave it empty"
                raise table.error(what, row, header.facts[column])
        entries = _of_long(table, row, keys) if long else _of_wide(header)
        for name, position, about in entries:
            if name not in names:
                names[name] = match_benchmark(name, (*cells.scores, *bundled_floors())) or name
            benchmark = names[name]
            value = number_of(table, row, position)
            found = cells.scores.setdefault(benchmark, {})
            if math.isnan(value):
                continue
            for kind in {"se", "items", "floor"} & about.keys():
                number_of(table, row, about[kind])  # refused where it stands
            score = _Score(value, at, row, {kind: texts[p] for kind, p in about.items()})
            before = found.get(model)
            if before is not None and before.value != value:
                if before.table == at:
                    place = _place(cells, at, before.row, at)
                    what = f"{place} has the score {before.value:g} of this model on {benchmark}"
                    raise table.error(f"{what}: keep one of them", row, position)
                was = f"instead of {before.value:g} in {cells.tables[before.table].source}"
                cells.notes.append(f"{table.source}: {model} on {benchmark}: {value:g} {was}")
            found[model] = score


def _of_long(
    table: RawTable, row: int, keys: dict[str, int]
) -> Iterator[tuple[str, int, dict[str, int]]]:
    """The one score of a row: benchmark, position, and positions of what is about it."""
    name = table.rows[row][keys["benchmark"]]
    if name:
        yield name, keys["score"], {kind: keys[kind] for kind in _OF_LONG if kind in keys}
    elif table.rows[row][keys["score"]]:
        raise table.error("a score without a benchmark: name it, or remove the row", row)


def _of_wide(header: Header) -> Iterator[tuple[str, int, dict[str, int]]]:
    """All scores of a row, as :func:`_of_long`; a column ``Elo scale`` is about ``Elo``."""
    scale_of = {f"{name} {_SCALE}".casefold(): name for name in header.benchmarks}
    scales = {
        scale_of[name.casefold()]: position
        for name, position in header.benchmarks.items()
        if name.casefold() in scale_of
    }
    about = {**header.about, _SCALE: scales}
    for name, position in header.benchmarks.items():
        if position not in scales.values():
            yield name, position, {kind: of[name] for kind, of in about.items() if name in of}


def _agree(one: Any, other: Any) -> bool:
    """Whether two facts say the same: as numbers, or as words in any case."""
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-3)
    return str(one).casefold() == str(other).casefold()


def _place(cells: _Cells, table: int, row: int, here: int) -> str:
    """A row in words, with its table where that is another."""
    number = f"row {cells.tables[table].numbers[row]}"
    return number if table == here else f"{number} of {cells.tables[table].source}"


def _scales(benchmark: str, scores: dict[str, _Score]) -> dict[int, ScoreScale]:
    """The scale of a benchmark's scores in each table that has some.

    Raises:
        InputError: if it cannot be told, or rows name different ones.
    """
    values: dict[int, list[float]] = {}
    named: dict[int, str] = {}
    for score in scores.values():
        values.setdefault(score.table, []).append(score.value)
        text = score.about.get(_SCALE, "").casefold()
        if text and named.setdefault(score.table, text) != text:
            raise InputError(_TWO_SCALES.format(quoted(benchmark), named[score.table], text))
    by_table = {at: np.array(found) for at, found in sorted(values.items())}
    kinds = {
        at: named.get(at) or recognise_scale(benchmark, found) for at, found in by_table.items()
    }
    if set(kinds.values()) <= {FRACTION, PERCENT}:
        return {at: named_scale(kinds[at], benchmark, found) for at, found in by_table.items()}
    # Units that no table tells alone: all its scores together do.
    together = np.concatenate(list(by_table.values()))
    kind, *others = dict.fromkeys(named.values()) or [recognise_scale(benchmark, together)]
    if others:
        raise InputError(_TWO_SCALES.format(quoted(benchmark), kind, others[0]))
    return dict.fromkeys(by_table, named_scale(kind, benchmark, together))


def _merged(
    cells: _Cells, scores: dict[str, dict[str, _Score]], scales: dict[str, dict[int, ScoreScale]]
) -> RawTable:
    """One wide table of shares, its rows those in which models stand first.

    Raises:
        TableError: if a model has neither a size nor a score, or a score without ends a floor.
    """
    columns = [*FACTS, *scores, *(f"{name} {kind}" for name in scores for kind in ABOUT)]
    rows, alone = [], []
    for model, (at, row) in cells.first.items():
        cell = {column: cell_text(value) for column, (value, *_) in cells.facts[model].items()}
        measured = [name for name, found in scores.items() if model in found]
        if "params_b" not in cell and not measured:
            what = "the model has neither a size nor a score on a benchmark that is kept"
            raise cells.tables[at].error(f"{what}: give one, or remove it", row)
        alone += [] if "family" in cell else [model]
        cell |= {"model": model, "family": cell.get("family", model)}
        for name in measured:
            score = scores[name][model]
            scale, value = scales[name][score.table], np.array(score.value)
            cell[name] = cell_text(float(scale.to_shares(value)))
            about = {kind: text for kind, text in score.about.items() if text and kind != _SCALE}
            if "se" in about:
                error = scale.error_of_share(value, np.array(float(about["se"])))
                about["se"] = cell_text(float(error))
            if scale.kind == UNBOUNDED:
                about.pop("items", None)  # of shares alone do they tell the error
                if about.setdefault("floor", "0") != "0":
                    what = f"{name} has no chance floor, since its scores are no shares: remove it"
                    raise cells.tables[score.table].error(what, score.row)
            cell |= {f"{name} {kind}": text for kind, text in about.items()}
        rows.append([cell.get(column, "") for column in columns])
    if alone:
        cells.notes.append(
            f"models without a family are families of their own: {some(tuple(alone))}; a column "
            "family lets models learn from each other"
        )
    source = " + ".join(dict.fromkeys(table.source for table in cells.tables))
    numbers = [cells.tables[at].numbers[row] for at, row in cells.first.values()]
    return RawTable(source, columns, rows, numbers)
