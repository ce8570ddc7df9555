"""Posterior modes of the hierarchical law: where chains start, and a point prediction in seconds.

A joint mode over everything would be useless: where the density of a hierarchical law is highest
its learnt scales are zero. :func:`find_mode` holds them at their prior medians and maximises over
the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
from jax import Array
from numpyro.infer.util import log_density

from sloth_jax.law import Params
from sloth_jax.observations import Observations
from sloth_jax.optimise import minimise
from sloth_jax.point import random_params
from sloth_jax.prior import Scales, State, expected_family_effects, hierarchical_law


@dataclass(frozen=True)
class ModeSettings:
    """What is maximised and how.

    Attributes:
        skills: number of skills.
        lineages: number of lineages in the table.
        scales: scales of the prior; learnt ones are held there.
        starts: how many random starts.
        steps: optimiser steps of each.
    """

    skills: int
    lineages: int
    scales: Scales = Scales()
    starts: int = 4
    steps: int = 1500


class Mode(NamedTuple):
    """The best mode that was found.

    Attributes:
        sites: value of every site of :func:`sloth_jax.prior.hierarchical_law`, by name.
        value: minus the log density there, scalar; NaN if every start diverged.
    """

    sites: dict[str, Array]
    value: Array


def find_mode(observations: Observations, key: Array, settings: ModeSettings) -> Mode:
    """Maximise the posterior density given typical scales: a pure function of arrays.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key of the starts.
        settings: what is maximised and how.

    Returns:
        The best :class:`Mode` of all starts, with loadings whose rotation is left free.
    """
    scales, skills = settings.scales, settings.skills
    benchmarks = observations.scores.shape[1]
    families = observations.lineage.shape[0]
    medians = {
        "lineage_scale": jnp.asarray(scales.lineage),
        "specific_scale": jnp.full(benchmarks, scales.specific),
        "growth_scale": jnp.asarray(scales.growth),
        "specific_growth_scale": jnp.full(benchmarks, scales.growth),
        "noise": jnp.full(benchmarks, scales.noise),
    }
    conditioned = numpyro.handlers.substitute(_joint(settings), medians)

    def objective(sites: dict[str, Array]) -> Array:
        return -jnp.asarray(log_density(conditioned, (observations,), {}, sites)[0])

    def start(key: Array) -> dict[str, Array]:
        params = random_params(key, observations, skills=skills, link="mixture")
        return {
            "slope": params.slope,
            "loading": params.loading,
            "bias": params.bias,
            "link_tilt": params.link.tilt,  # pyright: ignore
            "lineage_unit": jnp.zeros((settings.lineages, skills)),
            "post_training": jnp.zeros(skills),
            "growth_unit": jnp.zeros((families, skills)),
            "specific_growth_unit": jnp.zeros((families, benchmarks)),
            "level": jnp.tile(params.bias, (families, 1)),
        }

    starts = jax.vmap(start)(jax.random.split(key, settings.starts))
    sites, value, _ = minimise(objective, starts, steps=settings.steps).best()
    return Mode(medians | sites, value)


def mode_params(mode: Mode, observations: Observations, settings: ModeSettings) -> Params:
    """Parameters of the law at a mode, family effects at their conditional means.

    Args:
        mode: from :func:`find_mode`.
        observations: what it was conditioned on.
        settings: what it was found with.
    """
    seeded = numpyro.handlers.seed(_joint(settings), 0)
    replay: Any = numpyro.handlers.substitute(seeded, mode.sites)
    state: State = replay(observations)
    return expected_family_effects(state, observations)


def _joint(settings: ModeSettings) -> Any:
    def joint(observations: Observations) -> State:
        return hierarchical_law(
            observations,
            skills=settings.skills,
            lineages=settings.lineages,
            scales=settings.scales,
        )

    return joint
