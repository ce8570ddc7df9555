"""Lineages of a table spread over devices, of one process or of several.

Lineages are independent given what all share, so each device computes the density of its own, and
they communicate once in every gradient, for the sum. The law's code is the same on one device and
on many: computation follows the arrays. With several processes (``jax.distributed``) devices are
those of all of them; every process calls the same function with the same arguments, and gets the
result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sloth_jax.effects.bins import ShardedBins, plain_bins
from sloth_jax.effects.sharding import shard_bins
from sloth_jax.law.observations import Observations

# Pairs of scores above which a gradient takes long enough, about 20 ms on a core, that several
# devices are worth their communication.
_MIN_PAIRS = 1_000_000
_BY_MODEL = ("scores", "observed", "design", "standard_error", "source")


def devices_for(observations: Observations, devices: Sequence[Any] | None) -> Mesh | None:
    """Devices over which lineages are spread, a mesh with the axis ``lineage``; None for one.

    Args:
        observations: arrays of a table.
        devices: which; None for all where a gradient takes long enough to be worth it, and
            JAX's default one elsewhere.
    """
    if devices is None:
        pairs = sum(bins.pair_index.size for bins in plain_bins(observations.bins))
        devices = jax.devices() if pairs >= _MIN_PAIRS else ()
    return Mesh(np.asarray(devices), ("lineage",)) if len(devices) > 1 else None


def _shard(observations: Observations, mesh: Mesh) -> Observations:
    """The same arrays on the devices of a mesh, for densities: each has lineages of its own.

    Nested bins are computed by every device.
    """

    def placed(tree: Any, where: PartitionSpec) -> Any:
        # Not device_put, which lets processes compare what they give: NaN is not equal to NaN.
        return jax.tree.map(
            lambda a: jax.make_array_from_callback(
                a.shape, NamedSharding(mesh, where), lambda index: a[index]
            ),
            jax.device_get(tree),
        )

    sharded = shard_bins(observations.bins, mesh, observations.members.lineage_hash.size)
    bins = tuple(
        placed(some, PartitionSpec("lineage" if isinstance(some, ShardedBins) else None))
        for some in sharded
    )
    return placed(observations._replace(bins=()), PartitionSpec())._replace(bins=bins)


def on_mesh(
    function: Callable[..., Any], observations: Observations, given: Any, fixed: Any, mesh: Mesh
) -> Any:
    """A pure ``function(observations, given, fixed)`` on a mesh; every process gets the result.

    Args:
        function: hashable, and equal to an earlier one where that one's program may be used again.
        observations: arrays of a table, on one device.
        given: tree of arrays.
        fixed: hashable.
        mesh: from :func:`devices_for`.

    Returns:
        What the function returns, on JAX's default device.
    """
    found = _on_mesh(function, _shard(observations, mesh), given, fixed, mesh)
    return jax.device_put(jax.device_get(found))


@partial(jax.jit, static_argnames=("function", "fixed", "mesh"))
def _on_mesh(
    function: Callable[..., Any], observations: Observations, given: Any, fixed: Any, mesh: Mesh
) -> Any:
    def by_model(values: Array) -> Array:
        sharding = NamedSharding(mesh, PartitionSpec("lineage"))
        return jax.lax.with_sharding_constraint(values, sharding)

    # Also where models are not a multiple of devices, as arrays placed before would have to be.
    sharded = {name: by_model(getattr(observations, name)) for name in _BY_MODEL}
    found = function(observations._replace(**sharded), given, fixed)
    return jax.lax.with_sharding_constraint(found, NamedSharding(mesh, PartitionSpec()))
