"""Decisions: what to train, how large and on how much, with the uncertainty of each answer.

Everything here is a question to the draws of a fit. A budget of ``C`` training FLOPs allows
``6 s t <= C`` for ``s`` active parameters and ``t`` tokens (Kaplan et al. 2020; Maia Polo et al.,
arXiv 2412.06540, section 5). Along ``6 s t = C`` more of one is less of the other, so where more of
both helps there is a best split; the law says it draw by draw. It is searched on a grid, refined
around its best place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array, lax
from jax.tree_util import Partial

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.query import Query
from sloth_jax.errors import InputError
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.forecast import count_family_models, forecast, predictive_law
from sloth_jax.inference.approximations import map_in_chunks
from sloth_jax.inference.fit import Fit
from sloth_jax.planning.targets import (
    MEAN,
    AimedLaw,
    Places,
    Target,
    aim,
    expected,
    find_target,
    measured,
    places,
    ranked,
)
from sloth_jax.skills.interpret import Skills

FLOPS_UNIT = 6e21  # FLOPs to train a billion parameters on a trillion tokens: 6 s t


@dataclass(frozen=True)
class Family:
    """Whose model is planned.

    Attributes:
        name: of the family; one that the table does not know is drawn from the population.
        lineage: its pretraining run, None for the table's or a new one.
        post_trained: None for the table's, or where nobody knows.
        active_fraction: active over all parameters; below 1 for a mixture of experts.
    """

    name: str
    lineage: str | None = None
    post_trained: bool | None = None
    active_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.active_fraction <= 1.0:
            raise InputError(
                f"active fraction {self.active_fraction:g} is not in (0, 1]: give active over all "
                "parameters, 1 for a dense model"
            )

    def query(self, table: Leaderboard, params_b: np.ndarray, tokens_t: np.ndarray) -> Query:
        """Models of this family, all of one name, so that they share what is drawn for a model."""
        frame = pd.DataFrame(
            {"model": [self.name], "family": self.name, "params_b": 1.0, "tokens_t": 1.0}
        )
        if self.lineage is not None:
            frame["lineage"] = self.lineage
        if self.post_trained is not None:
            frame["post_trained"] = self.post_trained
        one = Query.from_frame(frame, table, source="family")
        count = len(params_b)
        active = params_b * self.active_fraction if self.active_fraction < 1 else np.nan
        return replace(
            one,
            models=one.models * count,
            families=one.families * count,
            lineages=one.lineages * count,
            post_trained=np.repeat(one.post_trained, count),
            params_b=np.asarray(params_b, float),
            active_params_b=np.broadcast_to(active, (count,)).astype(float),
            tokens_t=np.asarray(tokens_t, float),
        )


@dataclass(frozen=True)
class Bounds:
    """Sizes and tokens among which a plan may choose.

    Attributes:
        params_b: smallest and largest, billions; of a mixture of experts, of all parameters.
        tokens_t: fewest and most, trillions.
    """

    params_b: tuple[float, float] = (0.1, 1000.0)
    tokens_t: tuple[float, float] = (0.05, 50.0)

    def __post_init__(self) -> None:
        for name, (low, high) in (("params_b", self.params_b), ("tokens_t", self.tokens_t)):
            if not (np.isfinite([low, high]).all() and low > 0):
                raise InputError(f"bounds of {name} are {low:g} to {high:g}: give positive numbers")
            if not low < high:
                raise InputError(
                    f"bounds of {name} are crossed, {low:g} to {high:g}: give the smaller first"
                )

    def logs(self) -> tuple[float, float, float, float]:
        """Logs of smallest and largest size, fewest and most tokens."""
        found = np.log([*self.params_b, *self.tokens_t])
        return (float(found[0]), float(found[1]), float(found[2]), float(found[3]))


@dataclass(frozen=True, eq=False)
class Plan:
    """How to spend budgets.

    Attributes:
        family: whose model is planned.
        target: what it is to be good at.
        bounds: sizes and tokens that were allowed.
        level: probability inside the intervals.
        frontier: a row per budget: ``flops``; the recommended split ``params_b, tokens_t``, which
            has the largest expected target; ``mean, lower, upper`` of the target as it would be
            measured there; quantiles over draws of where the law's optimum lies,
            ``params_b_lower, params_b_median, params_b_upper`` and the same of ``tokens_t``;
            ``params_b_least, params_b_most``: sizes, the rest of the budget spent on tokens, that
            are as good as the recommended one within the uncertainty; ``spent``, FLOPs of the
            split; ``outside``, in words, how far it leaves the training table.
        splits: a row per budget and size, the rest of the budget spent on tokens: ``flops,
            params_b, tokens_t``; ``mean, lower, upper`` of the target by the law (no noise);
            ``loss``, expected, against the recommended split; ``as_good``, the probability that it
            is at least as good.
        family_models: training models of the family; 0 for a cold start.
        inference: of the fit. A mode's intervals lack what is uncertain about the law itself.
    """

    family: Family
    target: Target
    bounds: Bounds
    level: float
    frontier: pd.DataFrame
    splits: pd.DataFrame
    family_models: int
    inference: str


ANYWHERE = Bounds()  # wide enough for what is trained today

_SPLITS = 65  # of a budget, that are shown
_GRIDS = {True: (129, 1), False: (65, 33)}  # sizes and tokens: whether the whole budget is spent
_ROUNDS = 3  # of the search: a grid, then ever finer ones around the best place


def compute_optimal(
    fit: Fit,
    flops: float | Sequence[float] | np.ndarray,
    *,
    family: Family | str,
    target: str | Mapping[str, float] = MEAN,
    bounds: Bounds = ANYWHERE,
    spend_all: bool = True,
    level: float = 0.9,
    key: Array,
    skills: Skills | None = None,
    draws: int = 240,
) -> Plan:
    """Sizes and tokens that are best for budgets.

    The recommended split maximises the expected target; the optimum of each draw tells how well it
    is known where the optimum lies. Splits are compared within each draw, so that what is uncertain
    about all of them alike does not blur which is better.

    Args:
        fit: from :func:`sloth_jax.fit.fit`.
        flops: training budgets, FLOPs.
        family: whose model, by name or with more said about it.
        target: a benchmark, ``"mean"`` of all, benchmarks with weights, or a label of ``skills``.
        bounds: sizes and tokens among which to choose.
        spend_all: whether the budget is spent as far as the bounds allow. Where not, splits that
            cost less are searched too: laws that fall in size or tokens are best there, but so are
            those whose interaction is carried to corners that no model of the table is near.
        level: probability inside the intervals, in (0, 1).
        key: random key.
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills` of the same fit; needed
            only where the target is a skill.
        draws: how many to use for the search, evenly thinned.

    Returns:
        A :class:`Plan`. In single precision the split is exact to about one part in a thousand, as
        the target is flat where it is largest.

    Raises:
        InputError: if a budget is not positive or too small for the bounds, or there is no such
            target.
    """
    family = Family(family) if isinstance(family, str) else family
    aimed = find_target(target, fit.table.benchmarks, skills.labels if skills else ())
    budgets = np.sort(np.atleast_1d(np.asarray(flops, float)))
    check_budgets(budgets, family, bounds)
    tails = _tails(level)
    one = family.query(fit.table, np.ones(1), np.ones(1))
    law = aim(predictive_law(fit, one, key), aimed, fit, skills)
    count = law.weight.shape[0]
    kept = np.unique(np.linspace(0, count - 1, min(draws, count)).round().astype(int))
    found = _search(
        law,
        jax.tree.map(lambda a: a[kept], law),
        jnp.log(jnp.asarray(budgets / (FLOPS_UNIT * family.active_fraction))),
        jnp.asarray(bounds.logs()),
        Partial(places, fit.surface, family.active_fraction),
        spend_all=spend_all,
    )
    best, optima, at_best, curve, values, at_recommended = (
        jax.tree.map(lambda a: np.asarray(a, np.float64), part) for part in found
    )
    size, tokens = np.exp(best[0]), np.exp(best[1])
    lower, upper = np.quantile(at_best, tails, axis=1)
    frontier = pd.DataFrame(
        {
            "flops": budgets,
            "params_b": size,
            "tokens_t": tokens,
            "tokens_per_param": 1e3 * tokens / size,
            "mean": at_best.mean(axis=1),
            "lower": lower,
            "upper": upper,
        }
    )
    for name, logs in zip(("params_b", "tokens_t"), optima, strict=True):
        quantiles = np.exp(np.quantile(logs, [tails[0], 0.5, tails[1]], axis=1))
        for end, column in zip(("lower", "median", "upper"), quantiles, strict=True):
            frontier[f"{name}_{end}"] = column
    # (budget, draw, split) less (budget, draw, 1)
    ahead = values - at_recommended[:, :, None]
    # Where a score has met its floor or ceiling all splits are equal but for rounding.
    rounding = 1e-5 * (1.0 + np.abs(at_recommended).mean())
    as_good = (ahead >= -rounding).mean(axis=1)
    ends = np.quantile(values, tails, axis=1)
    splits = pd.DataFrame(
        {
            "flops": np.repeat(budgets, _SPLITS),
            "params_b": np.exp(curve[0]).ravel(),
            "tokens_t": np.exp(curve[1]).ravel(),
            "mean": values.mean(axis=1).ravel(),
            "lower": ends[0].ravel(),
            "upper": ends[1].ravel(),
            "loss": -ahead.mean(axis=1).ravel(),
            "as_good": as_good.ravel(),
        }
    )
    among = np.where(as_good >= 1.0 - level, np.exp(curve[0]), np.nan)
    edges = np.column_stack([among, size])  # the recommended one always belongs
    frontier["params_b_least"] = np.nanmin(edges, axis=1)
    frontier["params_b_most"] = np.nanmax(edges, axis=1)
    frontier["spent"] = FLOPS_UNIT * family.active_fraction * size * tokens
    frontier["outside"] = beyond_in_words(fit.table, size, tokens)
    return Plan(
        family=family,
        target=aimed,
        bounds=bounds,
        level=level,
        frontier=frontier,
        splits=splits,
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        inference=fit.settings.inference,
    )


def _place(u: Array, v: Array, limit: Array, box: Array) -> tuple[Array, Array]:
    """Log size and log tokens of the unit square: u along sizes, v from fewest to most tokens."""
    top = jnp.minimum(box[1], limit - box[2])
    log_params = box[0] + u * (top - box[0])
    most = jnp.minimum(box[3], limit - log_params)
    return log_params, box[2] + v * (most - box[2])


def _largest(value: Callable[[Array, Array], Array], spend_all: bool) -> tuple[Array, Array]:
    """Where in the unit square a smooth function of places ``(point,)`` is largest."""
    counts = np.array(_GRIDS[spend_all])
    axes = (jnp.linspace(-1.0, 1.0, count) if count > 1 else jnp.zeros(1) for count in counts)
    du, dv = (part.ravel() for part in jnp.meshgrid(*axes, indexing="ij"))
    # The next grid reaches as far as the neighbours of the best place.
    finer = jnp.asarray(2.0 / np.maximum(counts - 1, 1))

    def closer(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        u, v, width = state
        us, vs = jnp.clip(u + width[0] * du, 0.0, 1.0), jnp.clip(v + width[1] * dv, 0.0, 1.0)
        at = jnp.argmax(value(us, vs))
        return us[at], vs[at], finer * width

    whole = (jnp.asarray(0.5), jnp.asarray(1.0 if spend_all else 0.5), jnp.full(2, 0.5))
    u, v, _ = lax.fori_loop(0, _ROUNDS, closer, whole)
    return u, v


@partial(jax.jit, static_argnames="spend_all")
def _search(
    law: AimedLaw, some: AimedLaw, limits: Array, box: Array,
    where: Callable[[Array, Array], Places], *, spend_all: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Everything :func:`compute_optimal` needs, budget by budget; ``some`` are searched."""

    def of_budget(limit: Array) -> tuple[Any, ...]:
        def at(u: Array, v: Array) -> Places:
            return where(*_place(u, v, limit, box))

        def mean(u: Array, v: Array) -> Array:
            found = at(u, v)
            return jnp.mean(map_in_chunks(lambda one: measured(one, found), some), axis=0)

        def optimum(one: AimedLaw) -> tuple[Array, Array]:
            return _place(*_largest(lambda u, v: ranked(one, at(u, v)), spend_all), limit, box)

        u, v = _largest(mean, spend_all)
        best = at(u[None], v[None])
        along, spent = jnp.linspace(0.0, 1.0, _SPLITS), jnp.ones(_SPLITS)
        shown = at(jnp.append(along, u), jnp.append(spent, v))
        values = map_in_chunks(lambda one: expected(one, shown), some)
        return (
            _place(u, v, limit, box),
            map_in_chunks(optimum, some),
            jax.vmap(lambda one: measured(one, best))(law)[:, 0],
            _place(along, spent, limit, box),
            values[:, :-1],
            values[:, -1],
        )

    return lax.map(of_budget, limits)


def check_budgets(budgets: np.ndarray, family: Family, bounds: Bounds) -> None:
    """Refuse budgets, ``(budget,)`` FLOPs, that buy nothing within bounds.

    Raises:
        InputError: naming the budget, and what to do.
    """
    least = FLOPS_UNIT * family.active_fraction * bounds.params_b[0] * bounds.tokens_t[0]
    for budget in budgets:
        if not (np.isfinite(budget) and budget > 0):
            raise InputError(f"budget {budget:g} FLOPs is not a positive number: 1e24, say")
        if budget < least:
            raise InputError(
                f"budget {budget:g} FLOPs is below that of the smallest model within bounds, "
                f"{least:.3g}: lower the bounds of params_b or tokens_t"
            )


def _tails(level: float) -> list[float]:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1: 0.9 means 90 %")
    return [0.5 - level / 2.0, 0.5 + level / 2.0]


@dataclass(frozen=True, eq=False)
class Requirement:
    """The least that reaches a score.

    Attributes:
        family: whose model.
        benchmark: which is to be reached.
        score: to be reached, a fraction.
        asked: probability that was asked for.
        solved: what was made as small as possible: ``params_b``, ``tokens_t`` or ``flops``.
        reached: whether anything within bounds does.
        params_b: billions; where not reached, of the most probable within bounds.
        tokens_t: trillions, likewise.
        flops: ``6 s t`` of it, active parameters.
        probability: that it reaches the score.
        standard_error: Monte Carlo error of the probability.
        mean: expected score there, a fraction.
        family_models: training models of the family; 0 for a cold start.
        outside: how far it leaves the training table, in words.
        curve: ``params_b, tokens_t, probability`` along what was solved for.
    """

    family: str
    benchmark: str
    score: float
    asked: float
    solved: str
    reached: bool
    params_b: float
    tokens_t: float
    flops: float
    probability: float
    standard_error: float
    mean: float
    family_models: int
    outside: str
    curve: pd.DataFrame


_SOLVED_GRID, _FINER_GRID = 129, 17


def required(
    fit: Fit,
    benchmark: str,
    score: float,
    *,
    family: Family | str,
    probability: float = 0.8,
    params_b: float | None = None,
    tokens_t: float | None = None,
    bounds: Bounds = ANYWHERE,
    key: Array,
) -> Requirement:
    """The smallest size, fewest tokens or least compute that reaches a score.

    With tokens given, the smallest size; with a size, the fewest tokens; with neither, the least
    compute, split as gives the score the best chance. Noise and what is uncertain about the model
    are part of the probability, so that :func:`sloth_jax.forecasting.forecast` at the answer has
    that share of its draws at or above the score.

    Args:
        fit: from :func:`sloth_jax.fit.fit`.
        benchmark: which.
        score: to be reached, a fraction in (0, 1).
        family: whose model, by name or with more said about it.
        probability: with which it is to be reached, in (0, 1).
        params_b: the size, billions, where the tokens are asked for.
        tokens_t: the tokens, trillions, where the size is asked for.
        bounds: among which to choose.
        key: random key.

    Returns:
        A :class:`Requirement`; look at ``reached``.

    Raises:
        InputError: if the score or the probability is not between 0 and 1, both a size and tokens
            are given, or there is no such benchmark.
    """
    family = Family(family) if isinstance(family, str) else family
    target = find_target({benchmark: 1.0}, fit.table.benchmarks)
    for name, value in (("score", score), ("probability", probability)):
        if not 0.0 < value < 1.0:
            raise InputError(f"{name} {value:g} is not between 0 and 1: give a fraction, like 0.8")
    if params_b is not None and tokens_t is not None:
        raise InputError("a size and tokens leave nothing to solve for: give one of them, or none")
    for name, given in (("params_b", params_b), ("tokens_t", tokens_t)):
        if given is not None and not (np.isfinite(given) and given > 0):
            raise InputError(f"{name} {given:g} is not a positive number")
    one = family.query(fit.table, np.ones(1), np.ones(1))
    law = aim(predictive_law(fit, one, key), target, fit, None)
    where = Partial(places, fit.surface, family.active_fraction)
    low_s, high_s, low_t, high_t = bounds.logs()
    box = jnp.asarray(bounds.logs())

    def chance(log_params: np.ndarray, log_tokens: np.ndarray) -> np.ndarray:
        at = jnp.asarray(log_params), jnp.asarray(log_tokens)
        return np.asarray(_count_reaching(law, where, *at, score), float) / law.weight.shape[0]

    if params_b is None and tokens_t is None:
        solved, limits = "flops", (low_s + low_t, high_s + high_t)

        def along(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """The best split of each budget, by the logs of s t."""
            u = jnp.linspace(0.0, 1.0, _SPLITS)[None, :]
            split = _place(u, jnp.ones_like(u), jnp.asarray(at)[:, None], box)
            size, tokens = (np.asarray(a, float) for a in split)
            found = chance(size.ravel(), tokens.ravel()).reshape(size.shape)
            best = np.arange(len(at)), found.argmax(axis=1)
            return size[best], tokens[best], found[best]

    else:
        given = params_b if tokens_t is None else tokens_t
        assert given is not None  # by the branch
        solved = "tokens_t" if tokens_t is None else "params_b"
        limits = (low_t, high_t) if tokens_t is None else (low_s, high_s)

        def along(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            fixed = np.full_like(at, np.log(given))
            size, tokens = (fixed, at) if tokens_t is None else (at, fixed)
            return size, tokens, chance(size, tokens)

    whole = along(np.linspace(*limits, _SOLVED_GRID))
    curve = pd.DataFrame(
        {"params_b": np.exp(whole[0]), "tokens_t": np.exp(whole[1]), "probability": whole[2]}
    )
    size, tokens, found = _first_reaching(along, whole, limits, probability)
    s, t = float(np.exp(size)), float(np.exp(tokens))
    best = where(jnp.asarray([size]), jnp.asarray([tokens]))
    mean = float(jnp.mean(_of_draws(measured, law, best)))
    # Draws of a chain resemble each other: the error is that of so many independent ones.
    worth = float(np.fmin(law.weight.shape[0], fit.diagnostics.min_ess))
    return Requirement(
        family=family.name,
        benchmark=target.label,
        score=score,
        asked=probability,
        solved=solved,
        reached=bool(found >= probability),
        params_b=s,
        tokens_t=t,
        flops=FLOPS_UNIT * family.active_fraction * s * t,
        probability=found,
        standard_error=float(np.sqrt(max(found * (1.0 - found), 1e-6) / max(worth, 1.0))),
        mean=mean,
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        outside=beyond_in_words(fit.table, np.array([s]), np.array([t]))[0],
        curve=curve,
    )


@jax.jit
def _count_reaching(
    law: AimedLaw, where: Callable[[Array, Array], Places], log_params: Array, log_tokens: Array,
    score: float,
) -> Array:  # fmt: skip
    """How many draws are at or above a score, ``(point,)``."""
    found = where(log_params, log_tokens)
    return jnp.sum(map_in_chunks(lambda one: measured(one, found) >= score, law), axis=0)


@partial(jax.jit, static_argnames="value")
def _of_draws(value: Callable[[AimedLaw, Places], Array], law: AimedLaw, where: Places) -> Array:
    """A target by every draw, ``(draw, point)``."""
    return jax.vmap(lambda one: value(one, where))(law)


def _first_reaching(
    along: Any, whole: tuple[np.ndarray, ...], limits: tuple[float, float], asked: float
) -> tuple[float, float, float]:
    """First place on a line whose chance is large enough, or the most probable one.

    A chance need not grow along the line, so the whole of it is looked at before the first place
    is narrowed down, to a part in a hundred thousand.
    """
    size, tokens, found = whole
    if not (found >= asked).any():
        at = len(found) - 1 - int(found[::-1].argmax())  # of equals, the one with more
        return float(size[at]), float(tokens[at]), float(found[at])
    line, first = np.linspace(*limits, _SOLVED_GRID), int((found >= asked).argmax())
    for _ in range(3):
        if first == 0:
            break
        line = np.linspace(line[first - 1], line[first], _FINER_GRID)
        size, tokens, found = along(line)
        # The end is the place that was large enough; rounding must not take that back.
        first = int((found >= asked).argmax()) if (found >= asked).any() else len(found) - 1
    return float(size[first]), float(tokens[first]), float(found[first])


def compare(
    fit: Fit,
    candidates: Query,
    *,
    target: str | Mapping[str, float] = MEAN,
    level: float = 0.9,
    key: Array,
) -> pd.DataFrame:
    """Which of some models will be best, on each benchmark and overall.

    Candidates of one family share what is uncertain about it, so that their difference is known
    better than either; each has its own luck.

    Args:
        fit: from :func:`sloth_jax.fit.fit`.
        candidates: models that nobody has trained yet.
        target: what "overall" means; a benchmark, ``"mean"`` of all, or benchmarks with weights.
        level: probability inside the intervals, in (0, 1).
        key: random key.

    Returns:
        A row per candidate and benchmark, then per candidate with the target as ``benchmark``:
        ``model, benchmark, mean, median, lower, upper, level, probability_best, family_models,
        outside``.

    Raises:
        InputError: if there is no such target.
    """
    table = fit.table
    aimed = find_target(target, table.benchmarks)
    predicted = forecast(fit, candidates, key=key)
    overall = predicted.draws[:, :, list(aimed.benchmarks)] @ np.asarray(aimed.weights)
    draws = np.concatenate([predicted.draws, overall[:, :, None]], axis=2)
    lower, upper = np.quantile(draws, _tails(level), axis=0)
    # Ties, at scores of 1 say, are shared.
    top = draws == draws.max(axis=1, keepdims=True)
    best = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    names = [*table.benchmarks, aimed.label if aimed.is_mix else f"overall: {aimed.label}"]
    count, width = draws.shape[1:]
    frame = pd.DataFrame(
        {
            "model": np.repeat(candidates.models, width),
            "benchmark": np.tile(names, count),
            "mean": draws.mean(axis=0).ravel(),
            "median": np.median(draws, axis=0).ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "level": level,
            "probability_best": best.ravel(),
            "family_models": np.repeat(predicted.family_models, width),
            "outside": np.repeat(predicted.outside, width),
        }
    )
    last = np.tile(np.arange(width) == width - 1, count)
    return pd.concat([frame[~last], frame[last]], ignore_index=True)


def elasticity(
    fit: Fit,
    params_b: float,
    tokens_t: float,
    *,
    family: Family | str,
    more: float = 0.01,
    level: float = 0.9,
    key: Array,
    skills: Skills | None = None,
) -> pd.DataFrame:
    """What 1 % more parameters, or 1 % more tokens, change at a point.

    Args:
        fit: from :func:`sloth_jax.fit.fit`.
        params_b: size of the point, billions.
        tokens_t: its tokens, trillions.
        family: whose model, by name or with more said about it.
        more: how much more, a fraction.
        level: probability inside the intervals, in (0, 1).
        key: random key.
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills` of the same fit; their
            changes, in standard deviations over models, come first.

    Returns:
        A row per skill or benchmark and kind of growth: ``kind`` (``skill`` or ``benchmark``),
        ``name``, ``more`` (``params`` or ``tokens``), ``median, lower, upper`` by the law, without
        noise.
    """
    family = Family(family) if isinstance(family, str) else family
    tails = _tails(level)
    one = family.query(fit.table, np.ones(1), np.ones(1))
    law = predictive_law(fit, one, key)
    log_s, log_t, grow = np.log(params_b), np.log(tokens_t), np.log1p(more)
    where = places(
        fit.surface,
        family.active_fraction,
        jnp.asarray([log_s, log_s + grow, log_s]),
        jnp.asarray([log_t, log_t, log_t + grow]),
    )
    wanted = [("benchmark", name, find_target({name: 1.0}, fit.table.benchmarks))
              for name in fit.table.benchmarks]  # fmt: skip
    labels = skills.labels if skills else ()
    wanted = [("skill", name, Target(name, (), (), k)) for k, name in enumerate(labels)] + wanted
    rows = []
    for kind, name, target in wanted:
        aimed = aim(law, target, fit, skills)
        value = np.asarray(_of_draws(expected, aimed, where), float)
        for column, grown in ((1, "params"), (2, "tokens")):
            change = value[:, column] - value[:, 0]
            lower, upper = np.quantile(change, tails)
            rows.append((kind, name, grown, float(np.median(change)), lower, upper))
    return pd.DataFrame(rows, columns=["kind", "name", "more", "median", "lower", "upper"])
