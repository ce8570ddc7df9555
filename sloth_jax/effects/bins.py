"""Lineages side by side in bins of equal size: a few dense programs instead of one per lineage.

A bin is a row of *slots*, each for one model; lineages are packed into bins, and empty slots are
padding. Within a lineage, what is observed on one benchmark is a *block* of its own: work on single
benchmarks grows with the scores that there are, not with those that there could be. Lineages of
very many models are taken apart (:class:`NestedBins`): their families are packed instead.
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
    """Scores of one lineage on one benchmark each, blocks of one size; padded where shorter.

    Attributes:
        bin: of each block's lineage, ``(block,)``.
        benchmark: ``(block,)``.
        slot: where in the bin each score's model is, ``(block, score)``; any where empty.
        mask: 1 where there is a score, else 0, ``(block, score)``.
        same_family: 1 for scores of models of one family, ``(block, score, score)``.
        walk: covariance of the random walk between their models, ``(block, score, score)``.
    """

    bin: Array
    benchmark: Array
    slot: Array
    mask: Array
    same_family: Array
    walk: Array

    @property
    def pairs(self) -> tuple[Array, Array, Array]:
        """Bin, slot and slot of each pair of scores; as an index, ``(block, score, score)``.

        It takes values ``(bin, slot, slot)`` to blocks; any where empty.
        """
        return self.bin[:, None, None], self.slot[:, :, None], self.slot[:, None, :]


class Checkpoints(NamedTuple):
    """Which models are checkpoints of one training run, and when.

    Attributes:
        run: a number that the checkpoints of one run share, and nobody else has, ``(bin, slot)``
            or, of a table, ``(model,)``.
        log_tokens: log of pretraining tokens, of the same shape; any finite number where there is
            no run.
    """

    run: Any
    log_tokens: Any


class Bins(NamedTuple):
    """Lineages side by side in bins of one size, so that all are computed by one small program.

    Attributes:
        rows: position of each model in the table, ``(bin, slot)``; 0 where a slot is empty.
        mask: 1 where there is a model, else 0, ``(bin, slot)``.
        lineage: of each pair of slots, ``(bin, slot / 2)``; the number of lineages where empty.
        same_lineage: 1 for two models of one lineage, ``(bin, slot, slot)``.
        same_family: 1 for two models of one family, ``(bin, slot, slot)``.
        walk: covariance of the random walk between models of one lineage, ``(bin, slot, slot)``.
        blocks: scores of these lineages, blocks of each size.
        pair_index: position of a pair of scores on a benchmark among the elements of all blocks,
            raveled size after size, ``(bin, benchmark, slot, slot)``; one past the last where it is
            in none.
        covariate_covariance: prior covariance of unknown covariates, the identity where known,
            ``(bin, covariate, slot, slot)``; None where no lineage of these bins lacks one.
        covariate_root: its Cholesky factor, of the same shape.
        checkpoints: which slots are of one training run; None where the table has no runs.
    """

    rows: Array
    mask: Array
    lineage: Array
    same_lineage: Array
    same_family: Array
    walk: Array
    blocks: tuple[ScoreBlocks, ...]
    pair_index: Array
    covariate_covariance: Array | None = None
    covariate_root: Array | None = None
    checkpoints: Checkpoints | None = None


class NestedBins(NamedTuple):
    """Families of large lineages side by side in bins of one size, groups of bins of one lineage.

    The effect of a lineage on a unit (a skill or a benchmark), at a slot, is ``sum_c t_c g_c`` with
    independent normal ``g_c`` of variance ``q_c a^2 + (1 - q_c) b^2``, where ``a`` is the spread of
    its level and ``b`` that of its walk.

    Attributes:
        families: bins of each size, small families first; what :class:`Bins` says of lineages is
            here said of families.
        owner: for each size, which of the large lineages a group of bins is of, ``(group,)``.
        basis: for each size, ``t``, ``(group, bin, slot, coefficient)``; 0 where empty.
        level_share: q, the level's share of each coefficient, ``(large lineage, coefficient)``.
        lineage: which of the table's lineages the large ones are, ``(large lineage,)``.
    """

    families: tuple[Bins, ...]
    owner: tuple[Array, ...]
    basis: tuple[Array, ...]
    level_share: Array
    lineage: Array


@partial(jax.tree_util.register_dataclass, data_fields=["shards"], meta_fields=["mesh"])
@dataclass(frozen=True)
class ShardedBins:
    """Bins in shards of one shape, one for each device; see :mod:`sloth_jax.effects.sharding`.

    Attributes:
        shards: bins as those of a table each, every array with a leading axis ``(shard,)``.
        mesh: the devices, along one axis.
    """

    shards: Bins
    mesh: Mesh

    def map(self, function: Callable[[Bins, Any], Any], shared: Any) -> Any:
        """A pure function of each shard's bins and of arrays that all share, on its device.

        Returns:
            What the function returns, with a leading axis ``(shard,)``.
        """
        (axis,) = self.mesh.axis_names

        def on_one(shards: Bins, shared: Any) -> Any:
            found = function(jax.tree.map(lambda a: a[0], shards), shared)
            return jax.tree.map(lambda a: a[None], found)

        # Not jit's own partitioning: it gathers the scores of all blocks on every device.
        return jax.shard_map(
            on_one,
            mesh=self.mesh,
            in_specs=(PartitionSpec(axis), PartitionSpec()),
            out_specs=PartitionSpec(axis),
            check_vma=False,
        )(self.shards, shared)


AnyBins = tuple[Bins | NestedBins | ShardedBins, ...]


def plain_bins(bins: AnyBins) -> list[Bins]:
    """All bins, those of large lineages' families among them.

    Raises:
        TypeError: of sharded bins, which only densities are computed from.
    """
    found: list[Bins] = []
    for some in bins:
        if isinstance(some, ShardedBins):
            raise TypeError("sharded bins: pass the bins from before sharding")
        found += some.families if isinstance(some, NestedBins) else (some,)
    return found
