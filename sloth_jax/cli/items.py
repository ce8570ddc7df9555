"""``sloth-jax items``: which items to ask a model, and its score over all from a few answers."""

from __future__ import annotations

import argparse

from sloth_jax.cli.console import Parser, number, show_progress, tell
from sloth_jax.cli.output import JSON, TABLES, check_outputs, write_frame
from sloth_jax.errors import InputError
from sloth_jax.files import has_ending, write_text

_METHODS = ("stratified", "information", "clusters", "random")


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "items",
        help="a benchmark's score from answers to a hundred of its items",
        description="select: choose items of a benchmark to ask a model. score: estimate the\n"
        "model's score over all items from its answers, with an interval that was tested on the\n"
        "bank's own models. The bank holds which model got which item right: wide (model, then a\n"
        "column per item: 1, 0 or empty) or long (model, item, correct).",
        epilog="example: sloth-jax items select --bank bank.csv --items 100 --out ask.csv\n"
        "         sloth-jax items score --bank bank.csv --responses answers.csv --items ask.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("select", "score"), help="what to do")
    parser.add_argument(
        "--bank",
        required=True,
        metavar="TABLE",
        help="answers of other models; or samples that lm_eval logged: a folder or 'DIR/*.jsonl'",
    )
    parser.add_argument(
        "--labels", metavar="TABLE", help="CSV: item, and its category or its question's digest"
    )
    parser.add_argument(
        "--items",
        metavar="N|FILE",
        help="select: how many (default: 100); score: the file that select wrote, if it did",
    )
    parser.add_argument(
        "--method", choices=_METHODS, default="stratified", help="select (default: stratified)"
    )
    parser.add_argument(
        "--responses",
        metavar="TABLE",
        help="answers of new models: model, item, correct; select then asks what tells most next",
    )
    parser.add_argument(
        "--benchmark",
        metavar="NAME",
        help="score: write a table of models and this score for predict --add",
    )
    parser.add_argument(
        "--facts", metavar="TABLE", help="with --benchmark: model, family, params_b, tokens_t"
    )
    parser.add_argument(
        "--skills", type=number(1), default=1, metavar="D", help="of the law of items (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--out", metavar="FILE", help="write the table there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import prepare_jax
    from sloth_jax.items.answers import with_facts
    from sloth_jax.items.bank import read_bank
    from sloth_jax.items.reports import answer_record, score_models, selected

    prepare_jax(options)
    check_outputs(options, (*TABLES, *JSON))
    bank = read_bank(options.bank, options.labels)
    for warning in bank.warnings:
        tell(f"note: {warning}")
    if options.action == "select":
        count = _count(options.items)
        with show_progress("choosing items"):
            frame = selected(bank, count, options.method, options.responses, options.skills,
                             options.seed)  # fmt: skip
    else:
        if options.responses is None:
            raise InputError("--responses is missing: the answers of the models to score")
        frame = score_models(bank, options.responses, options.items, options.skills, options.seed,
                             show_progress)  # fmt: skip
        if options.benchmark is not None:
            frame = with_facts(frame, options.benchmark, options.facts)
    record = answer_record(bank, frame, vars(options))
    if options.out is None:
        print(record if options.json else frame.round(4).to_string(index=False))
    elif has_ending(options.out, JSON):
        write_text(options.out, f"{record}\n")
    else:
        write_frame(options.out, frame, "%.6g")
    if options.out is not None:
        tell(f"Wrote {options.out}: {len(frame):,} rows")


def _count(text: str | None) -> int:
    if text is not None and (not text.isdecimal() or int(text) == 0):
        raise InputError(f"--items {text}: give a number of items, 1 or more")
    return int(text or 100)
