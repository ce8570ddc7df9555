"""All methods that cross-validation can run, by name: the published ones, ours and its variants.

Ours is ``fit``, the default of :func:`sloth_jax.fit`, which learns from every observed score. A
variant changes one thing, which stands at the end of its name; :data:`ABLATIONS` lists the variants
that answer one question, the reference first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.chunks import map_in_chunks
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import Diverged, InputError
from sloth_jax.evaluation.baselines import MAX_SKILLS, Baseline
from sloth_jax.evaluation.crossval import Method, map_folds
from sloth_jax.evaluation.principal_components import PrincipalComponents
from sloth_jax.identifiability.check import check_skills
from sloth_jax.identifiability.finite import furthest_in_words
from sloth_jax.inference.approximations import laplace_normal
from sloth_jax.inference.diagnostics import agreement, smooth_ratios
from sloth_jax.inference.draws import Draws, TargetOf, fit_observations, resample, unweighted
from sloth_jax.inference.fit import DIVERGED
from sloth_jax.inference.nuts import begin_chains, transitions
from sloth_jax.inference.observe import observe
from sloth_jax.inference.settings import INFERENCES, FitSettings, NutsSettings
from sloth_jax.law.observations import Observations, linearised_at
from sloth_jax.law.options import SURFACES
from sloth_jax.law.predictive import predict_table
from sloth_jax.law.surface import fit_surface
from sloth_jax.wording import did_you_mean, quoted

# The default with fewer draws than a single fit has: errors and coverage are means over hundreds of
# scores, over which Monte Carlo errors average out.
FOLD_SETTINGS = FitSettings(draws=400, nuts=NutsSettings(chains=2, warmup=150, draws=150))
# Hardly any steps and draws: to see that it runs.
SMOKE_SETTINGS = replace(
    FOLD_SETTINGS, draws=10, steps=20, nuts=NutsSettings(2, warmup=5, draws=5, max_tree_depth=2)
)


class FoldDraws(NamedTuple):
    """Predictive draws of every row in every fold, and whether to trust them.

    Attributes:
        draws: scores with noise, fractions, ``(fold, draw, model, benchmark)``, single precision.
        pareto_k: of an approximation's importance ratios, ``(fold,)``; NaN otherwise.
        max_rhat: of NUTS, the largest rank-normalised R-hat of the expected scores of models
            without a training score, ``(fold,)``; NaN otherwise, as the next.
        min_ess: the smallest bulk effective sample size of the same, ``(fold,)``.
        divergences: divergent transitions, ``(fold,)``.
    """

    draws: np.ndarray
    pareto_k: np.ndarray
    max_rhat: np.ndarray
    min_ess: np.ndarray
    divergences: np.ndarray


@dataclass(frozen=True)
class FitMethod:
    """The law, fitted to every fold; a :class:`sloth_jax.evaluation.crossval.Method` by medians.

    Attributes:
        settings: what is fitted and how; of a mode, ``draws`` counts those of effects and noise.
        complete: whether it learns from complete rows only.
    """

    settings: FitSettings = FOLD_SETTINGS
    complete: bool = False

    @property
    def skills(self) -> int:
        """Number of skills."""
        return self.settings.skills

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row by the median of its predictive draws."""
        return np.median(self.sample(table, train, key).draws, axis=1)

    def sample(self, table: Leaderboard, train: np.ndarray, key: Array) -> FoldDraws:
        """Fit every fold and draw all its scores.

        Args:
            table: models and scores.
            train: scores that may be used, ``(fold, model, benchmark)``, bool.
            key: random key, the same for all folds: a fold has the same draws alone as among
                others.

        Raises:
            InputError: if the skills do not fit the table, or a fold's mode was not found.
        """
        check_skills(self.skills, table)
        masked = [np.where(mask, table.scores, np.nan) for mask in train]
        folds = [self._observe(replace(table, scores=scores), table.observed) for scores in masked]
        stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *folds)
        # One fold at a time: eigenvectors of several together may wait for one another for ever
        # where two CPU devices share a pool of threads.
        found: _Fold = map_folds(_FitFold(self.settings), stacked, key, block=1)
        failed = np.flatnonzero(~np.isfinite(found.draws).all(axis=(1, 2, 3)))
        if failed.size:
            raise Diverged(f"fold {failed[0]}: {DIVERGED} ({furthest_in_words(table)})")
        return _judge(found, train, self.settings)

    def _observe(self, table: Leaderboard, possible: np.ndarray) -> Observations:
        # As in a fit to this table: what may not be used leaves no trace in the range of the axes.
        seen = np.asarray(table.observed.any(axis=1))
        kind, size = self.settings.kind, self.settings.size
        return observe(table, fit_surface(table, kind=kind, size=size, seen=seen), possible)


class _Fold(NamedTuple):
    """What one fold gives; the last three of NUTS only, with axes ``(chain, draw)``."""

    draws: Array  # (draw, model, benchmark)
    log_ratio: Array  # (draw,)
    expected: Array | None = None  # (chain, draw, model, benchmark)
    diverging: Array | None = None


