"""Draws of the law given arrays: pure functions, so that folds can be mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.scipy.special import logsumexp
from jaxtyping import Float

from sloth_jax.chunks import map_in_chunks
from sloth_jax.inference.approximations import laplace, laplace_normal, refine_mode, svi
from sloth_jax.inference.mode import Mode, find_mode
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.stacking import leave_one_lineage_out, mixture_rows, stack
from sloth_jax.law.hierarchical import SharedLaw, zero_raw_params
from sloth_jax.law.observations import Observations, linearised_at
from sloth_jax.law.options import AVERAGED, Prior
from sloth_jax.law.pivots import Pivots
from sloth_jax.law.surface import used_columns
from sloth_jax.law.target import Target, target_of


class Draws(NamedTuple):
    """Draws of the posterior.

    Attributes:
        position: raw parameters, :class:`sloth_jax.law.hierarchical.RawParams` as vectors,
            ``(draw, parameter)``.
        log_density: of the approximation that they are of, up to a constant, ``(draw,)``; 0 of
            chains and of a mode.
        log_ratio: log importance ratio, of the posterior density over it, up to a constant, of the
            first draws only, ``(ratio,)``; 0 of chains and of a mode.
        law: of each draw, every array with a leading axis ``(draw,)``.
        mode: around which they are drawn.
        weights: of each surface of :data:`sloth_jax.law.options.AVERAGED`, ``(surface,)``; a single
            1 where surfaces were not averaged.
    """

    position: Float[Array, "*fold draw parameter"]
    log_density: Float[Array, "*fold draw"]
    log_ratio: Float[Array, "*fold ratio"]
    law: SharedLaw
    mode: Mode
    weights: Float[Array, "*fold surface"]


@dataclass(frozen=True)
class TargetOf:
    """A function that makes the density of arrays.

    Equal and hashed alike for equal settings, so that compiled programs are used again.
    """

    skills: int
    prior: Prior

    def __call__(self, facts: tuple[Observations, Pivots]) -> Target:
        """The density of observations, the rotation fixed by pivots."""
        return target_of(facts[0], self.prior, facts[1], self.skills)


RATIO_DRAWS = 250
"""Draws of an approximation whose importance ratios are computed, for Pareto's k: each costs as
much as a step of the search for the mode."""
RATIO_DRAWS_LARGE_TABLE = 64
"""The same for a large table, where a step takes long and k is never small."""


def fit_observations(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    ratio_draws: int = RATIO_DRAWS,
    warm_start: Mode | None = None,
) -> Draws:
    """Fit the law to arrays by any inference but NUTS: a pure function, to be mapped over folds.

    Args:
        observations: from :func:`sloth_jax.inference.observe.observe`, perhaps with a mask.
        key: random key.
        settings: what is fitted and how.
        ratio_draws: draws of an approximation whose importance ratios are computed, at most; all
            are where surfaces are averaged.
        warm_start: the mode of a part of the table, where the search begins; None for none.
    """
    if settings.inference == "mode":
        mode = _mode(observations, key, settings, warm_start)
        return unweighted(observations, mode.position[None], mode, settings)
    if settings.averages:
        return _average_surfaces(observations, key, settings, warm_start)
    return _approximate(observations, key, settings, ratio_draws, warm_start)[0]


def _mode(
    observations: Observations, key: Array, settings: FitSettings, warm_start: Mode | None
) -> Mode:
    return find_mode(
        observations,
        key,
        skills=settings.skills,
        prior=settings.prior,
        starts=settings.starts,
        steps=settings.steps,
        warm_start=warm_start,
    )


def _approximate(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    ratio_draws: int,
    warm_start: Mode | None,
) -> tuple[Draws, Array]:
    """Draws of an approximation, and log densities of lineages' scores, ``(ratio, lineage)``."""
    mode_key, draw_key = jax.random.split(key)
    mode = _mode(observations, mode_key, settings, warm_start)
    return draw_around(
        observations, mode, draw_key, settings, ratio_draws, refine=warm_start is not None
    )


