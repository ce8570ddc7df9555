"""``sloth-jax next``: which benchmarks to evaluate a model on next."""

from __future__ import annotations

import argparse

from sloth_jax.cli.console import Parser, number, show_progress
from sloth_jax.cli.options import add_output_options, add_source_options


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "next",
        help="say which benchmark to measure a model on next",
        description="Benchmarks to measure a model on, the first that narrows the predictions of\n"
        "the others most for what it costs: known scores of the model are used.",
        epilog="example: sloth-jax next --fit fit.nc --model gemma-2-9b --steps 3 --equal-cost\n"
        "         sloth-jax next --fit fit.nc --query query.csv --cost MMLU=1 GSM8K=20",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="a model of the training table, by name")
    which.add_argument(
        "--query", metavar="QUERY", help="a model without scores: a file as for predict, one row"
    )
    parser.add_argument(
        "--steps",
        type=number(1),
        default=3,
        metavar="N",
        help="benchmarks to pick one after the other (default: 3)",
    )
    parser.add_argument(
        "--wanted",
        metavar="A,B",
        help="benchmarks whose predictions are to become narrow (default: all that are unknown)",
    )
    price = parser.add_mutually_exclusive_group()
    price.add_argument(
        "--cost",
        nargs="+",
        metavar="NAME=COST",
        help="cost of benchmarks, any unit (default: their numbers of items)",
    )
    price.add_argument("--equal-cost", action="store_true", help="every benchmark costs the same")
    add_source_options(parser)
    add_output_options(parser, "with a row per step", plot=False)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.notes import tell_of_unseen
    from sloth_jax.cli.output import write_answer
    from sloth_jax.cli.queries import query_of
    from sloth_jax.planning.next_benchmark import Question, in_words, next_benchmark, parse_costs

    saved, table = begin(options)
    model = options.model
    if options.query is not None:
        model = query_of(options.query, table)
        tell_of_unseen(model.families, table)
    costs = (
        dict.fromkeys(table.benchmarks, 1.0)
        if options.equal_cost
        else parse_costs(options.cost or ())
    )
    wanted = options.wanted and [name.strip() for name in options.wanted.split(",")]
    question = Question.of(table, model, wanted=wanted, costs=costs)  # refuses before a fit
    fit, key = saved_or_new(options, saved, table)
    with show_progress("searching"):
        rows = next_benchmark(
            fit,
            model,
            key=key,
            steps=options.steps,
            wanted=wanted,
            costs=costs,
            level=options.level,
        )
    record = {"model": question.name, "level": options.level, "steps": rows.to_dict("records")}
    text = in_words(rows, question, options.level)
    write_answer(options, fit, frame=rows, record=record, text=text)
