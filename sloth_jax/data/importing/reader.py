"""Scores in any of the known formats become one canonical table and a report.

The report has the rows that were kept, those that were not and why, and what was read off names
instead of being given. Rows in are rows kept plus rows rejected. A value that was given is never
replaced by one from a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sloth_jax.data.importing.exports import read_export, recognise_export
from sloth_jax.data.importing.harness import read_runs
from sloth_jax.data.importing.names import tell_families_apart
from sloth_jax.data.importing.result import (
    FORMATS,
    KINDS,
    LM_EVAL,
    V1,
    V2,
    Facts,
    Imported,
    NothingKept,
)
from sloth_jax.data.importing.wide_and_long import read_any_table
from sloth_jax.data.reading import parse_leaderboard
from sloth_jax.data.rows import facts_given
from sloth_jax.data.schema import read_header
from sloth_jax.data.tables import read_table
from sloth_jax.errors import check_choice


def import_scores(
    source: str | Path,
    *,
    kind: str | None = None,
    without: Sequence[str] = (),
    facts: str | Path | pd.DataFrame | Sequence[str | Path | pd.DataFrame] = (),
) -> Imported:
    """Read scores in any of the known formats.

    Args:
        source: file, or folder of result files.
        kind: one of :data:`FORMATS`; None guesses it from what the source holds.
        without: kinds of rows to leave out, of :data:`KINDS`; of exports of leaderboards only.
        facts: table, or tables, of what the source cannot know, see :func:`read_facts`. They come
            before what the source says, and that before what names say.

    Returns:
        :class:`Imported`.

    Raises:
        InputError: if the source or the facts cannot be read.
        TableError: if rows of a family contradict each other, with the facts.
        NothingKept: if no row of the source could be kept; it has the rejected rows.
    """
    path = Path(source)
    if kind is not None:
        check_choice("format", kind, FORMATS)
    for name in without:
        check_choice("kind of rows", name, KINDS)
    known = read_facts([facts] if isinstance(facts, str | Path | pd.DataFrame) else facts)
    if kind == LM_EVAL or (kind is None and (path.is_dir() or path.suffix == ".json")):
        found = read_runs(path, known)
    else:
        table = read_table(path)
        kind = kind or recognise_export(table)
        if kind in (V1, V2):
            found = read_export(table, kind, without, known)
        else:
            found = read_any_table(table, known)
    if not found.rows:
        raise NothingKept(found)
    unused = [model for model in known if known[model] and model not in found.facts_used]
    if unused:
        found.notes.append(f"facts of models that the source does not have: {', '.join(unused)}")
    tell_families_apart(found)
    # Facts from several places may contradict each other: a table is written that can be read.
    parse_leaderboard(read_table(found.frame, f"table of {found.source}"), None)
    return found


def read_facts(paths: Sequence[str | Path | pd.DataFrame]) -> Facts:
    """Reads tables of facts: the columns of a table of models, without scores.

    Only ``model`` is needed, and empty cells are not known. Other columns are ignored, so that the
    unknown models of an import can be filled in and handed back.

    Raises:
        TableError: a cell cannot be used, or two rows of a model contradict each other.
    """
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    for table in (read_table(path) for path in paths):
        columns = read_header(table, whole=False).facts
        for row in range(len(table.rows)):
            facts = facts_given(table, row, columns)
            known = found.setdefault(facts.pop("model").lower(), {})
            here = f"{table.source}, row {table.numbers[row]}"
            for column, value in facts.items():
                other, place = known.setdefault(column, (value, here))
                if other != value:
                    what = f"{place}, has {other} for this model: keep one of the two"
                    raise table.error(what, row, columns[column])
    return found
