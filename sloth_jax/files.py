"""Files whole: read as they were at one time; written all or not at all.

That a result can be written is known before work starts.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloth_jax.errors import InputError
from sloth_jax.interrupts import unbroken, written

if TYPE_CHECKING:  # costs half a second, which a quick command should not take
    import pandas as pd


class OutputError(InputError):
    """A place where results cannot be written."""


def read_whole(path: Path) -> bytes:
    """Read a file that nobody writes to at the time.

    Raises:
        InputError: if it changed while it was read.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        after = os.fstat(file.fileno())
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or len(content) < after.st_size:
        raise InputError(f"{path}: changed while it was read: run again when it is written")
    return content


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
        prefix = f".{path.name}.{os.getpid()}."
        with unbroken, tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot write there ({reason}); name another file") from None
    return path


def check_folder(path: str | Path) -> Path:
    """Make sure that files can be written into a folder, before the work whose results they hold.

    Args:
        path: a folder; one that does not exist yet is made when it is written to, and its own
            folder must exist.

    Returns:
        The path.

    Raises:
        OutputError: if nothing can be written there, with what to do.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: cannot write there, it is a file; name a folder")
    check_writable(path / "summary.json" if path.is_dir() else path)
    return path


def write_folder(path: str | Path, contents: Mapping[str, str | bytes]) -> None:
    """Write files into a folder, which is made if need be; each is written whole or not at all.

    Args:
        path: the folder.
        contents: name of each file -> its content, text as UTF-8.

    Raises:
        OutputError: if one cannot be written; those before it are there.
    """
    path = Path(path)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: could not be made ({error.strerror or error})") from None
    with unbroken:  # files of one answer belong together
        for name, content in contents.items():
            write_bytes(path / name, content.encode() if isinstance(content, str) else content)


def has_ending(path: str | Path, endings: Sequence[str]) -> bool:
    """Whether a file's name ends in one of ``endings``, such as ``.csv.gz``, in any case."""
    return Path(path).name.lower().endswith(tuple(endings))


def check_ending(path: str | Path, endings: Sequence[str]) -> None:
    """Make sure that the name of a file says a format that can be written.

    Raises:
        OutputError: naming the endings.
    """
    if not has_ending(path, endings):
        known = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
        raise OutputError(f"{path}: its ending is not known; name a file that ends in {known}")


def check_overwrites_nothing_read(
    outputs: Mapping[str, str | Path], inputs: Sequence[str | Path]
) -> None:
    """Make sure that no result replaces what is read, or another result.

    Args:
        outputs: files to be written, by what names them, such as ``--out``.
        inputs: what is read.

    Raises:
        OutputError: if one of the outputs is one of the inputs, also through links, or another
            output.
    """
    seen: dict[Path, str] = {}
    for option, path in outputs.items():
        place = Path(path).resolve()
        if place in seen:
            raise OutputError(f"{option} {path}: {seen[place]} names it too; name another file")
        seen[place] = option
        for read in filter(os.path.exists, inputs if place.exists() else ()):
            if os.path.samefile(read, path):
                raise OutputError(f"{option} {path}: this command reads {read}; name another file")


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file so that a reader finds the old content or the new, never a part.

    Args:
        path: file to write or replace; compressed where its name ends in ``.gz``.
        text: its whole content.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    content = text.encode()
    if Path(path).suffix.lower() == ".gz":
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
    with unbroken:
        _replace(path, content)
        written.append(str(path))


def _replace(path: Path, content: bytes) -> None:
    temporary = None
    try:
        # The process in the name tells later who left it, if the process is killed.
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.{os.getpid()}.", delete=False
        ) as stream:
            temporary = Path(stream.name)
            stream.write(content)
            # Some disks say only here that they are full, and none may lose it from here on.
            stream.flush()
            os.fsync(stream.fileno())
        # A temporary file is private to its owner; a result is as readable as any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: could not be written ({error.strerror or error})") from None


def clear_leftovers(path: str | Path) -> None:
    """Remove what writing a file left beside it when its process was killed.

    What a process that still runs is writing stays.

    Args:
        path: a file that is written by :func:`write_bytes`.
    """
    path = Path(path)
    for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
        owner = part.name.split(".")[-2]
        if owner.isdecimal() and not _runs(int(owner)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells as CSV with Unix line ends, the first row being the header.

    Safe to open in a spreadsheet: see :func:`guarded`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def frame_csv(frame: pd.DataFrame, float_format: str | None = None) -> str:
    """A data frame as CSV like :func:`csv_text`, without its index.

    Args:
        frame: the table.
        float_format: of floats, as ``"%.6f"``; None for as many digits as it takes.
    """
    text = frame.select_dtypes(exclude=["number", "bool"]).columns
    safe = frame.assign(**{name: frame[name].map(guarded) for name in text})
    safe.columns = [guarded(name) for name in frame.columns]
    return safe.to_csv(index=False, float_format=float_format, lineterminator="\n")


# What a spreadsheet takes for the beginning of a formula.
FORMULAS = ("=", "+", "-", "@")


def guarded(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that looks like one gets an apostrophe.

    Reading a table takes it away again. Numbers stay as they are. Source: OWASP, "CSV injection".
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULAS):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell
