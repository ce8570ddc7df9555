"""``sloth-jax require``: the least that reaches a score."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict

from sloth_jax.cli.console import Parser, show_progress
from sloth_jax.cli.options import (
    add_family_options,
    add_output_options,
    add_source_options,
    fraction,
)
from sloth_jax.cli.planned import asks_for_skill, bounds_of, family_of, known_family
from sloth_jax.errors import InputError


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "require",
        help="the least size, tokens or compute that reaches a score",
        description="The smallest size (with --tokens-t), the fewest tokens (with --params-b) or\n"
        "the least compute (with neither) that reaches a score with a given probability.",
        epilog="example: sloth-jax require --fit fit.nc --benchmark GSM8K --score 0.8 "
        "--family qwen2 --tokens-t 15",
    )
    parser.add_argument(
        "--benchmark",
        required=True,
        help='benchmark of the score; or a skill: its name in `sloth-jax skills`, or "skill 1"',
    )
    parser.add_argument(
        "--score",
        type=float,
        required=True,
        metavar="SCORE",
        help="score to reach, a fraction; of a skill, standard deviations of models",
    )
    parser.add_argument(
        "--probability",
        type=fraction,
        default=0.8,
        metavar="P",
        help="probability of reaching the score (default: 0.8)",
    )
    parser.add_argument(
        "--tokens-t", type=float, metavar="T", help="training tokens, trillions: find the size"
    )
    parser.add_argument(
        "--params-b", type=float, metavar="S", help="parameters, billions: find the tokens"
    )
    add_family_options(parser)
    add_source_options(parser)
    add_output_options(parser, "with the answer")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import pandas as pd

    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.notes import tell_of_unseen
    from sloth_jax.cli.output import write_answer
    from sloth_jax.planning.requirement import required
    from sloth_jax.planning.targets import find_target
    from sloth_jax.skills.labels import named_skills

    _check_given(options)
    family, bounds = family_of(options), bounds_of(options)
    saved, table = begin(options)
    family = known_family(family, table)
    is_skill = asks_for_skill(options, options.benchmark, saved, table)
    if not is_skill:
        find_target({options.benchmark: 1.0}, table.benchmarks)  # a mean is no benchmark
        if not 0.0 < options.score < 1.0:
            raise InputError(f"--score {options.score:g} is not between 0 and 1: 0.8 means 80 %")
    fit, key = saved_or_new(options, saved, table)
    with show_progress("searching"):
        found = required(
            fit,
            options.benchmark,
            options.score,
            family=family,
            probability=options.probability,
            params_b=options.params_b,
            tokens_t=options.tokens_t,
            bounds=bounds,
            key=key,
            skills=named_skills(fit) if is_skill else None,
        )
    tell_of_unseen((family.name,), table, (family.name,), (found.outside,))
    if options.plot is not None:
        from sloth_jax.plotting import plot_requirement
        from sloth_jax.plotting.figure_files import draw_figure

        draw_figure(options.plot, [lambda ax: plot_requirement(found, ax=ax)])
    row = {name: value for name, value in vars(found).items() if name != "curve"}
    record = {**row, "bounds": asdict(bounds)}
    write_answer(options, fit, frame=pd.DataFrame([row]), record=record, text=found.in_words())


def _check_given(options: argparse.Namespace) -> None:
    """Refuse a score that is no number, and a size or tokens that leave no question."""
    if not math.isfinite(options.score):
        raise InputError(f"--score {options.score:g} is not a number")
    if options.params_b is not None and options.tokens_t is not None:
        raise InputError("a size and tokens leave nothing to solve for: give one of them, or none")
    for name, value in (("--params-b", options.params_b), ("--tokens-t", options.tokens_t)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} {value:g} is not a positive number")
