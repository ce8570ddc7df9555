"""Lineages of a table side by side in bins, as all algebra with their effects wants them."""

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

_MANY = 16  # models of a lineage that may be worth it
_WORTH = 1e6
_BLOCK = 8  # bins that are of one large lineage
_TINY = 1e-6  # of the largest singular value: sizes between which a walk is straight, float32


Lacking = Mapping[int, tuple[np.ndarray, np.ndarray]]
"""Lineage that lacks covariates -> rows of its models, their covariance ``(unit, row, row)``."""


def fill_bins(
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    lacking: Lacking | None = None,
    whole: np.ndarray | None = None,
) -> AnyBins:
    """Put lineages into bins, each lineage in one; the families of large lineages into others.

    Small lineages get bins of their own size where that makes at most half the work: a bin costs
    the cube of its places. Those that lack covariates have bins of their own too.

    Args:
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        observed: scores that may be used, ``(model, benchmark)``, bool; a mask may hide some later.
        lacking: prior covariance of unknown covariates; None where all are known. That between
            families of large lineages is left out, where each then knows less than it might.
        whole: models whose lineages are never large, ``(model,)``, bool: those of unknown size,
            whose place on walks moves. None for none.

    Returns:
        Bins of one kind or of several, the smaller first, then those that lack covariates, and the
        large lineages last.
    """
    places = 2 * -(-np.bincount(lineage) // 2)  # a pair of places belongs to one lineage
    lacks = np.isin(np.arange(places.size), list(lacking or {}))
    never = lineage[whole] if whole is not None else lineage[:0]
    able = np.where(np.isin(np.arange(places.size), never), 0, places)
    large = _large(able, lineage, family, x)
    places[large] = 0
    found: list[Bins | NestedBins] = []
    for some in (np.where(lacks, 0, places), np.where(lacks, places, 0)):
        for chosen in _by_size(some):
            bins = _bins(_deal(places, chosen), chosen, lineage, family, x, observed)
            found.append(_with_covariances(bins, lacking or {}, chosen))
    if len(large):
        found.append(nested_bins(large, lineage, family, x, observed, lacking))
    return tuple(found)


def _large(
    places: np.ndarray, lineage: np.ndarray, family: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Lineages whose families are worth bins of their own.

    Work is counted in cubes of places, about 12 ns each for a gradient on one core. A second
    program takes some seconds to compile, which a million of them in every gradient make up for.
    """
    candidates = np.flatnonzero(places >= _MANY)
    size, of_family = np.bincount(family), np.zeros(int(family.max()) + 1, int)
    of_family[family] = lineage
    within = np.bincount(of_family, weights=size.astype(float) ** 3, minlength=len(places))
    functions = np.array([_functions(np.array([at]), lineage, x)[1].size for at in candidates])
    best, least = candidates[:0], _cubes(places) - _WORTH
    for count in np.unique(functions):  # all have as many as the one that has most
        some = candidates[functions <= count]
        some = some[np.argsort(-places[some], kind="stable")]
        apart = np.cumsum(within[some] + 400.0 * count * places[some] + 150.0 * count**3)
        left = places.copy()
        for at, one in enumerate(some):
            left[one] = 0
            work = apart[at] + _cubes(left)
            if work < least:
                best, least = np.sort(some[: at + 1]), work
    return best


def _cubes(places: np.ndarray) -> float:
    """About how much work lineages are, in bins of two sizes at most."""
    size = np.sort(places[places > 0]).astype(float)
    if not len(size):
        return 0.0
    below = np.cumsum(size)
    return float((below * size**2 + (below[-1] - below) * size[-1] ** 2).min())


def _by_size(places: np.ndarray) -> list[np.ndarray]:
    """Those with a place, small and large ones apart where that makes at most half the work."""

    def work(small: int) -> int:
        parts = [np.flatnonzero((places > 0) & (places <= small)), np.flatnonzero(places > small)]
        return sum(
            len(set(_deal(places, part)[:, 0])) * int(places[part].max()) ** 3
            for part in parts
            if len(part)
        )

    if not places.any():
        return []
    largest = int(places.max())
    best = min(np.unique(places[places > 0]).tolist(), key=work)
    limits = [best, largest] if 2 * work(best) <= work(largest) else [largest]
    return [
        np.flatnonzero((places > low) & (places <= high))
        for low, high in zip([0, *limits], limits, strict=False)
    ]


def _deal(places: np.ndarray, chosen: np.ndarray, size: int | None = None) -> np.ndarray:
    """Bin and first place of each of those chosen, ``(chosen, 2)``: the largest first.

    Each goes to the first bin that has room, in bins of so many places.
    """
    size = int(places[chosen].max()) if size is None else size
    free: list[int] = []
    found = np.zeros((len(chosen), 2), int)
    last = at_bin = 0
    for at in np.argsort(-places[chosen], kind="stable"):
        taken = int(places[chosen[at]])
        # A bin without room for this one has none for the next of the same size.
        at_bin = at_bin if taken == last else 0
        last = taken
        while at_bin < len(free) and free[at_bin] < taken:
            at_bin += 1
        if at_bin == len(free):
            free.append(size)
        found[at] = at_bin, size - free[at_bin]
        free[at_bin] -= taken
    return found


def nested_bins(
    chosen: np.ndarray,
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    lacking: Lacking | None = None,
) -> NestedBins:
    """Families of some lineages in bins; arguments as :func:`fill_bins`.

    Args:
        chosen: lineages, ``(large lineage,)``.
        lineage: of each model, ``(model,)``.
        family: of each model, ``(model,)``.
        x: log size from the table's smallest, standardised, ``(model,)``.
        observed: as for :func:`fill_bins`.
        lacking: likewise.
    """
    of_families = _of_families(lacking or {}, chosen, family)
    functions, level = _functions(chosen, lineage, x)
    sizes = np.bincount(family, weights=np.isin(lineage, chosen)).astype(int)
    of_family = np.zeros(len(sizes), int)
    of_family[family] = lineage
    families, owners, bases = [], [], []
    for kind in _by_size(sizes):
        most = 2 * -(-int(sizes[kind].max()) // 2)
        dealt, members, owner = [], [], []
        for at, one in enumerate(chosen):
            mine = kind[of_family[kind] == one]
            if not len(mine):
                continue
            places = _deal(sizes, mine, most)
            blocks = -(-int(places[:, 0].max() + 1) // _BLOCK)
            dealt.append(places + np.array([_BLOCK * len(owner), 0]))
            members.append(mine)
            owner += blocks * [at]
        some = np.concatenate(members)
        count = _BLOCK * len(owner)
        bins = _bins(np.concatenate(dealt), some, family, family, x, observed, count)
        bins = _with_covariances(bins, of_families, some)
        basis = functions[np.asarray(bins.rows)] * np.asarray(bins.real)[:, :, None]
        families.append(bins)
        owners.append(np.array(owner))
        bases.append(basis.reshape(len(owner), _BLOCK, most, -1))
    arrays = on_device(level=level, lineage=chosen)
    return NestedBins(
        families=tuple(families),
        owner=tuple(jax.device_put(owners)),
        basis=tuple(jax.device_put(bases)),
        **arrays,
    )


def _of_families(lacking: Lacking, chosen: np.ndarray, family: np.ndarray) -> Lacking:
    """What each family of some lineages lacks, without what ties families together."""
    found = {}
    for one in set(chosen.tolist()) & set(lacking):
        rows, blocks = lacking[one]
        for own in np.unique(family[rows]).tolist():
            at = np.flatnonzero(family[rows] == own)
            found[own] = (rows[at], blocks[:, at[:, None], at[None, :]])
    return found


def _functions(
    chosen: np.ndarray, lineage: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What effects of lineages are made of, ``(model, coefficient)``, and ``level``.

    Level and walk have the covariances ``1 1'`` and ``W`` between sizes. There are functions ``t``
    with ``t t' = 1 1' + W``, of which all but the first is in ``W`` alone.
    """
    basis = np.asarray(walk_basis(jnp.asarray(x)), float)
    found, levels = [], []
    for one in chosen:
        rows = np.flatnonzero(lineage == one)
        _, first, place = np.unique(x[rows], return_index=True, return_inverse=True)
        left, values, _ = np.linalg.svd(basis[rows[first]], full_matrices=False)
        kept = values > _TINY * values[0]
        root = left[:, kept] * values[kept]
        ones = left[:, kept].sum(axis=0) / values[kept]  # root @ ones = 1
        turn, _ = np.linalg.qr(np.column_stack([ones, np.eye(len(ones))]))
        found.append((rows, (root @ turn)[place]))
        levels.append(float(ones @ ones))
    count = max(part.shape[1] for _, part in found)
    functions, level = np.zeros((len(x), count)), np.zeros((len(chosen), count))
    for rows, part in found:
        functions[rows, : part.shape[1]] = part
    level[:, 0] = levels
    return functions, level


def _bins(
    dealt: np.ndarray,
    chosen: np.ndarray,
    lineage: np.ndarray,
    family: np.ndarray,
    x: np.ndarray,
    observed: np.ndarray,
    count: int | None = None,
) -> Bins:
    all_members = np.split(np.argsort(lineage, kind="stable"), np.cumsum(np.bincount(lineage))[:-1])
    members = [all_members[at] for at in chosen]
    size = 2 * -(-max(len(m) for m in members) // 2)
    count = int(dealt[:, 0].max()) + 1 if count is None else count
    rows = np.zeros((count, size), int)
    real = np.zeros((count, size))
    owner = np.full((count, size // 2), int(lineage.max()) + 1)
    for at, (bin_, first), own in zip(chosen, dealt, members, strict=True):
        rows[bin_, first : first + len(own)] = own
        real[bin_, first : first + len(own)] = 1.0
        owner[bin_, first // 2 : (first + len(own) + 1) // 2] = at
    both = real[:, :, None] * real[:, None, :]
    same = both * (lineage[rows][:, :, None] == lineage[rows][:, None, :])
    basis = np.asarray(walk_basis(jnp.asarray(x)))[rows][:, :, 1:]
    in_family = both * (family[rows][:, :, None] == family[rows][:, None, :])
    walk = same * np.einsum("lik,ljk->lij", basis, basis)
    blocks, entry = score_blocks(rows, real, lineage, observed, in_family, walk)
    made: dict[str, Any] = on_device(
        rows=rows,
        real=real,
        lineage=owner,
        same_lineage=same,
        same_family=in_family,
        walk=walk,
        entry=entry,
    )
    return Bins(blocks=blocks, **made)


def lacking_among(bins: AnyBins, rows: np.ndarray, lineage: np.ndarray) -> Lacking:
    """What some models of bins lack, as for :func:`fill_bins` of these alone.

    Args:
        bins: of a whole table.
        rows: the models, ``(row,)``.
        lineage: their lineages by other numbers, ``(row,)``.
    """
    place = {row: at for at, row in enumerate(rows.tolist())}
    parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for some in plain_bins(bins):
        if some.covariance is None:
            continue
        in_bin, real, blocks = (np.asarray(a) for a in (some.rows, some.real, some.covariance))
        kept = np.isin(in_bin, rows) & (real > 0.0)
        owner = np.repeat(np.asarray(some.lineage), 2, axis=1)
        for b in np.flatnonzero(kept.any(axis=1)).tolist():
            for one in np.unique(owner[b][kept[b]]):
                at = np.flatnonzero((owner[b] == one) & kept[b])
                new = np.array([place[row] for row in in_bin[b, at].tolist()])
                block = blocks[b][:, at[:, None], at[None, :]]
                parts.setdefault(int(lineage[new[0]]), []).append((new, block))
    return {one: _side_by_side(found) for one, found in parts.items()}


def _side_by_side(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """What a lineage lacks, of what its families do."""
    rows = np.concatenate([own for own, _ in parts])
    whole, first = np.zeros((parts[0][1].shape[0], rows.size, rows.size)), 0
    for own, block in parts:
        last = first + own.size
        whole[:, first:last, first:last] = block
        first = last
    return rows, whole


def _with_covariances(bins: Bins, lacking: Lacking, chosen: np.ndarray) -> Bins:
    """The same with the prior covariances of their lineages' unknown covariates."""
    chosen = np.array([one for one in chosen.tolist() if one in lacking], int)
    if not len(chosen):
        return bins
    rows, real = np.asarray(bins.rows), np.asarray(bins.real) > 0.0
    bin_at, place_at = np.nonzero(real)
    where = dict(zip(rows[real].tolist(), zip(bin_at, place_at, strict=True), strict=True))
    units = lacking[int(chosen[0])][1].shape[0]
    covariance = np.tile(np.eye(rows.shape[1]), (rows.shape[0], units, 1, 1))
    factor = covariance.copy()
    for lineage in chosen.tolist():
        of_lineage, block = lacking[lineage]
        at = np.array([where[row] for row in of_lineage.tolist()])
        index = (at[0, 0], slice(None), at[:, 1][:, None], at[:, 1][None, :])
        # NumPy puts the dimension of the slice last between advanced indices.
        covariance[index] = np.moveaxis(block, 0, -1)
        factor[index] = np.moveaxis(np.linalg.cholesky(block), 0, -1)
    return bins._replace(**on_device(covariance=covariance, factor=factor))
