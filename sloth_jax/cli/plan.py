"""``sloth-jax plan``: how to split training budgets between parameters and tokens."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, number, show_progress
from sloth_jax.cli.options import add_family_options, add_output_options, add_source_options
from sloth_jax.cli.planned import asks_for_skill, bounds_of, family_of, known_family
from sloth_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "plan",
        help="split training budgets between parameters and tokens",
        description="For each training budget, the size and tokens with the highest expected\n"
        "score. A model costs 6 x active parameters x tokens FLOPs.",
        epilog="example: sloth-jax plan --fit fit.nc --flops 1e24 --family qwen2 "
        "--target MMLU-PRO\n"
        "         sloth-jax plan --fit fit.nc --flops 1e22 1e26 --budgets 50 --family qwen2 "
        "--plot plan.png",
    )
    parser.add_argument(
        "--flops", type=float, nargs="+", required=True, metavar="C", help="training budgets, FLOPs"
    )
    parser.add_argument(
        "--budgets",
        type=number(2),
        metavar="N",
        help="plan N budgets between the two of --flops, evenly spaced in their logarithm",
    )
    parser.add_argument(
        "--target",
        default="mean",
        help='score to maximise: a benchmark, "mean" of all (default), a weighted mean like '
        '"MMLU=2,GSM8K=1", or a skill: its name in `sloth-jax skills`, or "skill 1"',
    )
    parser.add_argument(
        "--may-spend-less",
        action="store_true",
        help="also consider sizes and tokens that cost less than the budget",
    )
    add_family_options(parser)
    add_source_options(parser)
    add_output_options(parser, "with a row per budget")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.notes import tell_of_unseen
    from sloth_jax.cli.output import write_answer
    from sloth_jax.planning.optimal import compute_optimal
    from sloth_jax.planning.targets import parse_target
    from sloth_jax.skills.labels import named_skills

    family, bounds, target = family_of(options), bounds_of(options), parse_target(options.target)
    flops = _budgets(options)
    saved, table = begin(options)
    family = known_family(family, table)
    is_skill = asks_for_skill(options, target, saved, table)
    fit, key = saved_or_new(options, saved, table)
    with show_progress("searching"):
        plan = compute_optimal(
            fit,
            flops,
            family=family,
            target=target,
            bounds=bounds,
            spend_all=not options.may_spend_less,
            level=options.level,
            key=key,
            skills=named_skills(fit) if is_skill else None,
        )
    names = [f"{budget:.3g} FLOPs" for budget in plan.frontier["flops"]]
    tell_of_unseen((family.name,), table, names, tuple(plan.frontier["outside"]))
    if options.plot is not None:
        from sloth_jax.plotting import plan_panels
        from sloth_jax.plotting.figure_files import draw_figure

        draw_figure(options.plot, plan_panels(plan))
    record = {
        "family": family.name,
        "family_models": plan.family_models,
        "active_fraction": family.active_fraction,
        "target": plan.target.label,
        "level": plan.level,
        "inference": plan.inference,
        "bounds": asdict(bounds),
        "plans": plan.frontier.to_dict("records"),
    }
    write_answer(options, fit, frame=plan.frontier, record=record, text=plan.in_words())


def _budgets(options: argparse.Namespace) -> np.ndarray:
    """Budgets of ``--flops``, or those between its two, ``(budget,)``."""
    import numpy as np

    from sloth_jax.planning.budget import check_budgets

    flops = np.array(options.flops)
    check_budgets(flops, family_of(options), bounds_of(options))
    if options.budgets is None:
        return flops
    if len(flops) != 2:
        raise InputError("--budgets needs two numbers in --flops, the least and the most")
    return np.geomspace(flops[0], flops[1], options.budgets)
