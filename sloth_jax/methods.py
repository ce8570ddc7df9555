"""All methods that cross-validation can run, by name: the published ones, ours and their variants.

Ours are three:

* ``point``: mean Huber loss, families as free intercepts (:mod:`sloth_jax.point`);
* ``map``: the mode of the hierarchical posterior (:mod:`sloth_jax.mode`);
* ``posterior``: the median of draws from it (:mod:`sloth_jax.posterior`).

All learn from every observed score. A variant changes one thing, which stands at the end of its
name; :data:`ABLATIONS` lists the variants that answer one question, the reference first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.baselines import published_methods
from sloth_jax.covariates import fit_scaling
from sloth_jax.crossval import BLOCK, Method, map_folds
from sloth_jax.diagnostics import agreement
from sloth_jax.errors import Diverged, InputError
from sloth_jax.finite import furthest_in_words
from sloth_jax.forecasting import draw_noise, noisy_scores
from sloth_jax.identifiability import check_skills
from sloth_jax.law import Params, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.mode import ModeSettings, find_mode, mode_params
from sloth_jax.observations import Observations, observe, with_mask
from sloth_jax.point import DIVERGED, PointSettings, fit_observations
from sloth_jax.prior import Population, Scales
from sloth_jax.sampler import INFERENCES, SamplerSettings, flat_draws, sample_observations
from sloth_jax.tables import did_you_mean, quoted

# Small enough that families have the shared slopes.
_NO_GROWTH = 1e-6


@dataclass(frozen=True)
class PointMethod:
    """The point fit; call it as a :class:`sloth_jax.crossval.Method`.

    Attributes:
        settings: what is fitted and how.
        covariates: one of :data:`sloth_jax.covariates.KINDS`.
        complete: whether it learns from complete rows only.
        block: folds fitted at a time on each device.
    """

    settings: PointSettings = PointSettings()
    covariates: str = "translog"
    complete: bool = False
    block: int = BLOCK

    @property
    def skills(self) -> int:
        """Number of skills."""
        return self.settings.skills

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row; see :class:`sloth_jax.crossval.Method`."""
        fit = FitPoint(self.settings)
        return _predict(fit, self.skills, self.covariates, self.block, table, train, key)


@dataclass(frozen=True)
class FitPoint:
    """The point fit of one fold, for :func:`sloth_jax.crossval.map_folds`."""

    settings: PointSettings

    def __call__(self, train: Array, shared: tuple[Observations, Array]) -> tuple[Array, Array]:
        """Scores of all rows, ``(model, benchmark)``, and the loss.

        Args:
            train: scores that may be used, ``(model, benchmark)``, bool.
            shared: arrays of the table, and the random key.
        """
        observations, key = shared
        fitted = fit_observations(with_mask(observations, train), key, self.settings)
        predicted = scores(fitted.params, observations.covariates, observations.family)
        return predicted, fitted.loss


