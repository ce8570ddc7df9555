"""What commands that need a fit share: its options, where it comes from, what to say about it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sloth_jax.console import busy, number, tell

if TYPE_CHECKING:  # costs a second at run time, which --help should not take
    from jax import Array

    from sloth_jax.leaderboard import Leaderboard
    from sloth_jax.point import PointFit
    from sloth_jax.posterior import Posterior
    from sloth_jax.tasks import Task

CHAINS, WARMUP, DRAWS = 4, 450, 1800
SKILLS, POINT_SKILLS = 4, 3
_SHOWN = 3  # notes of a kind, before the rest is counted


# What counts as the size of a mixture of experts -> covariates of the law.
SIZES = {"total": "translog", "active": "active", "both": "total_and_active"}


def level(text: str) -> float:
    """A probability or score, an option's type."""
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1: 0.9 means 90 %")
    return value


level.__name__ = "fraction"


def scale(text: str) -> str | tuple[float, float]:
    """Scale of a task's scores, an option's type: a name, or worst and best as 800:1400."""
    low, colon, high = text.partition(":")
    return (float(low), float(high)) if colon else text


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """What to learn from and how; None where the user said nothing."""
    parser.add_argument(
        "--data", metavar="TABLE", help="table of scores to learn from (default: the bundled one)"
    )
    parser.add_argument(
        "--add",
        action="append",
        metavar="MINE",
        help="table of your own models and scores, learnt from beside the other table; a column of "
        "its own is a new benchmark; may be given several times",
    )
    parser.add_argument(
        "--floors", metavar="FLOORS", help="table with the columns benchmark, floor (fractions)"
    )
    parser.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of skills (default: {SKILLS}, of a point fit {POINT_SKILLS}; fewer where "
        "there are fewer benchmarks)",
    )
    parser.add_argument(
        "--draws",
        type=number(CHAINS),
        metavar="N",
        help=f"posterior draws, over {CHAINS} chains (default: {DRAWS})",
    )
    parser.add_argument(
        "--warmup",
        type=number(20),
        metavar="N",
        help=f"draws per chain spent on adaptation (default: {WARMUP})",
    )
    parser.add_argument(
        "--size",
        choices=SIZES,
        help="parameters of a mixture of experts that count: all, those active for a token, or "
        "both with an effect of their own (default: total)",
    )
    parser.add_argument(
        "--task",
        action="append",
        metavar="TASK",
        help="a task that few models were measured on, learnt and predicted like a benchmark: one "
        "of the bundled (see sloth-jax data), or a table with the columns model, score; may be "
        "given several times",
    )
    parser.add_argument(
        "--task-scale",
        type=scale,
        metavar="SCALE",
        help="scale of the scores in task tables: fraction (the default), percent, or worst and "
        "best, as 800:1400 for an Elo",
    )
    parser.add_argument(
        "--task-floor",
        type=float,
        metavar="FLOOR",
        help="score by chance in task tables, on their scale (default: the worst)",
    )
    parser.add_argument("--seed", type=number(0), default=0, help="random seed (default: 0)")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Options of commands that ask a fit: a saved one, a point, or a new one; and the level."""
    parser.add_argument(
        "--level", type=level, default=0.9, help="probability inside the intervals (default: 0.9)"
    )
    parser.add_argument(
        "--fit",
        metavar="FIT",
        help="file that `sloth-jax fit` wrote, instead of a table: seconds, not minutes",
    )
    parser.add_argument("--point", action="store_true", help="point fit: seconds, but no intervals")
    add_fit_options(parser)


def kept_fit(options: argparse.Namespace) -> Posterior | None:
    """The saved fit that the user names, None where there is none."""
    from sloth_jax.errors import InputError
    from sloth_jax.storage import load_posterior

    if not options.fit:
        return None
    new = ("data", "add", "floors", "skills", "draws", "warmup", "size", "point")
    for name in (*new, "task", "task_scale", "task_floor"):
        if getattr(options, name) not in (None, False):
            raise InputError(
                f"--{name.replace('_', '-')} belongs to a new fit; leave it out with --fit"
            )
    return load_posterior(options.fit)


def table_of(options: argparse.Namespace, kept: Posterior | None) -> Leaderboard:
    """The table to learn from, checked, with notes about it told."""
    from sloth_jax.identifiability import check_skills
    from sloth_jax.leaderboard import add_models, load_leaderboard
    from sloth_jax.tasks import with_tasks

    if kept:
        table = kept.table
    else:
        # A floor may be of a benchmark that only the last table brings.
        mine = list(options.add or ())
        table = load_leaderboard(options.data, floors=None if mine else options.floors)
        for path in mine:
            table = add_models(table, path, floors=options.floors if path == mine[-1] else None)
    if options.task and not kept:
        table = with_tasks(table, *(_task(options, name) for name in options.task))
    check_skills(skills_wanted(options, table), table)
    for warning in table.warnings:
        tell(f"note: {warning}")
    return table


def _task(options: argparse.Namespace, name: str) -> Task:
    """A task of the user's: bundled, or a file."""
    from sloth_jax.tasks import SCALES, bundled_tasks, load_task, read_task

    if name in bundled_tasks() or not Path(name).suffix:
        return load_task(name)
    of_task = options.task_scale or "fraction"
    worst = SCALES.get(of_task, (0.0, 1.0))[0] if isinstance(of_task, str) else of_task[0]
    floor = worst if options.task_floor is None else options.task_floor
    return read_task(name, scale=of_task, floor=floor)


