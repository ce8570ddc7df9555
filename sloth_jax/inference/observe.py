"""A table as arrays without labels: what every inference works on."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.arrays import on_device
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.effects.bins import Checkpoints
from sloth_jax.effects.conditioning import Members, hash_names
from sloth_jax.effects.packing import fill_bins
from sloth_jax.effects.runs import with_checkpoints
from sloth_jax.effects.walk import walk_basis
from sloth_jax.identifiability.covariate_prior import prior_of_covariates
from sloth_jax.law.covariates import Covariates
from sloth_jax.law.observations import LARGE_TABLE, Observations, StandardShares, linearised_at
from sloth_jax.law.surface import Surface

_QUANTILES = 256  # of a benchmark's scores in a large table
_SAMPLED_MODELS = 1000  # of a large table, about, with which the search for a mode begins


def observe(
    table: Leaderboard, surface: Surface, possible: np.ndarray | None = None
) -> Observations:
    """Arrays of a table on given axes.

    Args:
        table: what was read, with missing scores as NaN.
        surface: usually that of the same table.
        possible: scores that are not in the table, but that a mask may add later, ``(model,
            benchmark)``, bool; None for none.

    Returns:
        :class:`Observations` in JAX's default float type.
    """
    observed = np.isfinite(table.scores)
    lineage = table.lineage_of_family[table.family]
    params, active, tokens = table.params_b, table.active_params_b, table.tokens_t
    prior = prior_of_covariates(table, surface.size)
    if prior is not None:
        params = np.where(np.isnan(params), np.exp(prior.log_params), params)
        tokens = np.where(np.isnan(tokens), np.exp(prior.log_tokens), tokens)
    start = surface.from_smallest(params, active)
    post_trained = table.post_trained_of_family[table.family]
    members = on_device(
        lineage=lineage,
        family=table.family,
        lineage_hash=hash_names("lineage", table.lineages),
        family_hash=hash_names("family", table.families),
        model_hash=hash_names("model", table.models),
    )
    blocks = observed if possible is None else observed | possible
    unknown = prior.covariances if prior else None, np.isnan(table.params_b)
    bins = fill_bins(lineage, table.family, np.asarray(start), blocks, *unknown)
    found = Observations(
        design=surface.design(params, tokens, post_trained, active),
        members=Members(basis=walk_basis(start), **members),
        covariates=None,
        bins=with_checkpoints(bins, checkpoints_of(table)),
        **on_device(
            scores=np.where(observed, table.scores, 0.0),
            observed=observed,
            floor=table.floors,
            standard_error=np.where(observed, table.sampling_error(), 0.0),
            items=np.nan_to_num(table.items, nan=np.inf),
            source=table.source,
            offset_free=_offset_free(table).astype(float),
        ),
        standard=_standard_shares(table) if len(table.models) >= LARGE_TABLE else None,
        group=on_device(of=_group_numbers(table))["of"] if table.groups() else None,
    )
    if prior is None:
        return found
    size_unknown = jnp.ones(()) if np.isnan(table.params_b).any() else None
    given = on_device(
        log_params=prior.log_params,
        log_tokens=prior.log_tokens,
        active_params_b=active,
        post_trained=post_trained,
        used=np.ones(found.design.shape[1]),
        unknown=prior.unknown,
        direction=prior.direction,
        point=np.zeros_like(prior.unknown),
        slope=np.zeros((*prior.unknown.shape, found.design.shape[1])),
    )
    covariates = Covariates(surface=surface, size_unknown=size_unknown, **given)
    return relinearised(found._replace(covariates=covariates), covariates.point)


def checkpoints_of(table: Leaderboard, rows: np.ndarray | None = None) -> Checkpoints | None:
    """Runs and log tokens of a table's models, ``(model,)`` each; None where it has no runs.

    A run is numbered by the first row of the table that it has, whichever ``rows`` are asked for.
    """
    if not table.run:
        return None
    first: dict[str, int] = {}
    run = [first.setdefault(name, row) if name else row for row, name in enumerate(table.run)]
    found = np.array(run), np.nan_to_num(np.log(table.tokens_t))
    return Checkpoints(*(part if rows is None else part[rows] for part in found))


def relinearised(observations: Observations, departure: Array | None) -> Observations:
    """:func:`linearised_at`, compiled, its arrays not committed to a device."""
    if departure is None:
        return observations
    return jax.device_put(jax.device_get(_linearised_at(observations, departure)))


_linearised_at = jax.jit(linearised_at)


def sample_families(table: Leaderboard, seed: int) -> Leaderboard | None:
    """Families of a large table, drawn until they have a thousand models; None if it is not large.

    Args:
        table: any.
        seed: of the order in which families are drawn.
    """
    if len(table.models) < 2 * LARGE_TABLE:
        return None
    order = np.random.default_rng(seed).permutation(len(table.families))
    models = np.bincount(table.family, minlength=len(table.families))[order]
    enough = int(np.searchsorted(np.cumsum(models), _SAMPLED_MODELS)) + 1
    part = table.subset(np.isin(table.family, order[:enough]))
    # Its law has the parameters of the whole table's, also where none of its models has a run.
    return replace(part, run=part.run or ("",) * len(part.models)) if table.run else part


def _standard_shares(table: Leaderboard) -> StandardShares:
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    share = np.full((_QUANTILES, len(table.benchmarks)), 0.5)
    for j, floor in enumerate(table.floors):
        scores = table.scores[table.observed[:, j], j]
        if scores.size:
            share[:, j] = (np.quantile(scores, at) - floor) / (1.0 - floor)
    weight = np.broadcast_to(table.observed.sum(axis=0) / _QUANTILES, share.shape)
    return StandardShares(**on_device(share=share, weight=weight))


def _group_numbers(table: Leaderboard) -> np.ndarray:
    found = np.arange(len(table.benchmarks))
    for parts in table.groups().values():
        found[list(parts)] = parts[0]
    return found


def _offset_free(table: Leaderboard) -> np.ndarray:
    from_source = table.source[None] == np.arange(len(table.sources))[:, None, None]
    count = (from_source & table.observed[None]).sum(axis=1)
    reference = np.arange(len(table.sources))[:, None] == np.argmax(count, axis=0)
    return (count > 0) & ~reference
