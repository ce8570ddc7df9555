"""Lineages side by side in bins of one size: a few dense programs instead of one per lineage.

Large lineages are taken apart: their families stand side by side in bins of their own. Within a
lineage, what is observed on one benchmark is a block of its own: work on single benchmarks grows
with the scores that there are, not with those that there could be.
:func:`sloth_jax.effects.packing.fill_bins` makes bins of a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import Array
from jax.sharding import Mesh, PartitionSpec


class ScoreBlocks(NamedTuple):
    """Scores of one lineage on one benchmark each, blocks of one size; some places may be empty.

    Attributes:
        bin: of each block's lineage, ``(block,)``.
        benchmark: ``(block,)``.
        place: where in the bin each score's model is, ``(block, score)``; any where empty.
        real: 1 where there is a score, else 0, ``(block, score)``.
        same_family: 1 for scores of models of one family, ``(block, score, score)``.
        walk: covariance of the walk between their models, ``(block, score, score)``.
    """

    bin: Array
    benchmark: Array
    place: Array
    real: Array
    same_family: Array
    walk: Array


class Checkpoints(NamedTuple):
    """Which models are checkpoints of one training run, and when.

    Attributes:
        run: a number that the checkpoints of one run share, and nobody else has, ``(bin, place)``
            or, of a table, ``(model,)``.
        log_tokens: log of pretraining tokens, of the same shape; any finite number where there is
            no run.
    """

    run: Any
    log_tokens: Any


class Bins(NamedTuple):
    """Lineages side by side in bins of one size, so that all are computed by one small program.

    Attributes:
        rows: position of each model in the table, ``(bin, place)``; 0 where a place is empty.
        real: 1 where there is a model, else 0, ``(bin, place)``.
        lineage: of each pair of places, ``(bin, place / 2)``; the number of lineages where empty.
        same_lineage: 1 for two models of one lineage, ``(bin, place, place)``.
        same_family: 1 for two models of one family, ``(bin, place, place)``.
        walk: covariance of the walk between models of one lineage, ``(bin, place, place)``.
        blocks: scores of these lineages, blocks of each size.
        entry: where a pair of scores on a benchmark is among the entries of all blocks, size after
            size, ``(bin, benchmark, place, place)``; after the last where it is in none.
        covariance: prior covariance of unknown covariates, a unit matrix where known, ``(bin, unit,
            place, place)``; None where no lineage of these bins lacks one.
        factor: its lower triangular root, of the same shape.
        checkpoints: which places are of one training run; None where the table has no runs.
    """

    rows: Array
    real: Array
    lineage: Array
    same_lineage: Array
    same_family: Array
    walk: Array
    blocks: tuple[ScoreBlocks, ...]
    entry: Array
    covariance: Array | None = None
    factor: Array | None = None
    checkpoints: Checkpoints | None = None


class NestedBins(NamedTuple):
    """Families of large lineages side by side in bins of one size, blocks of bins of one lineage.

    The effect of a lineage on a unit, at a place, is ``sum_c t_c g_c`` with independent normal
    ``g_c`` of variance ``level_c a^2 + (1 - level_c) b^2``, where ``a`` is the spread of its level
    and ``b`` that of its walk.

    Attributes:
        families: bins of each size, small families first; what :class:`Bins` says of lineages is
            here said of families.
        owner: for each size, which of the large lineages a block of bins is of, ``(block,)``.
        basis: for each size, ``t``, ``(block, bin, place, coefficient)``; 0 where empty.
        level: ``(large lineage, coefficient)``.
        lineage: which of the table's lineages the large ones are, ``(large lineage,)``.
    """

    families: tuple[Bins, ...]
    owner: tuple[Array, ...]
    basis: tuple[Array, ...]
    level: Array
    lineage: Array


@partial(jax.tree_util.register_dataclass, data_fields=["parts"], meta_fields=["mesh"])
@dataclass(frozen=True)
class SplitBins:
    """Bins in parts of one shape, one for each device; see :mod:`sloth_jax.effects.splitting`.

    Attributes:
        parts: bins as those of a table each, every array with a leading axis ``(part,)``.
        mesh: the devices, along one axis.
    """

    parts: Bins
    mesh: Mesh

    def map(self, function: Callable[[Bins, Any], Any], shared: Any) -> Any:
        """A pure function of each part's bins and of arrays that all share, on its device.

        Returns:
            What the function returns, with a leading axis ``(part,)``.
        """
        (axis,) = self.mesh.axis_names

        def on_one(parts: Bins, shared: Any) -> Any:
            found = function(jax.tree.map(lambda a: a[0], parts), shared)
            return jax.tree.map(lambda a: a[None], found)

        # Not jit's own partitioning: it gathers the scores of all blocks on every device.
        return jax.shard_map(
            on_one,
            mesh=self.mesh,
            in_specs=(PartitionSpec(axis), PartitionSpec()),
            out_specs=PartitionSpec(axis),
            check_vma=False,
        )(self.parts, shared)


AnyBins = tuple[Bins | NestedBins | SplitBins, ...]


def plain_bins(bins: AnyBins) -> list[Bins]:
    """All bins, those of large lineages' families among them; none may be split."""
    found: list[Bins] = []
    for some in bins:
        if isinstance(some, SplitBins):
            raise TypeError("bins in parts tell densities alone")
        found += some.families if isinstance(some, NestedBins) else (some,)
    return found
