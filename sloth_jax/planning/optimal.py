"""Compute-optimal training: how to split budgets between size and tokens.

A budget of ``C`` training FLOPs allows ``6 s t <= C`` for ``s`` active parameters and ``t`` tokens
(Kaplan et al. 2020; Maia Polo et al., arXiv 2412.06540, section 5). Along ``6 s t = C`` more of one
is less of the other, so where more of both helps there is a best split; the law gives it draw by
draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array, lax
from jax.typing import ArrayLike

from sloth_jax.chunks import map_in_chunks
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.forecast import count_family_models
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.inference.fit import Fit
from sloth_jax.planning.budget import (
    FLOPS_UNIT,
    WIDE_BOUNDS,
    Bounds,
    Split,
    check_budgets,
    split_at,
)
from sloth_jax.planning.family import Family, as_family
from sloth_jax.planning.maximise import maximise, maximise_square
from sloth_jax.planning.objective import (
    Covariates,
    Objective,
    covariates_of,
    law_value,
    monotone_value,
    objective_of,
    predicted_value,
    predictive_law_of,
)
from sloth_jax.planning.targets import MEAN, Target, find_target
from sloth_jax.programs import kept
from sloth_jax.showing import Shown
from sloth_jax.skills.interpret import Skills


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Shown):
    """How to spend budgets.

    Attributes:
        family: whose model is planned.
        target: what is maximised.
        bounds: sizes and tokens that were chosen from.
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

    def _line(self) -> str:
        first, last = self.frontier.iloc[0], self.frontier.iloc[-1]
        what = f"{self.target.label} of {self.family.name}, by {self.inference}"
        if len(self.frontier) > 1:
            budgets = f"{first['flops']:.3g} to {last['flops']:.3g} FLOPs"
            return f"{what}: {len(self.frontier)} budgets of {budgets}, see frontier"
        return (
            f"{what}: {first['params_b']:.3g} billion parameters on {first['tokens_t']:.3g} "
            f"trillion tokens for {first['flops']:.3g} FLOPs; expected {first['mean']:.3g} "
            f"({first['lower']:.3g} to {first['upper']:.3g}, {self.level:.0%} interval)"
        )

    def _rows(self) -> pd.DataFrame:
        return self.frontier

    def in_words(self) -> str:
        """The frontier as a table for a terminal."""
        unit = "" if self.target.skill is None else " (sd of models)"
        head = ("FLOPs", "params_b", "tokens_t", "score", "as good: params_b")
        lines = [
            f"{self.family.name}, best for {self.target.label}{unit}; intervals of "
            f"{100 * self.level:g} %",
            f"{head[0]:>9}  {head[1]:>24}  {head[2]:>24}  {head[3]:>20}  {head[4]:>18}",
        ]

        def with_ends(*values: float) -> str:
            return "{:.3g} ({:.3g} to {:.3g})".format(*values)

        for row in self.frontier.to_dict("records"):
            size, tokens = (
                with_ends(*(row[f"{name}{end}"] for end in ("", "_lower", "_upper")))
                for name in ("params_b", "tokens_t")
            )
            score = with_ends(row["mean"], row["lower"], row["upper"])
            alike = f"{row['params_b_least']:.3g} to {row['params_b_most']:.3g}"
            mark = "  outside" if row["outside"] else ""
            lines.append(
                f"{row['flops']:>9.3g}  {size:>24}  {tokens:>24}  {score:>20}  {alike:>18}{mark}"
            )
        return "\n".join(lines)


_SHOWN_SPLITS = 65  # of a budget, in Plan.splits
_LINE = 129  # grid along a budget
_SQUARE = (65, 33)  # grid of sizes and tokens within a budget


