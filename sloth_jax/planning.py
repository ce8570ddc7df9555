"""Decisions: what to train, how large and on how much, with the uncertainty of each answer.

Everything here is a question to the draws of a fit. A budget of ``C`` training FLOPs allows
``6 s t <= C`` for ``s`` active parameters and ``t`` tokens (Kaplan et al. 2020; Maia Polo et al.,
arXiv 2412.06540, section 5). In the law with an interaction a skill is a quadratic of ``log s``
along ``6 s t = C``, so where more of both helps there is one best split; the law says it draw by
draw. A point fit answers too, as one draw: its answers carry no uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array, lax

from sloth_jax.covariates import Scaling, covariate_matrix
from sloth_jax.errors import InputError
from sloth_jax.extrapolation import beyond_in_words
from sloth_jax.forecasting import count_family_models, forecast, predictive_law
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.point import PointFit
from sloth_jax.posterior import Posterior
from sloth_jax.query import Query
from sloth_jax.skills import Skills
from sloth_jax.targets import (
    MEAN,
    AimedLaw,
    Target,
    aim,
    expected,
    find_target,
    measured,
    ranked,
)

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
        has_intervals: False for a point fit.
    """

    family: Family
    target: Target
    bounds: Bounds
    level: float
    frontier: pd.DataFrame
    splits: pd.DataFrame
    family_models: int
    has_intervals: bool


ANYWHERE = Bounds()  # wide enough for what is trained today

_SEGMENTS, _COARSE = 4, 16  # of the range of log size: starts of the search, steps in each
_SPLITS = 65


