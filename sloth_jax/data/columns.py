"""What the columns of a table mean: spellings, numbers, and what rows of a family agree on.

Leaderboards and queries share these rules; see :mod:`sloth_jax.data.leaderboard` and
:mod:`sloth_jax.data.query`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from sloth_jax.data.tables import MODEL_SPELLINGS, RawTable, read_bundled
from sloth_jax.wording import did_you_mean, quoted, spelling

COLUMNS = (
    "model",
    "family",
    "lineage",
    "post_trained",
    "params_b",
    "active_params_b",
    "tokens_t",
    "released",
)
"""Columns of a table that are no benchmarks, in the order in which they are written."""

REQUIRED = ("model", "family", "params_b", "tokens_t")

# Spelling without case and punctuation -> our column.
_COLUMN_ALIASES = {
    **dict.fromkeys(MODEL_SPELLINGS, "model"),
    "family": "family",
    "modelfamily": "family",
    "family2": "family",
    "lineage": "lineage",
    "posttrained": "post_trained",
    "instruct": "post_trained",
    "paramsb": "params_b",
    "modelsizeb": "params_b",
    "parametersb": "params_b",
    "sizeb": "params_b",
    "activeparamsb": "active_params_b",
    "tokenst": "tokens_t",
    "pretrainingdatasizet": "tokens_t",
    "pretrainingtokenst": "tokens_t",
    "released": "released",
    "releasedate": "released",
    "date": "released",
}
# Spelling -> bundled benchmark, beyond the bundled names themselves.
_BENCHMARK_ALIASES = {"arcc": "ARC", "arcchallenge": "ARC", "truthfulqamc2": "TruthfulQA"}
# What the end of a header says of the benchmark before it: "MMLU se", "MMLU_stderr", "MMLU items".
_ABOUT = re.compile(r"(.+?)[\s_,.:-]+(se|std_?err|standard[ _]error|items|source)", re.IGNORECASE)
ABOUT = ("se", "items", "source")
"""Kinds of what may be said of scores: see :class:`Header`."""
# Columns of published tables that are neither ours nor benchmarks with fractions.
_NOT_BENCHMARKS = re.compile(r"flops1e21|arenaelo|mtbench|unnamed\d+")

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


@cache
def bundled_floors() -> Mapping[str, float]:
    """Chance floors of the bundled benchmarks, fractions by name."""
    table = read_bundled("benchmarks.csv")
    name, floor = table.header.index("benchmark"), table.header.index("floor")
    return {cells[name]: float(cells[floor]) for cells in table.rows}


@cache
def bundled_items() -> Mapping[str, float]:
    """Independent items of the bundled benchmarks by name; NaN where scores are no shares."""
    table = read_bundled("benchmarks.csv")
    name, items = table.header.index("benchmark"), table.header.index("independent")
    return {cells[name]: float(cells[items] or "nan") for cells in table.rows}


def canonical_benchmark(header: str) -> str:
    """Returns the bundled name of a benchmark, or the header itself."""
    key = spelling(header)
    bundled = {spelling(name): name for name in bundled_floors()}
    return bundled.get(key) or _BENCHMARK_ALIASES.get(key) or header


def match_benchmark(name: str, benchmarks: Sequence[str]) -> str | None:
    """Returns the one of ``benchmarks`` that ``name`` means, or None."""
    if name in benchmarks:
        return name
    keys = {spelling(benchmark): benchmark for benchmark in benchmarks}
    return keys.get(spelling(canonical_benchmark(name)))


class Header(NamedTuple):
    """Positions of columns by what they mean.

    Attributes:
        facts: those among :data:`COLUMNS`, by name.
        benchmarks: scores, by the name of the benchmark.
        about: what is said of scores, by kind and then benchmark: ``se``, their standard errors;
            ``items``, how many items they are means of; ``source``, which leaderboard or evaluation
            they are from. A column ``source`` speaks of all benchmarks.
        warnings: what was ignored.
    """

    facts: dict[str, int]
    benchmarks: dict[str, int]
    about: dict[str, dict[str, int]]
    warnings: list[str]


def sort_columns(table: RawTable) -> Header:
    """Sorts the header.

    Raises:
        TableError: two columns mean the same, a needed one is missing, or one has no name.
    """
    keys = [spelling(header) for header in table.header]
    about = _about(table)
    spoken_for = {position for columns in about.values() for position in columns.values()}
    ours: dict[str, int] = {}
    others: dict[str, int] = {}
    ignored: list[str] = []
    for position, (header, key) in enumerate(zip(table.header, keys, strict=True)):
        if not header:
            if position > 0 and any(row[position] for row in table.rows):
                raise table.error(f"column {position + 1} has no name: name or remove it")
            if position == 0:
                ignored.append("the first, which has no name")
            continue
        if position in spoken_for:
            continue
        if _NOT_BENCHMARKS.fullmatch(key):
            ignored.append(header)
            continue
        name = _COLUMN_ALIASES.get(key)
        if name == "family" and key == "family" and "family2" in keys:
            name = "lineage"  # the published table calls the lineage Family, the family Family2
        if name is None:
            target, name = others, canonical_benchmark(header)
            if key == "winograd" and "winogrande" not in keys:
                name = "Winogrande"
            twin = {spelling(other): other for other in others}.get(spelling(name))
            name = twin or name
        else:
            target = ours
        if name in target:
            raise table.error(
                f"the column means the same as {quoted(table.header[target[name]])}"
                f" ({name}): keep one of them",
                column=header,
            )
        target[name] = position
    warnings = [f"{table.source}: ignored columns: {', '.join(ignored)}"] if ignored else []
    for name in REQUIRED:
        if name not in ours:
            spare = [header for header in table.header if header]
            hint = did_you_mean(name, [h for h in spare if spelling(h) not in _COLUMN_ALIASES])
            raise table.error(
                f"column {name!r} is missing{hint or ': add it'} (needed: {', '.join(REQUIRED)})"
            )
    named = {kind: {_named(name, others): at for name, at in columns.items()}
             for kind, columns in about.items()}  # fmt: skip
    whole = named["source"].pop("", None)
    if whole is not None:
        named["source"] = dict.fromkeys(others, whole) | named["source"]
    return Header(ours, others, named, warnings)


def _about(table: RawTable) -> dict[str, dict[str, int]]:
    """Columns that say something of scores: kind -> benchmark as spelt there -> position."""
    names = {spelling(canonical_benchmark(header)) for header in table.header}
    found: dict[str, dict[str, int]] = {kind: {} for kind in ABOUT}
    for position, header in enumerate(table.header):
        match = _ABOUT.fullmatch(header)
        if spelling(header) == "source":
            kind, benchmark = "source", ""
        elif match and spelling(canonical_benchmark(match[1])) in names:
            kind, benchmark = match[2].lower(), match[1]
            kind = kind if kind in ABOUT else ABOUT[0]
        else:
            continue
        if benchmark in found[kind]:
            twin = table.header[found[kind][benchmark]]
            raise table.error(
                f"the column means the same as {quoted(twin)}: keep one", column=header
            )
        found[kind][benchmark] = position
    return found


def _named(name: str, benchmarks: Mapping[str, int]) -> str:
    """The benchmark that a column about it means; empty for all of them."""
    return (match_benchmark(name, tuple(benchmarks)) or name) if name else ""


def with_facts(table: RawTable) -> RawTable:
    """The table with empty columns for needed facts that it lacks, where they may come later."""
    there = {_COLUMN_ALIASES.get(spelling(name)) for name in table.header}
    lacking = [name for name in REQUIRED if name != "model" and name not in there]
    return RawTable(
        table.source,
        [*table.header, *lacking],
        [[*cells, *([""] * len(lacking))] for cells in table.rows],
        table.numbers,
    )


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
