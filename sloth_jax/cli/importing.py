"""``sloth-jax import``: other people's files as a table that the law learns from."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.output import CSV, check_outputs, write_frame
from sloth_jax.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from sloth_jax.data.importing.result import Imported

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
        "cannot be used are counted by reason; values read off models' names are listed.\n"
        "What no result file knows, such as training tokens, comes from --facts.",
        epilog="example: sloth-jax import results/ --out table.csv --unknown facts.csv\n"
        "         sloth-jax import results/ --out table.csv --facts facts.csv\n"
        "         sloth-jax predict --data table.csv --query query.csv",
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
        "--facts",
        nargs="+",
        default=[],
        metavar="FACTS.csv",
        help="what the source cannot know: columns model, family, params_b (billions), tokens_t"
        " (trillions), and lineage, post_trained, active_params_b, released; cells may be empty",
    )
    parser.add_argument(
        "--rejected", metavar="FILE.csv", help="write the rows that were not kept, with reasons"
    )
    parser.add_argument(
        "--unknown",
        metavar="FILE.csv",
        help="write the models whose size or tokens are not known; filled in, it is a file for"
        " --facts",
    )
    parser.add_argument(
        "--guessed", metavar="FILE.csv", help="write the values read off names, with reasons"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import pandas as pd

    from sloth_jax.data.importing.reader import import_scores
    from sloth_jax.data.importing.result import NothingKept

    check_outputs(options, CSV)
    try:
        with show_progress("reading"):
            found = import_scores(
                options.source, kind=options.format, without=options.without, facts=options.facts
            )
    except NothingKept as error:
        _write(options.rejected, _listed(error.found.rejected))
        raise
    guessed = pd.DataFrame(found.guessed, columns=["model", "column", "value", "because"])
    _write(options.rejected, _listed(found.rejected))
    _write(options.unknown, _listed(found.unknown, facts=True))
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
    for reason, count in found.reasons(found.unknown).items():
        print(f"  {count:>6}  kept, {reason}")
    for column, count in guessed["column"].value_counts().items():
        print(f"  {count:>6}  {column} read off names")
    tell(f"Wrote {counted(len(found.rows), 'model')} to {options.out}")
    if len(guessed) and options.guessed is None:
        tell("note: values read off names are guesses: list them with --guessed FILE.csv")
    if next_step := _next_step(options, found):
        tell(f"note: {next_step}")


def _next_step(options: argparse.Namespace, found: Imported) -> str:
    """What to run to give sizes and tokens that are not known; empty where all are."""
    if not found.unknown:
        return ""
    facts = options.unknown or str(Path(options.out).with_name("facts.csv"))
    words = ["sloth-jax", "import", options.source, "--out", options.out]
    for flag, value in (("--format", options.format), ("--guessed", options.guessed)):
        words += [flag, value] if value else []
    for flag, values in (("--without", options.without), ("--facts", options.facts)):
        words += [flag, *values] if values else []
    of = counted(len(found.unknown), "model")
    what = f"size or tokens of {of} are not known, and a fit integrates them out; to give them"
    if options.unknown is None:
        return f"{what}, list them with {shlex.join([*words, '--unknown', facts])}"
    again = shlex.join([*words, *([] if options.facts else ["--facts"]), facts])
    return f"{what}, fill in params_b and tokens_t in {facts}, then run {again}"


def _listed(rows: list[dict[str, Any]], *, facts: bool = False) -> pd.DataFrame:
    """Rows with their reasons, on request as a table of facts, to be handed back filled in."""
    import pandas as pd

    from sloth_jax.data.schema import COLUMNS

    return pd.DataFrame(
        rows, columns=[*(COLUMNS if facts else ["model"]), "source", "row", "reason"]
    )


def _write(path: str | None, rows: pd.DataFrame) -> None:
    if path is not None:
        write_frame(path, rows)
