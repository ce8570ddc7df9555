"""The least size, tokens or compute that reaches a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.chunks import map_in_chunks
from sloth_jax.errors import InputError
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.forecast import count_family_models
from sloth_jax.inference.fit import Fit
from sloth_jax.planning.budget import FLOPS_UNIT, WIDE_BOUNDS, Bounds, Split, split_at
from sloth_jax.planning.family import Family, as_family
from sloth_jax.planning.objective import (
    Covariates,
    Objective,
    covariates_of,
    objective_of,
    predicted_value,
    predictive_law_of,
    reaching,
)
from sloth_jax.planning.targets import MEAN, find_target
from sloth_jax.programs import kept
from sloth_jax.showing import Shown
from sloth_jax.skills.interpret import Skills

_POINTS = 129  # of the curve
_SPLITS = 65  # of a budget, of which the most probable one counts
_LOOKS = 3  # each at the step of the last one that holds the answer: to a part in 2e6 of it
_BLOCK = 1024  # points at a time: bounds the memory


@dataclass(frozen=True, eq=False, repr=False)
class Requirement(Shown):
    """The least that reaches a score.

    Attributes:
        family: whose model.
        benchmark: which is to be reached, or which skill.
        score: to be reached, a fraction; of a skill, standard deviations of models.
        asked: probability that was wanted.
        solved: what was made as small as possible: ``params_b``, ``tokens_t`` or ``flops``.
        reached: whether anything within bounds does.
        params_b: billions; where not reached, of the most probable within bounds.
        tokens_t: trillions, likewise.
        flops: ``6 s t`` of it, active parameters.
        probability: that it reaches the score.
        standard_error: Monte Carlo error of the probability.
        mean: expected score there, a fraction, or skill.
        family_models: training models of the family; 0 for a cold start.
        outside: how far it leaves the training table, in words.
        curve: ``params_b, tokens_t, probability`` along what was solved for.
        is_skill: whether a skill is to be reached.
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
    is_skill: bool = False

    def _line(self) -> str:
        unit = " sd of models" if self.is_skill else ""
        asked = f"{self.benchmark} of {self.score:g}{unit} with probability {self.asked:g}"
        found = (
            f"{self.params_b:.3g} billion parameters on {self.tokens_t:.3g} trillion tokens, "
            f"{self.flops:.3g} FLOPs: probability {self.probability:.2f} "
            f"(Monte Carlo error {self.standard_error:.2f})"
        )
        return f"{asked}: {'' if self.reached else 'not within bounds; most probable is '}{found}"

    def _rows(self) -> pd.DataFrame:
        return self.curve

    def in_words(self) -> str:
        """The requirement in two lines."""
        unit, what = (" sd of models", "skill") if self.is_skill else ("", "score")
        goal = f"{self.benchmark} >= {self.score:g}{unit} with probability {self.asked:g}"
        at = f"params_b {self.params_b:.4g}, tokens_t {self.tokens_t:.4g} ({self.flops:.3g} FLOPs)"
        chance = f"probability {self.probability:.3f} (Monte Carlo error {self.standard_error:.3f})"
        if self.reached:
            return f"{goal}: {at}\n{chance}, expected {what} {self.mean:.3f}"
        return f"{goal}: not reached within bounds\nclosest: {at}, {chance}"


