"""Modes of the hierarchical posterior: where chains start, and a prediction in seconds.

The effects of families are integrated out (:mod:`sloth_jax.marginal`), so the mode of what is left
is a sensible estimate, as type-II maximum a posteriori or empirical Bayes: a mode over the effects
too would put all learnt scales at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
from jax import Array
from numpyro.infer.util import constrain_fn, potential_energy

from sloth_jax.law import Params
from sloth_jax.links import PIECES, SLACK
from sloth_jax.observations import Observations
from sloth_jax.optimise import minimise
from sloth_jax.prior import Gauge, Scales, State, expected_family_effects, hierarchical_law


@dataclass(frozen=True)
class ModeSettings:
    """What is maximised and how.

    Attributes:
        skills: number of skills.
        lineages: number of lineages in the table.
        scales: scales of the prior.
        starts: how many random starts.
        steps: optimiser steps of each.
    """

    skills: int
    lineages: int
    scales: Scales = Scales()
    starts: int = 2
    steps: int = 400


class Mode(NamedTuple):
    """The best mode that was found.

    Attributes:
        sites: every site of :func:`sloth_jax.prior.hierarchical_law`, by name, as a real number
            without constraints (a scale by its logarithm).
        value: minus the log density of those numbers there, scalar; NaN if every start diverged.
    """

    sites: dict[str, Array]
    value: Array


class Density(NamedTuple):
    """The posterior density over real numbers without constraints; pure.

    Attributes:
        observations: arrays of a table.
        settings: what is maximised or sampled.
        gauge: loadings that fix the rotation; None leaves it free.
    """

    observations: Observations
    settings: ModeSettings
    gauge: Gauge | None = None

    def _law(self, observations: Observations) -> State:
        settings = self.settings
        return hierarchical_law(
            observations,
            skills=settings.skills,
            lineages=settings.lineages,
            gauge=self.gauge,
            scales=settings.scales,
        )

    def potential(self, sites: dict[str, Array]) -> Array:
        """Minus the log density of unconstrained sites, scalar."""
        return jnp.asarray(potential_energy(self._law, (self.observations,), {}, sites))

    def state(self, sites: dict[str, Array]) -> State:
        """The law's state at unconstrained sites."""
        values = constrain_fn(self._law, (self.observations,), {}, sites)
        # The seed is for numpyro's bookkeeping: every site has its value.
        replay: Any = numpyro.handlers.substitute(numpyro.handlers.seed(self._law, 0), values)
        return replay(self.observations)


def find_mode(observations: Observations, key: Array, settings: ModeSettings) -> Mode:
    """Maximise the posterior density of the shared parameters: a pure function of arrays.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key of the starts.
        settings: what is maximised and how.

    Returns:
        The best :class:`Mode` of all starts, with loadings whose rotation is left free.
    """
    density = Density(observations, settings)
    scales, skills = settings.scales, settings.skills
    models, benchmarks = observations.scores.shape
    width = observations.covariates.shape[1]

    def start(key: Array) -> dict[str, Array]:
        # Scales at their medians, a plain link, skills that grow with size and help everywhere.
        sites = {
            "slope": jnp.tile(0.5 ** jnp.arange(width)[:, None], (1, skills)) / skills**0.5,
            "loading": 0.2 + 0.3 * jax.random.normal(key, (benchmarks, skills)),
            "bias": jnp.zeros(benchmarks),
            "link_tilt": jnp.zeros((PIECES, benchmarks)),
            "link_slack": jnp.full(benchmarks, jnp.log(SLACK)),
            "lineage_scale": jnp.log(jnp.asarray(scales.lineage)),
            "post_training": jnp.zeros(skills),
            "specific_scale": jnp.full(benchmarks, jnp.log(scales.specific)),
            "growth_scale": jnp.log(jnp.asarray(scales.growth)),
            "specific_growth_scale": jnp.full(benchmarks, jnp.log(scales.specific_growth)),
            "noise": jnp.full(benchmarks, jnp.log(scales.noise)),
        }
        if observations.offset_free.shape[0] > 1:
            sites["offset_scale"] = jnp.log(jnp.asarray(scales.offset))
            sites["offset"] = jnp.zeros_like(observations.offset_free)
        if scales.noise_df is not None:
            sites["score_weight"] = jnp.zeros((models, benchmarks))
        return sites

    # Models follow their families here, and where they do not it counts as noise: a mode over
    # what is peculiar to each would put the spread of them all at zero.
    fixed = {"own": jnp.zeros((models, skills))}
    starts = jax.vmap(start)(jax.random.split(key, settings.starts))
    sites, value, _ = minimise(
        lambda sites: density.potential(sites | fixed), starts, steps=settings.steps
    ).best()
    return Mode(sites | fixed, value)


def mode_params(mode: Mode, observations: Observations, settings: ModeSettings) -> Params:
    """Parameters of the law at a mode, effects of families at their conditional means.

    Args:
        mode: from :func:`find_mode`.
        observations: what it was conditioned on.
        settings: what it was found with.
    """
    params, _ = expected_family_effects(Density(observations, settings).state(mode.sites))
    return params
