"""Exports of the Open LLM Leaderboards."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd

from sloth_jax.data.importing.names import _add, _fraction, _short_names
from sloth_jax.data.importing.result import TABLE, V1, V2, Imported
from sloth_jax.data.model_names import (
    plain_name,
)
from sloth_jax.data.rows import number_of
from sloth_jax.data.tables import RawTable, TableError

_EXPORTS = {
    V1: ("ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K"),
    V2: ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"),
}
_QUANTISED = re.compile(r"4bit|8bit|gptq|awq|gguf", re.IGNORECASE)
_PRECISIONS = ("bfloat16", "float16", "float32")  # of repeated submissions, the first is kept


def _guess(table: RawTable) -> str:
    header = set(table.header)
    if any(name.startswith("Average") for name in header):
        for kind, names in _EXPORTS.items():
            if header.issuperset(names):
                return kind
    return TABLE


def _read_export(table: RawTable, kind: str, without: Sequence[str]) -> Imported:
    """An export of a leaderboard: percent in the first, raw fractions in the second."""
    found = Imported(table.source, kind, rows_in=len(table.rows))
    at = {name: position for position, name in enumerate(table.header)}
    needed = ["Model", "Precision", "#Params (B)", *_EXPORTS[kind]]
    for name in needed:
        if name not in at:
            raise table.error(f"column {name!r} is missing: an export of {kind} has it")
    raw = {name: at.get(f"{name} Raw") for name in _EXPORTS[kind]} if kind == V2 else {}
    if kind == V2 and None in raw.values():
        raise table.error("columns that end in Raw are missing: the others are relative to chance")
    found.notes.append(
        "scores were percent"
        if kind == V1
        else "scores are the Raw columns, fractions with the "
        "decimals that the export has; the others are relative to chance"
    )
    marks = {name: _mark(table, at, columns) for name, columns in (
        ("merged", ("Merged", "Not_Merged")), ("moe", ("MoE",)), ("flagged", ("Flagged",)),
    )}  # fmt: skip
    for name, (column, value) in marks.items():
        if column:
            found.notes.append(
                f"column {column}: {value or 'no row'} is taken to mean {name}"
                + (", since it is the rarer value" if value else "")
            )

    def cell(row: int, name: str) -> str:
        return table.rows[row][at[name]] if name in at else ""

    def is_kind(row: int, name: str) -> bool:
        if name == "adapters":
            return cell(row, "Weight type") not in ("", "Original")
        column, value = marks[name]
        return bool(column) and cell(row, column) == value

    best: dict[str, int] = {}
    for row in range(len(table.rows)):
        model = cell(row, "Model")
        if not model:
            found.reject(table.numbers[row], "", "no name of a model")
            continue
        quantised = _QUANTISED.search(cell(row, "Precision")) or _QUANTISED.search(
            plain_name(model)
        )
        if quantised:
            found.reject(table.numbers[row], model, f"quantised: {quantised[0]}")
            continue
        unwanted = [name for name in without if is_kind(row, name)]
        if unwanted:
            found.reject(table.numbers[row], model, f"{unwanted[0]}, left out on request")
            continue
        if model.lower() not in best:
            best[model.lower()] = row
            continue
        first, other = sorted((best[model.lower()], row), key=lambda r: _rank(cell, r))
        best[model.lower()] = first
        found.reject(
            table.numbers[other], model,
            f"submitted more than once: row {table.numbers[first]} is kept "
            f"({cell(first, 'Precision')}, {_date(cell, first) or 'no date'})",
        )  # fmt: skip
    names = _short_names(list(best))
    for key, row in best.items():
        model = cell(row, "Model")
        try:
            scores = {
                name: _fraction(table, row, at[name], 100.0) if kind == V1
                else _fraction(table, row, _position(raw[name]), 1.0)
                for name in _EXPORTS[kind]
            }  # fmt: skip
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a score: {error}")
            continue
        try:
            size = number_of(table, row, at["#Params (B)"])
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a size: {error}")
            continue
        _add(
            found, table.numbers[row], names[key], model, scores,
            given={"params_b": size, "released": _date(cell, row)}, rounded_down=True,
            post_trained=_post_trained(cell(row, "Type")),
        )  # fmt: skip
    return found


def _position(position: int | None) -> int:
    assert position is not None
    return position


def _mark(table: RawTable, at: dict[str, int], columns: tuple[str, ...]) -> tuple[str, str]:
    """A column of True and False, and which of the two marks the exception.

    Exports call the same column by a name and by its opposite, and some hold the opposite of their
    name: what most models are is not what a column is there to mark.
    """
    column = next((name for name in columns if name in at), "")
    if not column:
        return "", ""
    values = pd.Series([cells[at[column]] for cells in table.rows]).value_counts()
    return column, str(values.index[-1]) if len(values) > 1 else ""


def _date(cell: Callable[[int, str], str], row: int) -> str:
    return (cell(row, "date") or cell(row, "Submission Date"))[:10]


def _rank(cell: Callable[[int, str], str], row: int) -> tuple[int, tuple[int, ...], int]:
    """Order of repeated submissions: precision, then the latest, then the first row."""
    precision = cell(row, "Precision")
    place = _PRECISIONS.index(precision) if precision in _PRECISIONS else len(_PRECISIONS)
    latest = tuple(-ord(letter) for letter in _date(cell, row).ljust(10, "\0"))
    return place, latest, row


def _post_trained(kind: str) -> bool | None:
    text = kind.lower()
    if "pretrained" in text:
        return False
    return True if "chat" in text or "fine-tuned" in text or "instruct" in text else None
