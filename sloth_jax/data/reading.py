"""Reads a table of models and scores, and checks it.

A leaderboard table has one row per model and one column per benchmark, next to ``model``,
``family``, ``lineage``, ``post_trained``, ``params_b``, ``active_params_b``, ``tokens_t``,
``released`` and ``run``. Everything that a user may hand in is checked here, once; a fault is
answered with one line that names the file, row, column and value, what is wrong and how to correct
it (:class:`TableError`). A query is the same kind of table without scores:
:mod:`sloth_jax.forecasting.query`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data import EDITIONS, PUBLISHED
from sloth_jax.data.leaderboard import Leaderboard, error_of_share, index_families, runs_of
from sloth_jax.data.rows import (
    ModelFacts,
    agree_by_family,
    check_runs,
    hint_at_column,
    number_of,
    parse_models,
)
from sloth_jax.data.schema import Header, bundled_floors, match_benchmark, read_header
from sloth_jax.data.tables import RawTable, read_bundled, read_table
from sloth_jax.errors import InputError, check_choice
from sloth_jax.wording import did_you_mean, quoted, spelling


def load_leaderboard(
    path: str | Path | pd.DataFrame | None = None,
    *,
    floors: str | Path | pd.DataFrame | None = None,
    benchmarks: Sequence[str] | None = None,
    corrected: bool = True,
    edition: str | None = None,
) -> Leaderboard:
    """Loads a table of models and scores.

    Columns are found under several spellings (``#Params (B)``, ``Model Family``...). ``family``
    (default: the model), ``lineage`` (default: the family), ``post_trained`` (default: false, with
    a warning), ``active_params_b``, ``released`` and ``run`` may be missing, and so may sizes and
    tokens of models that are of no ``run``: a fit integrates them out. Rows of one ``run`` are
    checkpoints of one model. Every column that is not one of :data:`FACTS` is a benchmark. Chance
    floors come from ``floors``, else from columns such as ``MMLU floor``, else from the bundled
    table of benchmarks, else they are 0 with a warning. Groups of benchmarks, the parts of one
    suite, come from ``floors`` too, or from columns such as ``Navigate group``.

    Args:
        path: CSV or parquet (``.parquet``, ``.pq``) file, or a data frame, such as that of
            :meth:`Leaderboard.to_frame`; None for the bundled table.
        floors: table of chance floors, and of groups, see :func:`load_floors`.
        benchmarks: names of the benchmarks to keep, in this order; None keeps all.
        corrected: False for the published facts of 2024, faults included.
        edition: of the bundled table; None for the newest, ``"2025"``, which adds models up to
            January 2025 to ``"2024"``.

    Raises:
        TableError: a table cannot be read or used, or has a suite beside its parts.
        ValueError: an edition or ``corrected=False`` with a path, or both with 2025.
    """
    chosen = edition or (next(iter(EDITIONS)) if corrected else PUBLISHED)
    check_choice("edition", chosen, tuple(EDITIONS))
    if edition and (path is not None or (edition != PUBLISHED and not corrected)):
        raise InputError(f"edition {edition} is a bundled table with corrections: leave it out")
    if path is None:
        table = read_bundled(EDITIONS[chosen])
        if not corrected:
            table = _undo_corrections(table)
    elif corrected:
        table = read_table(path)
    else:
        raise ValueError("corrected=False undoes corrections of the bundled table: give no path")
    leaderboard = parse_leaderboard(table, floors)
    chosen = leaderboard if benchmarks is None else leaderboard.select_benchmarks(benchmarks)
    return checked_groups(chosen, table.source)


def load_floors(path: str | Path | pd.DataFrame, benchmarks: Sequence[str]) -> dict[str, float]:
    """Loads chance floors from a table with the columns ``benchmark`` and ``floor``.

    A column ``group`` names the suite whose part a benchmark is, see :func:`load_groups`; others
    are ignored. The table need not have all benchmarks.

    Args:
        path: CSV or parquet file, or a data frame.
        benchmarks: the benchmarks of the training table.

    Returns:
        benchmark -> floor, a fraction in [0, 1).

    Raises:
        TableError: the table cannot be read, has a benchmark that the training table has not, has
            one twice, or a floor outside [0, 1).
    """
    table = read_table(path)
    rows, at_floor = _rows_of_benchmarks(table, benchmarks), _column(table, "floor")
    floors: dict[str, float] = {}
    for name, row in rows.items():
        floors[name] = _floor(table, row, at_floor)
        if math.isnan(floors[name]):
            raise table.error("floor is empty: write a fraction in [0, 1)", row, at_floor)
    return floors


def load_groups(path: str | Path | pd.DataFrame, benchmarks: Sequence[str]) -> dict[str, str]:
    """Loads groups of benchmarks, the parts of one suite, from a table of floors.

    Args:
        path: CSV or parquet file, or a data frame, with the columns ``benchmark`` and, if there are
            groups, ``group``.
        benchmarks: the benchmarks of the training table.

    Returns:
        benchmark -> group, of benchmarks that are in one.

    Raises:
        TableError: as :func:`load_floors`.
    """
    table = read_table(path)
    if "group" not in map(spelling, table.header):
        return {}
    at_group = _column(table, "group")
    rows = _rows_of_benchmarks(table, benchmarks)
    return {name: table.rows[row][at_group] for name, row in rows.items()}


def _column(table: RawTable, name: str) -> int:
    found = [at for at, header in enumerate(table.header) if spelling(header) == name]
    if not found:
        what = "a table of floors has the columns benchmark and floor"
        raise table.error(f"column {name!r} is missing: {what}")
    if len(found) > 1:
        again = table.header[found[1]]
        raise table.error(f"two columns mean {name!r}: keep one", column=again)
    return found[0]


def _rows_of_benchmarks(table: RawTable, benchmarks: Sequence[str]) -> dict[str, int]:
    """Benchmark -> its row in a table of floors."""
    at, rows = _column(table, "benchmark"), {}
    for row, cells in enumerate(table.rows):
        found = match_benchmark(cells[at], benchmarks)
        if found is None:
            hint = did_you_mean(cells[at], benchmarks)
            raise table.error(f"no such benchmark in the training table{hint}", row, at)
        if found in rows:
            what = f"benchmark {quoted(found)} has a floor already: keep one row for it"
            raise table.error(what, row, at)
        rows[found] = row
    return rows


def checked_groups(board: Leaderboard, source: str) -> Leaderboard:
    """The same table; refuses a suite beside its parts, whose answers would count twice.

    Raises:
        TableError: naming the suite.
    """
    for name, parts in board.groups().items():
        suite = match_benchmark(name, board.benchmarks)
        if suite is not None:
            what = f"is also the group of {len(parts)} benchmarks ({board.benchmarks[parts[0]]}, "
            what += "...), whose answers would count twice: leave out its column, or the group"
            raise RawTable(source, [], [], []).error(f"benchmark {quoted(suite)} {what}")
    return board


def _floor(table: RawTable, row: int, position: int) -> float:
    floor = number_of(table, row, position)
    if floor < 0.0 or floor >= 1.0:
        what = "floors are fractions in [0, 1): write 0.25 for four choices, 0 for none"
        raise table.error(what, row, position)
    return floor


def parse_leaderboard(
    table: RawTable, floors: str | Path | pd.DataFrame | Mapping[str, float] | None
) -> Leaderboard:
    """Checks the cells of a table and makes arrays of them.

    ``floors`` are chance floors by benchmark, or the table that has them.

    Raises:
        TableError: a cell cannot be used, rows of a family contradict each other, or of a model
            nothing is known.
    """
    header = read_header(table, whole=False)
    facts = parse_models(table, header.facts, whole=False)
    scores = _parse_scores(table, header.benchmarks)
    for row in np.flatnonzero(np.isnan(scores).all(axis=1)).tolist():
        if math.isnan(facts[row].params_b) and table.numbers[row]:
            what = "neither its size nor a score is known: fill in one of them, or remove the row"
            raise table.error(what, row)
    check_runs(table, facts)
    lineages, post_trained, family_warnings = _families(table, facts)
    kept = sorted(range(len(facts)), key=lambda row: facts[row].model)
    models = [facts[row] for row in kept]
    benchmarks = tuple(header.benchmarks)
    benchmark_floors, floor_warnings = _floors(table, floors, header)
    errors, items = _sampling(table, scores, header)
    source, sources, source_warnings = _sources(table, scores, header)
    board = Leaderboard(
        models=tuple(model.model for model in models),
        **index_families([model.family for model in models], lineages, post_trained),
        benchmarks=benchmarks,
        params_b=np.array([model.params_b for model in models]),
        active_params_b=np.array([model.active_params_b for model in models]),
        tokens_t=np.array([model.tokens_t for model in models]),
        released=tuple(model.released for model in models),
        scores=scores[kept],
        floors=benchmark_floors,
        standard_errors=errors[kept],
        items=items,
        source=source[kept],
        sources=sources,
        run=runs_of(model.run for model in models),
    )
    own = np.array([table.numbers[row] > 0 for row in kept])
    gaps = [f"{table.source}: {gap}" for gap in _gaps(board, own)]
    warnings = (*header.warnings, *family_warnings, *gaps, *floor_warnings, *source_warnings)
    groups = _groups_in_columns(table, header)
    if floors is not None and not isinstance(floors, Mapping):
        groups |= load_groups(floors, benchmarks)
    return in_groups(replace(board, warnings=warnings), groups)


def _groups_in_columns(table: RawTable, header: Header) -> dict[str, str]:
    groups: dict[str, str] = {}
    for name, at in header.about["group"].items():
        for row, cells in enumerate(table.rows):
            if cells[at] and groups.setdefault(name, cells[at]) != cells[at]:
                what = f"a row above has {groups[name]}: a benchmark is in one group"
                raise table.error(what, row, at)
    return groups


def in_groups(board: Leaderboard, groups: Mapping[str, str]) -> Leaderboard:
    """The same table with groups of benchmarks, by name, beside those that it has."""
    before = dict(zip(board.benchmarks, board.group_of_benchmark, strict=False)) | dict(groups)
    named = tuple(before.get(name, "") for name in board.benchmarks)
    return replace(board, group_of_benchmark=named if any(named) else ())


def _parse_scores(table: RawTable, benchmarks: Mapping[str, int]) -> np.ndarray:
    """Scores, ``(row, benchmark)``."""
    if not benchmarks:
        raise table.error("a table without scores: add a column per benchmark")
    rows = range(len(table.rows))
    scores = np.array([[_score(table, row, at) for at in benchmarks.values()] for row in rows])
    if np.isnan(scores).all():
        raise table.error("a table without scores: fill in the columns of the benchmarks")
    return scores


def _families(
    table: RawTable, facts: Sequence[ModelFacts]
) -> tuple[dict[str, str], dict[str, bool], list[str]]:
    """Family -> lineage, family -> whether it is post-trained, and warnings of what is assumed."""
    families = {model.family: model.family for model in facts}
    lineages = families | agree_by_family(table, facts, "lineage", {})
    post_trained = agree_by_family(table, facts, "post_trained", {})
    silent = sorted(families.keys() - post_trained.keys())
    warnings = []
    if silent:
        which = "the families " + ", ".join(silent) if post_trained else "all families"
        warnings.append(f"{table.source}: post_trained is not given and taken as false for {which}")
    return lineages, dict.fromkeys(silent, False) | post_trained, warnings


_MOST_NAMES = 12  # of models in a warning


def _gaps(board: Leaderboard, own: np.ndarray) -> list[str]:
    """Warnings of benchmarks and of some models, ``own``, of which something is not known."""
    given = board.observed
    gaps = [f"no model has a score on {board.benchmarks[j]}" for j in np.flatnonzero(~given.any(0))]
    for values, what in ((board.tokens_t, "token counts"), (board.params_b, "sizes")):
        if unknown := np.flatnonzero(np.isnan(values) & own).tolist():
            names = [board.models[m] for m in unknown[:_MOST_NAMES]]
            names += ["..."] if len(unknown) > _MOST_NAMES else []
            of = "1 model" if len(unknown) == 1 else f"{len(unknown)} models"
            gaps.insert(0, f"{what} of {of} are not known and integrated out: {', '.join(names)}")
    if silent := [board.models[m] for m in np.flatnonzero(~given.any(1) & own)]:
        gaps.append(f"models without a score: {', '.join(silent)}")
    return gaps


_MOST_SOURCES = 8  # more are no leaderboards but notes
_NO_ITEMS = "a score is a mean of at least one item"
_NO_ERROR = "standard errors are fractions, like scores; did you mean percent? divide by 100"


def _sampling(table: RawTable, scores: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors ``(model, benchmark)`` as given or by numbers of items, and ``items``."""
    errors = np.full(scores.shape, np.nan)
    items = np.full(len(header.benchmarks), np.nan)
    for j, name in enumerate(header.benchmarks):
        rows = np.flatnonzero(np.isfinite(scores[:, j])).tolist()
        if name in header.about["items"]:
            position = header.about["items"][name]
            counts = [_within(table, row, position, 1.0, math.inf, _NO_ITEMS) for row in rows]
            errors[rows, j] = error_of_share(scores[rows, j], np.array(counts))
        if name in header.about["se"]:
            position = header.about["se"][name]
            given = np.array([_within(table, row, position, 0.0, 1.0, _NO_ERROR) for row in rows])
            # Where no item or every item was right, programs write 0 for "not known".
            errors[rows, j] = np.where(given > 0.0, given, errors[rows, j])
        known = np.isfinite(errors[:, j]) & (scores[:, j] > 0.0) & (scores[:, j] < 1.0)
        # A few scores with errors say nothing of the others, whose noise is learnt as a whole.
        if 2 * np.isfinite(errors[:, j]).sum() > np.isfinite(scores[:, j]).sum() and known.any():
            # n = p (1 - p) / se^2
            p, error = scores[known, j], errors[known, j]
            items[j] = np.median(p * (1.0 - p) / error**2)
    return errors, items


def _within(table: RawTable, row: int, position: int, low: float, high: float, what: str) -> float:
    value = number_of(table, row, position)
    if value < low or value >= high:
        raise table.error(what, row, position)
    return value


def _sources(
    table: RawTable, scores: np.ndarray, header: Header
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Where each score is from, ``(model, benchmark)``, the names, and warnings."""
    named = np.full(scores.shape, "", dtype=object)
    for j, name in enumerate(header.benchmarks):
        if name in header.about["source"]:
            position = header.about["source"][name]
            named[:, j] = [cells[position] for cells in table.rows]
    seen = np.isfinite(scores)
    names = sorted(set(named[seen]))
    if len(names) > _MOST_SOURCES:
        warning = (
            f"{table.source}: {len(names)} different sources of scores are more than can differ by"
            f" an offset each: ignored (at most {_MOST_SOURCES})"
        )
        return np.zeros(scores.shape, dtype=np.int64), ("",), [warning]
    place = {name: at for at, name in enumerate(names)}
    found = np.array([[place.get(name, 0) for name in row] for row in named], dtype=np.int64)
    return np.where(seen, found, 0), tuple(names), []


def _score(table: RawTable, row: int, position: int) -> float:
    score = number_of(table, row, position)
    what = ""
    if score > 1:
        what = "did you mean fractions? divide percent by 100"
        what += hint_at_column(table.header[position])
    elif score < 0:
        what = "write the raw score, not one that is relative to chance"
    if what:
        raise table.error(f"scores are fractions in [0, 1]; {what}", row, position)
    return score


def _floors(
    table: RawTable, given: str | Path | pd.DataFrame | Mapping[str, float] | None, header: Header
) -> tuple[np.ndarray, list[str]]:
    """Returns the ``(benchmark,)`` floors and warnings about those that are assumed."""
    benchmarks = tuple(header.benchmarks)
    if given is not None and not isinstance(given, Mapping):
        given = load_floors(given, benchmarks)
    columns: dict[str, float] = {}
    for name, position in header.about["floor"].items():
        for row in range(len(table.rows)):
            floor = _floor(table, row, position)
            if not math.isnan(floor) and columns.setdefault(name, floor) != floor:
                what = f"a row above has {columns[name]:g}: a benchmark has one floor"
                raise table.error(what, row, position)
    floors = {**bundled_floors(), **columns, **(given or {})}
    unknown = [name for name in benchmarks if name not in floors]
    warnings = []
    if unknown:
        warnings.append(
            f"{table.source}: chance floor 0 is assumed for {', '.join(unknown)}: "
            f"give a column '{unknown[0]} floor', or a table of floors"
        )
    return np.array([floors.get(name, 0.0) for name in benchmarks]), warnings


def _undo_corrections(table: RawTable) -> RawTable:
    """Puts the published values back into the bundled table."""
    records = {record["model"]: record for record in table.records()}
    for correction in read_bundled("corrections.csv").records():
        records[correction["model"]][correction["column"]] = correction["published"]
    return replace(table, rows=[list(record.values()) for record in records.values()])
