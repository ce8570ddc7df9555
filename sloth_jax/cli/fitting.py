"""From options to a training table and a fit of it, saved or new."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import pandas as pd
from jax import Array

from sloth_jax.cli.console import show_progress, tell
from sloth_jax.cli.notes import tell_of_fit
from sloth_jax.cli.options import DEFAULTS
from sloth_jax.cli.output import JSON, TABLES, check_outputs
from sloth_jax.compilation_cache import use_compilation_cache
from sloth_jax.data.joining import add_models
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.devices import random_keys, use_cores
from sloth_jax.errors import InputError
from sloth_jax.identifiability.check import check_skills
from sloth_jax.identifiability.enough_scores import check_enough_scores
from sloth_jax.inference.fit import Fit, fit
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.storage import load_fit
from sloth_jax.programs import keep_programs
from sloth_jax.skills.tasks import SCALES, Task, bundled_tasks, load_task, read_task, with_tasks
from sloth_jax.wording import counted


def prepare_jax(options: argparse.Namespace) -> None:
    """Set JAX up before it looks at the machine: a device per chain, a cache of compiled programs.

    ``--no-cache`` switches off JAX's own cache too.
    """
    use_cores(DEFAULTS.nuts.chains)
    if options.no_cache:
        jax.config.update("jax_enable_compilation_cache", False)
    else:
        folder = use_compilation_cache()
        if options.whole_process and folder is not None and os.access(folder, os.W_OK):
            keep_programs(folder)


_OF_A_NEW_FIT = (
    *("data", "edition", "add", "items", "floors", "task", "task_scale", "task_floor"),
    *("inference", "point", "skills", "surface", "size", "draws", "warmup"),
)


def saved_fit(options: argparse.Namespace) -> Fit | None:
    """The fit that ``--fit`` names, None without one.

    Raises:
        InputError: if an option of a new fit is given beside it, or it cannot be read.
    """
    if not options.fit:
        return None
    for name in _OF_A_NEW_FIT:
        if getattr(options, name) not in (None, False):
            raise InputError(
                f"--{name.replace('_', '-')} belongs to a new fit; leave it out with --fit"
            )
    return load_fit(options.fit)


def begin(
    options: argparse.Namespace, endings: Sequence[str] = (*TABLES, *JSON)
) -> tuple[Fit | None, Leaderboard]:
    """What commands that use a fit begin with: the saved fit, None without one, and its table.

    Raises:
        InputError: if one of them cannot be used, or nothing could be written at the end.
    """
    prepare_jax(options)
    check_outputs(options, endings)
    saved = saved_fit(options)
    return saved, training_table(options, saved)


def training_table(
    options: argparse.Namespace,
    saved: Fit | None,
    read: Callable[[argparse.Namespace], Leaderboard] | None = None,
) -> Leaderboard:
    """The table of the saved fit or of the options; tells its warnings, of a saved fit with -v.

    ``read`` reads the tables of the options in another way than :func:`load_leaderboard`.

    Raises:
        InputError: if it cannot be used, or settings of the fit do not suit it.
    """
    table = _with_tasks(options, (read or _read_table)(options)) if saved is None else saved.table
    level = logging.INFO if saved is None else logging.DEBUG  # the fit told them
    for warning in table.warnings:
        tell(f"note: {warning}", level)
    return table


def _read_table(options: argparse.Namespace) -> Leaderboard:
    # A floor may belong to a benchmark that only the last table adds.
    added = list(options.add or ())
    if options.items and not added:
        raise InputError("--items belongs to --add: name a file of answers to its items there")
    floors = None if added else options.floors
    table = load_leaderboard(options.data, floors=floors, edition=options.edition)
    for path in added:
        floors = options.floors if path == added[-1] else None
        rows: str | pd.DataFrame = path
        if options.items:
            from sloth_jax.items.answers import scores_for

            rows = scores_for(table, path, options.items, options.seed, show_progress)
        table = add_models(table, rows, floors=floors, source=path)
    return table


def _with_tasks(options: argparse.Namespace, table: Leaderboard) -> Leaderboard:
    if options.task:
        table = with_tasks(table, *(_read_task(options, name) for name in options.task))
    fit_settings(options, table)  # refuses what does not suit it before a query is read
    return table


def _read_task(options: argparse.Namespace, name: str) -> Task:
    """A task that is bundled, or in a file."""
    if name in bundled_tasks() or not (Path(name).suffix or Path(name).exists()):
        return load_task(name)
    scale = options.task_scale or "fraction"
    worst = SCALES.get(scale, (0.0, 1.0))[0] if isinstance(scale, str) else scale[0]
    floor = worst if options.task_floor is None else options.task_floor
    return read_task(name, scale=scale, floor=floor)


def number_of_skills(options: argparse.Namespace, table: Leaderboard) -> int:
    """Number of skills that ``--skills`` gives, or the default for the table."""
    return options.skills or min(DEFAULTS.skills, len(table.benchmarks))


def fit_settings(options: argparse.Namespace, table: Leaderboard) -> FitSettings:
    """Settings of a new fit.

    Raises:
        InputError: if they do not suit the table, options contradict each other, or the table is
            too small.
    """
    inference = "mode" if options.point else options.inference or DEFAULTS.inference
    if options.warmup and inference != "nuts":
        raise InputError(f"--warmup belongs to --inference nuts; leave it out with {inference}")
    if options.draws and inference == "mode":
        raise InputError("--draws: a mode has none; leave it out, or choose another --inference")
    skills = number_of_skills(options, table)
    check_skills(skills, table)
    nuts = DEFAULTS.nuts
    per_chain = -(-options.draws // nuts.chains) if options.draws else nuts.draws
    settings = replace(
        DEFAULTS,
        inference=inference,
        skills=skills,
        surface=options.surface or DEFAULTS.surface,
        size=options.size or DEFAULTS.size,
        draws=options.draws or DEFAULTS.draws,
        nuts=replace(nuts, warmup=options.warmup or nuts.warmup, draws=per_chain),
    )
    check_enough_scores(table, surface=settings.kind)
    return settings


def fit_table(
    options: argparse.Namespace, table: Leaderboard, key: Array, checkpoint: Path | None = None
) -> Fit:
    """Fit a table with the settings of the options."""
    settings = fit_settings(options, table)
    nuts = settings.nuts
    chains = f", {nuts.chains} chains of {nuts.warmup} + {nuts.draws} draws; this takes minutes"
    tell(
        f"Fitting {counted(len(table.models), 'model')} on "
        f"{counted(len(table.benchmarks), 'benchmark')} "
        f"({settings.inference}{chains if settings.inference == 'nuts' else ''}) ..."
    )
    return fit(table, key=key, settings=settings, progress=show_progress, checkpoint=checkpoint)


def saved_or_new(
    options: argparse.Namespace, saved: Fit | None, table: Leaderboard
) -> tuple[Fit, Array]:
    """The saved fit, or a new one of the table, and a key for what follows; tells its summary.

    Both keys are the same in every command: so are fits, and predictions of the same models.
    """
    fit_key, key = random_keys(options.seed, 2)
    found = saved or fit_table(options, table, fit_key)
    tell_of_fit(found, saved=options.fit)
    return found, key
