"""``sloth-jax data``: what the bundled leaderboard holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, tell
from sloth_jax.cli.options import add_edition_option
from sloth_jax.cli.output import CSV, check_outputs
from sloth_jax.files import write_text
from sloth_jax.wording import counted

if TYPE_CHECKING:
    import numpy as np

    from sloth_jax.data.leaderboard import Leaderboard


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "data",
        help="describe the bundled leaderboard, or write it to a file",
        description="Describe the bundled leaderboard and tasks, or write the leaderboard as CSV.",
        epilog="example: sloth-jax data --out leaderboard.csv",
    )
    parser.add_argument("--out", metavar="TABLE.csv", help="write the table there")
    add_edition_option(parser)
    parser.add_argument(
        "--uncorrected",
        action="store_true",
        help="sizes, tokens and families as published, without this project's corrections",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.data.reading import load_leaderboard

    check_outputs(options, CSV)
    table = load_leaderboard(corrected=not options.uncorrected, edition=options.edition)
    for warning in table.warnings:
        tell(f"note: {warning}")
    if options.out is not None:
        write_text(options.out, table.to_csv_text())
        tell(f"Wrote {counted(len(table.models), 'model')} to {options.out}")
    else:
        print(_description(table))


def _range(values: np.ndarray, unit: str) -> str:
    import numpy as np

    unknown = int(np.isnan(values).sum())
    more = f" (not known of {unknown} models)" if unknown else ""
    return f"{np.nanmin(values):g} to {np.nanmax(values):g} {unit}{more}"


def _description(table: Leaderboard) -> str:
    import numpy as np

    from sloth_jax.skills.tasks import bundled_tasks

    scored = np.isfinite(table.scores)
    lines = [
        f"{len(table.models)} models of {len(table.families)} families and "
        f"{len(table.lineages)} lineages, {scored.sum()} scores on "
        f"{len(table.benchmarks)} benchmarks",
        _range(table.params_b, "billion parameters"),
        _range(table.tokens_t, "trillion tokens"),
        f"{'benchmark':<12} {'models':>6} {'floor':>6} {'lowest':>7} {'highest':>7}",
    ]
    for j, benchmark in enumerate(table.benchmarks):
        values = table.scores[scored[:, j], j]
        lines.append(
            f"{benchmark:<12} {values.size:>6} {table.floors[j]:>6.3f} "
            f"{values.min():>7.3f} {values.max():>7.3f}"
        )
    on_board = [task for task in bundled_tasks().values() if task.table == "leaderboard"]
    tasks = ", ".join(f"{task.name} ({len(task.models)} models)" for task in on_board)
    return "\n".join([*lines, f"tasks (--task): {tasks}"])