def draw_around(
    observations: Observations,
    mode: Mode,
    key: Array,
    settings: FitSettings,
    ratio_draws: int,
    *,
    refine: bool,
) -> tuple[Draws, Array]:
    """Draws of an approximation around a mode, and log densities, ``(ratio, lineage)``.

    Args:
        observations: arrays of a table.
        mode: from :func:`find_mode`.
        key: random key.
        settings: what is fitted and how.
        ratio_draws: draws whose importance ratios are computed, at most.
        refine: whether to move the mode first, as a search from a warm start ends beside it.
    """
    observations = linearised_at(observations, mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    normal = laplace_normal(target, mode.position)
    if refine:
        normal, value, gradient = refine_mode(target, normal)
        mode = mode._replace(position=normal.mean, value=value, gradient=gradient)
    draw = {"laplace": laplace, "svi": svi}[settings.inference]
    drawn = draw(target, normal, key, settings.draws, min(ratio_draws, settings.draws))
    weights = jnp.ones(1, mode.position.dtype)
    facts = drawn.position, drawn.log_density, drawn.log_ratio, drawn.law
    return Draws(*facts, mode, weights), drawn.lineage_log_density


def _average_surfaces(
    observations: Observations, key: Array, settings: FitSettings, warm_start: Mode | None
) -> Draws:
    """Draws under each averaged surface, as many of each as its stacking weight says.

    A surface with fewer columns is the largest one with the others held at zero: the draws of all
    are draws of one law, and all are computed by one program.
    """
    skills, benchmarks = settings.skills, observations.scores.shape[1]
    uses = jnp.asarray([used_columns(kind) for kind in AVERAGED], observations.design.dtype)

    def one(used: Array) -> tuple[Draws, Array]:
        seen = observations._replace(design=observations.design * used[None])
        if seen.covariates is not None:
            seen = seen._replace(covariates=seen.covariates._replace(used=used))
        draws, density = _approximate(seen, key, settings, settings.draws, warm_start)
        of_skill = jnp.broadcast_to(used[:, None], (used.size, skills))
        of_benchmark = jnp.broadcast_to(used[:, None], (used.size, benchmarks))
        free = zero_raw_params(observations, skills, settings.prior)
        free = jax.tree.map(jnp.ones_like, free)._replace(
            slope=of_skill, specific_slope=of_benchmark
        )
        params = draws.law.params
        assert params.specific_slope is not None  # of every hierarchical law
        params = params._replace(
            slope=params.slope * of_skill[None],
            specific_slope=params.specific_slope * of_benchmark[None],
        )
        position = draws.position * ravel_pytree(free)[0][None]
        return draws._replace(position=position, law=draws.law._replace(params=params)), density

    draws, density = jax.lax.map(one, uses)  # density: (surface, draw, lineage)
    weights = stack(jax.vmap(leave_one_lineage_out)(density))
    law, draw = mixture_rows(weights, settings.draws)
    # The ratios of each surface average 1, so that reweighting by them leaves the weights.
    centred = draws.log_ratio - logsumexp(draws.log_ratio, axis=1, keepdims=True)
    return Draws(
        position=draws.position[law, draw],
        log_density=draws.log_density[law, draw],
        log_ratio=centred[law, draw],
        law=jax.tree.map(lambda a: a[law, draw], draws.law),
        mode=jax.tree.map(lambda a: a[0], draws.mode),
        weights=weights,
    )


def unweighted(
    observations: Observations,
    position: Float[Array, "draw parameter"],
    mode: Mode,
    settings: FitSettings,
) -> Draws:
    """Draws that all count the same, such as those of chains: a pure function.

    Args:
        observations: arrays of the table.
        position: of each draw, ``(draw, parameter)``.
        mode: around which they are drawn.
        settings: what is fitted and how.
    """
    observations = linearised_at(observations, mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    nothing = jnp.zeros(position.shape[0], position.dtype)
    weights = jnp.ones(1, position.dtype)
    return Draws(position, nothing, nothing, jax.vmap(target.law)(position), mode, weights)


def log_ratios(observations: Observations, draws: Draws, settings: FitSettings) -> Array:
    """Log of the posterior density over the approximation's, up to a constant, ``(draw,)``."""
    observations = linearised_at(observations, draws.mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, draws.mode.pivots))
    return -map_in_chunks(target.potential, draws.position) - draws.log_density


def resample(weights: np.ndarray) -> np.ndarray:
    """Positions of as many draws as there are weights, each as often as its weight says.

    Systematic resampling without its random offset: Douc, Cappe and Moulines 2005.

    Args:
        weights: ``(draw,)``, which add up to 1.
    """
    count = weights.size
    return np.minimum(
        np.searchsorted(np.cumsum(weights), (np.arange(count) + 0.5) / count), count - 1
    )
