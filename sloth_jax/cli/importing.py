"""The command that reads other people's files: ``sloth-jax import``."""

from __future__ import annotations

import argparse

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.files import check_writable, frame_csv, write_text

_FORMATS = ("lm-eval", "open-llm-leaderboard-v1", "open-llm-leaderboard-v2", "table")
_KINDS = ("merged", "moe", "flagged", "adapters")
_SHOWN = 10  # notes, before the rest is counted


def add_import_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    reader = commands.add_parser(
        "import",
        help="read an export, result files or a table into the table that the law learns from",
        description="Read scores in other formats. Rows that cannot be used are counted by reason; "
        "what is read off names is listed.",
        epilog="example: sloth-jax import results/ --out table.csv --rejected rejected.csv\n"
        "         sloth-jax predict --data table.csv --query query.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reader.add_argument("source", metavar="SOURCE", help="file, or folder of result files")
    reader.add_argument(
        "--format",
        choices=_FORMATS,
        help="what the source is (default: guessed from what it holds)",
    )
    reader.add_argument(
        "--without", nargs="+", choices=_KINDS, default=[],
        help="rows of a leaderboard's export to leave out",
    )  # fmt: skip
    reader.add_argument("--out", required=True, metavar="TABLE.csv", help="the table to write")
    reader.add_argument("--rejected", metavar="FILE.csv", help="rows not kept, with reasons")
    reader.add_argument(
        "--guessed", metavar="FILE.csv", help="values read off names, with what they rest on"
    )
    reader.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> None:
    import pandas as pd

    from sloth_jax.data.importing.reader import import_scores

    for path in (options.out, options.rejected, options.guessed):
        if path is not None:
            check_writable(path)
    with show_progress("reading"):
        found = import_scores(options.source, kind=options.format, without=options.without)

    def write(path: str | None, rows: pd.DataFrame) -> None:
        if path is not None:
            write_text(path, frame_csv(rows))

    rejected = pd.DataFrame(found.rejected, columns=["source", "row", "model", "reason"])
    guessed = pd.DataFrame(found.guessed, columns=["model", "column", "value", "because"])
    write(options.rejected, rejected)
    write(options.guessed, guessed)
    write(options.out, found.frame)
    for note in found.notes[:_SHOWN]:
        tell(f"note: {note}")
    if len(found.notes) > _SHOWN:
        tell(f"note: and {len(found.notes) - _SHOWN} more of the kind")
    print(f"format: {found.format}")
    print(f"rows in: {found.rows_in}, kept: {len(found.rows)}, rejected: {len(found.rejected)}")
    for reason, count in found.reasons().items():
        print(f"  {count:>6}  {reason}")
    columns = guessed["column"].value_counts()
    for column, count in columns.items():
        print(f"  {count:>6}  {column} read off names")
    tell(f"Wrote {len(found.rows)} models to {options.out}")
    if len(guessed) and options.guessed is None:
        tell("note: what was read off names is a suggestion: --guessed FILE.csv lists it")