def compute_optimal(
    fit: Fit,
    flops: float | Sequence[float] | np.ndarray,
    *,
    family: Family | str,
    target: str | Mapping[str, float] = MEAN,
    bounds: Bounds = WIDE_BOUNDS,
    spend_all: bool = True,
    level: float = 0.9,
    key: Array,
    skills: Skills | None = None,
    draws: int = 240,
) -> Plan:
    """Sizes and tokens that are best for budgets.

    The recommended split maximises the expected target. The spread of the optima of single draws
    says how uncertain its place is: such an optimum is often at a knot of the random walk in log
    size, where a draw's law has a kink. Splits are compared within each draw, so that uncertainty
    that they share does not blur which is better.

    Args:
        fit: from :func:`sloth_jax.fit`.
        flops: training budgets, FLOPs.
        family: whose model, by name or as a :class:`Family`.
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
    family, tails = as_family(family, fit.table), tail_probabilities(level)
    found_target = find_target(target, fit.table.benchmarks, skills.labels if skills else ())
    budgets = np.sort(np.atleast_1d(np.asarray(flops, float)))
    check_budgets(budgets, family, bounds)
    law = predictive_law_of(fit, family, key)
    objective = objective_of(law, found_target, fit, skills)
    count = objective.weight.shape[0]
    thinned = np.unique(np.linspace(0, count - 1, min(draws, count)).round().astype(int))
    found = _search(
        objective,
        thinned,
        np.log(budgets / (FLOPS_UNIT * family.active_fraction)),
        np.asarray(bounds.logs()),
        covariates_of(fit, family),
        spend_all,
    )
    found = jax.tree.map(lambda a: np.asarray(a, np.float64), found)
    splits = _splits(found, budgets, tails)
    frontier = _frontier(found, budgets, tails)
    size, tokens = frontier["params_b"].to_numpy(), frontier["tokens_t"].to_numpy()
    as_good = splits["as_good"].to_numpy().reshape(len(budgets), -1) >= 1.0 - level
    among = np.where(as_good, np.exp(found.line.log_params), np.nan)
    edges = np.column_stack([among, size])  # the recommended one is always among them
    frontier["params_b_least"] = np.nanmin(edges, axis=1)
    frontier["params_b_most"] = np.nanmax(edges, axis=1)
    frontier["spent"] = FLOPS_UNIT * family.active_fraction * size * tokens
    frontier["outside"] = beyond_in_words(fit.table, size, tokens, [family.name] * len(size))
    return Plan(
        family=family,
        target=found_target,
        bounds=bounds,
        level=level,
        frontier=frontier,
        splits=splits,
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        inference=fit.settings.inference,
    )


class _Found(NamedTuple):
    """What the search finds, for each budget.

    Attributes:
        best: the recommended split, ``(budget,)``.
        optima: the best split of each draw by the law, ``(budget, draw)``.
        predicted: target at the recommended split as it would be measured, ``(budget, draw)``.
        line: splits that spend the budget, ``(budget, split)``.
        on_line: target there by the law, ``(budget, draw, split)``.
        at_best: target at the recommended split by the law, ``(budget, draw)``.
    """

    best: Split
    optima: Split
    predicted: Array
    line: Split
    on_line: Array
    at_best: Array


@partial(kept, static=(5,))
@partial(jax.jit, static_argnames="spend_all")
def _search(
    objective: Objective,
    rows: ArrayLike,
    log_budgets: ArrayLike,
    log_bounds: ArrayLike,
    covariates: Callable[[Split], Covariates],
    spend_all: bool,
) -> _Found:
    """Search each budget by some of the draws, those of ``rows``."""
    thinned = jax.tree.map(lambda a: a[jnp.asarray(rows)], objective)
    log_bounds = jnp.asarray(log_bounds)

    def of_budget(log_budget: Array) -> _Found:
        def split(u: Array, v: Array) -> Split:
            return split_at(u, v, log_budget, log_bounds)

        def mean(at: Covariates) -> Array:
            values = map_in_chunks(lambda one: predicted_value(one, at), thinned)
            return jnp.mean(values, axis=0)

        def largest(value: Callable[[Covariates], Array]) -> tuple[Array, Array]:
            def within(u: Array, v: Array) -> Array:
                return value(covariates(split(u, v)))

            if not spend_all:
                return maximise_square(within, _SQUARE)
            return maximise(lambda u: within(u, jnp.ones_like(u)), _LINE)[0], jnp.ones(())

        u, v = largest(mean)
        best = covariates(split(u[None], v[None]))
        along, spent = jnp.linspace(0.0, 1.0, _SHOWN_SPLITS), jnp.ones(_SHOWN_SPLITS)
        shown = covariates(split(jnp.append(along, u), jnp.append(spent, v)))
        values = map_in_chunks(lambda one: law_value(one, shown), thinned)
        return _Found(
            best=split(u, v),
            optima=map_in_chunks(
                lambda one: split(*largest(lambda at: monotone_value(one, at))), thinned
            ),
            predicted=jax.vmap(lambda one: predicted_value(one, best))(objective)[:, 0],
            line=split(along, spent),
            on_line=values[:, :-1],
            at_best=values[:, -1],
        )

    return lax.map(of_budget, jnp.asarray(log_budgets))


def _frontier(found: _Found, budgets: np.ndarray, tails: list[float]) -> pd.DataFrame:
    """The recommended splits, what they score, and where the optima of draws lie."""
    size, tokens = np.exp(found.best.log_params), np.exp(found.best.log_tokens)
    lower, upper = np.quantile(found.predicted, tails, axis=1)
    frontier = pd.DataFrame(
        {
            "flops": budgets,
            "params_b": size,
            "tokens_t": tokens,
            "tokens_per_param": 1e3 * tokens / size,
            "mean": found.predicted.mean(axis=1),
            "lower": lower,
            "upper": upper,
        }
    )
    for name, logs in zip(("params_b", "tokens_t"), found.optima, strict=True):
        quantiles = np.exp(np.quantile(logs, [tails[0], 0.5, tails[1]], axis=1))
        for end, column in zip(("lower", "median", "upper"), quantiles, strict=True):
            frontier[f"{name}_{end}"] = column
    return frontier


def _splits(found: _Found, budgets: np.ndarray, tails: list[float]) -> pd.DataFrame:
    """The target along each budget, and how it compares with the recommended split."""
    # (budget, draw, split) less (budget, draw, 1)
    ahead = np.asarray(found.on_line - found.at_best[:, :, None])
    # At a floor or ceiling of the scores all splits are equal but for rounding.
    rounding = 1e-5 * (1.0 + np.abs(np.asarray(found.at_best)).mean())
    lower, upper = np.quantile(found.on_line, tails, axis=1)
    return pd.DataFrame(
        {
            "flops": np.repeat(budgets, _SHOWN_SPLITS),
            "params_b": np.exp(found.line.log_params).ravel(),
            "tokens_t": np.exp(found.line.log_tokens).ravel(),
            "mean": found.on_line.mean(axis=1).ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "loss": -ahead.mean(axis=1).ravel(),
            "as_good": (ahead >= -rounding).mean(axis=1).ravel(),
        }
    )
