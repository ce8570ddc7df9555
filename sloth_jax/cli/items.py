"""``sloth-jax items``: scores, prompts and new versions of a benchmark from few answers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from sloth_jax.cli.console import Parser, number, show_progress, tell
from sloth_jax.cli.output import check_outputs, write_answer
from sloth_jax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from sloth_jax.items.bank import ItemBank

_METHODS = ("stratified", "information", "clusters", "weighted", "random")
# What each action needs, and what else it may be given.
_ACTIONS = {
    "select": (("bank",), ("labels", "items", "responses")),
    "score": (("bank", "responses"), ("labels", "items", "benchmark", "facts")),
    "check": (("bank",), ("labels",)),
    "version": (("bank",), ("labels", "responses", "models")),
    "cells": (("templates", "items"), ("budget",)),
    "prompts": (("responses",), ("templates", "items")),
    "parts": (("responses", "templates"), ()),
}
_ANSWERS = ("bank", "labels", "items", "responses", "templates")
_GIVEN = (*_ANSWERS, "benchmark", "facts", "models", "budget")
_SETTINGS = (*_GIVEN, "action", "method", "skills", "seed")


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "items",
        help="a benchmark's score from answers to a hundred of its items; few prompts, few models",
        description="select: choose items of a benchmark to ask a model. score: estimate the\n"
        "model's score over all items from its answers, with an interval that was tested on the\n"
        "bank's own models. check: what the bank determines (exit code 1 if an assumption fails).\n"
        "version: models to evaluate on a benchmark's new items, and then all models' scores.\n"
        "cells: which prompt template to evaluate on which item. prompts: how performance is\n"
        "distributed over templates. parts: what each part of a prompt does to the score.\n"
        "The bank holds which model got which item right: wide (model, then a column per item: 1,\n"
        "0 or empty) or long (model, item, correct).",
        epilog="example: sloth-jax items select --bank bank.csv --items 100 --out ask.csv\n"
        "         sloth-jax items score --bank bank.csv --responses answers.csv --items ask.csv\n"
        "         sloth-jax items version --bank old.csv --responses new.csv\n"
        "         sloth-jax items cells --templates 50 --items 200 --out cells.csv\n"
        "         sloth-jax items prompts --responses cells.csv",
    )
    parser.add_argument("action", choices=tuple(_ACTIONS), help="what to do")
    for name, metavar, about in (
        ("bank", "TABLE", "answers of models; or samples that lm_eval logged: a folder or "
         "'DIR/*.jsonl'"),
        ("labels", "TABLE", "CSV: item, and its category or its question's digest"),
        ("items", "N|FILE", "select: how many (default: 100); score: the file that select wrote, "
         "if it did; cells, prompts: all items, how many or a table"),
        ("responses", "TABLE", "score: answers of new models: model, item, correct; select then "
         "asks what tells most next. version: answers of a few models to new items. prompts, "
         "parts: answers of one model: template, item, correct"),
        ("templates", "N|TABLE", "cells, prompts: all templates, with covariates if any; parts: "
         "template, and a column of 1 and 0 for each part"),
        ("benchmark", "NAME", "score: write a table of models and this score for predict --add"),
        ("facts", "TABLE", "with --benchmark: model, family, params_b, tokens_t"),
        ("out", "FILE", "write the table there"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", metavar=metavar, help=about)
    parser.add_argument(
        "--method", choices=_METHODS, default="stratified", help="select (default: stratified)"
    )
    for name, metavar, default, about in (
        ("budget", "N", None, "cells: how many (default: twice the items)"),
        ("models", "N", None, "version: how many to evaluate (default: 5)"),
        ("skills", "D", 1, "of the law of items (default: 1)"),
    ):
        parser.add_argument(
            f"--{name}", type=number(1), metavar=metavar, default=default, help=about
        )
    parser.add_argument("--seed", type=number(0), default=0, help="random seed (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import prepare_jax
    from sloth_jax.items.bank import read_bank

    needed, others = _ACTIONS[options.action]
    for name in _GIVEN:
        given = getattr(options, name) is not None
        if name in needed and not given:
            raise InputError(f"--{name} is missing: {options.action} needs it")
        if given and name not in (*needed, *others):
            raise InputError(f"--{name} does not belong to {options.action}: leave it out")
    prepare_jax(options)
    check_outputs(options)
    bank = read_bank(options.bank, options.labels) if "bank" in needed else None
    of_bank = {} if bank is None else {"bank_digest": bank.digest}
    frame, text, more = _of_prompts(options) if bank is None else _of_bank(options, bank)
    rows = json.loads(frame.to_json(orient="records"))
    settings = {name: value for name, value in vars(options).items() if name in _SETTINGS}
    record = {"rows": rows, **of_bank, **more, "settings": settings}
    write_answer(options, None, frame=frame, record=record, text=text)
    if not more.get("holds", True):
        sys.exit(1)


def _of_bank(
    options: argparse.Namespace, bank: ItemBank
) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """The answer as a table, in words, and what a record has beside."""
    import pandas as pd

    from sloth_jax.items.answers import with_facts
    from sloth_jax.items.check import check_bank
    from sloth_jax.items.reports import score_models, selected, version_report

    law = (options.skills, options.seed)
    if options.action == "check":
        with show_progress("checking"):
            report = check_bank(bank, skills=options.skills, seed=options.seed)
        facts = report.to_dict()
        return pd.DataFrame(facts["findings"]), report.to_text(), facts
    for warning in bank.warnings:
        tell(f"note: {warning}")
    if options.action == "version":
        with show_progress("predicting"):
            return *version_report(bank, options.responses, options.models, *law), {}
    if options.action == "select":
        with show_progress("choosing items"):
            count = _count(options.items)
            frame = selected(bank, count, options.method, options.responses, *law)
    else:
        frame = score_models(bank, options.responses, options.items, *law, show_progress)
        if options.benchmark is not None:
            frame = with_facts(frame, options.benchmark, options.facts)
    return frame, frame.round(4).to_string(index=False), {}


def _of_prompts(options: argparse.Namespace) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    from sloth_jax.repeats.prompt_reports import cells_to_evaluate, parts_report, performance_report

    templates, items, seed = options.templates, options.items, options.seed
    if options.action == "cells":
        frame = cells_to_evaluate(templates, items, options.budget, seed)
        return frame, frame.to_string(index=False), {}
    with show_progress("fitting"):
        if options.action == "prompts":
            return *performance_report(options.responses, templates, items, seed), {}
        return *parts_report(options.responses, templates, seed), {}


def _count(text: str | None) -> int:
    if text is not None and (not text.isdecimal() or int(text) == 0):
        raise InputError(f"--items {text}: give a number of items, 1 or more")
    return int(text or 100)
