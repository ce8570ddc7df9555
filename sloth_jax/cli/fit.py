"""What commands that need a fit share: its options, where it comes from, what to say about it."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from sloth_jax.cli.console import number, show_progress, tell
from sloth_jax.data.joining import add_models
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.errors import InputError
from sloth_jax.forecasting.forecast import count_family_models
from sloth_jax.forecasting.tasks import (
    SCALES,
    Task,
    bundled_tasks,
    load_task,
    read_task,
    with_tasks,
)
from sloth_jax.identifiability.report import check_skills
from sloth_jax.inference.devices import use_cores
from sloth_jax.inference.fit import Fit, fit
from sloth_jax.inference.settings import INFERENCES, FitSettings
from sloth_jax.inference.storage import load_fit
from sloth_jax.law.options import SIZES, SURFACES
from sloth_jax.wording import did_you_mean, spelling

USUAL = FitSettings()
_SHOWN = 3  # notes of a kind, before the rest is counted


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
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--inference",
        choices=INFERENCES,
        help="how the posterior is drawn from: laplace (seconds), nuts (minutes, the reference), "
        "svi, or mode, whose intervals lack what is uncertain about the law itself (default: "
        f"{USUAL.inference})",
    )
    how.add_argument("--point", action="store_true", help="the same as --inference mode")
    parser.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of skills (default: {USUAL.skills}, fewer where there are fewer benchmarks)",
    )
    parser.add_argument(
        "--surface",
        choices=SURFACES,
        help=f"how size and tokens become skill (default: {USUAL.surface})",
    )
    parser.add_argument(
        "--size",
        choices=SIZES,
        help="parameters of a mixture of experts that count: those active for a token, or all "
        f"(default: {USUAL.size})",
    )
    parser.add_argument(
        "--draws",
        type=number(1),
        metavar="N",
        help=f"posterior draws (default: {USUAL.draws}; of nuts, over {USUAL.nuts.chains} chains, "
        f"{USUAL.nuts.chains * USUAL.nuts.draws})",
    )
    parser.add_argument(
        "--warmup",
        type=number(1),
        metavar="N",
        help=f"of nuts, draws per chain spent on adaptation (default: {USUAL.nuts.warmup})",
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
    """Options of commands that ask a fit, a saved one or a new one; and the level."""
    parser.add_argument(
        "--level", type=level, default=0.9, help="probability inside the intervals (default: 0.9)"
    )
    parser.add_argument(
        "--fit",
        metavar="FIT",
        help="file that `sloth-jax fit` wrote, instead of a table",
    )
    add_fit_options(parser)


def kept_fit(options: argparse.Namespace) -> Fit | None:
    """The saved fit that the user names, None where there is none."""
    if not options.fit:
        return None
    how = ("inference", "point", "skills", "surface", "size", "draws", "warmup")
    for name in ("data", "add", "floors", *how, "task", "task_scale", "task_floor"):
        if getattr(options, name) not in (None, False):
            raise InputError(
                f"--{name.replace('_', '-')} belongs to a new fit; leave it out with --fit"
            )
    return load_fit(options.fit)


def table_of(options: argparse.Namespace, kept: Fit | None) -> Leaderboard:
    """The table to learn from, checked, with notes about it told."""
    if kept:
        table = kept.table
    else:
        # A floor may be of a benchmark that only the last table brings.
        mine = list(options.add or ())
        table = load_leaderboard(options.data, floors=None if mine else options.floors)
        for path in mine:
            table = add_models(table, path, floors=options.floors if path == mine[-1] else None)
        if options.task:
            table = with_tasks(table, *(_task(options, name) for name in options.task))
        settings_of(options, table)  # refuses what does not fit before a query is read
    for warning in table.warnings:
        tell(f"note: {warning}")
    return table


def _task(options: argparse.Namespace, name: str) -> Task:
    """A task of the user's: bundled, or a file."""
    if name in bundled_tasks() or not Path(name).suffix:
        return load_task(name)
    of_task = options.task_scale or "fraction"
    worst = SCALES.get(of_task, (0.0, 1.0))[0] if isinstance(of_task, str) else of_task[0]
    floor = worst if options.task_floor is None else options.task_floor
    return read_task(name, scale=of_task, floor=floor)


def skills_wanted(options: argparse.Namespace, table: Leaderboard) -> int:
    """Number of skills that the user asks for, or the default for the table."""
    return options.skills or min(USUAL.skills, len(table.benchmarks))


