"""The CSV files that bundled tables are built from, read row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
"""Folder of the tables that are kept by hand."""
DECIMALS = 6  # of a score


class BuildError(Exception):
    """The inputs do not fit together; the message is one line."""


def read_records(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Reads a CSV file.

    Args:
        path: the file.
        needed: columns that must be there.

    Raises:
        BuildError: the file cannot be read or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        raise BuildError(f"{path}: lacks the columns {', '.join(missing)}")
    return list(reader)


def read_rows(path: Path, needed: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads a CSV file into rows by the name in one column.

    Args:
        path: the file.
        needed: columns that must be there; the first of them names the row.

    Raises:
        BuildError: the file cannot be read, lacks a column, or names a row twice.
    """
    rows: dict[str, dict[str, str]] = {}
    for row in read_records(path, needed):
        name = row[needed[0]]
        if name in rows:
            raise BuildError(f"{path}: {needed[0].lower()} {name!r} stands there twice")
        rows[name] = row
    return rows


def number(text: str) -> str:
    """Returns the shortest text that reads back as the same float; empty stays empty."""
    return repr(float(text)) if text else ""
