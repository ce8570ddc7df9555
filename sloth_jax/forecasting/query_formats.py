"""Formats of a query: CSV and parquet, as tables of scores are; JSON, as programs write it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sloth_jax.data.tables import (
    MODEL_SPELLINGS,
    RawTable,
    parse_csv,
    read_content,
    read_table,
)
from sloth_jax.wording import quoted, spelling

_NAMES = MODEL_SPELLINGS | {"family", "modelfamily", "lineage", "run"}  # columns that hold text
_FORM = 'write [{"model": ..., "family": ..., "params_b": ..., "tokens_t": ...}, ...]'


def read_queried(queried: str | Path | pd.DataFrame) -> RawTable:
    """Reads queried models: a ``.json`` file, else as :func:`sloth_jax.data.tables.read_table`.

    Raises:
        TableError: the file cannot be read, or is no table.
    """
    if isinstance(queried, str | Path) and Path(queried).suffix.lower() == ".json":
        return _parse_json(read_content(Path(queried)), str(queried))
    return read_table(queried, "query")


def parse_query_text(content: bytes, source: str) -> RawTable:
    """Reads queried models from a text: JSON where it begins like it, else CSV.

    Args:
        content: the text in UTF-8.
        source: what errors call it.

    Raises:
        TableError: the text is empty, or neither.
    """
    begins = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not begins:
        raise RawTable(source, [], [], []).error("is empty: give CSV with a header, or JSON")
    return (_parse_json if begins in (b"[", b"{") else parse_csv)(content, source)


class _Pairs(dict[str, Any]):
    """An object, with the names that it has twice."""

    twice: str = ""

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> _Pairs:
        """The object of names and values."""
        found = cls(pairs)
        names = [name for name, _ in pairs]
        found.twice = next((name for name in names if names.count(name) > 1), "")
        return found


def _parse_json(content: bytes, source: str) -> RawTable:
    """A list of objects, one per model, as cells of text; rows are numbered from 1."""
    fail = RawTable(source, [], [], []).error
    try:
        found = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_Pairs.of)
    except UnicodeDecodeError:
        raise fail("not UTF-8 text: save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise fail(f"line {error.lineno}: not JSON ({error.msg}): {_FORM}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or thousands of lists
        raise fail(f"not usable JSON: {_FORM}") from None
    if not isinstance(found, list):
        raise fail(f"no list of models: {_FORM}")
    if not found:
        raise fail(f"the list has no models: {_FORM}")
    for number, one in enumerate(found, 1):
        if what := _fault(one):
            raise fail(f"row {number}{what}")
    table = read_table(pd.DataFrame(found, dtype=object), source)
    return replace(table, numbers=[number - 1 for number in table.numbers])


def _fault(one: Any) -> str:
    """What is wrong with one model of a list, where it is no object of plain values."""
    if not isinstance(one, _Pairs):
        return f": not a model: {_FORM}"
    if one.twice:
        return f": {quoted(one.twice)} is given twice: keep one"
    for name, value in one.items():
        is_name = spelling(name) in _NAMES
        if isinstance(value, list | dict) or (is_name and not isinstance(value, str | None)):
            kind = {dict: "an object", _Pairs: "an object", list: "a list", bool: "a truth value"}
            what = f"{kind.get(type(value), 'a number')} is no {'name' if is_name else 'value'}"
            remedy = "write text in quotes" if is_name else "write a number, text, true or false"
            return f", column {quoted(name)}: {what}: {remedy}"
    return ""
