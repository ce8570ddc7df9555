"""Pages of docs/ from finished runs: records in, templates filled, Markdown out.

Prose is in ``templates/NAME.md``; every number comes from a run, by name of a ``$placeholder``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import sloth_jax as sj
from sloth_jax.cli.console import Parser
from sloth_jax.files import check_writable, write_text

TEMPLATES = Path(__file__).with_name("templates")


def write_page(
    script: str,
    document: str | None,
    page: Callable[[list[Path]], str],
    arguments: Sequence[str] | None,
) -> None:
    """Read the command line of a page, and write it.

    Args:
        script: its ``__file__``.
        document: its docstring.
        page: folders of runs -> the page.
        arguments: of the command line; None for those of the process.
    """
    parser = Parser(prog=Path(script).name, description=(document or "").split("\n\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR", help="of finished runs")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options = parser.parse_args(arguments)
    check_writable(options.out)
    write_text(options.out, page(options.runs))


def finished(
    folder: Path, script: str, needs: Iterable[str] = (), *, record: str = "summary.json"
) -> dict[str, Any]:
    """Record of a finished run.

    Args:
        folder: of the run.
        script: that made it.
        needs: entries that a finished run has.
        record: name of its file.

    Raises:
        InputError: if it is not one, or is a smoke run.
    """
    try:
        found = json.loads((folder / record).read_text())
        missing = [name for name in ("settings", *needs) if name not in found]
    except (OSError, ValueError, TypeError) as error:
        raise sj.InputError(f"{folder}: no finished run of {script} ({error})") from None
    if missing:
        raise sj.InputError(f"{folder}: no finished run of {script} (no {missing[0]})")
    if found.get("smoke") or found["settings"].get("smoke"):
        raise sj.InputError(f"{folder}: a smoke run, whose numbers mean nothing; leave it out")
    return found


def only_run(folders: Sequence[Path], script: str, needs: Iterable[str] = ()) -> dict[str, Any]:
    """Record of the one finished run that a page is of; arguments as for :func:`finished`.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    if len(folders) != 1:
        raise sj.InputError(f"{len(folders)} folders: the page is of one run of {script}")
    return finished(folders[0], script, needs)


def differences(record: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Settings of a run that are not the defaults, of those named."""
    default = sj.FitSettings()
    kept = {name: record["settings"][name] for name in names}
    return {name: value for name, value in kept.items() if value != getattr(default, name)}


def fixed(value: float | None, digits: int = 4) -> str:
    """A number with so many decimals; blank where there is none."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(row: dict[str, Any], name: str, digits: int | None = None) -> str:
    """A number with its standard error in brackets.

    Args:
        row: has the number, and perhaps its standard error as ``NAME_se``.
        name: of the number.
        digits: decimals; None for three of a share inside intervals, and four of anything else.
    """
    if digits is None:
        digits = 3 if name.startswith("cover") else 4
    found, error = fixed(row[name], digits), fixed(row.get(f"{name}_se"), digits)
    return f"{found} ({error})" if error else found


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its first column text and all others numbers; ends with a line end."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(name: str, **parts: object) -> str:
    """A template with its placeholders filled, all of which have to be given."""
    text = (TEMPLATES / f"{name}.md").read_text(encoding="utf-8")
    return f"{Template(text).substitute(parts).rstrip()}\n"
