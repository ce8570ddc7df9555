"""Tables of any shape."""

from __future__ import annotations

import math
from typing import Any

from sloth_jax.data.importing.names import _add, _fraction
from sloth_jax.data.importing.result import TABLE, Imported
from sloth_jax.data.rows import number_of
from sloth_jax.data.schema import (
    ABOUT,
    bundled_floors,
    match_benchmark,
    read_header,
    with_facts,
)
from sloth_jax.data.tables import RawTable, TableError
from sloth_jax.wording import spelling


def _read_plain(table: RawTable) -> Imported:
    """A wide table, a column per benchmark; or a long one with the columns benchmark and score."""
    found = Imported(table.source, TABLE, rows_in=len(table.rows))
    keys = {spelling(name): position for position, name in enumerate(table.header)}
    long = "benchmark" in keys and "score" in keys
    columns, benchmarks, about, notes = read_header(with_facts(table))
    found.notes += notes
    if long:
        about = {kind: {"": keys[kind]} if kind in keys else {} for kind in ABOUT}
        benchmarks = {name: at for name, at in benchmarks.items() if spelling(name) not in ABOUT}
    units = {}
    for name, position in benchmarks.items():
        if not (long and position in (keys["benchmark"], keys["score"])):
            units[name] = _unit(table, position)
            if units[name] != 1.0:
                found.notes.append(f"column {table.header[position]}: percent, divided by 100")
    rows: dict[str, dict[str, Any]] = {}
    unit = _unit(table, keys["score"]) if long else 1.0
    width = len(table.header)
    for row in range(len(table.rows)):
        position = columns["model"]
        model = table.rows[row][position] if position < width else ""
        if not model:
            found.reject(table.numbers[row], "", "no name of a model")
            continue
        try:
            name = ""
            if long:
                name = table.rows[row][keys["benchmark"]]
                name = match_benchmark(name, list(bundled_floors())) or name
                scores = {name: _fraction(table, row, keys["score"], unit)}
            else:
                scores = {
                    name: _fraction(table, row, benchmarks[name], units[name]) for name in units
                }
            given = {
                name: _given(table, row, position, name)
                for name, position in columns.items()
                if position < width and name != "model"
            }
            said = {
                f"{of or name} {kind}": _said(table, row, at, kind, unit if long else units[of])
                for kind, ats in about.items()
                for of, at in ats.items()
            }
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a number: {error}")
            continue
        if long and model in rows:
            kept = rows[model]
            again = next(iter(scores))
            if again in kept["scores"]:
                found.reject(table.numbers[row], model, f"a second score on it: {again}")
            else:
                kept["scores"] |= scores
                kept["about"] |= said
                kept["count"] += 1
        elif model in rows:
            found.reject(
                table.numbers[row], model, f"stands there twice: row {rows[model]['row']} is kept"
            )
        else:
            rows[model] = {
                "row": table.numbers[row], "scores": scores, "about": said, "given": given,
                "count": 1,
            }  # fmt: skip
    for model, kept in rows.items():
        _add(
            found, kept["row"], model, model, kept["scores"],
            given=kept["given"], about=kept["about"],
        )  # fmt: skip
        if long:
            # a model's rows become one: the others are in it, kept or rejected
            found.rows_in -= kept["count"] - 1
    return found


def _unit(table: RawTable, position: int) -> float:
    """100 for a column in percent, most of whose numbers are above 1; else 1."""
    found = []
    for row in range(len(table.rows)):
        try:
            found.append(number_of(table, row, position))
        except TableError:
            continue
    known = [value for value in found if not math.isnan(value)]
    return 100.0 if sum(value > 1.0 for value in known) > len(known) / 2 else 1.0


def _said(table: RawTable, row: int, position: int, kind: str, unit: float) -> Any:
    """A standard error in the unit of its score, a number of items, or a source's name."""
    if kind == "source":
        return table.rows[row][position]
    value = number_of(table, row, position)
    return None if math.isnan(value) else value / unit if kind == "se" else value


def _given(table: RawTable, row: int, position: int, name: str) -> Any:
    text = table.rows[row][position]
    if not text:
        return None
    if name in ("params_b", "active_params_b", "tokens_t"):
        return number_of(table, row, position)
    if name == "post_trained":
        return text.lower() in ("true", "1", "1.0", "yes")
    return text
