"""Rows of a table: cells parsed as numbers and as facts of models, and families that agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sloth_jax.data.schema import FACTS, bundled_floors, canonical_benchmark
from sloth_jax.data.tables import RawTable
from sloth_jax.wording import did_you_mean, quoted

TRUE = frozenset({"true", "1", "1.0", "yes"})
_FALSE = frozenset({"false", "0", "0.0", "no"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


class _Quantity(NamedTuple):
    """Unit of a column; from a single parameter or token to far beyond any model."""

    unit: str
    least: float
    most: float  # above it, the unit is another one


_QUANTITIES = {
    "params_b": _Quantity("billions of parameters", 1e-9, 1e5),
    "active_params_b": _Quantity("billions of active parameters", 1e-9, 1e5),
    "tokens_t": _Quantity("trillions of tokens", 1e-12, 1e4),
}


class ModelFacts(NamedTuple):
    """Facts of a row's model: ``""``, None or NaN where they are not given.

    The fields are :data:`FACTS`, in their units: billions, trillions.
    """

    model: str
    family: str
    lineage: str | None
    post_trained: bool | None
    params_b: float
    active_params_b: float
    tokens_t: float
    released: str
    run: str


def number_of(table: RawTable, row: int, position: int) -> float:
    """Returns a cell's number; NaN where it is empty."""
    cell = table.rows[row][position]
    if not cell:
        return math.nan
    is_number = _NUMBER.fullmatch(cell)
    if is_number and math.isfinite(float(cell)):
        return float(cell) + 0.0  # no negative zero
    if is_number or _INFINITE.fullmatch(cell):
        raise table.error("the number is infinite: write a finite one", row, position)
    if cell.endswith("%"):
        hint = "write a fraction without the percent sign"
    elif _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        hint = "write the decimal point as '.'"
    else:
        hint = "write a number, or leave the cell empty if nothing is known"
        hint += hint_at_column(table.header[position])
    raise table.error(f"not a number: {hint}", row, position)


def fraction_of(table: RawTable, row: int, position: int, unit: float) -> float:
    """Returns a cell's number divided by ``unit``, what is 1 there; NaN where it is empty."""
    number = number_of(table, row, position)
    if number < 0.0 or number > unit:
        raise table.error(f"not between 0 and {unit:g}", row, position)
    return number / unit


def hint_at_column(header: str) -> str:
    """What to do with a column that is no bundled benchmark; empty for those."""
    if canonical_benchmark(header) in bundled_floors():
        return ""
    return "; a column that is no benchmark must go" + did_you_mean(header, FACTS)


def boolean_of(table: RawTable, row: int, position: int) -> bool | None:
    """Returns a cell's truth value; None where it is empty."""
    cell = table.rows[row][position].lower()
    if not cell:
        return None
    if cell in TRUE or cell in _FALSE:
        return cell in TRUE
    raise table.error("not a yes or no: write true or false", row, position)


def _positive(table: RawTable, row: int, position: int, name: str, whole: bool) -> float:
    number = number_of(table, row, position)
    unit, least, most = _QUANTITIES[name]
    what = ""
    if math.isnan(number) and whole and name != "active_params_b":
        what = f"is empty: fill in the {unit}, or remove the row"
    elif number <= 0:
        what = f"must be positive: write {unit}"
    elif number < least:
        what = f"is less than {least:g}: write {unit}"
    elif number > most:
        meant = number * (1e-3 if name == "tokens_t" and number < 1e7 else least)
        what = f"is in {unit}: did you mean {unit.split()[0]}: {meant:.6g}?"
    if what:
        raise table.error(f"{name} {what}", row, position)
    return number


def parse_models(table: RawTable, columns: Mapping[str, int], *, whole: bool) -> list[ModelFacts]:
    """Reads and checks the cells that describe models.

    Args:
        table: the cells.
        columns: position of each of :data:`FACTS` that is there.
        whole: whether family, size and tokens are needed; else a model without a family is a family
            of its own, and an unknown size or token count is NaN.

    Returns:
        The facts, ``(row,)``.

    Raises:
        TableError: a name is missing or repeated, or a number is not a positive one in its unit.
    """
    models: list[ModelFacts] = []
    first_row: dict[str, int] = {}
    for row in range(len(table.rows)):
        facts = _parse_model(table, row, columns, whole)
        first = first_row.setdefault(facts.model, row)
        if first != row:
            what = f"the model stands in row {table.numbers[first]} already: keep one row"
            raise table.error(what, row, columns["model"])
        models.append(facts._replace(family=facts.family or facts.model))
    return models


