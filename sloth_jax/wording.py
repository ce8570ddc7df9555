"""Words that messages share: names in quotes, one line, what was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def one_line(text: str) -> str:
    """Squeezes a text into one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def quoted(value: str) -> str:
    """Quotes a value for a message; long ones are cut."""
    return repr(value if len(value) <= 60 else value[:57] + "...")


def counted(count: int, one: str, several: str = "") -> str:
    """Returns a count and what is counted, in the singular where it is 1."""
    return f"{count} {one if count == 1 else several or one + 's'}"


def spelling(name: str) -> str:
    """Reduces a name to its letters and digits, so that spellings can be compared."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Returns a question that names the closest of the choices, or nothing."""
    keys = {spelling(choice): choice for choice in choices}
    close = difflib.get_close_matches(spelling(name), list(keys), n=1)
    return f"; did you mean {quoted(keys[close[0]])}?" if close else ""


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names in a line, the first few and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
