"""Forecasts of every family along its size, its tokens and its FLOPs, from the draws of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.chunks import map_in_chunks
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.forecasting.predictive_law import PredictiveLaw, predictive_law
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.law.options import FLOPS_UNIT
from sloth_jax.law.surface import Surface
from sloth_jax.programs import kept

AXES = ("size", "tokens", "flops")
_BEFORE, _BEYOND = 2.0, 4.0  # how far curves go below and above a family's models, times
_USUAL = (7.0, 2.0)  # billion parameters and trillion tokens, of a table that knows none


@dataclass(frozen=True, eq=False)
class Paths:
    """Sizes and tokens that families are predicted at.

    Attributes:
        params_b: billions of parameters, ``(axis, family, point)``, axes as :data:`AXES`.
        tokens_t: trillions of tokens, of the same shape.
        active_share: active over all parameters, ``(family,)``; NaN of a dense family.
        known: models of the family whose size and tokens are known, ``(family,)``; without any,
            the middle of the table stands in.
    """

    params_b: np.ndarray
    tokens_t: np.ndarray
    active_share: np.ndarray
    known: np.ndarray

    def active_b(self, axis: int) -> np.ndarray:
        """Active parameters on an axis, billions, ``(family, point)``; NaN where dense."""
        return self.params_b[axis] * self.active_share[:, None]

    def places(self, axis: int) -> np.ndarray:
        """What the axis shows: billions, trillions or FLOPs, ``(family, point)``."""
        share = np.where(np.isnan(self.active_share), 1.0, self.active_share)[:, None]
        flops = FLOPS_UNIT * share * self.params_b[axis] * self.tokens_t[axis]
        return (self.params_b[axis], self.tokens_t[axis], flops)[axis]


def family_query(table: Leaderboard, more: Query | None = None) -> Query:
    """A model of each family with a score, and of the families of a query that are new."""
    scored = np.unique(table.family[table.observed.any(axis=1)])
    names = [table.families[f] for f in scored]
    lineages = [table.lineages[table.lineage_of_family[f]] for f in scored]
    kinds = table.post_trained_of_family[scored].tolist()
    for name, lineage, kind in zip(*_facts(more), strict=True):
        if name not in names:
            names.append(name)
            lineages.append(lineage)
            kinds.append(float(kind))
    return query_of_families(names, lineages, kinds)


def query_of_families(
    families: Sequence[str], lineages: Sequence[str], post_trained: Sequence[float]
) -> Query:
    """A model of each family, whose size and tokens are for :meth:`FamilyLaws.draws` to say.

    Args:
        families: names, ``(family,)``.
        lineages: of each.
        post_trained: 1 where post-trained, 0 where not, NaN where unknown, of each.
    """
    ones = np.ones(len(families))
    return Query(
        models=tuple(families),
        families=tuple(families),
        lineages=tuple(lineages),
        post_trained=np.asarray(post_trained, float),
        params_b=ones,
        active_params_b=np.full(len(families), np.nan),
        tokens_t=ones,
    )


def _facts(query: Query | None) -> tuple[Any, ...]:
    return ((), (), ()) if query is None else (query.families, query.lineages, query.post_trained)


def paths_of(table: Leaderboard, query: Query, more: Query | None, points: int) -> Paths:
    """Where to predict each family of :func:`family_query`.

    Along size, tokens stay at the family's middle; along tokens, size does; along FLOPs both grow
    as they grew among the family's models, or alike where these do not say.

    Args:
        table: the training table.
        query: families.
        more: models that are asked for; curves reach them.
        points: how many on each curve.
    """
    known = table.known & table.observed.any(axis=1)
    logs = np.log(np.column_stack([table.params_b, table.tokens_t]))
    middle = logs[known].mean(axis=0) if known.any() else np.log(_USUAL)
    active = table.active_params_b / table.params_b
    paths, shares, counts = [], [], []
    for name in query.families:
        rows = known & (table.family == _position(table.families, name))
        own = logs[rows] if rows.any() else middle[None]
        asked = _asked(more, name)
        paths.append(_path(own, np.concatenate([own, asked]), points))
        mixed = active[rows & np.isfinite(active)]
        # A family is one of mixtures of experts where most of its models are.
        shares.append(np.exp(np.log(mixed).mean()) if 2 * len(mixed) > rows.sum() else np.nan)
        counts.append(int(rows.sum()))
    found = np.exp(np.moveaxis(np.array(paths), 0, 2))
    return Paths(found[0], found[1], np.array(shares), np.array(counts))


def _position(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


def _asked(query: Query | None, family: str) -> np.ndarray:
    """Log sizes and log tokens that a query asks of a family, ``(model, 2)``."""
    if query is None:
        return np.empty((0, 2))
    rows = [name == family for name in query.families]
    return np.log(np.column_stack([query.params_b, query.tokens_t])[rows])


def _path(own: np.ndarray, reached: np.ndarray, points: int) -> np.ndarray:
    """Log size and log tokens on the axes, ``(quantity, axis, point)``.

    Args:
        own: logs of the family's models, ``(model, 2)``.
        reached: of all that the curves have to reach, likewise.
        points: how many on a curve.
    """
    middle, along = own.mean(axis=0), np.linspace(0.0, 1.0, points)
    low = reached.min(axis=0) - np.log(_BEFORE)
    high = reached.max(axis=0) + np.log(_BEYOND)
    grown = low + along[:, None] * (high - low)  # (point, quantity)
    still = np.broadcast_to(middle, grown.shape)
    total, spread = reached.sum(axis=1), own.sum(axis=1) - middle.sum()
    square = float(spread @ spread)
    # Least squares of log size on log FLOPs; tokens have the rest.
    share = float(spread @ (own[:, 0] - middle[0])) / square if square > 0.1 else 0.5
    share = min(max(share, 0.0), 1.0)
    least, most = total.min() - np.log(2.0 * _BEFORE), total.max() + np.log(2.0 * _BEYOND)
    more = least + along * (most - least) - middle.sum()
    size = np.stack([grown[:, 0], still[:, 0], middle[0] + share * more])
    tokens = np.stack([still[:, 1], grown[:, 1], middle[1] + (1.0 - share) * more])
    return np.stack([size, tokens])


def thinned(fit: Fit, most: int) -> Fit:
    """The same fit with fewer draws, evenly chosen; a mode has one and stays as it is."""
    count = fit.position.shape[0]
    if count <= most:
        return fit
    rows = np.linspace(0, count - 1, most).round().astype(int)
    law = jax.tree.map(lambda a: a[rows], fit.law)
    return replace(fit, law=law, position=fit.position[rows])


@dataclass(frozen=True, eq=False)
class FamilyLaws:
    """What is known of one model of each of some families, at any size and number of tokens.

    Attributes:
        query: the families, whose sizes and tokens say nothing.
        law: draws of the law and of what sets the families apart, ``(draw, family, ...)``.
        surface: of the fit.
        items: number of items of each benchmark, ``(benchmark,)``; infinite where not known.
    """

    query: Query
    law: PredictiveLaw
    surface: Surface
    items: np.ndarray

    def draws(self, params_b: Any, tokens_t: Any, active_params_b: Any) -> Array:
        """Scores as they may be measured, fractions, ``(draw, point, family, benchmark)``.

        Args:
            params_b: sizes of each family, billions, ``(point, family)``.
            tokens_t: trillions, ``(point, family)``.
            active_params_b: billions, ``(point, family)``; NaN where dense.
        """
        return _scores_at(self.law, self.surface, params_b, tokens_t, active_params_b, self.items)


def family_laws(fit: Fit, query: Query, key: Array) -> FamilyLaws:
    """Draw what sets the families of a query apart; the draws are those of ``forecast``."""
    law = predictive_law(fit, query, key)
    return FamilyLaws(query, law, fit.surface, np.nan_to_num(fit.table.items, nan=np.inf))


@kept
@jax.jit
def _scores_at(
    law: PredictiveLaw,
    surface: Surface,
    params_b: Any,
    tokens_t: Any,
    active_params_b: Any,
    items: Any,
) -> Array:
    x, basis = jax.vmap(lambda *at: law.design(surface, *at))(params_b, tokens_t, active_params_b)
    few = jnp.asarray(items)

    def one(given: tuple[PredictiveLaw, Array]) -> Array:
        # Points side by side: a draw's link is tabulated once for all of them.
        law, rows = given
        return jax.vmap(lambda row, at: law.scores(row, at, few))(rows, basis)

    return map_in_chunks(one, (law, jnp.moveaxis(x, 1, 0)))


def curves_of(laws: FamilyLaws, paths: Paths, level: float) -> np.ndarray:
    """Quantiles of scores along the paths: ends of two intervals, and the median between.

    Returns:
        Fractions, ``(axis, family, benchmark, quantile, point)``, quantiles as
        :func:`quantiles_at`.
    """
    axes, families, points = paths.params_b.shape
    count = len(laws.items)
    found = np.empty((axes, families, count, 5, points), np.float32)
    for axis in range(axes):
        at = (paths.params_b[axis].T, paths.tokens_t[axis].T, paths.active_b(axis).T)
        draws = np.array(laws.draws(*at)).reshape(-1, points * families * count).T.copy()
        draws.sort(axis=1)  # ten times as fast as np.quantile, which partitions
        ends = _of_sorted(draws, quantiles_at(level)).reshape(points, families, count, -1)
        found[axis] = np.moveaxis(ends, 0, -1)
    return found


def _of_sorted(draws: np.ndarray, probabilities: list[float]) -> np.ndarray:
    """Quantiles of sorted draws, ``(row, draw)``, as numpy's: ``(row, quantile)``."""
    place = np.asarray(probabilities) * (draws.shape[1] - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, draws.shape[1] - 1)
    return draws[:, below] + (place - below)[None] * (draws[:, above] - draws[:, below])


def quantiles_at(level: float) -> list[float]:
    """Probabilities: of the wide interval's lower end, the quartiles, and its upper end."""
    low, high = tail_probabilities(level)
    return [low, 0.25, 0.5, 0.75, high]