def make_fit(
    options: argparse.Namespace, kept: Posterior | None, table: Leaderboard, key: Array
) -> PointFit | Posterior:
    """The saved fit, or a new one of the table, with warnings about it told."""
    from sloth_jax.point import fit_point

    if kept is not None:
        fit = kept
    elif options.point:
        tell(f"Fitting a point to {len(table.models)} models ...")
        if table.sampling_error().any() or len(table.sources) > 1:
            tell("note: a point fit uses no standard errors, items and sources of scores")
        with busy("fitting a point"):
            fit = fit_point(
                table,
                key=key,
                skills=skills_wanted(options, table),
                covariates=_covariates(options),
            )
    else:
        fit = sample_table(options, table, key)
    warn(fit)
    return fit


def _covariates(options: argparse.Namespace) -> str:
    return SIZES[options.size or "total"]


def sample_table(
    options: argparse.Namespace, table: Leaderboard, key: Array, checkpoint: Path | None = None
) -> Posterior:
    """Sample the posterior with the user's options, and say what is wrong with it."""
    from sloth_jax.posterior import sample_posterior
    from sloth_jax.sampler import SamplerSettings

    per_chain = -(-(options.draws or DRAWS) // CHAINS)
    warmup = options.warmup or WARMUP
    tell(
        f"Sampling {CHAINS} chains of {warmup} + {per_chain} draws from {len(table.models)} "
        f"models on {len(table.benchmarks)} benchmarks; this takes minutes ..."
    )
    settings = SamplerSettings(
        skills=skills_wanted(options, table), warmup=warmup, draws=per_chain, chains=CHAINS
    )
    return sample_posterior(
        table,
        key=key,
        settings=settings,
        covariates=_covariates(options),
        progress=True,
        checkpoint=checkpoint,
    )


def skills_wanted(options: argparse.Namespace, table: Leaderboard) -> int:
    """Number of skills that the user asks for, or the default for the table."""
    usual = POINT_SKILLS if getattr(options, "point", False) else SKILLS
    return options.skills or min(usual, len(table.benchmarks))


def warn(fit: PointFit | Posterior) -> None:
    """What the user should know about a fit."""
    from sloth_jax.posterior import Posterior

    if isinstance(fit, Posterior):
        for problem in fit.diagnostics.problems():
            tell(f"warning: the chains do not meet the standard for trust: {problem}")
    elif not fit.converged:
        tell("warning: the point fit had not settled; treat its numbers as rough")
    for warning in fit.report.warnings():
        tell(f"note: skills may not be interpreted: {warning} (sloth-jax check)")


def prepare() -> None:
    """Before JAX is imported and looks at the machine."""
    # A log file gets a line now and then, not ten a second; tqdm looks when it is imported.
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    from sloth_jax.devices import use_cores

    use_cores(CHAINS)  # over which chains are spread


def tell_of_new_families(families: Sequence[str], table: Leaderboard) -> None:
    """Say which families no training model belongs to, and what was perhaps meant."""
    from sloth_jax.forecasting import count_family_models
    from sloth_jax.tables import did_you_mean, spelling

    for family in sorted(set(families)):
        if count_family_models(table, (family,))[0]:
            continue
        others = [name for name in table.families if name != family]
        # "llama-3" is nearer to "meta-llama-3" than to "llama".
        longer = sorted((n for n in others if spelling(family) in spelling(n)), key=len)
        tell(
            f"note: no training model of {family}: predicted from the population of families, "
            f"marked by family_models = 0{did_you_mean(family, longer[:1] or others)}"
        )


def tell_of_extrapolation(asked: Sequence[str], outside: Sequence[str]) -> None:
    """Say which answers lie outside the sizes and tokens of the training table."""
    marked = [(name, words) for name, words in zip(asked, outside, strict=True) if words]
    for name, words in marked[:_SHOWN]:
        tell(f"note: {name} lies outside the training table: {words}")
    if len(marked) > _SHOWN:
        tell(f"note: so do {len(marked) - _SHOWN} more; see outside in the output")
