"""Checkpoints of a training run: one model seen several times on its way.

What sets a model apart from its family changes slowly while it is trained. For two checkpoints
``m, n`` of one run, after ``t_m`` and ``t_n`` tokens::

    R_mn = exp(-|log t_m - log t_n| / length)

an Ornstein-Uhlenbeck process in log tokens (Rasmussen and Williams 2006, section 4.2.1), and 0
between two runs. Each checkpoint by itself is distributed as any model. The process has the Markov
property, so that roots and conditionals are known in closed form (section B.2.1).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from sloth_jax.arrays import on_device
from sloth_jax.effects.bins import AnyBins, Bins, Checkpoints, NestedBins, ShardedBins, plain_bins
from sloth_jax.products import einsum


class Neighbours(NamedTuple):
    """The observed checkpoints of its run between which each new model stands.

    Attributes:
        row: positions of the last one before and of the first one after it, ``(2, new)``; 0 where
            there is none.
        gap: how far they are in log tokens, ``(2, new)``; infinite where there is none.
    """

    row: Array
    gap: Float[Array, "2 new"]


def with_checkpoints(bins: AnyBins, checkpoints: Checkpoints | None) -> AnyBins:
    """The same bins, with which of their models are checkpoints of one run.

    Args:
        bins: of a table, from :func:`sloth_jax.effects.packing.fill_bins`.
        checkpoints: of the table's models, ``(model,)`` each; None where there are none.
    """
    if checkpoints is None:
        return bins

    def with_runs(some: Bins) -> Bins:
        rows = np.asarray(some.rows)
        gathered = on_device(run=checkpoints.run[rows], log_tokens=checkpoints.log_tokens[rows])
        return some._replace(checkpoints=Checkpoints(**gathered))

    found: list[Bins | NestedBins] = []
    for some in bins:
        if isinstance(some, ShardedBins):
            raise TypeError("sharded bins: add checkpoints before sharding")
        if isinstance(some, NestedBins):
            found.append(some._replace(families=tuple(with_runs(one) for one in some.families)))
        else:
            found.append(with_runs(some))
    return tuple(found)


def has_runs(bins: AnyBins) -> bool:
    """Whether bins have checkpoints; see :func:`with_checkpoints`."""
    whole = [some.shards if isinstance(some, ShardedBins) else some for some in bins]
    parts = [some.families if isinstance(some, NestedBins) else (some,) for some in whole]
    return any(one.checkpoints is not None for part in parts for one in part)


def run_correlation(some: Bins, length: Array | None) -> Float[Array, "bin slot slot"]:
    """R between the slots of bins; the identity without runs; 0 where empty."""
    if some.checkpoints is None or length is None:
        identity = jnp.eye(some.rows.shape[1], dtype=some.mask.dtype)[None]
        return identity * some.mask[:, None, :]
    same, apart = _same_run(some)
    return same * jnp.exp(-jnp.abs(apart) / length)


def run_root(some: Bins, length: Array) -> Float[Array, "bin slot slot"]:
    """A root of R, ``L L' = R``: what each checkpoint adds, and passes on to later ones."""
    if some.checkpoints is None:
        return run_correlation(some, None)
    same, apart = _same_run(some)
    # e_i = sum_{j <= i} R_ij sqrt(1 - R_(j, before j)^2) z_j
    later = same * (apart >= 0.0)
    since = jnp.min(jnp.where(same * (apart > 0.0) > 0.0, apart, jnp.inf), axis=2)
    own = jnp.sqrt(-jnp.expm1(-2.0 * since / length))
    return later * jnp.exp(-jnp.abs(apart) / length) * own[:, None, :]


def _same_run(some: Bins) -> tuple[Array, Array]:
    """1 for slots of one run, and their difference in log tokens, ``(bin, slot, slot)`` each."""
    assert some.checkpoints is not None  # callers have looked
    run, log_tokens = some.checkpoints
    both = some.mask[:, :, None] * some.mask[:, None, :]
    apart = log_tokens[:, :, None] - log_tokens[:, None, :]
    return both * (run[:, :, None] == run[:, None, :]), apart


def times_run_correlation(
    bins: AnyBins, length: Array | None, values: Float[Array, "model unit"], *, root: bool = False
) -> Float[Array, "model unit"]:
    """R times values of models ``(model, unit)``; the values themselves without runs.

    Args:
        bins: of the models, not sharded.
        length: of the process, in log tokens, scalar; None without runs.
        values: ``(model, unit)``.
        root: whether it is the root of R, of which draws are made.
    """
    if length is None:
        return values
    found = jnp.zeros_like(values)
    for some in plain_bins(bins):
        matrix = (run_root if root else run_correlation)(some, length)
        found = found.at[some.rows].add(einsum("bmn,bnu->bmu", matrix, values[some.rows]))
    return found


def find_neighbours(
    checkpoints: Checkpoints, run: np.ndarray, log_tokens: np.ndarray
) -> Neighbours:
    """The observed checkpoints next to new models of the same runs.

    Args:
        checkpoints: of the observed models, ``(model,)`` each.
        run: of each new model, ``(new,)``; a number that no observed one has where it has none.
        log_tokens: of the same.
    """
    row = np.zeros((2, len(run)), int)
    gap = np.full((2, len(run)), np.inf)
    for at, (own, here) in enumerate(zip(run, log_tokens, strict=True)):
        apart = np.where(checkpoints.run == own, here - checkpoints.log_tokens, np.nan)
        for side, known in enumerate((apart >= 0.0, apart < 0.0)):
            if known.any():
                row[side, at] = np.argmin(np.where(known, np.abs(apart), np.inf))
                gap[side, at] = abs(apart[row[side, at]])
    return Neighbours(**on_device(row=row, gap=gap))


def continue_runs(
    neighbours: Neighbours, length: ArrayLike, observed: Array, prior_draw: Array
) -> Float[Array, "new unit"]:
    """Departures of new models given those of the observed checkpoints of their runs.

    The conditional of a Markov process between its neighbours. Two new checkpoints of one run are
    drawn each by itself.

    Args:
        neighbours: the observed checkpoints next to each.
        length: of the process, in log tokens, scalar.
        observed: departures of observed models, ``(model, unit)``.
        prior_draw: draws of the new departures before anything is known of their runs, ``(new,
            unit)``.
    """
    # p = before / length,  q = after / length
    before, after = neighbours.gap / length
    # e = (e^-p (1 - e^-2q) e_before + e^-q (1 - e^-2p) e_after) / (1 - e^-2(p + q)) + sd z
    # sd^2 = (1 - e^-2p) (1 - e^-2q) / (1 - e^-2(p + q))
    near, far = -jnp.expm1(-2.0 * before), -jnp.expm1(-2.0 * after)
    whole = -jnp.expm1(-2.0 * (before + after))
    of_before = (jnp.exp(-before) * far / whole)[:, None]
    of_after = (jnp.exp(-after) * near / whole)[:, None]
    expected = of_before * observed[neighbours.row[0]] + of_after * observed[neighbours.row[1]]
    return expected + jnp.sqrt(near * far / whole)[:, None] * prior_draw
