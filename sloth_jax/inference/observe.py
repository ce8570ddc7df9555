"""A table as arrays without labels: what every inference works on."""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.law.arrays import on_device
from sloth_jax.law.bins import fill_bins
from sloth_jax.law.effects import Members, name_numbers
from sloth_jax.law.observations import Observations
from sloth_jax.law.surface import Surface
from sloth_jax.law.walk import walk_basis


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
    members = on_device(
        lineage=lineage,
        family=table.family,
        lineage_name=name_numbers("lineage", table.lineages),
        family_name=name_numbers("family", table.families),
        model_name=name_numbers("model", table.models),
    )
    return Observations(
        design=surface.of(table, table.post_trained_of_family[table.family]),
        members=Members(basis=walk_basis(start), **members),
        bins=fill_bins(lineage, table.family, np.asarray(start)),
        **on_device(
            scores=np.where(observed, table.scores, 0.0),
            observed=observed,
            floor=table.floors,
            standard_error=np.where(observed, table.sampling_error(), 0.0),
            items=np.nan_to_num(table.items, nan=np.inf),
            source=table.source,
            offset_free=_offset_free(table).astype(float),
        ),
    )


def _offset_free(table: Leaderboard) -> np.ndarray:
    from_source = table.source[None] == np.arange(len(table.sources))[:, None, None]
    count = (from_source & table.observed[None]).sum(axis=1)
    reference = np.arange(len(table.sources))[:, None] == np.argmax(count, axis=0)
    return (count > 0) & ~reference