def compute_optimal(
    fit: Posterior | PointFit,
    flops: float | Sequence[float] | np.ndarray,
    *,
    family: Family | str,
    target: str | Mapping[str, float] = MEAN,
    bounds: Bounds = ANYWHERE,
    spend_all: bool = True,
    level: float = 0.9,
    key: Array | None = None,
    skills: Skills | None = None,
    draws: int = 240,
) -> Plan:
    """Sizes and tokens that are best for budgets.

    The recommended split maximises the expected target; the optimum of each draw tells how well it
    is known where the optimum lies. Splits are compared within each draw, so that what is uncertain
    about all of them alike does not blur which is better.

    Args:
        fit: a posterior or a point fit.
        flops: training budgets, FLOPs.
        family: whose model, by name or with more said about it.
        target: a benchmark, ``"mean"`` of all, benchmarks with weights, or a label of ``skills``.
        bounds: sizes and tokens among which to choose.
        spend_all: whether the budget is spent as far as the bounds allow. Where not, splits that
            cost less are searched too: laws that fall in size or tokens are best there, but so are
            those whose interaction is carried to corners that no model of the table is near.
        level: probability inside the intervals, in (0, 1).
        key: random key; required for a posterior.
        skills: from :func:`sloth_jax.skills.interpret_skills` of the same fit; needed only where
            the target is a skill.
        draws: how many of the posterior's to use for the search, evenly thinned.

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
    count = law.params.loading.shape[0]
    kept = np.unique(np.linspace(0, count - 1, min(draws, count)).round().astype(int))
    axes = _Axes(fit.scaling, fit.covariates, family.active_fraction)
    limits = np.log(budgets / (FLOPS_UNIT * family.active_fraction))
    found = _search(
        jax.tree.map(lambda a: a[kept], law), law, jnp.asarray(limits),
        jnp.asarray(bounds.logs()), axes=axes, mix=aimed.is_mix, spend_all=spend_all,
    )  # fmt: skip
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
    posterior = isinstance(fit, Posterior)
    if not posterior:
        # One draw has no spread; a blank says so, equal ends would claim certainty.
        blank = frontier.columns.str.endswith(("lower", "upper", "median", "least", "most"))
        frontier.loc[:, blank] = np.nan
        splits[["lower", "upper", "as_good"]] = np.nan
    return Plan(
        family=family,
        target=aimed,
        bounds=bounds,
        level=level,
        frontier=frontier,
        splits=splits,
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        has_intervals=posterior,
    )


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["scaling", "active_fraction"],
    meta_fields=["kind"],
)
@dataclass(frozen=True)
class _Axes:
    """How sizes and tokens become covariates; programs are compiled for its kind alone."""

    scaling: Scaling
    kind: str
    active_fraction: float

    def x(self, log_params: Array, log_tokens: Array) -> Array:
        size = jnp.exp(log_params)
        active = size * self.active_fraction
        return covariate_matrix(
            self.scaling, size, jnp.exp(log_tokens), kind=self.kind, active_params_b=active
        )


def _place(u: Array, v: Array, limit: Array, box: Array) -> tuple[Array, Array]:
    """Log size and log tokens of the unit square: u along sizes, v from fewest to most tokens."""
    top = jnp.minimum(box[1], limit - box[2])
    log_params = box[0] + u * (top - box[0])
    most = jnp.minimum(box[3], limit - log_params)
    return log_params, box[2] + v * (most - box[2])


def _climb(
    value: Any, *, rungs: tuple[float, ...], between: bool, starts: int, rounds: int, points: int
) -> tuple[Array, Array]:
    """Where a smooth function on the unit square is largest.

    The search starts from the best points of a grid and looks ever closer around each; the value
    that it returns is never below one that it has seen.

    Args:
        value: of ``(point,)`` places u and v.
        rungs: values of v on the grid.
        between: whether v may leave them.
        starts: of the best points, one for each segment of u and rung, to go on from.
        rounds: how often to look closer.
        points: on a line through each place, in a round; an odd number. Each round makes steps
            shorter by ``(points - 1) / 2``, from 1/64.
    """
    u = jnp.linspace(0.0, 1.0, _SEGMENTS * _COARSE + 1)
    v = jnp.asarray(rungs, u.dtype)
    grid = jnp.stack([value(u, jnp.full_like(u, rung)) for rung in rungs])
    # The best point of each segment on each rung; neighbours share their common end.
    within = jnp.arange(_SEGMENTS)[:, None] * _COARSE + jnp.arange(_COARSE + 1)[None, :]
    parts = grid[:, within]
    best = jnp.argmax(parts, axis=2)
    places = jnp.take_along_axis(jnp.broadcast_to(within, parts.shape), best[:, :, None], 2)
    _, first = lax.top_k(jnp.max(parts, axis=2).ravel(), starts)
    offsets = jnp.linspace(-1.0, 1.0, points)
    du, dv = (
        part.ravel()
        for part in jnp.meshgrid(offsets, offsets if between else jnp.zeros(1), indexing="ij")
    )

    def closer(_: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        u, v, step = state[0], state[1], state[3]
        near_u = jnp.clip(u[:, None] + step * du[None, :], 0.0, 1.0)
        # Rungs stand further apart than points on them.
        near_v = jnp.clip(v[:, None] + _COARSE * step * dv[None, :], 0.0, 1.0)
        values = value(near_u.ravel(), near_v.ravel()).reshape(near_u.shape)
        chosen = jnp.argmax(values, axis=1)[:, None]
        u, v, best = (jnp.take_along_axis(a, chosen, 1)[:, 0] for a in (near_u, near_v, values))
        return u, v, best, 2.0 * step / (points - 1)

    start_u = u[places.ravel()[first]]
    start_v = jnp.repeat(v, _SEGMENTS)[first]
    step = jnp.asarray(1.0 / (_SEGMENTS * _COARSE), u.dtype)
    state = (start_u, start_v, jnp.full_like(start_u, -jnp.inf), step)
    u, v, best, _ = lax.fori_loop(0, rounds, closer, state)
    top = jnp.argmax(best)
    return u[top], v[top]


@partial(jax.jit, static_argnames=("mix", "spend_all"))
def _search(
    some: AimedLaw, law: AimedLaw, limits: Array, box: Array, *, axes: _Axes, mix: bool,
    spend_all: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Everything :func:`compute_optimal` needs, budget by budget."""
    # At a given size a skill is a straight line in log tokens, so that a single benchmark or skill
    # is best with the fewest or the most of them; a mix may be best in between.
    rungs = (1.0,) if spend_all else (0.0, 0.5, 1.0) if mix else (0.0, 1.0)
    every = len(rungs) * _SEGMENTS
    climb = partial(_climb, rungs=rungs, between=mix and not spend_all)
    fine = partial(climb, starts=every, rounds=26, points=5)
    # A link costs hundreds of values before it gives the first: few rounds, many points in each.
    many = {"rounds": 4, "points": 9} if mix and not spend_all else {"rounds": 3, "points": 33}
    coarse = partial(climb, starts=min(every, 2), **many)

    def of_budget(limit: Array) -> tuple[Any, ...]:
        def at(u: Array, v: Array) -> Array:
            return axes.x(*_place(u, v, limit, box))

        def mean(u: Array, v: Array) -> Array:
            x = at(u, v)
            if some.noise is None:  # one draw, or a skill: the law itself, without its link
                return jnp.mean(jax.vmap(lambda one: ranked(one, x))(some), axis=0)
            return jnp.mean(jax.vmap(lambda one: measured(one, x))(some), axis=0)

        def optimum(one: AimedLaw) -> tuple[Array, Array]:
            u, v = (coarse if mix else fine)(lambda u, v: ranked(one, at(u, v)))
            return _place(u, v, limit, box)

        u, v = (fine if some.noise is None else coarse)(mean)
        x = at(u[None], v[None])
        at_best = jax.vmap(lambda one: measured(one, x))(law)[:, 0]
        along = jnp.linspace(0.0, 1.0, _SPLITS)
        spent = jnp.ones(_SPLITS)
        values = jax.vmap(lambda one: expected(one, at(along, spent)))(some)
        at_recommended = jax.vmap(lambda one: expected(one, x))(some)[:, 0]
        return (
            _place(u, v, limit, box),
            jax.vmap(optimum)(some),
            at_best,
            _place(along, spent, limit, box),
            values,
            at_recommended,
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
        asked: probability that was asked for; NaN for a point fit, which has none.
        solved: what was made as small as possible: ``params_b``, ``tokens_t`` or ``flops``.
        reached: whether anything within bounds does.
        params_b: billions; where not reached, of the most probable within bounds.
        tokens_t: trillions, likewise.
        flops: ``6 s t`` of it, active parameters.
        probability: that it reaches the score; of a point fit, 1 or 0 without meaning more.
        standard_error: Monte Carlo error of the probability; NaN for a point fit.
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


_SOLVED_GRID = 129


def required(
    fit: Posterior | PointFit,
    benchmark: str,
    score: float,
    *,
    family: Family | str,
    probability: float = 0.8,
    params_b: float | None = None,
    tokens_t: float | None = None,
    bounds: Bounds = ANYWHERE,
    key: Array | None = None,
) -> Requirement:
    """The smallest size, fewest tokens or least compute that reaches a score.

    With tokens given, the smallest size; with a size, the fewest tokens; with neither, the least
    compute, split as gives the score the best chance. Noise and what is uncertain about the model
    are part of the probability, so that :func:`sloth_jax.forecasting.forecast` at the answer has
    that share of its draws at or above the score.

    Args:
        fit: a posterior or a point fit.
        benchmark: which.
        score: to be reached, a fraction in (0, 1).
        family: whose model, by name or with more said about it.
        probability: with which it is to be reached, in (0, 1); a point fit has none and reaches a
            score where it predicts it.
        params_b: the size, billions, where the tokens are asked for.
        tokens_t: the tokens, trillions, where the size is asked for.
        bounds: among which to choose.
        key: random key; required for a posterior.

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
    posterior = isinstance(fit, Posterior)
    asked = probability if posterior else 0.5  # of one draw: predicted or not
    one = family.query(fit.table, np.ones(1), np.ones(1))
    law = aim(predictive_law(fit, one, key), target, fit, None)
    axes = _Axes(fit.scaling, fit.covariates, family.active_fraction)
    low_s, high_s, low_t, high_t = bounds.logs()
    box = jnp.asarray(bounds.logs())

    def chance(log_params: np.ndarray, log_tokens: np.ndarray) -> np.ndarray:
        x = axes.x(jnp.asarray(log_params), jnp.asarray(log_tokens))
        return np.asarray(_share_reaching(law, x, score), float)

    if params_b is None and tokens_t is None:
        solved, limits = "flops", (low_s + low_t, high_s + high_t)

        def along(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """The best split of each budget, by the logs of s t."""
            u = np.linspace(0.0, 1.0, _SPLITS)[None, :]
            places = _place(jnp.asarray(u), jnp.ones((1, _SPLITS)), jnp.asarray(at)[:, None], box)
            size, tokens = (np.asarray(a, float) for a in places)
            found = chance(size.ravel(), tokens.ravel()).reshape(size.shape)
            best = np.arange(len(at)), found.argmax(axis=1)
            return size[best], tokens[best], found[best]

    elif tokens_t is None:
        solved, limits = "tokens_t", (low_t, high_t)
        assert params_b is not None  # by the branch
        fixed = np.log(params_b)

        def along(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return np.full_like(at, fixed), at, chance(np.full_like(at, fixed), at)

    else:
        solved, limits = "params_b", (low_s, high_s)
        fixed = np.log(tokens_t)

        def along(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return at, np.full_like(at, fixed), chance(at, np.full_like(at, fixed))

    whole = along(np.linspace(*limits, _SOLVED_GRID))
    curve = pd.DataFrame(
        {"params_b": np.exp(whole[0]), "tokens_t": np.exp(whole[1]), "probability": whole[2]}
    )
    size, tokens, found = _first_reaching(along, whole, limits, asked)
    s, t = float(np.exp(size)), float(np.exp(tokens))
    x = axes.x(jnp.asarray([size]), jnp.asarray([tokens]))
    mean = float(jnp.mean(jax.vmap(lambda one: measured(one, x))(law)))
    error = np.nan
    if isinstance(fit, Posterior):
        # Draws of a chain resemble each other: the error is that of so many independent ones.
        worth = min(law.params.loading.shape[0], fit.diagnostics.min_ess)
        error = float(np.sqrt(max(found * (1.0 - found), 1e-6) / max(worth, 1.0)))
    return Requirement(
        family=family.name,
        benchmark=target.label,
        score=score,
        asked=probability if posterior else np.nan,
        solved=solved,
        reached=bool(found >= asked),
        params_b=s,
        tokens_t=t,
        flops=FLOPS_UNIT * family.active_fraction * s * t,
        probability=found,
        standard_error=error,
        mean=mean,
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        outside=beyond_in_words(fit.table, np.array([s]), np.array([t]))[0],
        curve=curve,
    )


@jax.jit
def _share_reaching(law: AimedLaw, x: Array, score: float) -> Array:
    """Share of draws at or above a score, ``(point,)``."""
    return jnp.mean(jax.vmap(lambda one: measured(one, x) >= score)(law), axis=0)


def _first_reaching(
    along: Any, whole: tuple[np.ndarray, ...], limits: tuple[float, float], asked: float
) -> tuple[float, float, float]:
    """First place on a line whose chance is large enough, or the most probable one.

    A chance need not grow along the line, so the whole of it is looked at before the first place
    is narrowed down, to a part in a hundred thousand.
    """
    low, high = limits
    size, tokens, found = whole
    if not (found >= asked).any():
        at = len(found) - 1 - int(found[::-1].argmax())  # of equals, the one with more
        return float(size[at]), float(tokens[at]), float(found[at])
    first = int((found >= asked).argmax())
    for _ in range(2):
        if first == 0:
            break
        low, high = np.linspace(low, high, _SOLVED_GRID)[first - 1 : first + 1]
        size, tokens, found = along(np.linspace(low, high, _SOLVED_GRID))
        # The end is the place that was large enough; rounding must not take that back.
        first = int((found >= asked).argmax()) if (found >= asked).any() else len(found) - 1
    return float(size[first]), float(tokens[first]), float(found[first])


def compare(
    fit: Posterior | PointFit,
    candidates: Query,
    *,
    target: str | Mapping[str, float] = MEAN,
    level: float = 0.9,
    key: Array | None = None,
) -> pd.DataFrame:
    """Which of some models will be best, on each benchmark and overall.

    Candidates of one family share what is uncertain about it, so that their difference is known
    better than either; each has its own luck.

    Args:
        fit: a posterior or a point fit.
        candidates: models that nobody has trained yet.
        target: what "overall" means; a benchmark, ``"mean"`` of all, or benchmarks with weights.
        level: probability inside the intervals, in (0, 1).
        key: random key; required for a posterior.

    Returns:
        A row per candidate and benchmark, then per candidate with the target as ``benchmark``:
        ``model, benchmark, mean, median, lower, upper, level, probability_best, family_models,
        outside``. Ends and probabilities are NaN for a point fit.

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
    if not predicted.has_intervals:
        lower, upper, best = (np.full_like(lower, np.nan) for _ in range(3))
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
    fit: Posterior | PointFit,
    params_b: float,
    tokens_t: float,
    *,
    family: Family | str,
    more: float = 0.01,
    level: float = 0.9,
    key: Array | None = None,
    skills: Skills | None = None,
) -> pd.DataFrame:
    """What 1 % more parameters, or 1 % more tokens, change at a point.

    Args:
        fit: a posterior or a point fit.
        params_b: size of the point, billions.
        tokens_t: its tokens, trillions.
        family: whose model, by name or with more said about it.
        more: how much more, a fraction.
        level: probability inside the intervals, in (0, 1).
        key: random key; required for a posterior.
        skills: from :func:`sloth_jax.skills.interpret_skills` of the same fit; their changes, in
            standard deviations over models, come first.

    Returns:
        A row per skill or benchmark and kind of growth: ``kind`` (``skill`` or ``benchmark``),
        ``name``, ``more`` (``params`` or ``tokens``), ``median, lower, upper`` by the law, without
        noise; ends are NaN for a point fit.
    """
    family = Family(family) if isinstance(family, str) else family
    tails = _tails(level)
    one = family.query(fit.table, np.ones(1), np.ones(1))
    law = predictive_law(fit, one, key)
    axes = _Axes(fit.scaling, fit.covariates, family.active_fraction)
    log_s, log_t, grow = np.log(params_b), np.log(tokens_t), np.log1p(more)
    x = axes.x(jnp.asarray([log_s, log_s + grow, log_s]), jnp.asarray([log_t, log_t, log_t + grow]))
    wanted = [("benchmark", name, find_target({name: 1.0}, fit.table.benchmarks))
              for name in fit.table.benchmarks]  # fmt: skip
    labels = skills.labels if skills else ()
    wanted = [("skill", name, Target(name, (), (), k)) for k, name in enumerate(labels)] + wanted
    rows = []
    for kind, name, target in wanted:
        aimed = aim(law, target, fit, skills)
        value = np.asarray(jax.vmap(lambda one: expected(one, x))(aimed), float)
        for column, grown in ((1, "params"), (2, "tokens")):
            change = value[:, column] - value[:, 0]
            lower, upper = np.quantile(change, tails)
            if not isinstance(fit, Posterior):
                lower = upper = np.nan
            rows.append((kind, name, grown, float(np.median(change)), lower, upper))
    return pd.DataFrame(rows, columns=["kind", "name", "more", "median", "lower", "upper"])
