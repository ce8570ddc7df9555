"""The command ``sloth-jax``: results on stdout, progress and warnings on stderr.

Exit codes: 0 done; 1 ``check`` found that an assumption fails; 2 bad input, told in one line on
stderr with nothing written; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np

from sloth_jax import __version__
from sloth_jax.cli.console import Parser, number, run_and_exit, show_progress, tell
from sloth_jax.cli.fit import (
    USUAL,
    add_fit_options,
    add_source_options,
    kept_fit,
    make_fit,
    new_fit,
    prepare,
    skills_wanted,
    table_of,
    tell_of_extrapolation,
    tell_of_fit,
    tell_of_new_families,
)
from sloth_jax.cli.importing import add_import_command
from sloth_jax.cli.planning import add_planning_commands
from sloth_jax.data.quality import suspect_scores
from sloth_jax.data.query import load_query
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.files import check_writable, clear_leftovers, frame_csv, write_text
from sloth_jax.forecasting.forecast import forecast
from sloth_jax.forecasting.tasks import bundled_tasks
from sloth_jax.identifiability.report import check_identifiability
from sloth_jax.inference.storage import save_fit


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="sloth-jax",
        description="Predict how language models score on benchmarks before they are trained.",
        epilog="example: sloth-jax predict --query query.csv --out predictions.csv",
    )
    parser.add_argument("--version", action="version", version=f"sloth-jax {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )

    predict = commands.add_parser(
        "predict",
        help="predict the scores of models, with credible intervals",
        description="Fit the law to a table of scores and predict models on all its benchmarks.",
        epilog="example: sloth-jax predict --query query.csv --level 0.8 --out predictions.csv\n"
        "where query.csv holds\n"
        "  model,family,params_b,tokens_t\n"
        "  meta-llama-3-405b,meta-llama-3,405,15.6\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument(
        "--query",
        required=True,
        metavar="QUERY",
        help="CSV or parquet with the columns model, family, params_b (billions), tokens_t "
        "(trillions) and, optionally, lineage, post_trained, active_params_b",
    )
    add_source_options(predict)
    predict.add_argument(
        "--out", metavar="PREDICTIONS.csv", help="write a CSV there instead of printing a table"
    )
    predict.set_defaults(run=_predict)

    fit = commands.add_parser(
        "fit",
        help="fit the law once, for many predictions",
        description="Fit the law to a table of scores and keep it in a file.",
        epilog="example: sloth-jax fit --out fit.nc\n"
        "         sloth-jax predict --fit fit.nc --query query.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_fit_options(fit)
    fit.add_argument("--out", required=True, metavar="FIT.nc", help="netCDF file to write")
    fit.set_defaults(run=_fit)

    add_planning_commands(commands)
    add_import_command(commands)

    check = commands.add_parser(
        "check",
        help="may the skills of a table be interpreted?",
        description="Test the law's assumptions on a table: what its models determine and what "
        "they leave open. Scores that look misread are listed. Exit code 1 where an assumption "
        "fails.",
        epilog="example: sloth-jax check table.csv --skills 2",
    )
    check.add_argument(
        "table", nargs="?", metavar="TABLE", help="table of scores (default: the bundled one)"
    )
    check.add_argument("--floors", metavar="FLOORS", help="table with the columns benchmark, floor")
    check.add_argument("--benchmarks", nargs="+", metavar="NAME", help="use only these")
    check.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of skills (default: {USUAL.skills}, fewer where there are fewer benchmarks)",
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of words")
    check.set_defaults(run=_check)

    data = commands.add_parser(
        "data",
        help="what the bundled table holds",
        description="Describe the bundled table, or write it as CSV.",
        epilog="example: sloth-jax data --out leaderboard.csv",
    )
    data.add_argument("--out", metavar="TABLE.csv", help="write the table there")
    data.add_argument(
        "--uncorrected",
        action="store_true",
        help="sizes, tokens and families as published, before the corrections of this project",
    )
    data.set_defaults(run=_data)
    return parser


def _fit(options: argparse.Namespace) -> None:
    prepare()
    check_writable(options.out)
    table = table_of(options, None)
    # The same keys as predict, so that a saved fit gives the same predictions.
    fit_key, _ = jax.random.split(jax.random.key(options.seed))
    checkpoint = Path(f"{options.out}.unfinished")
    clear_leftovers(options.out)  # ... and of the checkpoint, whose name begins with it
    if checkpoint.exists():
        tell(f"Going on from {checkpoint}")
    fit = new_fit(options, table, fit_key, checkpoint)
    save_fit(fit, options.out)
    checkpoint.unlink(missing_ok=True)
    tell(f"Wrote {options.out}")
    tell_of_fit(fit)


def _predict(options: argparse.Namespace) -> None:
    prepare()
    if options.out is not None:
        check_writable(options.out)
    kept = kept_fit(options)
    table = table_of(options, kept)
    query = load_query(options.query, table)
    for warning in query.warnings:
        tell(f"note: {warning}")
    fit_key, forecast_key = jax.random.split(jax.random.key(options.seed))
    fit = make_fit(options, kept, table, fit_key)
    with show_progress("predicting"):
        predictions = forecast(fit, query, key=forecast_key)
        summary = predictions.summary(options.level)
    tell_of_new_families(query.families, table)
    tell_of_extrapolation(query.models, predictions.outside)
    if options.out is not None:
        write_text(options.out, frame_csv(summary, "%.6f"))
        tell(f"Wrote {len(summary)} predictions to {options.out}")
    else:
        # The note above has told who is outside; a column of words would break the lines.
        shown = summary.drop(columns="outside")
        print(shown.to_string(index=False, float_format="%.3f"))


def _check(options: argparse.Namespace) -> None:
    table = load_leaderboard(options.table, floors=options.floors, benchmarks=options.benchmarks)
    for warning in table.warnings:
        tell(f"note: {warning}")
    skills = skills_wanted(options, table)
    with show_progress("checking"):
        report = check_identifiability(table, skills=skills)
        suspects = suspect_scores(table)
    if options.json:
        listed = [asdict(suspect) for suspect in suspects]
        print(json.dumps({**report.to_dict(), "suspects": listed}, indent=2))
    else:
        print(report.to_text())
        if suspects:
            print("Scores that look misread, as answers that a parser did not find:")
        for suspect in suspects:
            print(f"  {suspect}")
    if not report.holds:
        sys.exit(1)


def _data(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_writable(options.out)
    table = load_leaderboard(corrected=not options.uncorrected)
    for warning in table.warnings:
        tell(f"note: {warning}")
    if options.out is not None:
        write_text(options.out, table.to_csv_text())
        tell(f"Wrote {len(table.models)} models to {options.out}")
        return
    scored = np.isfinite(table.scores)
    print(
        f"{len(table.models)} models of {len(table.families)} families and "
        f"{len(table.lineages)} lineages, {scored.sum()} scores on "
        f"{len(table.benchmarks)} benchmarks"
    )
    print(
        f"{table.params_b.min():g} to {table.params_b.max():g} billion parameters, "
        f"{table.tokens_t.min():g} to {table.tokens_t.max():g} trillion tokens"
    )
    print(f"{'benchmark':<12} {'models':>6} {'floor':>6} {'lowest':>7} {'highest':>7}")
    for j, benchmark in enumerate(table.benchmarks):
        values = table.scores[scored[:, j], j]
        print(
            f"{benchmark:<12} {values.size:>6} {table.floors[j]:>6.3f} "
            f"{values.min():>7.3f} {values.max():>7.3f}"
        )
    on_board = [task for task in bundled_tasks().values() if task.table == "leaderboard"]
    print(f"tasks (--task): {', '.join(f'{task.name} ({len(task.models)})' for task in on_board)}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit.

    Args:
        arguments: command line without the program's name; None takes ``sys.argv``.

    Raises:
        SystemExit: always, with the exit code.
    """
    options = _parser().parse_args(arguments)
    run_and_exit("sloth-jax", lambda: options.run(options), interrupted="nothing was written")


if __name__ == "__main__":
    main()