@dataclass(frozen=True)
class ModeMethod:
    """The mode of the posterior; call it as a :class:`sloth_jax.crossval.Method`.

    Attributes:
        skills: number of skills.
        scales: scales of the prior.
        complete: whether it learns from complete rows only.
        starts: how many random starts.
        steps: optimiser steps of each.
        block: folds fitted at a time on each device.
    """

    skills: int = SamplerSettings().skills
    scales: Scales = Scales()
    complete: bool = False
    starts: int = 2
    steps: int = 400
    block: int = BLOCK

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row; see :class:`sloth_jax.crossval.Method`."""
        lineages = len(table.lineages)
        settings = ModeSettings(self.skills, lineages, self.scales, self.starts, self.steps)
        fit = FitMode(settings)
        return _predict(fit, self.skills, "translog", self.block, table, train, key)


@dataclass(frozen=True)
class FitMode:
    """The mode of one fold, for :func:`sloth_jax.crossval.map_folds`."""

    settings: ModeSettings

    def __call__(self, train: Array, shared: tuple[Observations, Array]) -> tuple[Array, Array]:
        """Scores of all rows and minus the log density; arguments as for :class:`FitPoint`."""
        observations, key = shared
        masked = with_mask(observations, train)
        mode = find_mode(masked, key, self.settings)
        params = mode_params(mode, masked, self.settings)
        return scores(params, observations.covariates, observations.family), mode.value


# The default configuration with fewer chains and draws than a single posterior has: errors and
# coverage are means over hundreds of scores, over which Monte Carlo errors average out.
FOLD_SETTINGS = SamplerSettings(chains=2, warmup=300, draws=200)


class FoldDraws(NamedTuple):
    """Predictive draws of every row in every fold, and whether the chains agree.

    Attributes:
        draws: scores with noise, fractions, ``(fold, draw, model, benchmark)``, single precision.
        max_rhat: largest rank-normalised R-hat of the expected scores of test models, ``(fold,)``.
        min_ess: smallest bulk effective sample size of the same, ``(fold,)``.
        divergences: divergent transitions, ``(fold,)``.
    """

    draws: np.ndarray
    max_rhat: np.ndarray
    min_ess: np.ndarray
    divergences: np.ndarray


@dataclass(frozen=True)
class PosteriorMethod:
    """The sampled posterior; call it as a :class:`sloth_jax.crossval.Method` for its medians.

    Attributes:
        settings: how it is sampled.
        complete: whether it learns from complete rows only.
        block: folds sampled at a time on each device; chains of a fold go together already.
    """

    settings: SamplerSettings = FOLD_SETTINGS
    complete: bool = False
    block: int = 1

    @property
    def skills(self) -> int:
        """Number of skills."""
        return self.settings.skills

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Sample every fold and predict every row by the median of its predictive draws."""
        return np.median(self.sample(table, train, key).draws, axis=1)

    def sample(self, table: Leaderboard, train: np.ndarray, key: Array) -> FoldDraws:
        """Sample every fold.

        Args:
            table: models, covariates and scores.
            train: scores that may be used, ``(fold, model, benchmark)``, bool.
            key: random key, the same for all folds: a fold has the same draws alone as among
                others.

        Raises:
            InputError: if the skills do not fit the table, or a fold's mode was not found.
        """
        check_skills(self.skills, table)
        scaling = fit_scaling(table.params_b, table.tokens_t)
        observations = observe(table, scaling)
        masks = jnp.asarray(train & table.observed[None])
        fit = FitPosterior(self.settings, len(table.lineages))
        scores_, expected, diverging = map_folds(fit, masks, (observations, key), block=self.block)
        expected, draws = np.asarray(expected), np.asarray(scores_)
        failed = np.flatnonzero(~np.isfinite(draws).all(axis=(1, 2, 3)))
        if failed.size:
            raise Diverged(f"fold {failed[0]}: {DIVERGED} ({furthest_in_words(table)})")
        rhat, ess = [], []
        for fold, mask in enumerate(train):
            hidden = ~mask.any(axis=1)
            entries = expected[fold][:, :, hidden if hidden.any() else ~hidden]
            found = agreement(entries.reshape(*entries.shape[:2], -1))
            rhat.append(found[0])
            ess.append(found[1])
        return FoldDraws(draws, np.array(rhat), np.array(ess), np.asarray(diverging))


@dataclass(frozen=True)
class FitPosterior:
    """The posterior of one fold, for :func:`sloth_jax.crossval.map_folds`."""

    settings: SamplerSettings
    lineages: int

    def __call__(
        self, train: Array, shared: tuple[Observations, Array]
    ) -> tuple[Array, Array, Array]:
        """Predictive draws ``(draw, model, benchmark)``, expected scores, divergences.

        Expected scores have the axes ``(chain, draw, model, benchmark)``. Arguments as for
        :class:`FitPoint`.
        """
        observations, key = shared
        sample_key, noise_key = jax.random.split(key)
        masked = with_mask(observations, train)
        chains = sample_observations(masked, sample_key, self.settings, self.lineages)
        flat = flat_draws((chains.params, chains.population))
        x, family = observations.covariates, observations.family

        def predict(inputs: tuple[Params, Population, Array]) -> Array:
            params, population, key = inputs
            df = self.settings.scales.noise_df or math.inf
            unit = draw_noise(key, df, observations.scores.shape)
            again = jax.random.normal(jax.random.fold_in(key, 1), unit.shape)
            # 0 where no number of items is known
            sampling = again / jnp.sqrt(observations.items)[None, :]
            noise = population.noise[None, :] * unit
            return noisy_scores(params, x, family, noise, sampling=sampling)

        keys = jax.random.split(noise_key, flat[1].noise.shape[0])
        drawn = jax.lax.map(predict, (*flat, keys), batch_size=10)
        return drawn, chains.expected, jnp.sum(chains.trace.diverging)


def _predict(
    fit: Any,
    skills: int,
    covariates: str,
    block: int,
    table: Leaderboard,
    train: np.ndarray,
    key: Array,
) -> np.ndarray:
    check_skills(skills, table)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, covariates=covariates)
    masks = jnp.asarray(train & table.observed[None])
    # One key for all folds: a fold has the same result alone as among others.
    predicted, loss = map_folds(fit, masks, (observations, key), block=block)
    failed = np.flatnonzero(~np.isfinite(np.asarray(loss)))
    if failed.size:
        raise Diverged(f"fold {failed[0]}: {DIVERGED} ({furthest_in_words(table)})")
    return np.asarray(predicted)


