"""Which benchmarks to evaluate a model on next.

A model's scores go together, so measuring one benchmark narrows the predictions of the others, and
some do so more than others, and cost less. Benchmarks are picked one after the other, each for the
largest expected fall of the predictive variance given the law
(:mod:`sloth_jax.planning.expected_falls`), averaged over draws and over the benchmarks wanted, per
unit of cost: greedy, as is usual for sensors (Krause, Singh and Guestrin 2008). What a score tells
of the law itself is left out of the choice, and is in the widths that are reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.schema import match_benchmark
from sloth_jax.data.tables import read_bundled
from sloth_jax.errors import InputError
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import Params
from sloth_jax.planning.expected_falls import coefficients, expected_falls, pick
from sloth_jax.planning.one_model import ModelScores, given, known_scores, model_scores
from sloth_jax.planning.outcomes import (
    effective_draws,
    foreseen,
    scores_of,
    thinned,
    weighted_quantiles,
    weights_of_draws,
)
from sloth_jax.wording import did_you_mean, quoted

_COPIES = 4  # of each draw's score: quantiles of weighted draws become smooth


def next_benchmark(
    fit: Fit,
    model: str | Query,
    *,
    key: Array,
    steps: int = 1,
    wanted: Sequence[str] | None = None,
    costs: Mapping[str, float] | None = None,
    level: float = 0.9,
    futures: int = 100,
    draws: int = 500,
) -> pd.DataFrame:
    """Benchmarks to measure a model on, the first that narrows the predictions of the others most.

    Args:
        fit: from :func:`sloth_jax.fit`.
        model: name of a model of the training table, whose scores there are known; or a query of
            one model, of which none are. Both are conditioned on their lineage.
        key: random key of the futures.
        steps: benchmarks to pick, one after the other; fewer where no wanted one is left.
        wanted: benchmarks whose predictions are to become narrow; None for all that are unknown.
            Others may be picked to that end.
        costs: of benchmarks, positive, any unit; those that are not named cost as
            :func:`benchmark_costs` says.
        level: probability inside the intervals, in (0, 1).
        futures: outcomes of the measurements that are imagined, for the widths.
        draws: of the law that are used, evenly thinned; a mode's one as often.

    Returns:
        A row per step: ``step, benchmark, cost``; ``fall``, share of the mean predictive variance
        of the wanted others, given the law, that goes; ``before`` and ``width``, mean width of the
        intervals of the wanted ones that stay unknown, before and after the step, expected over
        the outcomes of all steps so far; ``error`` of ``width``, Monte Carlo; ``lower`` and
        ``upper``, between which the width after it will lie with the probability ``level``,
        over draws of the law and outcomes; ``effective_draws``, which the outcomes leave of
        ``draws`` on average: with few, widths are rough and rather too small. Fractions of a full
        score.

    Raises:
        InputError: if there is no such model or benchmark, a cost is not positive, or nothing is
            left to measure or to narrow.
    """
    tails = tail_probabilities(level)
    if steps < 1:
        raise InputError(f"{steps} steps: ask for 1 or more")
    question = Question.of(fit.table, model, wanted=wanted, costs=costs)
    names, targets, cost = fit.table.benchmarks, question.targets, question.cost
    law = thinned(fit.law, draws)
    seed = np.asarray(jax.random.key_data(key), np.uint32)
    scores = model_scores(fit, model, law, seed)
    picked, falls = pick(scores, law.params, targets, cost, steps)
    widths, effective = expected_widths(scores, law.params, picked, tails, futures, seed)
    rows = []
    for step, (at, fall) in enumerate(zip(picked, falls, strict=True)):
        left = [j for j in targets if j not in picked[: step + 1]]
        before, after = (widths[step + k][:, left].mean(axis=1) for k in (0, 1))
        lower, upper = np.quantile(after, tails)
        rows.append(
            {
                "step": step + 1,
                "benchmark": names[at],
                "cost": cost[at],
                "fall": fall,
                "before": before.mean(),
                "width": after.mean(),
                "error": after.std(ddof=1) / math.sqrt(futures),
                "lower": lower,
                "upper": upper,
                "effective_draws": effective[step],
            }
        )
    return pd.DataFrame(rows)


class Question(NamedTuple):
    """What is asked, checked against the training table.

    Attributes:
        name: of the model.
        known: whether it has the score, ``(benchmark,)``, bool.
        targets: positions of the unknown benchmarks that are to become narrow.
        cost: of each benchmark, ``(benchmark,)``, positive.
    """

    name: str
    known: np.ndarray
    targets: list[int]
    cost: np.ndarray

    @classmethod
    def of(
        cls,
        table: Leaderboard,
        model: str | Query,
        *,
        wanted: Sequence[str] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> Question:
        """The question of :func:`next_benchmark`; arguments and errors as there."""
        names = table.benchmarks
        name, known = known_scores(table, model)
        priced = {**benchmark_costs(table), **_checked_costs(costs or {}, names)}
        if wanted is None:
            targets = np.flatnonzero(~known).tolist()
        else:
            targets = [_position(one, names, "wanted") for one in wanted]
        if len(set(targets)) < len(targets):
            raise InputError("a wanted benchmark is named twice: name it once")
        for at in targets:
            if known[at]:
                raise InputError(f"wanted {names[at]} is known already: leave it out")
        if not targets or (~known).sum() < 2:
            raise InputError(
                f"{name}: {(~known).sum()} of {len(names)} benchmarks unknown; a choice needs one "
                "to predict and another to measure"
            )
        return cls(name, known, targets, np.array([priced[one] for one in names]))


def in_words(rows: pd.DataFrame, question: Question, level: float) -> str:
    """An answer of :func:`next_benchmark` for a terminal."""
    shown = pd.DataFrame(
        {
            "step": rows["step"],
            "benchmark": rows["benchmark"],
            "cost": [f"{cost:g}" for cost in rows["cost"]],
            "before": [f"{width:.3f}" for width in rows["before"]],
            "after": [
                f"{row.width:.3f} ({row.lower:.3f} to {row.upper:.3f})" for row in rows.itertuples()
            ],
            "variance that goes": [f"{100 * fall:.0f} %" for fall in rows["fall"]],
        }
    )
    return (
        f"{question.name}, {question.known.sum()} of {question.known.size} benchmarks known; "
        f"mean width of {100 * level:g} % intervals of the wanted others,\nbefore and after each "
        f"step (in brackets: where it will lie in {100 * level:g} % of outcomes)\n"
        + shown.to_string(index=False)
    )


def mean_falls(
    fit: Fit,
    model: str | Query,
    *,
    key: Array,
    wanted: Sequence[str] | None = None,
    draws: int = 500,
) -> np.ndarray:
    """Expected fall of the mean variance of wanted scores by each single benchmark.

    Arguments as for :func:`next_benchmark`, whose first step has the largest of these per cost.

    Returns:
        Squared fractions, ``(benchmark,)``; 0 by what is known.
    """
    targets = Question.of(fit.table, model, wanted=wanted).targets
    law = thinned(fit.law, draws)
    scores = model_scores(fit, model, law, np.asarray(jax.random.key_data(key), np.uint32))
    return expected_falls(coefficients(scores, law.params), scores.covariance, targets)[0]


def benchmark_costs(table: Leaderboard) -> dict[str, float]:
    """What an evaluation costs: the number of items of each benchmark.

    Of the bundled benchmarks as published, of others as the table says; where neither knows, the
    median of those known, or 1 where none is.
    """
    items = {
        row["benchmark"]: float(row["items"]) for row in read_bundled("benchmarks.csv").records()
    }
    found = {
        name: items.get(name, float(own))
        for name, own in zip(table.benchmarks, table.items, strict=True)
    }
    known = [value for value in found.values() if math.isfinite(value)]
    other = float(np.median(known)) if known else 1.0
    return {name: value if math.isfinite(value) else other for name, value in found.items()}


def _checked_costs(costs: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in costs.items():
        at = _position(name, names, "cost of")
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"cost {value:g} of {names[at]} is not a positive number")
        found[names[at]] = float(value)
    return found


def parse_costs(given: Sequence[str]) -> dict[str, float]:
    """Costs written as ``MMLU=14042``, by benchmark.

    Raises:
        InputError: if a cost is not a number.
    """
    found: dict[str, float] = {}
    for part in given:
        name, _, cost = part.rpartition("=")
        try:
            found[name.strip()] = float(cost)
        except ValueError:
            raise InputError(f"cost {part!r}: write a name and a number: MMLU=14042") from None
    return found


def _position(name: str, names: Sequence[str], what: str) -> int:
    found = match_benchmark(name, tuple(names))
    if found is None:
        hint = did_you_mean(name, names) or f": choose from {', '.join(names)}"
        raise InputError(f"{what} {quoted(name)}: no such benchmark in the training table{hint}")
    return list(names).index(found)


def expected_widths(
    scores: ModelScores,
    params: Params,
    picked: Sequence[int],
    tails: list[float],
    futures: int,
    seed: np.ndarray,
) -> tuple[list[np.ndarray], list[float]]:
    """Widths of intervals before and after every step, in each outcome ("future") of all steps.

    Args:
        scores: of the model.
        params: of each draw.
        picked: benchmarks that are measured one after the other.
        tails: probabilities of the ends of an interval.
        futures: how many outcomes.
        seed: of the outcomes.

    Returns:
        ``(future, benchmark)`` before the first step and after each; and how many draws the
        weights leave after each.
    """
    rng = np.random.default_rng(seed)
    draws, benchmarks = scores.mean.shape
    factor = _factor(scores.covariance)
    happens = rng.integers(draws, size=futures)
    noise = rng.standard_normal((futures, benchmarks))
    turned_out = scores.mean[happens] + np.einsum("fij,fj->fi", factor[happens], noise)
    reached, rate = foreseen(params, happens, turned_out)
    unit = rng.standard_normal((draws, _COPIES, benchmarks))
    found, effective = [], []
    for count in range(len(picked) + 1):
        at = np.array(picked[:count], int)
        mean = np.broadcast_to(scores.mean[:, None], reached.shape)
        covariance, log_weight = scores.covariance, np.zeros((draws, futures))
        if count:
            inner = covariance[:, at[:, None], at[None, :]]
            off = (reached - mean)[:, :, at]
            gain = np.linalg.solve(inner, covariance[:, at])
            mean = mean + off @ gain
            lower = np.linalg.cholesky(inner)
            standard = np.linalg.solve(lower, off.transpose(0, 2, 1))
            log_weight = -0.5 * (standard**2).sum(axis=1) + np.log(rate[:, :, at]).sum(axis=2)
            log_weight -= np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)[:, None]
            _, covariance = given(scores.mean.copy(), covariance, at, scores.mean)
        weights = weights_of_draws(log_weight)
        spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        after = [
            scores_of(params, mean + (spread * unit[:, copy])[:, None]) for copy in range(_COPIES)
        ]
        found.append(_width(np.concatenate(after), np.tile(weights / _COPIES, (_COPIES, 1)), tails))
        effective.append(effective_draws(weights))
    return found, effective[1:]


def _width(values: np.ndarray, weights: np.ndarray, tails: list[float]) -> np.ndarray:
    """Widths of intervals, ``(future, benchmark)``, of weighted ``(draw, future, benchmark)``."""
    _, futures, benchmarks = values.shape
    return np.array(
        [
            [
                np.ptp(weighted_quantiles(values[:, f, j], weights[:, f], tails))
                for j in range(benchmarks)
            ]
            for f in range(futures)
        ]
    )


def _factor(covariance: np.ndarray) -> np.ndarray:
    """A square root of covariances that may have zero rows, ``(draw, benchmark, benchmark)``."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