def facts_given(table: RawTable, row: int, columns: Mapping[str, int]) -> dict[str, Any]:
    """Returns what a row says of its model, by column, where it need not say all.

    Raises:
        TableError: the model has no name, or a cell cannot be used.
    """
    facts = _parse_model(table, row, columns, whole=False)._asdict()
    return {name: value for name, value in facts.items() if str(value) not in ("", "None", "nan")}


def _parse_model(table: RawTable, row: int, columns: Mapping[str, int], whole: bool) -> ModelFacts:
    text = {name: table.rows[row][position] for name, position in columns.items()}
    for name in ("model", "family") if whole else ("model",):
        if not text[name]:
            what = f"{name} is empty: name the {name}, or remove the row"
            raise table.error(what, row, columns[name])
    numbers = {
        name: _positive(table, row, columns[name], name, whole) if name in columns else math.nan
        for name in _QUANTITIES
    }
    params, active = numbers["params_b"], numbers["active_params_b"]
    if active > params:
        what = f"more active parameters than parameters (params_b is {params!r}): params_b counts"
        raise table.error(f"{what} all experts", row, columns["active_params_b"])
    kind = boolean_of(table, row, columns["post_trained"]) if "post_trained" in columns else None
    return ModelFacts(
        model=text["model"],
        family=text.get("family", ""),
        lineage=text.get("lineage") or None,
        post_trained=kind,
        released=text.get("released", ""),
        run=text.get("run", ""),
        **numbers,
    )


def agree_by_family(
    table: RawTable, models: Sequence[ModelFacts], column: str, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what the rows of each family say, and checks that they all say the same.

    Args:
        table: where the rows stand.
        models: their facts, ``(row,)``.
        column: ``lineage`` or ``post_trained``.
        known: family -> value that must not be contradicted.

    Returns:
        family -> value; families about which nothing is said are missing.
    """
    agreed = dict(known)
    first_row: dict[str, int] = {}
    for row, facts in enumerate(models):
        family, value = facts.family, getattr(facts, column)
        if value is None:
            continue
        other = agreed.setdefault(family, value)
        if value != other:
            where = "the training table"
            remedy = f"leave {column} empty, or give the family another name"
            if family in first_row:
                where = table.place(first_row[family])
                remedy = f"a family has one {column}: mend a row, or make two families of it"
            what = f"family {quoted(family)} has {column} {quoted(str(value))} here but"
            raise table.error(f"{what} {quoted(str(other))} in {where}: {remedy}", row, column)
        if family not in known:
            first_row.setdefault(family, row)
    return agreed


_SAME_TOKENS = 1e-3  # of log tokens


def check_runs(table: RawTable, models: Sequence[ModelFacts]) -> None:
    """Check that each run is one model of known size at different tokens.

    Raises:
        TableError: naming the row that does not go with those above.
    """
    above: dict[str, list[int]] = {}
    for row, facts in enumerate(models):
        if not facts.run:
            continue
        for name in ("params_b", "tokens_t"):
            if math.isnan(getattr(facts, name)):
                raise table.error(f"{name} of a run's checkpoint is empty: fill it in", row, "run")
        for other in above.setdefault(facts.run, []):
            for name in ("family", "params_b", "active_params_b"):
                here, there = str(getattr(facts, name)), str(getattr(models[other], name))
                if here != there:
                    what = f"run {quoted(facts.run)} has {name} {quoted(here)} here but "
                    what += f"{quoted(there)} in {table.place(other)}: a run is of one model"
                    raise table.error(what, row, "run")
            if abs(math.log(facts.tokens_t / models[other].tokens_t)) < _SAME_TOKENS:
                what = f"the same tokens_t as {table.place(other)} of the run: keep one of them"
                raise table.error(what, row, "run")
        above[facts.run].append(row)
