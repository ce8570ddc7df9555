"""``sloth-jax compare``: which of some models would be best."""

from __future__ import annotations

import argparse

from sloth_jax.cli.console import Parser, show_progress
from sloth_jax.cli.options import add_output_options, add_source_options


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "compare",
        help="predict which of some candidate models would score best",
        description="Predicted scores of candidate models, with intervals and the probability\n"
        "that each is the best.",
        epilog="example: sloth-jax compare candidates.csv --fit fit.nc\n"
        "where candidates.csv holds\n"
        "  model,family,params_b,tokens_t\n"
        "  small-and-long,qwen2,7,30\n"
        "  large-and-short,qwen2,70,3\n",
    )
    parser.add_argument(
        "candidates",
        metavar="CANDIDATES",
        help="models to compare: a file with the columns of a query of `predict`",
    )
    parser.add_argument(
        "--target",
        default="mean",
        help='overall score: "mean" of all benchmarks (default), a benchmark, or a weighted mean '
        'like "MMLU=2,GSM8K=1"',
    )
    add_source_options(parser)
    add_output_options(parser, "with a row per candidate and benchmark")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.notes import tell_of_unseen
    from sloth_jax.cli.output import write_answer
    from sloth_jax.cli.queries import query_of
    from sloth_jax.planning.comparison import compare
    from sloth_jax.planning.targets import find_target, parse_target

    target = parse_target(options.target)
    saved, table = begin(options)
    query = query_of(options.candidates, table)
    find_target(target, table.benchmarks)
    fit, key = saved_or_new(options, saved, table)
    with show_progress("comparing"):
        rows = compare(fit, query, target=target, level=options.level, key=key)
    by_model = rows.drop_duplicates("model")
    tell_of_unseen(query.families, table, tuple(by_model["model"]), tuple(by_model["outside"]))
    if options.plot is not None:
        from sloth_jax.plotting import plot_candidates
        from sloth_jax.plotting.figure_files import draw_figure

        draw_figure(options.plot, [lambda ax: plot_candidates(rows, ax=ax)], (6.4, 4.6))
    text = rows.drop(columns=["level", "outside"]).to_string(index=False, float_format="%.3f")
    record = {"level": options.level, "candidates": rows.to_dict("records")}
    write_answer(options, fit, frame=rows, record=record, text=text)
