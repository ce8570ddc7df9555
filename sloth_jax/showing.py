"""How objects show themselves: in one line, in notebooks with a table, never by whole arrays."""

from __future__ import annotations

import html
from dataclasses import fields
from typing import Any

_ROWS = 12  # of a table in a notebook; longer ones are cut in the middle
_LETTERS = 60  # of a value in a line


class Shown:
    """Base of dataclasses that hold arrays; they are made with ``repr=False``."""

    def _line(self) -> str:
        """What it is, in one line: by default its fields, arrays by their shapes."""
        own = fields(self)  # pyright: ignore[reportArgumentType] - every subclass is a dataclass
        return ", ".join(f"{field.name}={_brief(getattr(self, field.name))}" for field in own)

    def _rows(self) -> Any:
        """The data frame that a notebook shows below the line; None for none."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._line()})"

    def _repr_html_(self) -> str | None:
        frame = self._rows()
        if frame is None:
            return None
        table = frame.to_html(
            index=False, border=0, max_rows=_ROWS, float_format="{:.4g}".format, na_rep=""
        )
        return f"<p>{html.escape(repr(self))}</p>\n{table}"


def _brief(value: Any) -> str:
    """A value in a few words: arrays and frames by their shapes, long collections by length."""
    shape = getattr(value, "shape", None)
    if shape:
        dtype = getattr(value, "dtype", "")
        return f"{dtype or type(value).__name__}[{', '.join(map(str, shape))}]"
    if isinstance(value, Shown):
        return type(value).__name__
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__
    text = repr(value)
    if len(text) <= _LETTERS:
        return text
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of {len(value)}"
    return text[: _LETTERS - 3] + "..."


def some(names: tuple[str, ...], most: int = 3) -> str:
    """The first of many names, in one line."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