@dataclass(frozen=True)
class _FitFold:
    """The fit of one fold, for :func:`map_folds`."""

    settings: FitSettings

    def __call__(self, observations: Observations, key: Array) -> _Fold:
        fit_key, draw_key = jax.random.split(key)
        settings = self.settings
        diverging = expected = None
        if settings.inference == "nuts":
            draws, diverging = sample_observations(observations, fit_key, settings)
        else:
            draws = fit_observations(observations, fit_key, settings, settings.draws)
        observations = linearised_at(observations, draws.mode.covariates)
        laws = draws.law
        if settings.inference == "mode":
            count = settings.draws
            laws = jax.tree.map(lambda a: jnp.broadcast_to(a, (count, *a.shape[1:])), laws)
        keys = jax.random.split(draw_key, laws.noise.shape[0])
        # A masked score is judged against what its own source measured.
        predict = partial(predict_table, observations, own_source=True)
        drawn = map_in_chunks(lambda one: predict(*one), (laws, keys))
        if diverging is not None:
            means = map_in_chunks(predict, laws)
            expected = means.reshape(*diverging.shape, *means.shape[1:])
        return _Fold(drawn.astype(jnp.float32), draws.log_ratio, expected, diverging)


def sample_observations(
    observations: Observations, key: Array, settings: FitSettings
) -> tuple[Draws, Array]:
    """Draws by NUTS, chain after chain, and whether transitions diverged, ``(chain, draw)``."""
    mode_key, chain_key = jax.random.split(key)
    mode = fit_observations(observations, mode_key, replace(settings, inference="mode")).mode
    observations = linearised_at(observations, mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    normal, nuts = laplace_normal(target, mode.position), settings.nuts
    state = begin_chains(target, normal, chain_key, nuts)
    _, trace = transitions(target, normal, state, nuts, nuts.warmup + nuts.draws)
    position = trace.position[:, nuts.warmup :].reshape(-1, trace.position.shape[-1])
    return unweighted(observations, position, mode, settings), trace.diverging[:, nuts.warmup :]


def _judge(found: _Fold, train: np.ndarray, settings: FitSettings) -> FoldDraws:
    """Weigh an approximation's draws, or compare chains."""
    count = len(train)
    draws = np.array(found.draws)
    pareto_k, rhat, ess = np.full((3, count), np.nan)
    divergences = np.zeros(count, int)
    for fold, mask in enumerate(train):
        if found.expected is not None and found.diverging is not None:
            hidden = ~mask.any(axis=1)
            entries = found.expected[fold][:, :, hidden if hidden.any() else ~hidden]
            rhat[fold], ess[fold] = agreement(np.asarray(entries).reshape(*entries.shape[:2], -1))
            divergences[fold] = np.sum(found.diverging[fold])
        elif settings.inference != "mode":
            weights, pareto_k[fold] = smooth_ratios(np.asarray(found.log_ratio[fold]))
            if pareto_k[fold] < 0.7:
                draws[fold] = draws[fold][resample(weights)]
    return FoldDraws(draws, pareto_k, rhat, ess, divergences)


def published_methods(n_train: int) -> dict[str, Method]:
    """The 28 published methods by name, in the published order.

    Args:
        n_train: training models per tested family; with two or more, methods on FLOPs have slopes
            per family.
    """
    slopes = n_train >= 2
    links = {"sigmoid": "logistic", "trainlink": "network"}
    methods: dict[str, Method] = {}
    for short, columns in (("logF", "flops"), ("logSlogT", "size_tokens")):
        for suffix, own in (("", False), ("_faminter", True)):
            for name, link in links.items():
                methods[f"{short}_{name}{suffix}"] = Baseline(
                    columns, None, link, own, slopes and columns == "flops"
                )
    dimensions = range(1, MAX_SKILLS + 1)
    for d in dimensions:
        methods[f"pca_d={d}"] = PrincipalComponents(d, slopes)
    for suffix, own in (("", False), ("_faminter", True)):
        for name, link in links.items():
            for d in dimensions:
                methods[f"factor_{name}{suffix}_d={d}"] = Baseline("size_tokens", d, link, own)
    return methods


def _variants() -> dict[str, Method]:
    changes: dict[str, dict[str, Any]] = {name: {"inference": name} for name in INFERENCES}
    changes |= {f"d={d}": {"skills": d} for d in range(1, 6)}
    changes |= {kind: {"surface": kind} for kind in SURFACES}
    variants = {name: replace(FOLD_SETTINGS, **change) for name, change in changes.items()}
    methods: dict[str, Method] = {"fit": FitMethod()}
    methods |= {
        f"fit_{name}": FitMethod(settings)
        for name, settings in variants.items()
        if settings != FOLD_SETTINGS
    }
    return methods | {"fit_complete": FitMethod(complete=True)}


OURS = ("fit", "fit_mode")
"""Those that stand beside the published ones: the default, and the mode around which it draws."""

ABLATIONS: dict[str, tuple[str, ...]] = {
    "inference": ("fit", "fit_mode", "fit_svi", "fit_nuts"),
    "skills": ("fit", *(name for name in _variants() if name.startswith("fit_d="))),
    "surface": ("fit", "fit_translog", "fit_additive", "fit_flops", "fit_averaged"),
    "rows": ("fit", "fit_complete"),
}
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
    published = tuple(published_methods(n_train))
    sets = {"all": tuple(methods), "published": published, "ours": OURS, **ABLATIONS}
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
