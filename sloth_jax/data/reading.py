"""Reads a table of models and scores, and checks it.

A leaderboard table has one row per model and one column per benchmark, next to ``model``,
``family``, ``lineage``, ``post_trained``, ``params_b``, ``active_params_b``, ``tokens_t`` and
``released``. Everything that a user may hand in is checked here, once; a fault is answered with one
line that names the file, the row, the column, the value, what is wrong and how to mend it
(:class:`TableError`). A query is the same kind of table without scores:
:mod:`sloth_jax.data.query`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard, error_of_share, index_families
from sloth_jax.data.rows import agree_by_family, number_of, parse_rows
from sloth_jax.data.schema import COLUMNS, bundled_floors, match_benchmark, sort_columns
from sloth_jax.data.tables import RawTable, read_bundled, read_table
from sloth_jax.wording import did_you_mean, quoted, spelling


def load_leaderboard(
    path: str | Path | None = None,
    *,
    floors: str | Path | None = None,
    benchmarks: Sequence[str] | None = None,
    corrected: bool = True,
) -> Leaderboard:
    """Loads a table of models and scores.

    Columns are found under several spellings (``#Params (B)``, ``Model Family``...). ``lineage``
    (default: the family), ``post_trained`` (default: false, with a warning), ``active_params_b``
    and ``released`` may be missing; every column that is not one of :data:`COLUMNS` is a
    benchmark. Chance floors come from the floors file, else from the bundled table of benchmarks,
    else they are 0 with a warning.

    Args:
        path: CSV or parquet (``.parquet``, ``.pq``) file; None for the bundled table, whose
            models without a public token count are left out, with a warning that names them.
        floors: table of chance floors, see :func:`load_floors`.
        benchmarks: names of the benchmarks to keep, in this order; None keeps all.
        corrected: False (bundled table only) for sizes, tokens, families and lineages exactly as
            published, faults included.

    Raises:
        TableError: a table cannot be read or used.
        ValueError: ``corrected=False`` together with a path.
    """
    if path is None:
        table = read_bundled("leaderboard.csv")
        if not corrected:
            table = _undo_corrections(table)
    elif corrected:
        table = read_table(Path(path))
    else:
        raise ValueError("corrected=False undoes corrections of the bundled table: give no path")
    leaderboard = parse_leaderboard(table, floors, tokens_may_be_missing=path is None)
    return leaderboard if benchmarks is None else leaderboard.select_benchmarks(benchmarks)


def load_floors(path: str | Path, benchmarks: Sequence[str]) -> dict[str, float]:
    """Loads chance floors from a table with the columns ``benchmark`` and ``floor``.

    Other columns are ignored. The table need not have all benchmarks.

    Args:
        path: CSV or parquet file.
        benchmarks: the benchmarks of the training table.

    Returns:
        benchmark -> floor, a fraction in [0, 1).

    Raises:
        TableError: the table cannot be read, has a benchmark that the training table has not, has
            one twice, or a floor outside [0, 1).
    """
    table = read_table(Path(path))
    positions: dict[str, int] = {}
    for position, header in enumerate(table.header):
        key = spelling(header)
        if key not in ("benchmark", "floor"):
            continue
        if key in positions:
            raise table.error(f"two columns mean {key!r}: keep one", column=header)
        positions[key] = position
    for name in ("benchmark", "floor"):
        if name not in positions:
            raise table.error(
                f"column {name!r} is missing: a table of floors has the columns benchmark and floor"
            )
    floors: dict[str, float] = {}
    for row, cells in enumerate(table.rows):
        name = cells[positions["benchmark"]]
        cell = {"row": row, "column": positions["floor"]}
        found = match_benchmark(name, benchmarks)
        if found is None:
            raise table.error(
                f"no such benchmark in the training table{did_you_mean(name, benchmarks)}",
                row=row,
                column=positions["benchmark"],
            )
        if found in floors:
            raise table.error(
                f"benchmark {quoted(found)} has a floor already: keep one row for it",
                row=row,
                column=positions["benchmark"],
            )
        floor = number_of(table, row, positions["floor"])
        if math.isnan(floor):
            raise table.error("floor is empty: write a fraction in [0, 1)", **cell)
        if not 0 <= floor < 1:
            raise table.error(
                "floors are fractions in [0, 1): write 0.25 for four choices, 0 for none", **cell
            )
        floors[found] = floor
    return floors


def parse_leaderboard(
    table: RawTable,
    floors: str | Path | Mapping[str, float] | None,
    *,
    tokens_may_be_missing: bool,
) -> Leaderboard:
    """Checks the cells of a table and makes arrays of them.

    Args:
        table: the cells.
        floors: chance floors by benchmark, or the file that has them.
        tokens_may_be_missing: whether models without a token count are left out, with a warning.

    Raises:
        TableError: a cell cannot be used, or families contradict themselves.
    """
    columns, benchmark_columns, about, warnings = sort_columns(table)
    parsed = parse_rows(table, columns, tokens_may_be_missing=tokens_may_be_missing)
    warnings += parsed.warnings
    if not benchmark_columns:
        raise table.error("a table without scores: add a column per benchmark")
    scores = np.array(
        [
            [_score(table, row, position) for position in benchmark_columns.values()]
            for row in range(len(table.rows))
        ]
    )
    if np.isnan(scores).all():
        raise table.error("a table without scores: fill in the columns of the benchmarks")

    lineages = agree_by_family(table, "lineage", parsed.families, parsed.lineages, {})
    lineages = {family: lineages.get(family, family) for family in parsed.families}
    post_trained = agree_by_family(table, "post_trained", parsed.families, parsed.post_trained, {})
    silent = sorted(set(parsed.families) - post_trained.keys())
    if silent:
        warnings.append(
            f"{table.source}: post_trained is not given and taken as false for"
            f" {'all families' if not post_trained else 'the families ' + ', '.join(silent)}"
        )
    post_trained |= dict.fromkeys(silent, False)

    tokens_t = np.array(parsed.tokens_t)
    by_name = sorted(range(len(parsed.models)), key=parsed.models.__getitem__)
    kept = [row for row in by_name if not np.isnan(tokens_t[row])]
    left_out = [parsed.models[row] for row in by_name if np.isnan(tokens_t[row])]
    if left_out:
        warnings.append(
            f"{table.source}: left out, since their token counts are not public:"
            f" {', '.join(left_out)}"
        )
    benchmarks = tuple(benchmark_columns)
    for j, name in enumerate(benchmarks):
        if np.isnan(scores[kept, j]).all():
            warnings.append(f"{table.source}: no model has a score on {name}")
    scoreless = [parsed.models[row] for row in kept if np.isnan(scores[row]).all()]
    if scoreless:
        warnings.append(f"{table.source}: models without a score: {', '.join(scoreless)}")
    benchmark_floors, floor_warnings = _floors(table.source, floors, benchmarks)
    errors, items = _sampling(table, scores, benchmark_columns, about)
    source, sources, source_warnings = _sources(table, scores, benchmark_columns, about["source"])
    return Leaderboard(
        models=tuple(parsed.models[row] for row in kept),
        **index_families([parsed.families[row] for row in kept], lineages, post_trained),
        benchmarks=benchmarks,
        params_b=np.array(parsed.params_b)[kept],
        active_params_b=np.array(parsed.active_params_b)[kept],
        tokens_t=tokens_t[kept],
        released=tuple(parsed.released[row] for row in kept),
        scores=scores[kept],
        floors=benchmark_floors,
        standard_errors=errors[kept],
        items=items,
        source=source[kept],
        sources=sources,
        warnings=tuple(warnings + floor_warnings + source_warnings),
    )


_MOST_SOURCES = 8  # more are no leaderboards but notes


def _sampling(
    table: RawTable,
    scores: np.ndarray,
    benchmarks: Mapping[str, int],
    about: Mapping[str, Mapping[str, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors ``(model, benchmark)`` as given or by numbers of items, and ``items``."""
    errors = np.full(scores.shape, np.nan)
    items = np.full(len(benchmarks), np.nan)
    for j, name in enumerate(benchmarks):
        for kind in ("items", "se"):
            if name not in about[kind]:
                continue
            for row in np.flatnonzero(np.isfinite(scores[:, j])):
                given = _sampling_cell(table, int(row), about[kind][name], kind)
                if kind == "items":
                    given = float(error_of_share(scores[row, j], np.asarray(given)))
                errors[row, j] = errors[row, j] if math.isnan(given) else given
        known = np.isfinite(errors[:, j]) & (scores[:, j] > 0.0) & (scores[:, j] < 1.0)
        # A few scores with errors say nothing of the others, whose noise is learnt as a whole.
        if 2 * np.isfinite(errors[:, j]).sum() > np.isfinite(scores[:, j]).sum() and known.any():
            # n = p (1 - p) / se^2
            p, error = scores[known, j], errors[known, j]
            items[j] = np.median(p * (1.0 - p) / error**2)
    return errors, items


def _sampling_cell(table: RawTable, row: int, position: int, kind: str) -> float:
    """A standard error or number of items; NaN where it is empty, or an error of zero."""
    given = number_of(table, row, position)
    if kind == "items" and given < 1.0:
        raise table.error("a score is a mean of at least one item", row=row, column=position)
    if kind == "se" and not (math.isnan(given) or 0.0 <= given < 1.0):
        raise table.error(
            "standard errors are fractions, like scores; did you mean percent? divide by 100",
            row=row,
            column=position,
        )
    # Where no item or every item was right, programs write 0, and mean that they do not know.
    return given if given > 0.0 else math.nan


def _sources(
    table: RawTable,
    scores: np.ndarray,
    benchmarks: Mapping[str, int],
    columns: Mapping[str, int],
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Where each score is from, ``(model, benchmark)``, the names, and warnings."""
    named = np.full(scores.shape, "", dtype=object)
    for j, name in enumerate(benchmarks):
        if name in columns:
            named[:, j] = [cells[columns[name]] for cells in table.rows]
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
    if score > 1:
        what = "did you mean fractions? divide percent by 100"
        header = table.header[position]
        if match_benchmark(header, list(bundled_floors())) is None:
            what += "; a column that is no benchmark must go" + did_you_mean(header, COLUMNS)
        raise table.error(f"scores are fractions in [0, 1]; {what}", row=row, column=position)
    if score < 0:
        raise table.error(
            "scores are fractions in [0, 1]; write the raw score, not one that is relative to"
            " chance",
            row=row,
            column=position,
        )
    return score


def _floors(
    source: str, given: str | Path | Mapping[str, float] | None, benchmarks: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Returns the ``(benchmark,)`` floors and warnings about those that are assumed."""
    if isinstance(given, str | Path):
        given = load_floors(given, benchmarks)
    floors = {**bundled_floors(), **(given or {})}
    unknown = [name for name in benchmarks if name not in floors]
    warnings = []
    if unknown:
        warnings.append(
            f"{source}: chance floor 0 is assumed for {', '.join(unknown)}: give a table of floors"
        )
    return np.array([floors.get(name, 0.0) for name in benchmarks]), warnings


def _undo_corrections(table: RawTable) -> RawTable:
    """Puts the published values back into the bundled table."""
    row_of = {cells[table.header.index("model")]: row for row, cells in enumerate(table.rows)}
    rows = [list(cells) for cells in table.rows]
    corrections = read_bundled("corrections.csv")
    for cells in corrections.rows:
        entry = dict(zip(corrections.header, cells, strict=True))
        rows[row_of[entry["model"]]][table.header.index(entry["column"])] = entry["published"]
    return replace(table, rows=rows)
