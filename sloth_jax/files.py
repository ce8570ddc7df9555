"""Writing results: all of a file or none of it, and known to be possible before work starts."""

from __future__ import annotations

import csv
import gzip
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sloth_jax.errors import InputError


class OutputError(InputError):
    """A place where results cannot be written."""


def check_writable(path: str | Path) -> Path:
    """Make sure that a file can be written, before the work whose result it will hold.

    Args:
        path: file to be written later; its folder must exist.

    Returns:
        The path.

    Raises:
        OutputError: if it cannot be written, with what to do.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: cannot write there, it is a folder; name a file inside it")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: cannot write there, no folder {path.parent}; make it first")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path}: cannot write there, the file is read-only; name another file")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot write there ({reason}); name another file") from None
    return path


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file so that a reader finds the old content or the new, never a part.

    Args:
        path: file to write or replace; compressed where its name ends in ``.gz``.
        text: its whole content.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    content = text.encode()
    if Path(path).suffix == ".gz":
        content = gzip.compress(content, mtime=0)  # without the time: the same text, the same bytes
    write_bytes(path, content)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    Args:
        path: file to write or replace.
        content: its whole content.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as stream:
            temporary = Path(stream.name)
            stream.write(content)
        # A temporary file is private to its owner; a result is as readable as any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: could not be written ({error.strerror or error})") from None


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells as CSV with Unix line ends, the first row being the header."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
