"""``sloth-jax complete``: every missing score of a table, with its interval."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.options import add_output_options, add_source_options
from sloth_jax.cli.output import check_outputs, draw_models, write_answer
from sloth_jax.errors import InputError

if TYPE_CHECKING:
    from sloth_jax.data.leaderboard import Leaderboard
    from sloth_jax.identifiability.score_scales import ScoreScale


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "complete",
        help="fill the gaps of a table of scores, with intervals",
        description="Predict every missing score of a table from the model's other scores, its\n"
        "family, size and tokens. The table may be wide, or long with the columns model,\n"
        "benchmark and score; fractions, percent and ratings are told apart by benchmark, and\n"
        "answers are in the same units.",
        epilog="example: sloth-jax complete table.csv --out filled.csv",
    )
    parser.add_argument(
        "--wide",
        action="store_true",
        help="write a row per model: scores, medians in the gaps, and columns of the intervals",
    )
    add_source_options(parser, table="data")
    add_output_options(parser, "with a row per model and benchmark")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import prepare_jax, saved_fit, saved_or_new, training_table
    from sloth_jax.data.reading import load_leaderboard
    from sloth_jax.forecasting.completion import complete, records
    from sloth_jax.forecasting.sparse_tables import read_sparse
    from sloth_jax.identifiability.score_scales import UNBOUNDED, ScoreScale

    def read(options: argparse.Namespace) -> Leaderboard:
        if options.data and options.edition:
            raise InputError("--edition is of the bundled leaderboard: leave it or TABLE out")
        if options.items:
            raise InputError("--items belongs to commands that predict other models: leave it out")
        first = options.data or load_leaderboard(edition=options.edition)
        found = read_sparse(first, *(options.add or ()), floors=options.floors)
        scales.update(zip(found.table.benchmarks, found.scales, strict=True))
        return found.table

    prepare_jax(options)
    check_outputs(options)
    if options.fit and options.data:
        raise InputError("--fit: a fit has a table of its own; leave TABLE or --fit out")
    scales: dict[str, ScoreScale] = {}
    saved = saved_fit(options)
    table = training_table(options, saved, read)
    own = [scales.get(name, ScoreScale()) for name in table.benchmarks]
    if options.plot and all(scale.kind == UNBOUNDED for scale in own):
        raise InputError(f"--plot {options.plot}: no benchmark has scores that are shares")
    if options.plot and any(scale.kind == UNBOUNDED for scale in own):
        tell(f"note: {options.plot} leaves out benchmarks whose scores are no shares")
    fit, key = saved_or_new(options, saved, table)
    with show_progress("predicting"):
        found = complete(fit, key=key, scales=own)
        rows = (found.to_wide if options.wide else found.to_frame)(options.level)
        record = found.to_record(options.level) | {"scores": records(rows)}
    if options.plot is not None:
        draw_models(options.plot, **found.to_draw(options.level), level=options.level)
    text = found.to_text(options.level)
    write_answer(options, fit, frame=rows, record=record, text=text)
    if options.out is not None and not options.json:
        print(text)
    elif options.out is None:
        tell("note: --out FILLED.csv writes every score with its interval")
