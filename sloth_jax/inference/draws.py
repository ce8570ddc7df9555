"""Draws of the law given arrays: pure functions, so that folds can be mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.inference.approximations import by_curvature, laplace, svi
from sloth_jax.inference.mode import Mode, Target, find_mode, target_of
from sloth_jax.inference.settings import FitSettings
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.observations import Observations
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots


class Draws(NamedTuple):
    """Draws of what is learnt: a pure function's result, so that folds can be mapped.

    Attributes:
        position: all :class:`sloth_jax.law.hierarchical.RawParams` as vectors, ``(draw,
        parameter)``. log_ratio: log of the posterior density over the approximation's, ``(draw,)``;
            0 of chains and of a mode.
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

    def __call__(self, facts: tuple[Observations, Pivots]) -> Target:
        """The density of observations under a pivots."""
        return target_of(facts[0], self.prior, facts[1], self.skills)


def fit_observations(observations: Observations, key: Array, settings: FitSettings) -> Draws:
    """Fit the law to arrays by any inference but NUTS: a pure function, to be mapped over folds.

    Args:
        observations: from :func:`sloth_jax.inference.observe.observe`, perhaps with a mask.
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
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
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
        position: of each draw, ``(draw, parameter)``.
        mode: where they were drawn around.
        settings: what is fitted and how.
    """
    target = TargetOf(settings.skills, settings.prior)((observations, mode.pivots))
    nothing = jnp.zeros(position.shape[0], position.dtype)
    return Draws(position, nothing, jax.vmap(target.law)(position), mode)


def systematic(weights: np.ndarray) -> np.ndarray:
    """Positions of as many draws as there are weights, each as often as its weight says."""
    count = weights.size
    return np.minimum(
        np.searchsorted(np.cumsum(weights), (np.arange(count) + 0.5) / count), count - 1
    )
