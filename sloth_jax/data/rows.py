"""Rows of a table: cells parsed as numbers and facts of models, and families that agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sloth_jax.data.schema import COLUMNS, bundled_floors, match_benchmark
from sloth_jax.data.tables import RawTable
from sloth_jax.wording import did_you_mean, quoted

_TRUE = frozenset({"true", "1", "1.0", "yes"})
_FALSE = frozenset({"false", "0", "0.0", "no"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
# Above these, somebody most likely wrote single parameters or tokens.
_LARGEST_PLAUSIBLE = {"params_b": 1e5, "active_params_b": 1e5, "tokens_t": 1e4}
# From a single parameter or token to numbers that single precision can still multiply.
_POSSIBLE = {"params_b": (1e-9, 1e15), "active_params_b": (1e-9, 1e15), "tokens_t": (1e-12, 1e15)}
_UNITS = {
    "params_b": "billions of parameters",
    "active_params_b": "billions of active parameters",
    "tokens_t": "trillions of tokens",
}


@dataclass(frozen=True)
class Rows:
    """The cells that describe models, checked; one entry per row in every list."""

    models: list[str]
    families: list[str]
    lineages: list[str | None]
    post_trained: list[bool | None]
    params_b: list[float]
    active_params_b: list[float]
    tokens_t: list[float]
    released: list[str]
    warnings: list[str]


def number_of(table: RawTable, row: int, position: int) -> float:
    """Returns a cell's number; NaN where it is empty."""
    cell = table.rows[row][position]
    if not cell:
        return math.nan
    if _NUMBER.fullmatch(cell):
        number = float(cell) + 0.0  # no negative zero
        if math.isfinite(number):
            return number
    if _NUMBER.fullmatch(cell) or _INFINITE.fullmatch(cell):
        raise table.error("the number is infinite: write a finite one", row=row, column=position)
    header = table.header[position]
    hint = "write a number, or leave the cell empty if nothing is known"
    if cell.endswith("%"):
        hint = "write a fraction without the percent sign"
    elif _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        hint = "write the decimal point as '.'"
    elif match_benchmark(header, list(bundled_floors())) is None:
        hint += "; a column that is no benchmark must go" + did_you_mean(header, COLUMNS)
    raise table.error(f"not a number: {hint}", row=row, column=position)


def _positive(table: RawTable, row: int, position: int, name: str, *, needed: bool) -> float:
    number = number_of(table, row, position)
    if math.isnan(number):
        if not needed:
            return number
        raise table.error(
            f"{name} is empty: fill in the {_UNITS[name]}, or remove the row",
            row=row,
            column=position,
        )
    if number <= 0:
        raise table.error(
            f"{name} must be positive: write {_UNITS[name]}", row=row, column=position
        )
    least, most = _POSSIBLE[name]
    if not least <= number <= most:
        raise table.error(
            f"{name} is outside [{least:g}, {most:g}]: write {_UNITS[name]}",
            row=row,
            column=position,
        )
    return number


def _boolean(table: RawTable, row: int, position: int) -> bool | None:
    cell = table.rows[row][position].lower()
    if not cell:
        return None
    if cell in _TRUE or cell in _FALSE:
        return cell in _TRUE
    raise table.error("not a yes or no: write true or false", row=row, column=position)


def parse_rows(table: RawTable, columns: dict[str, int], *, tokens_may_be_missing: bool) -> Rows:
    """Reads and checks the cells that describe models.

    Args:
        table: the cells.
        columns: position of each of :data:`COLUMNS` that is there.
        tokens_may_be_missing: whether an empty token count is NaN instead of an error.

    Raises:
        TableError: a name is missing or repeated, or a number is not a positive one.
    """

    def text(row: int, name: str) -> str:
        return table.rows[row][columns[name]] if name in columns else ""

    parsed = Rows([], [], [], [], [], [], [], [], [])
    first_row: dict[str, int] = {}
    for row in range(len(table.rows)):
        for name in ("model", "family"):
            if not text(row, name):
                raise table.error(
                    f"{name} is empty: name the {name}, or remove the row",
                    row=row,
                    column=columns[name],
                )
        model = text(row, "model")
        if model in first_row:
            raise table.error(
                f"the model stands in row {table.numbers[first_row[model]]} already: keep one row",
                row=row,
                column=columns["model"],
            )
        first_row[model] = row
        params = _positive(table, row, columns["params_b"], "params_b", needed=True)
        tokens = _positive(
            table, row, columns["tokens_t"], "tokens_t", needed=not tokens_may_be_missing
        )
        active = math.nan
        if "active_params_b" in columns:
            position = columns["active_params_b"]
            active = _positive(table, row, position, "active_params_b", needed=False)
            if active > params:
                raise table.error(
                    f"more active parameters than parameters (params_b is {params!r}): params_b"
                    " counts all experts",
                    row=row,
                    column=position,
                )
        parsed.models.append(model)
        parsed.families.append(text(row, "family"))
        parsed.lineages.append(text(row, "lineage") or None)
        parsed.post_trained.append(
            _boolean(table, row, columns["post_trained"]) if "post_trained" in columns else None
        )
        parsed.params_b.append(params)
        parsed.active_params_b.append(active)
        parsed.tokens_t.append(tokens)
        parsed.released.append(text(row, "released"))
    for name, values in (
        ("params_b", parsed.params_b),
        ("active_params_b", parsed.active_params_b),
        ("tokens_t", parsed.tokens_t),
    ):
        largest = np.nanmax([*values, 0.0])
        if largest > _LARGEST_PLAUSIBLE[name]:
            parsed.warnings.append(
                f"{table.source}: {name} goes up to {largest:g}: is it in {_UNITS[name]}?"
            )
    return parsed


_Trait = TypeVar("_Trait", str, bool)


def agree_by_family(
    table: RawTable,
    column: str,
    families: Sequence[str],
    values: Sequence[_Trait | None],
    known: Mapping[str, _Trait],
) -> dict[str, _Trait]:
    """Returns what the rows of each family say, and checks that they all say the same.

    Args:
        table: where the rows stand.
        column: ``lineage`` or ``post_trained``.
        families: ``(row,)`` names.
        values: ``(row,)`` what each row says; None where it says nothing.
        known: family -> value that must not be contradicted.

    Returns:
        family -> value; families about which nothing is said are missing.
    """
    agreed = dict(known)
    first_row: dict[str, int] = {}
    for row, (family, value) in enumerate(zip(families, values, strict=True)):
        if value is None:
            continue
        other = agreed.setdefault(family, value)
        if value != other:
            where = "the training table"
            mend = f"leave {column} empty, or give the family another name"
            if family in first_row:
                first = first_row[family]
                where = f"row {table.numbers[first]} (model {quoted(table.model(first))})"
                mend = f"a family has one {column}: mend a row, or make two families of it"
            raise table.error(
                f"family {quoted(family)} has {column} {quoted(str(value))} here but"
                f" {quoted(str(other))} in {where}: {mend}",
                row=row,
                column=column,
            )
        if family not in known:
            first_row.setdefault(family, row)
    return agreed
