"""How far lineages, families and models stand apart, and what that makes of covariances."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array
from jaxtyping import Float


class Spread(NamedTuple):
    """How far lineages, families and models stand apart: standard deviations, positive.

    Attributes:
        lineage: a; level of lineages, ``(unit,)``, where a unit is a skill or a benchmark.
        lineage_walk: b; steps of lineages' walks, per unit of walk variance, ``(unit,)``.
        family: c; level of families within a lineage, ``(unit,)``.
        family_walk: d; steps of families' walks, ``(unit,)``.
        model: s; of models around their family, ``(unit,)``. On single benchmarks it is part of the
            noise: 0, or the noise that checkpoints of one run have in common.
    """

    lineage: Float[Array, "*draw unit"]
    lineage_walk: Float[Array, "*draw unit"]
    family: Float[Array, "*draw unit"]
    family_walk: Float[Array, "*draw unit"]
    model: Float[Array, "*draw unit"]


def covariance(
    spread: Spread,
    same_lineage: Float[Array, "*batch model model"],
    walk: Float[Array, "*batch model model"],
    same_family: Float[Array, "*batch model model"],
    same_model: Float[Array, "*batch model model"],
) -> Float[Array, "*batch unit model model"]:
    """Covariance of effects between models, for each unit.

    Args:
        spread: ``(unit,)`` each.
        same_lineage: 1 for models of one lineage, ``(..., model, model)``.
        walk: covariance of the walk within lineages, of the same shape.
        same_family: 1 for models of one family, of the same shape.
        same_model: 1 for the same model, R for checkpoints of one run, of the same shape.

    Returns:
        ``(..., unit, model, model)``.
    """
    shape = (1,) * (same_lineage.ndim - 2) + (-1, 1, 1)
    a, b, c, d, s = (part.reshape(shape) ** 2 for part in spread)
    one, w, f, m = (part[..., None, :, :] for part in (same_lineage, walk, same_family, same_model))
    return a * one + b * w + f * (c + d * w) + m * s