_POINT = f"point_d={PointSettings().skills}"
_MODE = f"map_d={ModeMethod().skills}"
_POSTERIOR = f"posterior_d={FOLD_SETTINGS.skills}"


def _variants() -> dict[str, Method]:
    point, mode = PointSettings(), ModeMethod()
    methods: dict[str, Method] = {}
    for d in range(1, 7):
        methods[f"point_d={d}"] = PointMethod(replace(point, skills=d))
    for d in range(1, 7):
        methods[f"map_d={d}"] = replace(mode, skills=d)
    for name, settings in {
        "logistic": replace(point, link="logistic"),
        "network": replace(point, link="network"),
        "slopes": replace(point, family_slopes=True),
        "floors": replace(point, learn_floors=True),
        "l1": replace(point, loss="l1"),
        "l2": replace(point, loss="l2"),
    }.items():
        methods[f"{_POINT}_{name}"] = PointMethod(settings)
    for kind in ("additive", "flops"):
        methods[f"{_POINT}_{kind}"] = PointMethod(point, covariates=kind)
    methods[f"{_POINT}_complete"] = PointMethod(point, complete=True)
    still = replace(mode.scales, growth=_NO_GROWTH, specific_growth=_NO_GROWTH)
    methods[f"{_MODE}_complete"] = replace(mode, complete=True)
    methods[f"{_MODE}_noslopes"] = replace(mode, scales=still)
    for d in range(1, 7):
        methods[f"posterior_d={d}"] = PosteriorMethod(replace(FOLD_SETTINGS, skills=d))
    for name in INFERENCES[1:]:
        methods[f"{_POSTERIOR}_{name}"] = PosteriorMethod(replace(FOLD_SETTINGS, inference=name))
    return methods


POSTERIORS = (_POSTERIOR, *(f"{_POSTERIOR}_{name}" for name in INFERENCES[1:]))
"""The default posterior and its approximations."""

OURS = (_POINT, _MODE, _POSTERIOR)
"""Those that stand beside the published ones: the defaults of :func:`sloth_jax.fit_point` and
:func:`sloth_jax.sample_posterior`, and the mode at which the latter starts.
"""

ABLATIONS: dict[str, tuple[str, ...]] = {
    "links": (_POINT, f"{_POINT}_logistic", f"{_POINT}_network"),
    "dimensions": (
        _POINT, *(f"point_d={d}" for d in range(1, 7) if f"point_d={d}" != _POINT),
        *(f"map_d={d}" for d in range(1, 7)),
    ),
    "interaction": (_POINT, f"{_POINT}_additive"),
    "slopes": (_POINT, f"{_POINT}_slopes", _MODE, f"{_MODE}_noslopes"),
    "floors": (_POINT, f"{_POINT}_floors"),
    "loss": (_POINT, f"{_POINT}_l1", f"{_POINT}_l2"),
    "flops": (_POINT, f"{_POINT}_flops"),
    "inference": (_POSTERIOR, f"{_POSTERIOR}_laplace", f"{_POSTERIOR}_svi", _MODE),
    "rows": (_POINT, f"{_POINT}_complete", _MODE, f"{_MODE}_complete"),
}  # fmt: skip
"""Question -> methods that answer it, the reference first."""


def all_methods(n_train: int) -> dict[str, Method]:
    """Every method by name.

    Args:
        n_train: training models per tested family, on which the published methods depend.
    """
    return published_methods(n_train) | _variants()


def choose_methods(
    wanted: list[str], n_train: int, skills: list[int] | None = None
) -> dict[str, Method]:
    """Methods by name or by the name of a set.

    Args:
        wanted: names of methods, of :data:`ABLATIONS`, ``published``, ``ours`` or ``all``.
        n_train: training models per tested family.
        skills: numbers of skills to keep; methods without a number of skills always stay. None
            keeps all.

    Returns:
        Methods in the order of :func:`all_methods`.

    Raises:
        InputError: if there is no such method, or ``skills`` leaves none.
    """
    methods = all_methods(n_train)
    sets = {
        "all": tuple(methods), "published": tuple(published_methods(n_train)), "ours": OURS,
        **ABLATIONS,
    }  # fmt: skip
    chosen: set[str] = set()
    for name in wanted:
        if name in sets:
            chosen |= set(sets[name])
        elif name in methods:
            chosen.add(name)
        else:
            known = (*sets, *methods)
            raise InputError(
                f"no method {quoted(name)}{did_you_mean(name, known)} "
                f"(sets of methods: {', '.join(sets)})"
            )

    def kept(method: Method) -> bool:
        number = getattr(method, "skills", None) or getattr(method, "components", None)
        return skills is None or number is None or number in skills

    selected = {name: m for name, m in methods.items() if name in chosen and kept(m)}
    if not selected:
        raise InputError("--skills leaves no method: name other numbers of skills or methods")
    return selected