def settings_of(options: argparse.Namespace, table: Leaderboard) -> FitSettings:
    """What the user wants to be fitted and how.

    Raises:
        InputError: if it does not fit the table, or options contradict each other.
    """
    inference = "mode" if options.point else options.inference or USUAL.inference
    if options.warmup and inference != "nuts":
        raise InputError(f"--warmup belongs to --inference nuts; leave it out with {inference}")
    if options.draws and inference == "mode":
        raise InputError("--draws: a mode has none; leave it out, or choose another --inference")
    skills = skills_wanted(options, table)
    check_skills(skills, table)
    nuts = USUAL.nuts
    per_chain = -(-options.draws // nuts.chains) if options.draws else nuts.draws
    try:
        return replace(
            USUAL,
            inference=inference,
            skills=skills,
            surface=options.surface or USUAL.surface,
            size=options.size or USUAL.size,
            draws=options.draws or USUAL.draws,
            nuts=replace(nuts, warmup=options.warmup or nuts.warmup, draws=per_chain),
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def make_fit(
    options: argparse.Namespace,
    kept: Fit | None,
    table: Leaderboard,
    key: Array,
    checkpoint: Path | None = None,
) -> Fit:
    """The saved fit, or a new one of the table, with what is to be known about it told."""
    found = kept or new_fit(options, table, key, checkpoint)
    tell_of_fit(found)
    return found


def new_fit(
    options: argparse.Namespace, table: Leaderboard, key: Array, checkpoint: Path | None = None
) -> Fit:
    """Fit a table with the user's options."""
    settings = settings_of(options, table)
    nuts = settings.nuts
    chains = f", {nuts.chains} chains of {nuts.warmup} + {nuts.draws} draws; this takes minutes"
    tell(
        f"Fitting {len(table.models)} models on {len(table.benchmarks)} benchmarks "
        f"({settings.inference}{chains if settings.inference == 'nuts' else ''}) ..."
    )
    return fit(table, key=key, settings=settings, progress=show_progress, checkpoint=checkpoint)


def tell_of_fit(fit: Fit) -> None:
    """Say what speaks against a fit, and last what it is."""
    for warning in (*left_to_prior(fit.table, fit.settings.size), *fit.diagnostics.problems()):
        tell(f"warning: {warning}")
    for warning in fit.report.warnings():
        tell(f"note: skills may not be interpreted: {warning} (sloth-jax check)")
    tell(fit.diagnostics.summary())


def about_fit(fit: Fit) -> dict[str, Any]:
    """The same for JSON, which has no NaN: null stands for what an inference does not tell."""
    numbers = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(fit.diagnostics).items()
    }
    problems = (*left_to_prior(fit.table, fit.settings.size), *fit.diagnostics.problems())
    return {"settings": asdict(fit.settings), "diagnostics": numbers, "problems": list(problems)}


def left_to_prior(table: Leaderboard, size: str) -> tuple[str, ...]:
    """What a table says nothing about, so that the prior decides it: a sentence each.

    Args:
        table: models and scores.
        size: what counts as the size of a mixture of experts.
    """
    scored = table.observed.any(axis=1)
    params = table.params_b
    if size == "active":
        params = np.where(np.isnan(table.active_params_b), params, table.active_params_b)
    found = []
    for values, name in ((params, "size"), (table.tokens_t, "tokens")):
        if np.ptp(np.log(values[scored])) < 1e-9:
            found.append(
                f"all models have the same {name}: how scores grow with {name} comes from the prior"
            )
    if np.unique(table.lineage_of_family[table.family[scored]]).size == 1:
        found.append("there is one lineage: how far another departs from it comes from the prior")
    if scored.sum() < len(table.benchmarks):
        found.append(
            f"{scored.sum()} models are fewer than the {len(table.benchmarks)} benchmarks: much "
            "of what benchmarks have in common comes from the prior"
        )
    return tuple(found)


def prepare() -> None:
    """Before JAX looks at the machine: chains side by side, and programs kept between calls."""
    use_cores(USUAL.nuts.chains)
    # Compiling takes longer than running; who has chosen a folder, or none, has chosen.
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(caches) / "sloth_jax" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or a full or read-only one
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def tell_of_new_families(families: Sequence[str], table: Leaderboard) -> None:
    """Say which families no training model belongs to, and what was perhaps meant."""
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