def required(
    fit: Fit,
    benchmark: str,
    score: float,
    *,
    family: Family | str,
    probability: float = 0.8,
    params_b: float | None = None,
    tokens_t: float | None = None,
    bounds: Bounds = WIDE_BOUNDS,
    key: Array,
    skills: Skills | None = None,
) -> Requirement:
    """The smallest size, fewest tokens or least compute that reaches a score.

    With tokens given, the smallest size; with a size, the fewest tokens; with neither, the least
    compute, split so that the score is most probable. Noise and the uncertainty about the model
    are part of the probability, so that :func:`sloth_jax.forecasting.forecast` at the answer has
    that share of its draws at or above the score.

    Args:
        fit: from :func:`sloth_jax.fit`.
        benchmark: which; or a label of ``skills``.
        score: to be reached, a fraction in (0, 1); of a skill, standard deviations of models.
        family: whose model, by name or as a :class:`Family`.
        probability: with which it is to be reached, in (0, 1).
        params_b: the size, billions; then the tokens are found.
        tokens_t: the tokens, trillions; then the size is found.
        bounds: sizes and tokens to choose from.
        key: random key.
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills` of the same fit; needed
            only for a skill.

    Returns:
        A :class:`Requirement`; look at ``reached``.

    Raises:
        InputError: if the score or the probability is not between 0 and 1, both a size and tokens
            are given, or there is no such benchmark.
    """
    family = as_family(family, fit.table)
    # With a weight the name can only be that of a benchmark, not of the mean of all.
    wanted = benchmark if skills and benchmark != MEAN else {benchmark: 1.0}
    target = find_target(wanted, fit.table.benchmarks, skills.labels if skills else ())
    is_skill = target.skill is not None
    _check_question(None if is_skill else score, probability, params_b, tokens_t)
    objective = objective_of(predictive_law_of(fit, family, key), target, fit, skills)
    covariates, lines = covariates_of(fit, family), np.asarray(reaching(objective, score), float)

    def chance(split: Split) -> np.ndarray:
        at = np.concatenate([np.asarray(part, float) for part in covariates(split)], axis=1)
        blocks = np.array_split(at, -(-len(at) // _BLOCK))
        above = [(lines[:, :1] + lines[:, 1:] @ block.T >= 0.0).mean(axis=0) for block in blocks]
        return np.concatenate(above)

    solved, limits, points_at = _line(chance, bounds, params_b, tokens_t)
    curve = points_at(np.linspace(*limits, _POINTS))
    best = _first_reaching(points_at, curve, limits, probability)
    found = float(best.chance[0])
    size, tokens = np.exp(best.log_params), np.exp(best.log_tokens)
    # Draws of a chain resemble each other: the error is that of so many independent ones.
    worth = float(np.fmin(len(lines), fit.diagnostics.min_ess))
    return Requirement(
        family=family.name,
        benchmark=target.label,
        score=score,
        asked=probability,
        solved=solved,
        reached=found >= probability,
        params_b=float(size[0]),
        tokens_t=float(tokens[0]),
        flops=FLOPS_UNIT * family.active_fraction * float(size[0] * tokens[0]),
        probability=found,
        standard_error=float(np.sqrt(max(found * (1.0 - found), 1e-6) / max(worth, 1.0))),
        mean=float(_mean(objective, covariates(_split(best)))[0]),
        family_models=int(count_family_models(fit.table, (family.name,))[0]),
        outside=beyond_in_words(fit.table, size, tokens, [family.name])[0],
        curve=pd.DataFrame(
            {
                "params_b": np.exp(curve.log_params),
                "tokens_t": np.exp(curve.log_tokens),
                "probability": curve.chance,
            }
        ),
        is_skill=is_skill,
    )


def _check_question(
    score: float | None, probability: float, params_b: float | None, tokens_t: float | None
) -> None:
    """Refuse what cannot be; a score of None is a skill, which may be any number."""
    for name, value in (("score", score), ("probability", probability)):
        if value is not None and not 0.0 < value < 1.0:
            raise InputError(f"{name} {value:g} is not between 0 and 1: give a fraction, like 0.8")
    if params_b is not None and tokens_t is not None:
        raise InputError("a size and tokens leave nothing to solve for: give one of them, or none")
    for name, given in (("params_b", params_b), ("tokens_t", tokens_t)):
        if given is not None and not (np.isfinite(given) and given > 0):
            raise InputError(f"{name} {given:g} is not a positive number")


class _Points(NamedTuple):
    """Splits on a line, and the probability that each reaches the score, ``(point,)`` each."""

    log_params: np.ndarray
    log_tokens: np.ndarray
    chance: np.ndarray

    def at(self, index: int | np.integer) -> _Points:
        """One of them, ``(1,)`` each."""
        return _Points(*(values[index : index + 1] for values in self))


def _split(points: _Points) -> Split:
    return Split(jnp.asarray(points.log_params), jnp.asarray(points.log_tokens))


_PointsAt = Callable[[np.ndarray], _Points]
_split_at = jax.jit(split_at)


def _line(
    chance: Callable[[Split], np.ndarray],
    bounds: Bounds,
    params_b: float | None,
    tokens_t: float | None,
) -> tuple[str, tuple[float, float], _PointsAt]:
    """The line to search: what is solved for, between which logs, and the points at such logs."""
    logs = bounds.logs()
    if params_b is None and tokens_t is None:

        def best_of_budgets(log_budget: np.ndarray) -> _Points:
            u = np.linspace(0.0, 1.0, _SPLITS)[None, :]
            splits = _split_at(u, np.ones_like(u), log_budget[:, None], logs)
            size, tokens = (np.asarray(a, float) for a in splits)
            found = chance(Split(*(a.ravel() for a in splits))).reshape(size.shape)
            best = np.arange(len(log_budget)), found.argmax(axis=1)
            return _Points(size[best], tokens[best], found[best])

        return "flops", (logs[0] + logs[2], logs[1] + logs[3]), best_of_budgets

    if tokens_t is None:
        assert params_b is not None  # the other case is above
        log_params = np.log(params_b)

        def tokens_at(log_tokens: np.ndarray) -> _Points:
            points = _Points(np.full_like(log_tokens, log_params), log_tokens, log_tokens)
            return points._replace(chance=chance(_split(points)))

        return "tokens_t", logs[2:], tokens_at

    log_tokens = np.log(tokens_t)

    def sizes_at(log_params: np.ndarray) -> _Points:
        points = _Points(log_params, np.full_like(log_params, log_tokens), log_params)
        return points._replace(chance=chance(_split(points)))

    return "params_b", logs[:2], sizes_at


def _first_reaching(
    points_at: _PointsAt, curve: _Points, limits: tuple[float, float], wanted: float
) -> _Points:
    """The first point on a line that is probable enough, or the most probable one.

    A probability need not grow along the line, so the whole curve is looked at before the step in
    front of the first point is, again and again.
    """
    reached = np.flatnonzero(curve.chance >= wanted)
    if not len(reached):
        # of equals, the one with more
        return curve.at(len(curve.chance) - 1 - int(curve.chance[::-1].argmax()))
    best, places = curve.at(reached[0]), np.linspace(*limits, _POINTS)
    for _ in range(_LOOKS - 1):
        if not len(reached) or not reached[0]:
            break
        # Its last point is the one that was found.
        places = np.linspace(places[reached[0] - 1], places[reached[0]], _POINTS)
        closer = points_at(places)
        reached = np.flatnonzero(closer.chance >= wanted)
        best = closer.at(reached[0]) if len(reached) else best
    return best


@kept
@jax.jit
def _mean(objective: Objective, at: Covariates) -> Array:
    """The expected value, ``(point,)``."""
    return jnp.mean(map_in_chunks(lambda one: predicted_value(one, at), objective), axis=0)
