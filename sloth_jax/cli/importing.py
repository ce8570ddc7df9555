"""``sloth-jax import``: other people's files as a table that the law learns from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.files import check_writable, frame_csv, write_text

if TYPE_CHECKING:
    import pandas as pd

# Of sloth_jax.data.importing.reader, which loads pandas.
_FORMATS = ("lm-eval", "open-llm-leaderboard-v1", "open-llm-leaderboard-v2", "table")
_KINDS = ("merged", "moe", "flagged", "adapters")
_SHOWN = 10  # notes, before the rest is counted


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "import",
        help="turn result files or a leaderboard's export into a training table",
        description="Read scores in other formats into a table for --data or --add. Rows that\n"
        "cannot be used are counted by reason; values read off models' names are listed.",
        epilog="example: sloth-jax import results/ --out table.csv --rejected rejected.csv\n"
        "         sloth-jax predict --data table.csv --query query.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a file, or a folder of result files")
    parser.add_argument(
        "--format", choices=_FORMATS, help="format of the source (default: recognised)"
    )
    parser.add_argument(
        "--without",
        nargs="+",
        choices=_KINDS,
        default=[],
        help="kinds of models in a leaderboard's export to leave out",
    )
    parser.add_argument("--out", required=True, metavar="TABLE.csv", help="the table to write")
    parser.add_argument(
        "--rejected", metavar="FILE.csv", help="write the rows that were not kept, with reasons"
    )
    parser.add_argument(
        "--guessed", metavar="FILE.csv", help="write the values read off names, with reasons"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import pandas as pd

    from sloth_jax.data.importing.reader import import_scores

    for path in (options.out, options.rejected, options.guessed):
        if path is not None:
            check_writable(path)
    with show_progress("reading"):
        found = import_scores(options.source, kind=options.format, without=options.without)
    rejected = pd.DataFrame(found.rejected, columns=["source", "row", "model", "reason"])
    guessed = pd.DataFrame(found.guessed, columns=["model", "column", "value", "because"])
    _write(options.rejected, rejected)
    _write(options.guessed, guessed)
    _write(options.out, found.frame)
    for note in found.notes[:_SHOWN]:
        tell(f"note: {note}")
    if len(found.notes) > _SHOWN:
        tell(f"note: and {len(found.notes) - _SHOWN} more of the kind")
    print(f"format: {found.format}")
    print(f"rows in: {found.rows_in}, kept: {len(found.rows)}, rejected: {len(found.rejected)}")
    for reason, count in found.reasons().items():
        print(f"  {count:>6}  {reason}")
    for column, count in guessed["column"].value_counts().items():
        print(f"  {count:>6}  {column} read off names")
    tell(f"Wrote {len(found.rows)} models to {options.out}")
    if len(guessed) and options.guessed is None:
        tell("note: values read off names are guesses: list them with --guessed FILE.csv")


def _write(path: str | None, rows: pd.DataFrame) -> None:
    if path is not None:
        write_text(path, frame_csv(rows))
