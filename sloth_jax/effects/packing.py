"""Lineages of a table packed into bins, as all algebra with their effects wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sloth_jax.arrays import on_device
from sloth_jax.effects.bins import AnyBins, Bins, NestedBins, plain_bins
from sloth_jax.effects.score_blocks import score_blocks
from sloth_jax.effects.walk import walk_basis

_MIN_LARGE = 16  # models: smaller lineages are never taken apart
_MIN_SAVING = 1e6  # cubes of slots that taking lineages apart must save; see _large_lineages
_BINS_PER_GROUP = 8  # bins that are of one large lineage
# Of the largest singular value: below it, sizes between which a walk is straight look like one more
# function, in float32.
_RANK_TOLERANCE = 1e-6


CovariatePriors = Mapping[int, tuple[np.ndarray, np.ndarray]]
"""Lineage with unknown covariates -> rows of its models, and the prior covariance of these models'
covariates, ``(covariate, row, row)``."""


def fill_bins(
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    covariate_priors: CovariatePriors | None = None,
    unknown_size: np.ndarray | None = None,
) -> AnyBins:
    """Pack lineages into bins, each lineage into one; the families of large lineages into others.

    Small lineages get bins of their own size where that makes at most half the work: a bin costs
    the cube of its slots. Those with unknown covariates have bins of their own too.

    Args:
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool; a mask may hide some later.
        covariate_priors: of unknown covariates; None where all are known. Covariances between the
            families of large lineages are left out: each then knows less than it might.
        unknown_size: models of unknown size, ``(model,)``, bool, whose position on the walk moves
            while the law is fitted; their lineages are never taken apart. None for none.

    Returns:
        Bins of one kind or of several, the smaller first, then those with unknown covariates, and
        the large lineages last.
    """
    slots = 2 * -(-np.bincount(lineage) // 2)  # a pair of slots belongs to one lineage
    unknown = np.isin(np.arange(slots.size), list(covariate_priors or {}))
    never = lineage[unknown_size] if unknown_size is not None else lineage[:0]
    candidates = np.where(np.isin(np.arange(slots.size), never), 0, slots)
    large = _large_lineages(candidates, lineage, family, x)
    slots[large] = 0
    found: list[Bins | NestedBins] = []
    for some in (np.where(unknown, 0, slots), np.where(unknown, slots, 0)):
        for chosen in _by_size(some):
            bins = _make_bins(_pack(slots, chosen), chosen, lineage, family, x, observed)
            found.append(_with_covariances(bins, covariate_priors or {}, chosen))
    if len(large):
        found.append(nested_bins(large, lineage, family, x, observed, covariate_priors))
    return tuple(found)


def _large_lineages(
    slots: np.ndarray, lineage: np.ndarray, family: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Lineages whose families are worth bins of their own.

    Work is counted in cubes of slots, about 12 ns each for a gradient on one core. A second
    program takes some seconds to compile, which a million of them in every gradient make up for.
    """
    candidates = np.flatnonzero(slots >= _MIN_LARGE)
    size, of_family = np.bincount(family), np.zeros(int(family.max()) + 1, int)
    of_family[family] = lineage
    within = np.bincount(of_family, weights=size.astype(float) ** 3, minlength=len(slots))
    functions = np.array(
        [_lineage_functions(np.array([at]), lineage, x)[1].size for at in candidates]
    )
    best, least = candidates[:0], _work(slots) - _MIN_SAVING
    for count in np.unique(functions):  # all have as many as the one that has most
        some = candidates[functions <= count]
        some = some[np.argsort(-slots[some], kind="stable")]
        apart = np.cumsum(within[some] + 400.0 * count * slots[some] + 150.0 * count**3)
        left = slots.copy()
        for at, one in enumerate(some):
            left[one] = 0
            work = apart[at] + _work(left)
            if work < least:
                best, least = np.sort(some[: at + 1]), work
    return best


def _work(slots: np.ndarray) -> float:
    """Cubes of slots of about as many bins as lineages need, of two sizes at most."""
    size = np.sort(slots[slots > 0]).astype(float)
    if not len(size):
        return 0.0
    below = np.cumsum(size)
    return float((below * size**2 + (below[-1] - below) * size[-1] ** 2).min())


def _by_size(slots: np.ndarray) -> list[np.ndarray]:
    """Lineages with a slot, small and large ones apart where that makes at most half the work."""

    def work(small: int) -> int:
        parts = [np.flatnonzero((slots > 0) & (slots <= small)), np.flatnonzero(slots > small)]
        return sum(
            len(set(_pack(slots, part)[:, 0])) * int(slots[part].max()) ** 3
            for part in parts
            if len(part)
        )

    if not slots.any():
        return []
    largest = int(slots.max())
    best = min(np.unique(slots[slots > 0]).tolist(), key=work)
    limits = [best, largest] if 2 * work(best) <= work(largest) else [largest]
    return [
        np.flatnonzero((slots > low) & (slots <= high))
        for low, high in zip([0, *limits], limits, strict=False)
    ]


