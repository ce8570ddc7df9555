"""Exports of the Open LLM Leaderboards.

The first leaderboard has percent. The second has fractions in columns that end in Raw, and mostly,
beside them, scores relative to chance. Its later exports have names in ``fullname``, exact sizes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from sloth_jax.data.importing.names import add_row, short_names
from sloth_jax.data.importing.result import V1, V2, Facts, Imported
from sloth_jax.data.rows import fraction_of, number_of
from sloth_jax.data.tables import RawTable, TableError
from sloth_jax.model_names import plain_name

_BENCHMARKS = {
    V1: ("ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K"),
    V2: ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"),
}
_NOTES = {
    V1: "scores were percent",
    V2: "scores are the Raw columns, fractions with the decimals that the export has; any others"
    " are relative to chance",
}
_QUANTISED = re.compile(r"4bit|8bit|gptq|awq|gguf", re.IGNORECASE)
_PRECISIONS = ("bfloat16", "float16", "float32")  # of repeated submissions, the first is kept
# Kind of rows -> columns that mark it, by a name or its opposite.
_MARKS = {"merged": ("Merged", "Not_Merged"), "moe": ("MoE",), "flagged": ("Flagged",)}


class _Export(NamedTuple):
    """An export, its cells found by the names of columns."""

    table: RawTable
    at: dict[str, int]

    def cell(self, row: int, name: str) -> str:
        return self.table.rows[row][self.at[name]] if name in self.at else ""

    def date(self, row: int) -> str:
        dates = (self.cell(row, name) for name in ("date", "Submission Date", "Upload To Hub Date"))
        return next(filter(None, dates), "")[:10]


def recognise_export(table: RawTable) -> str | None:
    """Which of the leaderboards a table is an export of, if any."""
    header = set(table.header)
    if header.issuperset(f"{name} Raw" for name in _BENCHMARKS[V2]):
        return V2
    if not any(name.startswith("Average") for name in header):
        return None
    return next((kind for kind, names in _BENCHMARKS.items() if header.issuperset(names)), None)


def read_export(table: RawTable, kind: str, without: Sequence[str], facts: Facts) -> Imported:
    """Reads an export of a leaderboard; arguments as those of :func:`import_scores`."""
    at = {name: position for position, name in enumerate(table.header)}
    # Beside full names, Model is a link for a page.
    export = _Export(table, at | ({"Model": at["fullname"]} if "fullname" in at else {}))
    columns, unit = _score_columns(export, kind)
    found = Imported(table.source, kind, rows_in=len(table.rows), facts=facts)
    found.notes.append(_NOTES[kind])
    kinds = _kinds(export, found)
    kept = _choose_rows(export, found, {kind: kinds[kind] for kind in without})
    names = short_names(list(kept))
    for key, row in kept.items():
        model = export.cell(row, "Model")
        what = "score"
        try:
            scores = {name: fraction_of(table, row, at, unit) for name, at in columns.items()}
            what = "size"
            size = number_of(table, row, export.at["#Params (B)"])
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a {what}: {error}")
            continue
        chat = _post_trained(export.cell(row, "Type"))
        given = {"params_b": size, "released": export.date(row), "post_trained": chat}
        place, whole = table.numbers[row], size.is_integer()
        add_row(found, place, names[key], model, scores, given=given, rounded_down=whole)
    return found


def _score_columns(export: _Export, kind: str) -> tuple[dict[str, int], float]:
    """Benchmark -> position of its scores, and what is 1 there."""
    names = _BENCHMARKS[kind]
    columns = {name: f"{name} Raw" if kind == V2 else name for name in names}
    why = f"{kind} has it{' (those without Raw are relative to chance)' if kind == V2 else ''}"
    for name in ("Model", "Precision", "#Params (B)", *columns.values()):
        if name not in export.at:
            raise export.table.error(f"column {name!r} is missing: an export of {why}")
    return {name: export.at[at] for name, at in columns.items()}, 100.0 if kind == V1 else 1.0


def _kinds(export: _Export, found: Imported) -> dict[str, set[int]]:
    """Kind -> its rows.

    Exports call the same column by a name and by its opposite, and some hold the opposite of their
    name: what most models are is not what a column is there to mark.
    """
    rows = range(len(export.table.rows))
    adapters = {row for row in rows if export.cell(row, "Weight type") not in ("", "Original")}
    kinds = {"adapters": adapters}
    for kind, columns in _MARKS.items():
        kinds[kind] = set()
        column = next((name for name in columns if name in export.at), None)
        if column is None:
            continue
        counts = pd.Series([export.cell(row, column) for row in rows]).value_counts()
        note = f"column {column}: no row is taken to mean {kind}"
        if len(counts) > 1:
            rarer = str(counts.index[-1])
            kinds[kind] = {row for row in rows if export.cell(row, column) == rarer}
            note = f"column {column}: {rarer} is taken to mean {kind}, since it is the rarer value"
        found.notes.append(note)
    return kinds


def _choose_rows(export: _Export, found: Imported, unwanted: dict[str, set[int]]) -> dict[str, int]:
    """Model in small letters -> its row; of repeated submissions, the preferred one."""
    numbers = export.table.numbers
    best: dict[str, int] = {}
    for row, number in enumerate(numbers):
        model = export.cell(row, "Model")
        quantised = _QUANTISED.search(f"{export.cell(row, 'Precision')} {plain_name(model)}")
        kinds = [kind for kind, rows in unwanted.items() if row in rows]
        if not model:
            found.reject(number, "", "no name of a model")
        elif quantised:
            found.reject(number, model, f"quantised: {quantised[0]}")
        elif kinds:
            found.reject(number, model, f"{kinds[0]}, left out on request")
        elif model.lower() not in best:
            best[model.lower()] = row
        else:
            pair = (best[model.lower()], row)
            second, first = sorted(pair, key=lambda row: _preference(export, row))
            best[model.lower()] = first
            how = f"{export.cell(first, 'Precision')}, {export.date(first) or 'no date'}"
            reason = f"submitted more than once: row {numbers[first]} is kept ({how})"
            found.reject(numbers[second], model, reason)
    return best


def _preference(export: _Export, row: int) -> tuple[int, str, int]:
    """Order of repeated submissions: precision, then the latest, then the first row."""
    precision = export.cell(row, "Precision")
    place = _PRECISIONS.index(precision) if precision in _PRECISIONS else len(_PRECISIONS)
    return -place, export.date(row), -row


def _post_trained(kind: str) -> bool | None:
    text = kind.lower()
    if "pretrained" in text:
        return False
    return True if "chat" in text or "fine-tuned" in text or "instruct" in text else None
