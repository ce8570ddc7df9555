"""What is observed, as arrays without labels: what the density of the law is a function of."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from sloth_jax.effects.bins import AnyBins
from sloth_jax.effects.conditioning import Members
from sloth_jax.law.covariates import Covariates, with_walk_at


class StandardShares(NamedTuple):
    """Quantiles of the observed shares above chance, which stand for all of them.

    Attributes:
        share: ``(quantile, benchmark)``.
        weight: how many scores each stands for, of the same shape; 0 where there is no score.
    """

    share: Float[Array, "quantile benchmark"]
    weight: Float[Array, "quantile benchmark"]


LARGE_TABLE = 2000
"""Models from which on quantiles stand for all scores where links are standardised; with twice as
many the search for the mode begins with some of the families."""


class Observations(NamedTuple):
    """Arrays of a table, of the same shapes whichever of its scores are hidden.

    So all folds of a cross-validation are one compiled program.

    Attributes:
        scores: fractions, ``(model, benchmark)``; 0 where not observed.
        observed: whether a score may be used, ``(model, benchmark)``, bool.
        design: columns of the surface, ``(model, column)``.
        members: lineage and family of each model, and its position on their random walks.
        bins: the same lineages packed, as :mod:`sloth_jax.effects` wants them.
        floor: chance floors, ``(benchmark,)``.
        standard_error: sampling error of each score, a fraction, ``(model, benchmark)``; 0 where
            nothing is known of it.
        items: number of items of each benchmark, ``(benchmark,)``; infinite where not known.
        source: index of where each score is from, ``(model, benchmark)``.
        offset_free: 1 where a source may differ from the one that has most of a benchmark's scores,
            to which predictions are true, else 0, ``(source, benchmark)``.
        covariates: sizes and tokens of which some are not known; None where all are. ``design``
            and ``members.basis`` are then at :attr:`Covariates.point`.
        standard: what links are standardised to; None where it is all scores that are observed.
        group: equal numbers where benchmarks are of one group, ``(benchmark,)``; None where each
            stands alone.
    """

    scores: Float[Array, "model benchmark"]
    observed: Bool[Array, "model benchmark"]
    design: Float[Array, "model column"]
    members: Members
    bins: AnyBins
    floor: Float[Array, " benchmark"]
    standard_error: Float[Array, "model benchmark"]
    items: Float[Array, " benchmark"]
    source: Int[Array, "model benchmark"]
    offset_free: Float[Array, "source benchmark"]
    covariates: Covariates | None = None
    standard: StandardShares | None = None
    group: Int[Array, " benchmark"] | None = None


def linearised_at(
    observations: Observations, departure: Float[Array, "covariate model"] | None
) -> Observations:
    """The same with unknown covariates linear around another point.

    Args:
        observations: arrays of a table.
        departure: the point, less the prior means, ``(covariate, model)``; None where all are
            known.
    """
    if observations.covariates is None or departure is None:
        return observations
    covariates, design = observations.covariates.linearised_at(departure)
    observations = observations._replace(design=design, covariates=covariates)
    if covariates.size_unknown is None:
        return observations
    basis = covariates.basis()
    return observations._replace(
        members=observations.members._replace(basis=basis),
        bins=tuple(with_walk_at(some, basis) for some in observations.bins),
    )


def shares(observations: Observations) -> Float[Array, "model benchmark"]:
    """Scores as shares above chance, ``(model, benchmark)``; a half where not observed."""
    floor = observations.floor[None, :]
    share = (observations.scores - floor) / (1.0 - floor)
    return jnp.where(observations.observed, share, 0.5)


def sampling_variance(
    rate: Float[Array, "model benchmark"], observations: Observations
) -> Float[Array, "model benchmark"]:
    """Variance of predictors by the standard errors of their scores, ``(model, benchmark)``.

    Args:
        rate: slope of the link's inverse at each score, ``(model, benchmark)``.
        observations: whose scores these are.
    """
    # (h'(share) se / (1 - c))^2
    sampling = rate * observations.standard_error / (1.0 - observations.floor[None, :])
    return sampling**2


def offset_of(
    offset: Float[Array, "source benchmark"], observations: Observations
) -> Float[Array, "model benchmark"]:
    """Offset of each score's source, ``(model, benchmark)``, of offsets ``(source, benchmark)``."""
    found = jnp.zeros(observations.scores.shape, offset.dtype)
    if offset.shape[0] > 1:  # a single one is the main one
        for source, of_source in enumerate(offset):
            found += jnp.where(observations.source == source, of_source[None, :], 0.0)
    return found