def _pack(slots: np.ndarray, chosen: np.ndarray, size: int | None = None) -> np.ndarray:
    """Bin and first slot of each of those chosen, ``(chosen, 2)``, by first-fit decreasing.

    The largest first, each into the first bin that has room (Johnson 1973).

    Args:
        slots: that each of all needs, ``(lineage,)``.
        chosen: which are packed, ``(chosen,)``.
        size: slots of a bin; None for as many as the largest needs.
    """
    size = int(slots[chosen].max()) if size is None else size
    free: list[int] = []
    found = np.zeros((len(chosen), 2), int)
    last = at_bin = 0
    for at in np.argsort(-slots[chosen], kind="stable"):
        needed = int(slots[chosen[at]])
        # A bin without room for this one has none for the next of the same size.
        at_bin = at_bin if needed == last else 0
        last = needed
        while at_bin < len(free) and free[at_bin] < needed:
            at_bin += 1
        if at_bin == len(free):
            free.append(size)
        found[at] = at_bin, size - free[at_bin]
        free[at_bin] -= needed
    return found


def nested_bins(
    chosen: np.ndarray,
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    covariate_priors: CovariatePriors | None = None,
) -> NestedBins:
    """Families of some lineages in bins.

    Args:
        chosen: lineages, ``(large lineage,)``.
        lineage: of each model, ``(model,)``, as all that follow as for :func:`fill_bins`.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool.
        covariate_priors: of unknown covariates; None where all are known.
    """
    of_families = _by_family(covariate_priors or {}, chosen, family)
    functions, level_share = _lineage_functions(chosen, lineage, x)
    sizes = np.bincount(family, weights=np.isin(lineage, chosen)).astype(int)
    of_family = np.zeros(len(sizes), int)
    of_family[family] = lineage
    families, owners, bases = [], [], []
    for some in _by_size(sizes):
        most = 2 * -(-int(sizes[some].max()) // 2)
        packed, members, owner = [], [], []
        for at, one in enumerate(chosen):
            own = some[of_family[some] == one]
            if not len(own):
                continue
            positions = _pack(sizes, own, most)
            groups = -(-int(positions[:, 0].max() + 1) // _BINS_PER_GROUP)
            packed.append(positions + np.array([_BINS_PER_GROUP * len(owner), 0]))
            members.append(own)
            owner += groups * [at]
        all_members, count = np.concatenate(members), _BINS_PER_GROUP * len(owner)
        bins = _make_bins(np.concatenate(packed), all_members, family, family, x, observed, count)
        bins = _with_covariances(bins, of_families, all_members)
        basis = functions[np.asarray(bins.rows)] * np.asarray(bins.mask)[:, :, None]
        families.append(bins)
        owners.append(np.array(owner))
        bases.append(basis.reshape(len(owner), _BINS_PER_GROUP, most, -1))
    arrays = on_device(level_share=level_share, lineage=chosen)
    return NestedBins(
        families=tuple(families),
        owner=tuple(jax.device_put(owners)),
        basis=tuple(jax.device_put(bases)),
        **arrays,
    )


def _by_family(
    covariate_priors: CovariatePriors, chosen: np.ndarray, family: np.ndarray
) -> CovariatePriors:
    """Priors of each family of some lineages, without covariances between families."""
    found = {}
    for one in set(chosen.tolist()) & set(covariate_priors):
        rows, covariance = covariate_priors[one]
        for own in np.unique(family[rows]).tolist():
            at = np.flatnonzero(family[rows] == own)
            found[own] = (rows[at], covariance[:, at[:, None], at[None, :]])
    return found


def _lineage_functions(
    chosen: np.ndarray, lineage: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Functions ``t`` that effects of lineages are made of; see :class:`NestedBins`.

    Level and walk have the covariances ``1 1'`` and ``W`` between sizes. There are functions ``t``
    with ``t t' = 1 1' + W``, of which all but the first is in ``W`` alone.

    Returns:
        ``t``, ``(model, coefficient)``, and the level's share, ``(large lineage, coefficient)``.
    """
    basis = np.asarray(walk_basis(jnp.asarray(x)), float)
    found, shares = [], []
    for one in chosen:
        rows = np.flatnonzero(lineage == one)
        _, first, position = np.unique(x[rows], return_index=True, return_inverse=True)
        left, values, _ = np.linalg.svd(basis[rows[first]], full_matrices=False)
        kept = values > _RANK_TOLERANCE * values[0]
        root = left[:, kept] * values[kept]
        ones = left[:, kept].sum(axis=0) / values[kept]  # root @ ones = 1
        rotation, _ = np.linalg.qr(np.column_stack([ones, np.eye(len(ones))]))
        found.append((rows, (root @ rotation)[position]))
        shares.append(float(ones @ ones))
    count = max(part.shape[1] for _, part in found)
    functions, level_share = np.zeros((len(x), count)), np.zeros((len(chosen), count))
    for rows, part in found:
        functions[rows, : part.shape[1]] = part
    level_share[:, 0] = shares
    return functions, level_share


def _make_bins(
    packed: np.ndarray,
    chosen: np.ndarray,
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    count: int | None = None,
) -> Bins:
    """Bins of the lineages that :func:`_pack` packed; other arguments as :func:`fill_bins`.

    Args:
        packed: bin and first slot of each, ``(chosen, 2)``.
        chosen: lineages, ``(chosen,)``.
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool.
        count: of bins; None for no empty ones.
    """
    all_members = np.split(np.argsort(lineage, kind="stable"), np.cumsum(np.bincount(lineage))[:-1])
    members = [all_members[at] for at in chosen]
    size = 2 * -(-max(len(m) for m in members) // 2)
    count = int(packed[:, 0].max()) + 1 if count is None else count
    rows = np.zeros((count, size), int)
    mask = np.zeros((count, size))
    owner = np.full((count, size // 2), int(lineage.max()) + 1)
    for at, (bin_, first), own in zip(chosen, packed, members, strict=True):
        rows[bin_, first : first + len(own)] = own
        mask[bin_, first : first + len(own)] = 1.0
        owner[bin_, first // 2 : (first + len(own) + 1) // 2] = at
    both = mask[:, :, None] * mask[:, None, :]
    same = both * (lineage[rows][:, :, None] == lineage[rows][:, None, :])
    basis = np.asarray(walk_basis(jnp.asarray(x)))[rows][:, :, 1:]
    in_family = both * (family[rows][:, :, None] == family[rows][:, None, :])
    walk = same * np.einsum("lik,ljk->lij", basis, basis)
    blocks, pair_index = score_blocks(rows, mask, lineage, observed, in_family, walk)
    made: dict[str, Any] = on_device(
        rows=rows,
        mask=mask,
        lineage=owner,
        same_lineage=same,
        same_family=in_family,
        walk=walk,
        pair_index=pair_index,
    )
    return Bins(blocks=blocks, **made)


def covariate_priors_among(bins: AnyBins, rows: np.ndarray, lineage: np.ndarray) -> CovariatePriors:
    """Priors of the unknown covariates of some models, as for :func:`fill_bins` of these alone.

    Args:
        bins: of a whole table.
        rows: the models, ``(row,)``.
        lineage: their lineages by other numbers, ``(row,)``.
    """
    position = {row: at for at, row in enumerate(rows.tolist())}
    parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for some in plain_bins(bins):
        if some.covariate_covariance is None:
            continue
        in_bin, mask, covariance = (
            np.asarray(a) for a in (some.rows, some.mask, some.covariate_covariance)
        )
        kept = np.isin(in_bin, rows) & (mask > 0.0)
        owner = np.repeat(np.asarray(some.lineage), 2, axis=1)
        for b in np.flatnonzero(kept.any(axis=1)).tolist():
            for one in np.unique(owner[b][kept[b]]):
                at = np.flatnonzero((owner[b] == one) & kept[b])
                new = np.array([position[row] for row in in_bin[b, at].tolist()])
                block = covariance[b][:, at[:, None], at[None, :]]
                parts.setdefault(int(lineage[new[0]]), []).append((new, block))
    return {one: _block_diagonal(found) for one, found in parts.items()}


def _block_diagonal(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a lineage and their prior covariance, of those of its families."""
    rows = np.concatenate([own for own, _ in parts])
    whole, first = np.zeros((parts[0][1].shape[0], rows.size, rows.size)), 0
    for own, block in parts:
        last = first + own.size
        whole[:, first:last, first:last] = block
        first = last
    return rows, whole


def _with_covariances(bins: Bins, covariate_priors: CovariatePriors, chosen: np.ndarray) -> Bins:
    """The same with the prior covariances of their lineages' unknown covariates."""
    chosen = np.array([one for one in chosen.tolist() if one in covariate_priors], int)
    if not len(chosen):
        return bins
    rows, mask = np.asarray(bins.rows), np.asarray(bins.mask) > 0.0
    bin_at, slot_at = np.nonzero(mask)
    where = dict(zip(rows[mask].tolist(), zip(bin_at, slot_at, strict=True), strict=True))
    covariates = covariate_priors[int(chosen[0])][1].shape[0]
    covariance = np.tile(np.eye(rows.shape[1]), (rows.shape[0], covariates, 1, 1))
    root = covariance.copy()
    for lineage in chosen.tolist():
        of_lineage, block = covariate_priors[lineage]
        at = np.array([where[row] for row in of_lineage.tolist()])
        index = (at[0, 0], slice(None), at[:, 1][:, None], at[:, 1][None, :])
        # NumPy puts the dimension of the slice last between advanced indices.
        covariance[index] = np.moveaxis(block, 0, -1)
        root[index] = np.moveaxis(np.linalg.cholesky(block), 0, -1)
    return bins._replace(**on_device(covariate_covariance=covariance, covariate_root=root))
