"""Columns that a table may have: how they are spelt, and which fact or benchmark they mean.

Leaderboards and queries share these rules; see :mod:`sloth_jax.data.reading` and
:mod:`sloth_jax.forecasting.query`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from sloth_jax.data.tables import MODEL_SPELLINGS, RawTable, read_bundled
from sloth_jax.wording import did_you_mean, quoted, spelling

# Column -> its spellings, without case and punctuation.
_SPELLINGS = {
    "model": tuple(MODEL_SPELLINGS),
    "family": ("family", "modelfamily", "family2"),
    "lineage": ("lineage",),
    "post_trained": ("posttrained", "instruct"),
    "params_b": ("paramsb", "modelsizeb", "parametersb", "sizeb"),
    "active_params_b": ("activeparamsb",),
    "tokens_t": ("tokenst", "pretrainingdatasizet", "pretrainingtokenst"),
    "released": ("released", "releasedate", "date"),
    "run": ("run", "trainingrun"),
}
_COLUMN_OF = {key: column for column, keys in _SPELLINGS.items() for key in keys}
FACTS = tuple(_SPELLINGS)
"""Columns of a table that are no benchmarks; ``run`` is written where a table has runs."""
COLUMNS = FACTS[:-1]
"""Those that are always written, in this order."""

REQUIRED = ("model", "family", "params_b", "tokens_t")

# Spelling -> bundled benchmark, beyond the bundled names themselves.
_BENCHMARK_ALIASES = {"arcc": "ARC", "arcchallenge": "ARC", "truthfulqamc2": "TruthfulQA"}
# A header about the scores of the benchmark that it names: "MMLU se", "MMLU_stderr", "MMLU items".
_ABOUT = re.compile(
    r"(.+?)[\s_,.:-]+(se|std_?err|standard[ _]error|items|source|floor|group)", re.I
)
ABOUT = ("se", "items", "source", "floor", "group")
"""Kinds of columns about scores: see :class:`Header`."""
# Columns of published tables that are neither facts nor benchmarks with fractions.
_NOT_BENCHMARKS = re.compile(r"flops1e21|arenaelo|mtbench|unnamed\d+")


@cache
def _bundled_benchmarks(column: str) -> Mapping[str, float]:
    benchmarks = read_bundled("benchmarks.csv").records()
    return {row["benchmark"]: float(row[column] or "nan") for row in benchmarks}


def bundled_floors() -> Mapping[str, float]:
    """Chance floors of the bundled benchmarks, fractions by name."""
    return _bundled_benchmarks("floor")


def bundled_items() -> Mapping[str, float]:
    """Independent items of the bundled benchmarks by name; NaN where scores are no shares."""
    return _bundled_benchmarks("independent")


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
        facts: those among :data:`FACTS`, by name.
        benchmarks: scores, by the name of the benchmark.
        about: columns about scores, by kind and then benchmark: ``se``, their standard errors;
            ``items``, how many items they are means of; ``source``, which leaderboard or evaluation
            they are from; ``floor`` and ``group``, the benchmark's chance floor and the suite whose
            part it is, the same in all rows. A column ``source`` is about all benchmarks.
        warnings: what was ignored.
    """

    facts: dict[str, int]
    benchmarks: dict[str, int]
    about: dict[str, dict[str, int]]
    warnings: list[str]


def read_header(table: RawTable, *, whole: bool = True) -> Header:
    """Finds out what each column of a table means.

    Args:
        table: the cells.
        whole: whether families, sizes and tokens are needed, as of a query.

    Raises:
        TableError: two columns mean the same, a needed one is missing, or one has no name.
    """
    about = _columns_about_scores(table)
    about_scores = {position for columns in about.values() for position in columns.values()}
    facts: dict[str, int] = {}
    benchmarks: dict[str, int] = {}
    ignored: list[str] = []
    for position, header in enumerate(table.header):
        if not header:
            ignored += _ignore_nameless(table, position)
        elif _NOT_BENCHMARKS.fullmatch(spelling(header)):
            ignored.append(header)
        elif position not in about_scores:
            fact = _fact(header, table.header)
            columns = benchmarks if fact is None else facts
            name = fact or _benchmark(header, table.header, benchmarks)
            if name in columns:
                raise table.error(
                    f"the column means the same as {quoted(table.header[columns[name]])}"
                    f" ({name}): keep one of them",
                    column=header,
                )
            columns[name] = position
    _check_required(table, facts, whole)
    of_all = about["source"].pop("", None)
    names = tuple(benchmarks)
    about = {
        kind: {match_benchmark(name, names) or name: at for name, at in columns.items()}
        for kind, columns in about.items()
    }
    if of_all is not None:
        about["source"] = dict.fromkeys(benchmarks, of_all) | about["source"]
    warnings = [f"{table.source}: ignored columns: {', '.join(ignored)}"] if ignored else []
    return Header(facts, benchmarks, about, warnings)


def _columns_about_scores(table: RawTable) -> dict[str, dict[str, int]]:
    """Kind -> benchmark as it is spelt in the header -> position; "" for all benchmarks."""
    names = {spelling(canonical_benchmark(header)) for header in table.header}
    found: dict[str, dict[str, int]] = {kind: {} for kind in ABOUT}
    for position, header in enumerate(table.header):
        match = _ABOUT.fullmatch(header)
        if spelling(header) == "source":
            kind, benchmark = "source", ""
        elif match and spelling(canonical_benchmark(match[1])) in names:
            kind, benchmark = match[2].lower(), match[1]
            kind = kind if kind in ABOUT else "se"
        else:
            continue
        if benchmark in found[kind]:
            twin = table.header[found[kind][benchmark]]
            raise table.error(
                f"the column means the same as {quoted(twin)}: keep one", column=header
            )
        found[kind][benchmark] = position
    return found


def _ignore_nameless(table: RawTable, position: int) -> list[str]:
    """The first column may lack a name, as an index does; others only where they are empty."""
    if position == 0:
        return ["the first, which has no name"]
    if any(row[position] for row in table.rows):
        raise table.error(f"column {position + 1} has no name: name or remove it")
    return []


def _fact(header: str, headers: Sequence[str]) -> str | None:
    key = spelling(header)
    # the published table calls the lineage Family, the family Family2
    if key == "family" and "family2" in map(spelling, headers):
        return "lineage"
    return _COLUMN_OF.get(key)


def _benchmark(header: str, headers: Sequence[str], others: Mapping[str, int]) -> str:
    name = canonical_benchmark(header)
    if spelling(header) == "winograd" and "winogrande" not in map(spelling, headers):
        name = "Winogrande"
    return match_benchmark(name, tuple(others)) or name


def _check_required(table: RawTable, facts: Mapping[str, int], whole: bool) -> None:
    needed = REQUIRED if whole else ("model",)
    for name in REQUIRED:
        if name not in facts:
            unknown = [name for name in table.header if name and spelling(name) not in _COLUMN_OF]
            hint = did_you_mean(name, unknown)
            if hint or name in needed:
                text = f"column {name!r} is missing{hint or ': add it'}"
                raise table.error(f"{text} (needed: {', '.join(needed)})")
