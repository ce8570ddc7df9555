"""The numbers of a table as arrays without labels: what point fits and samplers work on."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.covariates import Scaling, covariates_of
from sloth_jax.leaderboard import Leaderboard


class Observations(NamedTuple):
    """Arrays of a table; a cross-validation fold differs from another in ``observed`` alone.

    Attributes:
        scores: fractions, ``(model, benchmark)``; 0 where not observed.
        observed: whether a score may be used, ``(model, benchmark)``, bool.
        covariates: ``(model, covariate)``.
        family: index of each model's family, ``(model,)``.
        lineage: index of each family's lineage, ``(family,)``.
        post_trained: 1 for post-trained families, else 0, ``(family,)``.
        floor: chance floors, ``(benchmark,)``.
        family_covariates: mean covariates of a family's observed models, ``(family, covariate)``;
            of all its models where none is observed.
        family_observed: whether any model of a family has a score, ``(family, benchmark)``, bool.
        standard_error: sampling error of each score, a fraction, ``(model, benchmark)``; 0 where
            nothing is known of it.
        items: number of items of each benchmark, ``(benchmark,)``; infinite where not known.
        source: index of where each score is from, ``(model, benchmark)``.
        offset_free: 1 where a source may differ from the one that has most of a benchmark's scores,
            to which predictions are true, else 0, ``(source, benchmark)``.
    """

    scores: Array
    observed: Array
    covariates: Array
    family: Array
    lineage: Array
    post_trained: Array
    floor: Array
    family_covariates: Array
    family_observed: Array
    standard_error: Array
    items: Array
    source: Array
    offset_free: Array


def observe(table: Leaderboard, scaling: Scaling, *, covariates: str = "translog") -> Observations:
    """Arrays of a table on given axes.

    Args:
        table: what was read, with missing scores as NaN.
        scaling: the standardisation of sizes and tokens, usually that of the same table.
        covariates: one of :data:`sloth_jax.covariates.KINDS`.

    Returns:
        :class:`Observations` in JAX's default float type.
    """
    observed = np.isfinite(table.scores)
    blank = Observations(
        scores=jnp.asarray(np.where(observed, table.scores, 0.0)),
        observed=jnp.asarray(observed),
        covariates=covariates_of(scaling, table, kind=covariates),
        family=jnp.asarray(table.family),
        lineage=jnp.asarray(table.lineage_of_family),
        post_trained=jnp.asarray(table.post_trained_of_family, dtype=float),
        floor=jnp.asarray(table.floors),
        family_covariates=jnp.zeros(()),
        family_observed=jnp.zeros(()),
        standard_error=jnp.asarray(np.where(observed, table.sampling_error(), 0.0)),
        items=jnp.asarray(np.nan_to_num(table.items, nan=np.inf)),
        source=jnp.asarray(table.source),
        offset_free=jnp.asarray(_offset_free(table), dtype=float),
    )
    return with_mask(blank, blank.observed)


def nothing_said(models: int, benchmarks: int) -> dict[str, Array]:
    """The last fields where nothing is known of scores but their values."""
    return {
        "standard_error": jnp.zeros((models, benchmarks)),
        "items": jnp.full(benchmarks, jnp.inf),
        "source": jnp.zeros((models, benchmarks), int),
        "offset_free": jnp.zeros((1, benchmarks)),
    }


def _offset_free(table: Leaderboard) -> np.ndarray:
    from_source = table.source[None] == np.arange(len(table.sources))[:, None, None]
    count = (from_source & table.observed[None]).sum(axis=1)
    reference = np.arange(len(table.sources))[:, None] == np.argmax(count, axis=0)
    return (count > 0) & ~reference


def with_mask(observations: Observations, observed: Array) -> Observations:
    """The same arrays with other scores hidden; pure, so folds can be ``vmap``-ed.

    Args:
        observations: arrays of a table.
        observed: which scores may be used, ``(model, benchmark)``, bool.

    Returns:
        Observations whose family means and masks follow ``observed``.
    """
    families = observations.lineage.shape[0]
    x = observations.covariates

    def total(values: Array) -> Array:
        return jax.ops.segment_sum(values, observations.family, families)

    seen = jnp.any(observed, axis=1).astype(x.dtype)[:, None]
    count, size = total(seen), total(jnp.ones_like(seen))
    mean_seen = total(seen * x) / jnp.maximum(count, 1.0)
    mean_all = total(x) / jnp.maximum(size, 1.0)
    return observations._replace(
        observed=observed,
        family_covariates=jnp.where(count > 0, mean_seen, mean_all),
        family_observed=total(observed.astype(x.dtype)) > 0,
    )
