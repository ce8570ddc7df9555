"""The numbers of a table as arrays without labels: what every inference works on."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.law.effects import Bins, Members, fill_bins, name_numbers, walk_basis
from sloth_jax.law.surface import Surface


class Observations(NamedTuple):
    """Arrays of a table, of the same shapes whichever of its scores are hidden.

    So all folds of a cross-validation are one compiled program.

    Attributes:
        scores: fractions, ``(model, benchmark)``; 0 where not observed.
        observed: whether a score may be used, ``(model, benchmark)``, bool.
        design: columns of the surface, ``(model, column)``.
        members: lineage and family of each model, and where on their walks it stands.
        bins: lineages side by side.
        floor: chance floors, ``(benchmark,)``.
        standard_error: sampling error of each score, a fraction, ``(model, benchmark)``; 0 where
            nothing is known of it.
        items: number of items of each benchmark, ``(benchmark,)``; infinite where not known.
        source: index of where each score is from, ``(model, benchmark)``.
        offset_free: 1 where a source may differ from the one that has most of a benchmark's scores,
            to which predictions are true, else 0, ``(source, benchmark)``.
    """

    scores: Array
    observed: Array
    design: Array
    members: Members
    bins: tuple[Bins, ...]
    floor: Array
    standard_error: Array
    items: Array
    source: Array
    offset_free: Array


def observe(table: Leaderboard, surface: Surface) -> Observations:
    """Arrays of a table on given axes.

    Args:
        table: what was read, with missing scores as NaN.
        surface: usually that of the same table.

    Returns:
        :class:`Observations` in JAX's default float type.
    """
    observed = np.isfinite(table.scores)
    lineage = table.lineage_of_family[table.family]
    start = surface.from_smallest(table.params_b, table.active_params_b)
    return Observations(
        scores=jnp.asarray(np.where(observed, table.scores, 0.0)),
        observed=jnp.asarray(observed),
        design=surface.of(table, table.post_trained_of_family[table.family]),
        members=Members(
            lineage=jnp.asarray(lineage),
            family=jnp.asarray(table.family),
            basis=walk_basis(start),
            lineage_name=jnp.asarray(name_numbers("lineage", table.lineages)),
            family_name=jnp.asarray(name_numbers("family", table.families)),
            model_name=jnp.asarray(name_numbers("model", table.models)),
        ),
        bins=fill_bins(lineage, table.family, np.asarray(start)),
        floor=jnp.asarray(table.floors),
        standard_error=jnp.asarray(np.where(observed, table.sampling_error(), 0.0)),
        items=jnp.asarray(np.nan_to_num(table.items, nan=np.inf)),
        source=jnp.asarray(table.source),
        offset_free=jnp.asarray(_offset_free(table), dtype=float),
    )


def _offset_free(table: Leaderboard) -> np.ndarray:
    from_source = table.source[None] == np.arange(len(table.sources))[:, None, None]
    count = (from_source & table.observed[None]).sum(axis=1)
    reference = np.arange(len(table.sources))[:, None] == np.argmax(count, axis=0)
    return (count > 0) & ~reference
