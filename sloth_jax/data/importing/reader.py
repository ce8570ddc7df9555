"""Scores in any of the known formats become one canonical table and a report.

The report has the rows that were kept, those that were not and why, and what was read off names
instead of being given. Rows in are rows kept plus rows rejected. A value that was given is never
replaced by one from a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sloth_jax.data.importing.exports import read_export, recognise_export
from sloth_jax.data.importing.harness import read_runs
from sloth_jax.data.importing.names import tell_families_apart
from sloth_jax.data.importing.result import FORMATS, KINDS, LM_EVAL, V1, V2, Imported
from sloth_jax.data.importing.wide_and_long import read_any_table
from sloth_jax.data.tables import check_choice, read_table
from sloth_jax.errors import InputError


def import_scores(
    source: str | Path, *, kind: str | None = None, without: Sequence[str] = ()
) -> Imported:
    """Read scores in any of the known formats.

    Args:
        source: file, or folder of result files.
        kind: one of :data:`FORMATS`; None guesses it from what the source holds.
        without: kinds of rows to leave out, of :data:`KINDS`; of exports of leaderboards only.

    Returns:
        :class:`Imported`.

    Raises:
        InputError: if the source cannot be read, or nothing of it could be kept.
    """
    path = Path(source)
    if kind is not None:
        check_choice("format", kind, FORMATS)
    for name in without:
        check_choice("kind of rows", name, KINDS)
    if kind == LM_EVAL or (kind is None and (path.is_dir() or path.suffix == ".json")):
        found = read_runs(path)
    else:
        table = read_table(path)
        kind = kind or recognise_export(table)
        found = read_export(table, kind, without) if kind in (V1, V2) else read_any_table(table)
    if not found.rows:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in found.reasons().items())
        raise InputError(f"{source}: none of {found.rows_in} rows could be kept: {reasons}")
    tell_families_apart(found)
    return found
