"""Fitting the law to a table: one law, several inferences, one kind of result.

:func:`fit` finds the mode of the marginal density and, unless that is all that is wanted, draws
from the posterior around it: by Laplace's approximation (seconds; the default), by stochastic
variational inference, or by NUTS (minutes; the reference).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from sloth_jax.cli.console import busy
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.tables import did_you_mean, quoted
from sloth_jax.errors import Diverged
from sloth_jax.identifiability.report import Report, check_identifiability
from sloth_jax.inference.approximations import by_curvature, laplace, map_in_chunks, svi
from sloth_jax.inference.diagnostics import Diagnostics, judge_chains, smooth_ratios
from sloth_jax.inference.finite import furthest_in_words
from sloth_jax.inference.mode import Mode, Target, find_mode, target_of
from sloth_jax.inference.nuts import NutsSettings, run_chains
from sloth_jax.inference.observations import Observations, observe
from sloth_jax.law.effects import Coefficients, Normals, at_models, condition, draw_normals, no_draw
from sloth_jax.law.forward import Effects, scores
from sloth_jax.law.hierarchical import Gauge, Prior, SharedLaw, effects_problem
from sloth_jax.law.surface import SIZES, SURFACES, Surface, fit_surface

INFERENCES = ("laplace", "nuts", "svi", "mode")
DIVERGED = "every start of the fit diverged: look for extreme sizes or token counts in the table"


@dataclass(frozen=True)
class FitSettings:
    """What is fitted and how.

    Attributes:
        inference: one of :data:`INFERENCES`.
        skills: number of skills; fewer where a table has fewer benchmarks.
        surface: one of :data:`sloth_jax.law.surface.SURFACES`.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.surface.SIZES`.
        draws: of an approximation.
        starts: of the search for the mode.
        steps: of each.
        nuts: how chains move.
        prior: what is believed before any score is seen.
    """

    inference: str = "laplace"
    skills: int = 3
    surface: str = "smooth"
    size: str = "active"
    draws: int = 1000
    starts: int = 1
    steps: int = 400
    nuts: NutsSettings = NutsSettings()
    prior: Prior = Prior()

    def __post_init__(self) -> None:
        """Check names and numbers.

        Raises:
            ValueError: naming the setting that cannot be.
        """
        known = {"inference": INFERENCES, "surface": SURFACES, "size": SIZES}
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in choices:
                hint = did_you_mean(str(value), choices)
                raise ValueError(f"no {name} {quoted(str(value))}{hint}: {', '.join(choices)}")
        for name in ("skills", "draws", "starts", "steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} {value!r} is not a positive whole number")
        for part in fields(Prior):
            value = getattr(self.prior, part.name)
            if not (isinstance(value, bool) or value > 0.0):
                raise ValueError(f"prior.{part.name} {value} is not a positive number")


class Draws(NamedTuple):
    """Draws of what is learnt: a pure function's result, so that folds can be mapped.

    Attributes:
        position: all :class:`sloth_jax.law.hierarchical.Numbers` as vectors, ``(draw, number)``.
        log_ratio: log of the posterior density over the approximation's, ``(draw,)``; 0 of chains
            and of a mode.
        law: that each draw stands for, every array with a leading axis ``(draw,)``.
        mode: where they were drawn around.
    """

    position: Array
    log_ratio: Array
    law: SharedLaw
    mode: Mode


@dataclass(frozen=True)
class TargetOf:
    """Makes the density of arrays; equal for equal settings, so that programs are used again."""

    skills: int
    prior: Prior

    def __call__(self, facts: tuple[Observations, Gauge]) -> Target:
        """The density of observations under a gauge."""
        return target_of(facts[0], self.prior, facts[1], self.skills)


def fit_observations(observations: Observations, key: Array, settings: FitSettings) -> Draws:
    """Fit the law to arrays by any inference but NUTS: a pure function, to be mapped over folds.

    Args:
        observations: from :func:`sloth_jax.inference.observations.observe`, perhaps with a mask.
        key: random key.
        settings: what is fitted and how.
    """
    mode_key, draw_key = jax.random.split(key)
    mode = find_mode(
        observations,
        mode_key,
        skills=settings.skills,
        prior=settings.prior,
        starts=settings.starts,
        steps=settings.steps,
    )
    if settings.inference == "mode":
        return unweighted(observations, mode.position[None], mode, settings)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.gauge))
    normal = by_curvature(target, mode.position)
    draw = {"laplace": laplace, "svi": svi}[settings.inference]
    drawn = draw(target, normal, draw_key, settings.draws)
    return Draws(*drawn, mode)


def unweighted(
    observations: Observations, position: Array, mode: Mode, settings: FitSettings
) -> Draws:
    """Draws that all count the same, such as those of chains: a pure function.

    Args:
        observations: arrays of the table.
        position: of each draw, ``(draw, number)``.
        mode: where they were drawn around.
        settings: what is fitted and how.
    """
    target = TargetOf(settings.skills, settings.prior)((observations, mode.gauge))
    nothing = jnp.zeros(position.shape[0], position.dtype)
    return Draws(position, nothing, jax.vmap(target.law)(position), mode)


def predict_table(observations: Observations, law: SharedLaw, key: Array | None = None) -> Array:
    """Scores of all models of a table by one draw, those that were not observed among them.

    A score that was observed is predicted as if it were measured again.

    Args:
        observations: arrays of the table, perhaps with a mask.
        law: one draw.
        key: random key of effects and noise; None for expected scores, without noise and with
            effects at their expectation.

    Returns:
        Fractions, ``(model, benchmark)``.
    """
    effects, normals = effects_of_table(observations, law, key)
    if key is None:
        return scores(law.params, observations.design, effects)
    return noisy_scores(
        law, observations.design, effects, normals.again, normals.items, observations.items
    )


def coefficients_of_table(
    observations: Observations, law: SharedLaw, key: Array | None = None
) -> tuple[Coefficients, Normals]:
    """Effects of a table's lineages, families and models by one draw, given its scores.

    Args:
        observations: arrays of the table.
        law: one draw.
        key: random key; None for expectations.

    Returns:
        Levels and walks, and the standard normal numbers that they were drawn with.
    """
    problem, _ = effects_problem(law, observations)
    members, (benchmarks, skills) = observations.members, problem.loading.shape
    if key is None:
        normals = no_draw(members, benchmarks, skills)
    else:
        normals = draw_normals(members, benchmarks, skills, key)
    return condition(problem, observations.bins, members, normals), normals


def effects_of_table(
    observations: Observations, law: SharedLaw, key: Array | None = None
) -> tuple[Effects, Normals]:
    """Effects on all models of a table by one draw; arguments as :func:`coefficients_of_table`."""
    found, normals = coefficients_of_table(observations, law, key)
    skills = law.params.loading.shape[1]
    skill, benchmark = at_models(found, observations.members, skills)
    return Effects(skill, benchmark), normals


def noisy_scores(
    law: SharedLaw, design: Array, effects: Effects, noise: Array, luck: Array, items: Array
) -> Array:
    """Scores as they may be measured.

    Args:
        law: one draw.
        design: ``(model, column)``.
        effects: of the models.
        noise: standard normals inside the link, ``(model, benchmark)``.
        luck: standard normals of which items a benchmark happens to have, of the same shape.
        items: number of items, ``(benchmark,)``; infinite where not known.

    Returns:
        Fractions, ``(model, benchmark)``.
    """
    benchmark = law.noise[None, :] * noise
    if effects.benchmark is not None:
        benchmark += effects.benchmark
    made = scores(law.params, design, Effects(effects.skill, benchmark))
    # sqrt(p (1 - p) / n)
    return jnp.clip(made + jnp.sqrt(made * (1.0 - made) / items[None, :]) * luck, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Fit:
    """The law fitted to a table.

    Attributes:
        law: what all lineages share, every array with a leading axis ``(draw,)``; one draw of a
            mode.
        position: the same as vectors of :class:`sloth_jax.law.hierarchical.Numbers`, ``(draw,
            number)``.
        chains: how many chains the draws are of, one after the other; 1 where there are none.
        table: the table it was fitted to.
        surface: columns and axes of the design.
        gauge: loadings that fix the rotation of the skills.
        settings: what was fitted and how.
        diagnostics: whether to trust it.
        report: whether the table determines the law's skills and slopes; forecasts do without.
        seed: data of the random key.
    """

    law: SharedLaw
    position: Array
    chains: int
    table: Leaderboard
    surface: Surface
    gauge: Gauge
    settings: FitSettings
    diagnostics: Diagnostics
    report: Report
    seed: tuple[int, ...]

    @property
    def observations(self) -> Observations:
        """Arrays of the table."""
        return observe(self.table, self.surface)

    @property
    def pivots(self) -> tuple[int, ...]:
        """Benchmarks whose loadings fix the rotation of the skills."""
        return tuple(int(j) for j in np.argmax(np.asarray(self.gauge.diagonal), axis=0))

    def __repr__(self) -> str:
        """In one line: what, of what, and whether to trust it."""
        return (
            f"Fit({len(self.table.models)} models, {len(self.table.benchmarks)} benchmarks, "
            f"{self.settings.skills} skills, {self.settings.surface} surface; "
            f"{self.diagnostics.summary()})"
        )


def fit(
    table: Leaderboard,
    *,
    key: Array,
    settings: FitSettings | None = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    **changes: Any,
) -> Fit:
    """Fit the law to a table.

    Args:
        table: scores to learn from; missing ones are masked.
        key: random key; the same key gives the same draws on as many devices of the same kind.
        settings: what is fitted and how; None for the defaults.
        progress: whether to show on stderr what is being done; it does not change the draws.
        checkpoint: file in which NUTS keeps what is done every few seconds; a call with the same
            arguments goes on from there, to the same draws. Remove it when the result is safe.
        changes: fields of :class:`FitSettings` that differ from ``settings``, such as
            ``inference="nuts"`` or ``skills=2``.

    Returns:
        A :class:`Fit`; look at ``diagnostics.problems()``.

    Raises:
        InputError: if the skills do not fit the table, no mode could be found, the draws overflow,
            or the checkpoint is of another run.
        ValueError: if there is no such setting or choice.
    """
    began = time.perf_counter()
    settings = replace(settings or FitSettings(), **changes)
    report = check_identifiability(table, skills=settings.skills, surface=settings.surface)
    seen = np.asarray(table.observed.any(axis=1))
    surface = fit_surface(table, kind=settings.surface, size=settings.size, seen=seen)
    observations = observe(table, surface)
    try:
        draws, chains, found = _draw(
            observations, key, settings, progress, None if checkpoint is None else Path(checkpoint)
        )
    except Diverged as error:
        raise Diverged(f"{error} ({furthest_in_words(table)})") from None
    if not bool(jnp.isfinite(draws.position).all() & jnp.isfinite(draws.law.noise).all()):
        raise Diverged(f"{DIVERGED} ({furthest_in_words(table)})")
    return Fit(
        law=draws.law,
        position=draws.position,
        chains=chains,
        table=table,
        surface=surface,
        gauge=draws.mode.gauge,
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
    )


def _draw(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    progress: bool,
    checkpoint: Path | None,
) -> tuple[Draws, int, dict[str, Any]]:
    """Draws, of how many chains, and what they say of themselves."""
    if settings.inference != "nuts":
        with busy(f"fitting the law ({settings.inference})", show=progress):
            draws = jax.block_until_ready(_fit_observations(observations, key, settings))
        _check_mode(draws.mode)
        if settings.inference == "mode":
            return draws, 1, {}
        weights, k = smooth_ratios(np.asarray(draws.log_ratio))
        if k < 0.7:
            # Weighted draws become equal ones by systematic resampling.
            rows = systematic(weights)
            position, law = jax.tree.map(lambda a: a[rows], (draws.position, draws.law))
            draws = draws._replace(position=position, law=law)
        return draws, 1, {"pareto_k": k}
    mode_key, draw_key = jax.random.split(key)
    with busy("finding where chains begin", show=progress):
        start = replace(settings, inference="mode")
        mode = jax.block_until_ready(_fit_observations(observations, mode_key, start)).mode
        _check_mode(mode)
        make = TargetOf(settings.skills, settings.prior)
        normal = jax.block_until_ready(_curvature((observations, mode.gauge), mode.position, make))
    nuts = settings.nuts
    facts = (observations, mode.gauge)
    with tqdm(total=nuts.warmup + nuts.draws, disable=not progress, desc="sampling") as bar:
        trace = run_chains(
            make, facts, normal, draw_key, nuts, on_progress=bar.update, checkpoint=checkpoint
        )
    flat = trace.position.reshape(-1, trace.position.shape[-1])
    draws = _unweighted(observations, flat, mode, settings)
    with busy("comparing chains", show=progress):
        expected = np.asarray(_expected(observations, draws.law))
    found = judge_chains(
        expected.reshape(nuts.chains, nuts.draws, -1),
        energy=np.asarray(trace.energy),
        diverging=np.asarray(trace.diverging),
        steps=np.asarray(trace.steps),
    )
    return draws, nuts.chains, found


def _check_mode(mode: Mode) -> None:
    if not bool(jnp.isfinite(mode.value)):
        raise Diverged(DIVERGED)


def systematic(weights: np.ndarray) -> np.ndarray:
    """Positions of as many draws as there are weights, each as often as its weight says."""
    count = weights.size
    return np.minimum(
        np.searchsorted(np.cumsum(weights), (np.arange(count) + 0.5) / count), count - 1
    )


_fit_observations = jax.jit(fit_observations, static_argnames="settings")
_unweighted = jax.jit(unweighted, static_argnames="settings")


@partial(jax.jit, static_argnames="make")
def _curvature(facts: Any, position: Array, make: TargetOf) -> Any:
    return by_curvature(make(facts), position)


@jax.jit
def _expected(observations: Observations, law: SharedLaw) -> Array:
    """Expected scores of the table by every draw, ``(draw, model, benchmark)``."""
    return map_in_chunks(lambda one: predict_table(observations, one), law)
