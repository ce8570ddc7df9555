"""Effects of the training table's models and families, draw by draw."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from sloth_jax.chunks import map_in_chunks
from sloth_jax.effects.walk import walk_basis
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import Effects
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.observations import Observations
from sloth_jax.law.predictive import (
    coefficients_of_table,
    effects_of_table,
)
from sloth_jax.products import einsum
from sloth_jax.programs import kept


def table_effects(fit: Fit, *, key: Array | None = None) -> Effects:
    """Effects of the table's models given its scores.

    Args:
        fit: from :func:`sloth_jax.fit`.
        key: random key of the draws; None for expectations given each draw of the law.

    Returns:
        Effects with leading axes ``(draw, model)``.
    """
    return _table_effects(fit.observations, fit.law, key)


@kept
@jax.jit
def _table_effects(observations: Observations, law: SharedLaw, key: Array | None) -> Effects:
    draws = law.noise.shape[0]
    keys = None if key is None else jax.random.split(key, draws)

    def one(inputs: tuple[SharedLaw, Array | None]) -> Effects:
        return effects_of_table(observations, *inputs)[0]

    return map_in_chunks(one, (law, keys), 8)


def family_effects(fit: Fit, params_b: float, *, key: Array | None = None) -> Array:
    """Effects of the table's lineages and families on skills at one size, given its scores.

    Args:
        fit: from :func:`sloth_jax.fit`.
        params_b: the size of a dense model, billions.
        key: as for :func:`table_effects`; of the same key, draws of the same families and models.

    Returns:
        Lineage's and family's together, ``(draw, family, skill)``.
    """
    basis = walk_basis(fit.surface.from_smallest(params_b))
    lineage = jnp.asarray(fit.table.lineage_of_family)
    return _family_effects(fit.observations, fit.law, basis, lineage, key)


@kept
@jax.jit
def _family_effects(
    observations: Observations, law: SharedLaw, basis: Array, lineage: Array, key: Array | None
) -> Array:
    keys = None if key is None else jax.random.split(key, law.noise.shape[0])

    def one(inputs: tuple[SharedLaw, Array | None]) -> Array:
        law, key = inputs
        found, _ = coefficients_of_table(observations, law, key)
        skills = law.params.loading.shape[1]
        walk = (found.lineage[lineage] + found.family)[:, :, :skills]
        return einsum("q,fqk->fk", basis, walk)

    return map_in_chunks(one, (law, keys), 8)
