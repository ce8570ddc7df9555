"""Scores in any of the known formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sloth_jax.data.importing.exports import _EXPORTS, _guess, _read_export
from sloth_jax.data.importing.harness import _read_runs
from sloth_jax.data.importing.names import _tell_families_apart
from sloth_jax.data.importing.result import FORMATS, KINDS, LM_EVAL, Imported
from sloth_jax.data.importing.wide_and_long import _read_plain
from sloth_jax.data.tables import read_table
from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, quoted


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
    if kind is not None and kind not in FORMATS:
        raise InputError(
            f"no format {quoted(kind)}{did_you_mean(kind, FORMATS)} (there are "
            f"{', '.join(FORMATS)})"
        )
    for name in without:
        if name not in KINDS:
            raise InputError(
                f"no kind of rows {quoted(name)}{did_you_mean(name, KINDS)} (there are "
                f"{', '.join(KINDS)})"
            )
    if kind == LM_EVAL or (kind is None and (path.is_dir() or path.suffix == ".json")):
        found = _read_runs(path)
    else:
        table = read_table(path)
        kind = kind or _guess(table)
        found = _read_export(table, kind, without) if kind in _EXPORTS else _read_plain(table)
    if not found.rows:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in found.reasons().items())
        raise InputError(f"{source}: none of {found.rows_in} rows could be kept: {reasons}")
    _tell_families_apart(found)
    return found
