"""Scores of the models of a table by a draw of the law."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.chunks import map_in_chunks
from sloth_jax.effects.conditioning import (
    Coefficients,
    Normals,
    condition,
    draw_normals,
    effects_at_models,
    zero_normals,
)
from sloth_jax.law.covariates import covariate_effects
from sloth_jax.law.forward import Effects, scores
from sloth_jax.law.hierarchical import (
    SharedLaw,
    effects_problem,
    independent_noise_variance,
)
from sloth_jax.law.observations import Observations, offset_of

_MODE_DRAWS = 1000  # of effects and noise around a mode


def predict_table(
    observations: Observations,
    law: SharedLaw,
    key: Array | None = None,
    *,
    own_source: bool = False,
) -> Float[Array, "model benchmark"]:
    """Scores of all models of a table by one draw, those that were not observed among them.

    A score that was observed is predicted as if it were measured again.

    Args:
        observations: arrays of the table, perhaps with a mask.
        law: one draw.
        key: random key of effects and noise; None for expected scores, without noise and with
            effects at their expectation.
        own_source: whether a score is predicted as its own source measures it, also where it is
            masked; otherwise as the main source does.

    Returns:
        Fractions, ``(model, benchmark)``.
    """
    effects, normals = effects_of_table(observations, law, key)
    if own_source and effects.benchmark is not None:
        offset = offset_of(law.offset, observations)
        effects = effects._replace(benchmark=effects.benchmark + offset)
    if key is None:
        return scores(law.params, observations.design, effects)
    noise = normals.replicate_noise
    if law.run_length is not None:  # the noise of the run is among the effects
        noise = noise * jnp.sqrt(independent_noise_variance(law))[None, :] / law.noise[None, :]
    return noisy_scores(
        law, observations.design, effects, noise, normals.item_noise, observations.items
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
        normals = zero_normals(members, benchmarks, skills)
    else:
        normals = draw_normals(members, benchmarks, skills, key)
    return condition(problem, observations.bins, members, normals), normals


def effects_of_table(
    observations: Observations, law: SharedLaw, key: Array | None = None
) -> tuple[Effects, Normals]:
    """Effects on all models of a table by one draw; arguments as :func:`coefficients_of_table`."""
    found, normals = coefficients_of_table(observations, law, key)
    skills = law.params.loading.shape[1]
    skill, benchmark = effects_at_models(found, observations.members, skills)
    if observations.covariates is not None:
        more = covariate_effects(law.params, observations.covariates, found.covariate)
        assert more.benchmark is not None  # of every hierarchical law
        skill, benchmark = skill + more.skill, benchmark + more.benchmark
    return Effects(skill, benchmark), normals


def noisy_scores(
    law: SharedLaw,
    design: Float[Array, "model column"],
    effects: Effects,
    noise: Float[Array, "model benchmark"],
    item_noise: Float[Array, "model benchmark"],
    items: Float[Array, " benchmark"],
) -> Float[Array, "model benchmark"]:
    """Scores as they may be measured.

    Args:
        law: one draw.
        design: ``(model, column)``.
        effects: of the models.
        noise: standard normals inside the link, ``(model, benchmark)``.
        item_noise: standard normals of which items a benchmark happens to have, of the same shape.
        items: number of items, ``(benchmark,)``; infinite where not known.

    Returns:
        Fractions, ``(model, benchmark)``.
    """
    benchmark = law.noise[None, :] * noise
    if effects.benchmark is not None:
        benchmark += effects.benchmark
    made = scores(law.params, design, Effects(effects.skill, benchmark))
    # sqrt(p (1 - p) / n)
    return jnp.clip(made + jnp.sqrt(made * (1.0 - made) / items[None, :]) * item_noise, 0.0, 1.0)


@jax.jit
def table_scores(
    observations: Observations, law: SharedLaw, key: Array
) -> Float[Array, "draw model benchmark"]:
    """Scores of all models of a table as they may be measured, by every draw.

    Args:
        observations: arrays of the table, perhaps with a mask.
        law: every array with a leading axis ``(draw,)``.
        key: random key of effects and noise.

    Returns:
        Fractions, ``(draw, model, benchmark)``.
    """
    keys = jax.random.split(key, law.noise.shape[0])
    return map_in_chunks(lambda one: predict_table(observations, *one), (law, keys), 8)


def repeated(law: SharedLaw, inference: str) -> SharedLaw:
    """The law of each draw; that of a mode so often as effects and noise are to be drawn.

    Args:
        law: every array with a leading axis ``(draw,)``.
        inference: of the fit.
    """
    if inference != "mode":
        return law
    return _repeated(law)


@jax.jit
def _repeated(law: SharedLaw) -> SharedLaw:
    return jax.tree.map(lambda a: jnp.broadcast_to(a, (_MODE_DRAWS, *a.shape[1:])), law)
