"""Counts of successes from a table: a row for each model, setting and problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sloth_jax.data.tables import RawTable, read_table
from sloth_jax.repeats.attempts import Attempts
from sloth_jax.showing import Shown

COUNTS = ("successes", "tries")
_NEEDED = ("model", "item", *COUNTS)


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Shown):
    """Attempts of models at the problems of one setting; a model may have several runs.

    Attributes:
        setting: column -> value that all runs share.
        attempts: counts; its ``models`` are names of runs.
        model: of each run, ``(run,)``.
    """

    setting: dict[str, str]
    attempts: Attempts
    model: tuple[str, ...]


def read_counts(path: str | Path, by: Sequence[str] = ()) -> tuple[Runs, ...]:
    """Reads a table with the columns ``model``, ``item``, ``successes`` and ``tries``.

    Any other column tells the runs of a model apart, or, named in ``by``, splits the table: the
    problems of two tasks are not the same though they have the same numbers.

    Args:
        path: CSV (also ``.gz``) or parquet file.
        by: columns that split the table.

    Returns:
        One :class:`Runs` for each combination of values of ``by``, in the order of the table; 0
        tries where it has no row.

    Raises:
        TableError: a column or a cell is missing, a count is not a whole number from 0 up, there
            are more successes than tries, or two rows are of the same run and item.
    """
    table = read_table(path)
    for name in (*_NEEDED, *by):
        if name not in table.header:
            needs = ", ".join((*_NEEDED, *by))
            raise table.error(f"no such column: the table needs {needs}", column=name)
    at = {name: table.header.index(name) for name in table.header}
    others = [name for name in table.header if name not in (*_NEEDED, *by)]
    parts: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, tuple[int, int]]]] = {}
    for row, cells in enumerate(table.rows):
        for name in ("model", "item", *by):
            if not cells[at[name]]:
                raise table.error("is empty: fill it in, or remove the row", row, at[name])
        counts = _counts(table, row, at)
        part = parts.setdefault(tuple(cells[at[name]] for name in by), {})
        run = part.setdefault((cells[at["model"]], *(cells[at[name]] for name in others)), {})
        item = cells[at["item"]]
        if item in run:
            what = "a second row of the same run and item: remove one, or add a column that differs"
            raise table.error(what, row, at["item"])
        run[item] = counts
    return tuple(
        _runs(dict(zip(by, setting, strict=True)), part, others) for setting, part in parts.items()
    )


def _counts(table: RawTable, row: int, at: dict[str, int]) -> tuple[int, int]:
    found = []
    for name in COUNTS:
        cell = table.rows[row][at[name]]
        try:
            count = float(cell)
            if count < 0 or count != int(count):
                raise ValueError
        except (ValueError, OverflowError):
            what = "is not a whole number from 0 up: correct it, or remove the row"
            raise table.error(what, row, at[name]) from None
        found.append(int(count))
    if found[0] > found[1]:
        what = f"more successes than the {found[1]} tries: correct one of them"
        raise table.error(what, row, at["successes"])
    return found[0], found[1]


def _runs(
    setting: dict[str, str],
    part: dict[tuple[str, ...], dict[str, tuple[int, int]]],
    others: Sequence[str],
) -> Runs:
    """Counts as arrays: runs and items in the order in which they come."""
    items = list(dict.fromkeys(item for run in part.values() for item in run))
    column = {item: at for at, item in enumerate(items)}
    found = np.zeros((len(COUNTS), len(part), len(items)), int)
    for row, run in enumerate(part.values()):
        for item, counts in run.items():
            found[:, row, column[item]] = counts
    names = [
        ", ".join([run[0], *(f"{o} {v}" for o, v in zip(others, run[1:], strict=True))])
        for run in part
    ]
    attempts = Attempts(tuple(names), tuple(items), found[0], found[1])
    return Runs(setting, attempts, tuple(run[0] for run in part))
