"""Columns that a table may have: how they are spelt, and which benchmark or fact they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

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
