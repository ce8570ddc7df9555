"""Fitting the law to a table: one law, several inferences, one kind of result.

:func:`fit` finds the mode of the marginal density and, unless that is all that is wanted, draws
from the posterior around it: by Laplace's approximation (seconds; the default), by stochastic
variational inference, or by NUTS (minutes; the reference).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from jax import Array
from jax.sharding import Mesh

from sloth_jax.chunks import map_in_chunks
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import Diverged
from sloth_jax.identifiability.check import check_identifiability
from sloth_jax.identifiability.enough_scores import check_enough_scores
from sloth_jax.identifiability.finite import furthest_in_words
from sloth_jax.identifiability.report import Report
from sloth_jax.inference.approximations import Normal, laplace_normal
from sloth_jax.inference.checkpoint import Checkpoint, describe_run
from sloth_jax.inference.diagnostics import Diagnostics, judge_chains, smooth_ratios
from sloth_jax.inference.draws import (
    RATIO_DRAWS_LARGE_TABLE,
    Draws,
    TargetOf,
    draw_around,
    fit_observations,
    log_ratios,
    resample,
    unweighted,
)
from sloth_jax.inference.memory import check_fit_memory, count_parameters
from sloth_jax.inference.mode import WARM_START_SAVING, Mode
from sloth_jax.inference.nuts import run_chains
from sloth_jax.inference.observe import observe, relinearised, sample_families
from sloth_jax.inference.settings import FitSettings, changed
from sloth_jax.law.curvature import expectation_is_cheaper
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.observations import Observations
from sloth_jax.law.on_mesh import devices_for, on_mesh
from sloth_jax.law.options import AVERAGED
from sloth_jax.law.pivots import Pivots
from sloth_jax.law.predictive import predict_table
from sloth_jax.law.surface import Surface, fit_surface
from sloth_jax.programs import kept
from sloth_jax.progress import Progress, silent
from sloth_jax.showing import Shown
from sloth_jax.wording import counted

LOG = logging.getLogger(__name__)
DIVERGED = "every start of the fit diverged: look for extreme sizes or token counts in the table"


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Shown):
    """The law fitted to a table.

    Attributes:
        law: what all lineages share, every array with a leading axis ``(draw,)``; one draw of a
            mode.
        position: the same as vectors of :class:`sloth_jax.law.hierarchical.RawParams`, ``(draw,
            parameter)``.
        chains: how many chains the draws are of, one after the other; 1 where there are none.
        table: the table it was fitted to.
        surface: columns and axes of the design.
        pivots: loadings that fix the rotation of the skills.
        settings: what was fitted and how.
        diagnostics: whether to trust it.
        report: whether the table determines the law's skills and slopes; forecasts do without.
        seed: data of the random key.
        covariates: expansion point of unknown sizes and tokens, less their prior means,
            ``(covariate, model)``; None where all are known.
    """

    law: SharedLaw
    position: Array
    chains: int
    table: Leaderboard
    surface: Surface
    pivots: Pivots
    settings: FitSettings
    diagnostics: Diagnostics
    report: Report
    seed: tuple[int, ...]
    covariates: Array | None = None

    @cached_property
    def observations(self) -> Observations:
        """Arrays of the table."""
        return relinearised(observe(self.table, self.surface), self.covariates)

    @property
    def pivot_benchmarks(self) -> tuple[int, ...]:
        """Benchmarks whose loadings fix the rotation of the skills."""
        return tuple(int(j) for j in np.argmax(np.asarray(self.pivots.diagonal), axis=0))

    def _line(self) -> str:
        return (
            f"{counted(len(self.table.models), 'model')}, "
            f"{counted(len(self.table.benchmarks), 'benchmark')}, "
            f"{counted(self.settings.skills, 'skill')}, "
            f"{self.settings.surface} surface; {self.diagnostics.summary()}"
        )

    def _rows(self) -> pd.DataFrame:
        notes = {"problem": self.diagnostics.problems(), "undetermined": self.report.warnings()}
        rows = [(kind, text) for kind, texts in notes.items() for text in texts]
        return pd.DataFrame(rows or [("problem", "none")], columns=["kind", "what"])


def fit(
    table: Leaderboard,
    *,
    key: Array,
    settings: FitSettings | None = None,
    progress: Progress = silent,
    checkpoint: str | Path | None = None,
    devices: Sequence[Any] | None = None,
    **changes: Any,
) -> Fit:
    """Fit the law to a table.

    Args:
        table: scores to learn from; missing ones are masked.
        key: random key; the same key gives the same draws on as many devices of the same kind.
        settings: what is fitted and how; None for the defaults.
        progress: what to tell how far the fit is, such as ``sj.show_progress``; it does not change
            the draws.
        checkpoint: file in which NUTS keeps what is done every few seconds; a call with the same
            arguments goes on from there, to the same draws. Remove it when the result is safe.
        devices: over which lineages are spread, such as ``jax.devices()``; None for all of them
            where the table is large enough that it pays (docs/devices.md). Chains of NUTS are
            spread over this process's devices themselves, of whatever table.
        changes: fields of :class:`FitSettings` that differ from ``settings``, such as
            ``inference="nuts"`` or ``skills=2``.

    Returns:
        A :class:`Fit`; look at ``diagnostics.problems()``.

    Raises:
        TableTooSmall: if no benchmark has enough scores; see
            :mod:`sloth_jax.identifiability.enough_scores`.
        InputError: if there is no such setting or choice, the skills do not fit the table, no mode
            could be found, the draws overflow, the checkpoint is of another run, or the memory
            will not do.
    """
    began = time.perf_counter()
    settings = changed(settings, changes)
    check_enough_scores(table, surface=settings.kind)
    seen = np.asarray(table.observed.any(axis=1))
    surface = fit_surface(table, kind=settings.kind, size=settings.size, seen=seen)
    observations = observe(table, surface)
    mesh = devices_for(observations, devices)
    check_fit_memory(observations, settings, mesh)
    report = check_identifiability(table, skills=settings.skills, surface=settings.kind)
    try:
        if settings.inference == "nuts":
            keeper = _keeper(observations, key, settings, checkpoint)
            draws, found = _sample(observations, key, settings, mesh, progress, keeper)
        else:
            warm_start = _mode_of_part(table, surface, key, settings, devices, progress)
            draws, found = _approximate(observations, key, settings, mesh, progress, warm_start)
    except Diverged as error:
        raise Diverged(f"{error} ({furthest_in_words(table)})") from None
    # By NumPy: here every operation of JAX would be a program to compile.
    if not all(np.isfinite(np.asarray(part)).all() for part in (draws.position, draws.law.noise)):
        raise Diverged(f"{DIVERGED} ({furthest_in_words(table)})")
    return Fit(
        law=draws.law,
        position=draws.position,
        chains=settings.nuts.chains if settings.inference == "nuts" else 1,
        table=table,
        surface=surface,
        pivots=draws.mode.pivots,
        settings=settings,
        diagnostics=Diagnostics(
            inference=settings.inference,
            draws=int(draws.position.shape[0]),
            gradient=float(draws.mode.gradient),
            seconds=round(time.perf_counter() - began, 2),
            **found,
        ),
        report=report,
        seed=tuple(int(part) for part in np.asarray(jax.random.key_data(key)).ravel()),
        covariates=draws.mode.covariates,
    )


def _mode_of_part(
    table: Leaderboard,
    surface: Surface,
    key: Array,
    settings: FitSettings,
    devices: Sequence[Any] | None,
    progress: Progress,
) -> Mode | None:
    """The mode of some families of a large table, near that of all; None where it is not large."""
    part = sample_families(table, int(np.asarray(jax.random.key_data(key)).ravel()[-1]))
    if part is None:
        return None
    with progress(f"fitting the law to {counted(len(part.models), 'model')} of the table"):
        observations, alone = observe(part, surface), replace(settings, inference="mode")
        mesh = devices_for(observations, devices)
        mode = _compute(fit_observations, observations, key, alone, mesh).mode
    _check_mode(mode)
    return jax.device_put(jax.device_get(mode._replace(covariates=None)))


def _approximate(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    mesh: Mesh | None,
    progress: Progress,
    warm_start: Mode | None,
) -> tuple[Draws, dict[str, Any]]:
    """Draws of an approximation, or a mode, and what its diagnostics are."""
    with progress(f"fitting the law ({settings.inference})"):
        if warm_start is None:
            draws = _compute(fit_observations, observations, key, settings, mesh)
        elif settings.inference == "mode":  # nothing refines it later
            longer = replace(settings, steps=WARM_START_SAVING * settings.steps)
            draws = _compute(_fit_warm, observations, (warm_start, key), longer, mesh)
        elif settings.averages:
            draws = _compute(_fit_warm, observations, (warm_start, key), settings, mesh)
        else:
            alone = replace(settings, inference="mode")
            mode = _compute(_fit_warm, observations, (warm_start, key), alone, mesh).mode
            draws = _compute(_draw_around, observations, (mode, key), settings, mesh)
    _check_mode(draws.mode)
    if settings.inference == "mode":
        return draws, {}
    weights, k = smooth_ratios(np.asarray(draws.log_ratio))
    if k < 0.7:
        if weights.size < settings.draws:  # k is small: worth the ratios of all draws
            ratios = _compute(log_ratios, observations, draws, settings, mesh)
            weights, k = smooth_ratios(np.asarray(ratios))
        # Weighted draws become equal ones by systematic resampling.
        rows = resample(weights)
        position, law = jax.tree.map(lambda a: a[rows], (draws.position, draws.law))
        draws = draws._replace(position=position, law=law)
    found: dict[str, Any] = {"pareto_k": k}
    if settings.averages:
        stacked = np.asarray(draws.weights, float).round(4).tolist()
        found["weights"] = dict(zip(AVERAGED, stacked, strict=True))
    return draws, found


def _keeper(
    observations: Observations, key: Array, settings: FitSettings, path: str | Path | None
) -> Checkpoint | None:
    """The checkpoint of the chains; that of another run is refused before anything is compiled."""
    if path is None:
        return None
    keeper = Checkpoint(Path(path), describe_run(observations, key, settings))
    done, nuts = keeper.done(), settings.nuts
    if done:
        total = nuts.warmup + nuts.draws
        LOG.info("Going on from transition %d of %d (%s)", min(done, total), total, path)
    return keeper


def _sample(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    mesh: Mesh | None,
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> tuple[Draws, dict[str, Any]]:
    """Draws by NUTS, chain after chain, and whether chains agree."""
    mode_key, draw_key = jax.random.split(key)
    with progress("finding where chains begin"):
        start = replace(settings, inference="mode")
        found = _compute(fit_observations, observations, mode_key, start, mesh).mode
        # A program that was read from a file binds what it returns to one device: chains use all.
        mode = jax.device_put(jax.device_get(found))
        _check_mode(mode)
        observations = relinearised(observations, mode.covariates)
        make = TargetOf(settings.skills, settings.prior)
        found = _compute(_curvature, observations, (mode.pivots, mode.position), settings, mesh)
        normal = jax.device_put(jax.device_get(found))
    nuts, facts = settings.nuts, (observations, mode.pivots)
    with progress("sampling", nuts.warmup + nuts.draws) as advance:
        trace = run_chains(
            make, facts, normal, draw_key, nuts, on_progress=advance, checkpoint=checkpoint
        )
    flat = trace.position.reshape(-1, trace.position.shape[-1])
    draws = _unweighted(observations, flat, mode, settings)
    with progress("comparing chains"):
        expected = np.asarray(_expected(observations, draws.law))
    return draws, judge_chains(
        expected.reshape(nuts.chains, nuts.draws, -1),
        energy=np.asarray(trace.energy),
        diverging=np.asarray(trace.diverging),
        steps=np.asarray(trace.steps),
    )


def _check_mode(mode: Mode) -> None:
    if not np.isfinite(np.asarray(mode.value)):
        raise Diverged(DIVERGED)


def _curvature(
    observations: Observations, at: tuple[Pivots, Array], settings: FitSettings
) -> Normal:
    pivots, position = at
    make = TargetOf(settings.skills, settings.prior)
    return laplace_normal(make((observations, pivots)), position)


def _fit_warm(
    observations: Observations, given: tuple[Mode, Array], settings: FitSettings
) -> Draws:
    """:func:`fit_observations` from the mode of a part of the table."""
    warm_start, key = given
    return fit_observations(observations, key, settings, RATIO_DRAWS_LARGE_TABLE, warm_start)


def _draw_around(
    observations: Observations, given: tuple[Mode, Array], settings: FitSettings
) -> Draws:
    """Draws around the mode of a large table."""
    mode, key = given
    draw_key = jax.random.fold_in(key, 1)  # not that of the search
    return draw_around(
        observations, mode, draw_key, settings, RATIO_DRAWS_LARGE_TABLE, refine=True
    )[0]


_ON_ONE = {
    _draw_around: kept(jax.jit(_draw_around, static_argnames="settings"), (2,)),
    fit_observations: kept(jax.jit(fit_observations, static_argnames="settings"), (2,)),
    _fit_warm: kept(jax.jit(_fit_warm, static_argnames="settings"), (2,)),
    log_ratios: jax.jit(log_ratios, static_argnames="settings"),
    _curvature: jax.jit(_curvature, static_argnames="settings"),
}


def _compute(
    function: Callable[..., Any],
    observations: Observations,
    given: Any,
    settings: FitSettings,
    mesh: Mesh | None,
) -> Any:
    """One of these functions, compiled, on one device or on a mesh."""
    # Several CPU devices hang in the large products of a curvature by expectation.
    curved = settings.inference != "mode" and function is not log_ratios
    parameters = count_parameters(observations, settings)
    if mesh is None or (curved and expectation_is_cheaper(observations, parameters)):
        return jax.block_until_ready(_ON_ONE[function](observations, given, settings))
    return on_mesh(function, observations, given, settings, mesh)


_unweighted = jax.jit(unweighted, static_argnames="settings")


@jax.jit
def _expected(observations: Observations, law: SharedLaw) -> Array:
    """Expected scores of the table by every draw, ``(draw, model, benchmark)``."""
    return map_in_chunks(lambda one: predict_table(observations, one), law)
