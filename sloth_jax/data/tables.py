"""Reading tables: a file or a data frame becomes cells of text, and errors name the cell.

Nothing here knows what a column means; :mod:`sloth_jax.data.schema` does. Cells are read as text
and parsed later, so that an error can quote what stands in the file.
"""

from __future__ import annotations

import csv
import gzip
import importlib.resources
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sloth_jax.errors import InputError
from sloth_jax.files import FORMULAS, read_whole
from sloth_jax.wording import one_line, quoted, spelling

MODEL_SPELLINGS = frozenset({"model", "modelname", "name"})
"""Spellings (see :func:`spelling`) of the column that names a row, which errors quote."""
_EMPTY = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})


class TableError(InputError):
    """A table cannot be used; the message is one line and says how to correct the table."""


@dataclass(frozen=True)
class RawTable:
    """Cells of text as they stand in a file, empty where nothing is known.

    Attributes:
        source: what error messages call the table.
        header: ``(column,)`` names.
        rows: ``(row, column)`` cells; those that mean "nothing" are the empty string.
        numbers: ``(row,)`` row numbers as a spreadsheet shows them: the header is row 1; 0 for
            rows of another table, which the file joins.
    """

    source: str
    header: list[str]
    rows: list[list[str]]
    numbers: list[int]

    def error(
        self, what: str, row: int | None = None, column: int | str | None = None
    ) -> TableError:
        """Builds the one-line message: file, row, column, value, what is wrong, what to do."""
        places = []
        if row is not None:
            places.append(self.place(row))
        if column is not None:
            name = column if isinstance(column, str) else self.header[column]
            places.append(f"column {quoted(name)}")
            if row is not None and isinstance(column, int):
                places.append(f"value {quoted(self.rows[row][column])}")
        message = ": ".join(filter(None, [self.source, ", ".join(places), what]))
        return TableError(one_line(message))

    def records(self) -> list[dict[str, str]]:
        """Returns the rows as cells by column."""
        return [dict(zip(self.header, cells, strict=True)) for cells in self.rows]

    def place(self, row: int) -> str:
        """Returns where a row stands, and its model."""
        place = f"row {self.numbers[row]}" if self.numbers[row] else "the table"
        cells = zip(self.header, self.rows[row], strict=True)
        model = next((cell for name, cell in cells if spelling(name) in MODEL_SPELLINGS), "")
        return f"{place} (model {quoted(model)})" if model else place


def read_table(table: str | Path | pd.DataFrame, source: str = "data frame") -> RawTable:
    """Reads a CSV or parquet file (``.parquet``, ``.pq``), or a data frame.

    Args:
        table: path or frame.
        source: what errors call a frame; rows are counted as in a file, the header being row 1.

    Raises:
        TableError: the file cannot be read, or is no table.
    """
    if isinstance(table, pd.DataFrame):
        return _table_from_frame(table, source)
    path, source = Path(table), str(table)
    content = read_content(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        fail = RawTable(source, [], [], []).error
        try:
            frame = pd.read_parquet(io.BytesIO(content))
        except ImportError as error:
            raise fail("reading parquet needs pyarrow: install it, or save as CSV") from error
        except Exception as error:  # pyarrow raises errors of many kinds on broken files
            raise fail(f"not a readable parquet file ({error}): write the file anew") from error
        return _table_from_frame(frame, source)
    return parse_csv(content, source)


def read_content(path: Path) -> bytes:
    """Reads a file that may hold a table; one in ``.gz`` is unpacked.

    Raises:
        TableError: it cannot be read.
    """
    fail = RawTable(str(path), [], [], []).error
    try:
        content = read_whole(path)
        return gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except IsADirectoryError:
        raise fail("is a directory: give the path of a file") from None
    except FileNotFoundError:
        raise fail("no such file: check the path") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise fail(f"cannot be read ({reason}): check the path and its permissions") from error


def read_bundled(name: str) -> RawTable:
    """Reads one of the CSV files that come with the package."""
    content = importlib.resources.files("sloth_jax.data.bundled").joinpath(name).read_bytes()
    return parse_csv(content, name)


def parse_csv(content: bytes, source: str) -> RawTable:
    """Turns the bytes of a CSV file into cells of text; ``source`` is what errors call it."""
    fail = RawTable(source, [], [], []).error
    try:
        text = content.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise fail(f"row {row}: not UTF-8 text: save the table as 'CSV UTF-8'") from error
    lines: list[tuple[int, list[str]]] = []
    number = 0
    # where a comma is the decimal point, programs write semicolons; some write tabs
    mark = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    lines_of = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        for number, record in enumerate(lines_of, 1):
            cells = [_clean(cell) for cell in record]
            if any(cells):  # spreadsheets leave empty rows; the numbering counts them
                lines.append((number, cells))
    except csv.Error as error:
        raise fail(f"row {number + 1}: malformed CSV ({error}): check its quotes") from error
    if not lines:
        raise fail("the file is empty: a table has a header and one row per model")
    (_, header), *body = lines
    for number, cells in body:
        if len(cells) != len(header):
            raise fail(
                f"row {number}: {len(cells)} cells, but the header has {len(header)}: write"
                f" decimal points as '.', put quotes around cells with {mark!r}, or remove the row"
            )
    rows = [[_blank(cell) for cell in cells] for _, cells in body]
    return _checked(RawTable(source, header, rows, [number for number, _ in body]))


def _table_from_frame(frame: pd.DataFrame, source: str) -> RawTable:
    if any(name is not None for name in frame.index.names):  # a named index is a column
        frame = frame.reset_index(allow_duplicates=True)
    columns = [frame.iloc[:, position].tolist() for position in range(frame.shape[1])]
    cells = [[_blank(_clean(cell_text(value))) for value in column] for column in columns]
    rows = [list(row) for row in zip(*cells, strict=True)]
    header = [_clean(str(name)) for name in frame.columns]
    return _checked(RawTable(source, header, rows, list(range(2, len(rows) + 2))))


def _checked(table: RawTable) -> RawTable:
    for position, name in enumerate(table.header):
        if name and name in table.header[:position]:
            raise table.error("the column occurs twice: remove or rename one", column=name)
    if not table.rows:
        raise table.error("the table has no rows: give one row per model")
    return table


def cell_text(value: Any) -> str:
    """Returns the text of a cell; floats as the shortest text that reads back the same."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else repr(float(value))
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _clean(cell: str) -> str:
    """Strips a cell; line breaks inside, which spreadsheets allow, become single spaces.

    The apostrophe that :func:`sloth_jax.files.guarded` puts before a formula's first letter goes.
    """
    text = " ".join(cell.split())
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULAS) else text


def _blank(cell: str) -> str:
    return "" if cell.lower() in _EMPTY else cell
