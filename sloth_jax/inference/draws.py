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
from sloth_jax.inference.approximations import by_curvature, laplace, polished, svi
from sloth_jax.inference.mode import Mode, find_mode
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.stacking import leave_one_lineage_out, mixture_rows, stack
from sloth_jax.law.hierarchical import SharedLaw, zero_raw_params
from sloth_jax.law.observations import Observations, linear_at
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
        log_ratio: log of the posterior density over it, up to another, of the first draws only,
            ``(judged,)``; 0 of chains and of a mode.
        law: of each draw, every array with a leading axis ``(draw,)``.
        mode: around which they were drawn.
        weights: of each surface of :data:`sloth_jax.law.options.AVERAGED`, ``(surface,)``; a single
            1 where surfaces were not averaged.
    """

    position: Float[Array, "*fold draw parameter"]
    log_density: Float[Array, "*fold draw"]
    log_ratio: Float[Array, "*fold judged"]
    law: SharedLaw
    mode: Mode
    weights: Float[Array, "*fold surface"]


@dataclass(frozen=True)
class TargetOf:
    """Makes the density of arrays; equal for equal settings, so that programs are used again."""

    skills: int
    prior: Prior

    def __call__(self, facts: tuple[Observations, Pivots]) -> Target:
        """The density of observations, the rotation fixed by pivots."""
        return target_of(facts[0], self.prior, facts[1], self.skills)


JUDGED = 250
"""Draws of an approximation that tell Pareto's k: comparing one with the density costs as much as a
step of the search for the mode."""
FEW_JUDGED = 64
"""The same for a large table, where a step takes long and k is never small."""


def fit_observations(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    judged: int = JUDGED,
    near: Mode | None = None,
) -> Draws:
    """Fit the law to arrays by any inference but NUTS: a pure function, to be mapped over folds.

    Args:
        observations: from :func:`sloth_jax.inference.observe.observe`, perhaps with a mask.
        key: random key.
        settings: what is fitted and how.
        judged: draws of an approximation that are compared with the density, at most; all are
            where surfaces are averaged.
        near: the mode of a part of the table, where the search begins.
    """
    if settings.inference == "mode":
        mode = _mode(observations, key, settings, near)
        return unweighted(observations, mode.position[None], mode, settings)
    if settings.averages:
        return _average_surfaces(observations, key, settings, near)
    return _approximate(observations, key, settings, judged, near)[0]


def _mode(observations: Observations, key: Array, settings: FitSettings, near: Mode | None) -> Mode:
    return find_mode(
        observations,
        key,
        skills=settings.skills,
        prior=settings.prior,
        starts=settings.starts,
        steps=settings.steps,
        near=near,
    )


def _approximate(
    observations: Observations,
    key: Array,
    settings: FitSettings,
    judged: int,
    near: Mode | None,
) -> tuple[Draws, Array]:
    """Draws of an approximation, and log densities of scores, ``(judged, lineage)``."""
    mode_key, draw_key = jax.random.split(key)
    mode = _mode(observations, mode_key, settings, near)
    return draw_around(observations, mode, draw_key, settings, judged, polish=near is not None)


def draw_around(
    observations: Observations,
    mode: Mode,
    key: Array,
    settings: FitSettings,
    judged: int,
    *,
    polish: bool,
) -> tuple[Draws, Array]:
    """Draws of an approximation around a mode, and log densities, ``(judged, lineage)``.

    All but ``polish`` is as in :func:`fit_observations`: whether the mode was found in few steps,
    which end beside it.
    """
    observations = linear_at(observations, mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    normal = by_curvature(target, mode.position)
    if polish:
        normal, value, gradient = polished(target, normal)
        mode = mode._replace(position=normal.mean, value=value, gradient=gradient)
    draw = {"laplace": laplace, "svi": svi}[settings.inference]
    drawn = draw(target, normal, key, settings.draws, min(judged, settings.draws))
    weights = jnp.ones(1, mode.position.dtype)
    facts = drawn.position, drawn.log_density, drawn.log_ratio, drawn.law
    return Draws(*facts, mode, weights), drawn.lineage_density


def _average_surfaces(
    observations: Observations, key: Array, settings: FitSettings, near: Mode | None
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
        draws, density = _approximate(seen, key, settings, settings.draws, near)
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

    draws, density = jax.lax.map(one, uses)
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
        mode: where they were drawn around.
        settings: what is fitted and how.
    """
    observations = linear_at(observations, mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    nothing = jnp.zeros(position.shape[0], position.dtype)
    weights = jnp.ones(1, position.dtype)
    return Draws(position, nothing, nothing, jax.vmap(target.law)(position), mode, weights)


def log_ratios(observations: Observations, draws: Draws, settings: FitSettings) -> Array:
    """Log of the posterior density over the approximation's, up to a constant, ``(draw,)``."""
    observations = linear_at(observations, draws.mode.covariates)
    target = TargetOf(settings.skills, settings.prior)((observations, draws.mode.pivots))
    return -map_in_chunks(target.potential, draws.position) - draws.log_density


def systematic(weights: np.ndarray) -> np.ndarray:
    """Positions of as many draws as there are weights, each as often as its weight says."""
    count = weights.size
    return np.minimum(
        np.searchsorted(np.cumsum(weights), (np.arange(count) + 0.5) / count), count - 1
    )
