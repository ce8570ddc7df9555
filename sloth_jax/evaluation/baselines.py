"""The 28 methods of the published comparison, under their published names.

Source: Maia Polo et al., arXiv 2412.06540, experiments and appendix. In a name

* ``logF``: one benchmark at a time on log FLOPs, 6 s t; with two training models per family its
  slopes are per family, and so are those of ``pca``. Floors are learnt. Owen (arXiv 2401.04757)
  where the intercept is shared;
* ``logSlogT``: one benchmark at a time on log size, log tokens and their product;
* ``factor`` and ``d``: all benchmarks together through that many skills, the law itself;
* ``pca`` and ``d``: principal components of the scores regressed on log FLOPs and family, mapped
  back (Ruan et al., arXiv 2405.10938, adapted);
* ``sigmoid``: the logistic link; ``trainlink``: the monotone network, fitted from the parameters
  of the ``sigmoid`` fit and with learnt floors;
* ``faminter``: an intercept per family, where there is otherwise one for all.

Every one of them but PCA is :func:`sloth_jax.law.forward.scores` with something left out. They are
fitted as published: raw logarithms as columns, one start
(:mod:`sloth_jax.evaluation.published_starts`), Adam from three rates
(:func:`sloth_jax.evaluation.optimise.descend_on_plateau`), the smallest training error kept. All
folds of one method are one compiled program, and so are all numbers of skills: what a method has
fewer of is held at zero, where its gradient is zero as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.evaluation.crossval import BLOCK, map_folds
from sloth_jax.evaluation.optimise import Plateau, descend_on_plateau
from sloth_jax.evaluation.published_starts import PublishedGenerator
from sloth_jax.law.forward import Effects, Params, scores
from sloth_jax.law.links import Link, Logistic, MonotoneNetwork
from sloth_jax.law.surface import log_flops

RATES = (0.1, 0.01, 0.001)
MAX_SKILLS = 4
DELTA = 0.01  # of Huber's loss, a fraction of a full score
HIDDEN_UNITS = 10  # of the link networks
_SEED = 42
# The published code keeps logits of floors finite by this much.
_FLOOR_MARGIN = 1e-5
# Networks would creep on for tens of thousands of steps at ever smaller gains. Asking ten times as
# much of a gain before it counts, and no more than so many steps, makes them end several times as
# soon; on the two starts that were tried, their errors moved by about what another start moves
# them.
_RULES = {
    "logistic": Plateau(),
    "network": Plateau(threshold=1e-3, stop_threshold=1e-4, max_steps=3000),
}


class _Optimised(NamedTuple):
    """What is optimised: everything that a method may fit.

    Attributes:
        intercept: of families, ``(family, skill)``; one row where they share it and have slopes.
        slope: ``(column, skill)``.
        growth: slopes of families on log FLOPs, ``(family, skill)``; None where they share them.
        loading: ``(benchmark, skill)``.
        bias: ``(benchmark,)``.
        floor: logits of the floors, ``(benchmark,)``.
        link: one slice per benchmark.
    """

    intercept: Any
    slope: Any
    growth: Any
    loading: Any
    bias: Any
    floor: Any
    link: Link


class _Lane(NamedTuple):
    """One fit: the benchmarks that are fitted together, in one fold."""

    scores: Any  # (model, benchmark)
    train: Any  # (model, benchmark), bool
    start: _Optimised


class _Shared(NamedTuple):
    """What all fits of a method share."""

    design: Array  # (model, column)
    family: Array  # (model,), index of intercepts and slopes; all 0 where families share them
    free: _Optimised  # 1 where a parameter may move
    rate: Array


class _Fitted(NamedTuple):
    params: _Optimised
    error: Array
    predicted: Array  # (model, benchmark)


@dataclass(frozen=True)
class _Fit:
    """The published fit from one rate, for :func:`map_folds`."""

    rule: Plateau

    def __call__(self, lane: _Lane, shared: _Shared) -> _Fitted:
        flat, unravel = ravel_pytree(lane.start)
        count = jnp.maximum(jnp.sum(lane.train), 1)

        def expected(flat: Array) -> Array:
            return _scores(unravel(flat), shared.design, shared.family)

        def objective(flat: Array) -> tuple[Array, Array]:
            error = jnp.where(lane.train, expected(flat) - lane.scores, 0.0)
            huber = optax.huber_loss(error, delta=DELTA)
            # PyTorch's smooth L1 is Huber's loss over delta; Adam does not see the factor, but for
            # the 1e-8 in its denominator.
            return jnp.sum(huber) / (DELTA * count), jnp.sum(jnp.abs(error)) / count

        end = descend_on_plateau(
            objective,
            flat,
            learning_rate=shared.rate,
            free=ravel_pytree(shared.free)[0],
            least=ravel_pytree(_lower_bounds(lane.start))[0],
            rule=self.rule,
        )
        return _Fitted(unravel(end.argument), end.error, expected(end.argument))


def _scores(params: _Optimised, design: Array, family: Array) -> Array:
    """The law's expected scores, ``(model, benchmark)``."""
    intercept = params.intercept
    if params.growth is not None:
        # One intercept, but slopes of families: one index for both.
        intercept = jnp.broadcast_to(intercept, params.growth.shape)
    # e_m = alpha_f(m) + gamma_f(m) log FLOPs_m
    effects = intercept[family]
    if params.growth is not None:
        effects += params.growth[family] * design[:, :1]
    floor = jax.nn.sigmoid(params.floor)
    law = Params(params.slope, params.loading, params.bias, floor, params.link)
    return scores(law, design, Effects(effects))


def _lower_bounds(params: _Optimised) -> _Optimised:
    """Zero for the weights of a network, which are kept from falling below; none elsewhere."""
    bounds = jax.tree.map(lambda a: jnp.full_like(a, -jnp.inf), params)
    if isinstance(params.link, MonotoneNetwork):
        weights = ("input_weight", "hidden_weight", "output_weight")
        zeros = {name: jnp.zeros_like(getattr(params.link, name)) for name in weights}
        bounds = bounds._replace(link=bounds.link._replace(**zeros))  # pyright: ignore
    return bounds


@dataclass(frozen=True)
class Baseline:
    """A published method other than PCA, a :class:`sloth_jax.evaluation.crossval.Method`.

    Its random start is the published one, so it does not use the key.

    Attributes:
        columns: ``"flops"`` or ``"size_tokens"``.
        skills: number of skills through which all benchmarks are fitted together; None for one
            benchmark at a time.
        link: ``"logistic"`` or ``"network"``.
        family_intercepts: an intercept per family, or one for all.
        family_slopes: a slope per family on log FLOPs, or one for all.
        complete: whether it uses complete rows only, as published.
        max_steps: steps after which a fit stops in any case.
    """

    columns: str
    skills: int | None
    link: str
    family_intercepts: bool
    family_slopes: bool = False
    complete: bool = True
    max_steps: int = Plateau().max_steps

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row."""
        del key
        task = _Task(table, train.shape[0], train.tobytes())
        basic = _fit_basic(replace(self, link="logistic"), task)
        fitted = basic if self.link == "logistic" else self._fit(task, basic.params)
        # (fold * group, model, benchmark) -> (fold, model, group * benchmark)
        predicted = np.asarray(fitted.predicted)
        predicted = predicted.reshape(len(train), -1, *predicted.shape[1:])
        return np.moveaxis(predicted, 1, 2).reshape(train.shape)

    @property
    def _learns_floors(self) -> bool:
        return self.link == "network" or self.columns == "flops"

    def _fit(self, task: _Task, warm: _Optimised | None = None, *, seed: int = _SEED) -> _Fitted:
        """Fit all folds, from published starts or from the parameters of the basic fit."""
        table = task.table
        groups = len(table.benchmarks) if self.skills is None else 1
        width = len(table.benchmarks) // groups

        def lanes(values: np.ndarray) -> np.ndarray:
            # (fold, model, group * benchmark) -> (fold * group, model, benchmark)
            split = values.reshape(*values.shape[:2], groups, width)
            return np.moveaxis(split, 2, 1).reshape(-1, values.shape[1], width)

        if warm is None:
            one = [self._start(table, group, width, seed) for group in range(groups)]
            start = jax.tree.map(lambda *a: np.stack(a * task.folds), *one)
        else:
            count = task.folds * groups
            link = jax.tree.map(lambda a: np.stack([a] * count), _network_start(width))
            start = warm._replace(link=link)
        measured = np.broadcast_to(np.nan_to_num(table.scores), task.train.shape)
        own = self.family_intercepts or self.family_slopes
        shared = _Shared(
            design=self._design(table),
            family=jnp.asarray(table.family if own else 0 * table.family),
            free=self._free(jax.tree.map(lambda a: a[0], start)),
            rate=jnp.zeros(()),
        )
        # One benchmark at a time: those of one fold make a block.
        block = groups if self.skills is None else BLOCK
        rule = _RULES[self.link]
        fit = _Fit(rule._replace(max_steps=min(rule.max_steps, self.max_steps)))
        folds = jax.tree.map(_in_default_type, _Lane(lanes(measured), lanes(task.train), start))
        by_rate: list[_Fitted] = [
            map_folds(fit, folds, shared._replace(rate=jnp.asarray(rate)), block=block)
            for rate in RATES
        ]
        best = np.argmin([fitted.error for fitted in by_rate], axis=0)
        lane = np.arange(len(best))
        return jax.tree.map(lambda *ends: np.stack(ends)[best, lane], *by_rate)

    def _design(self, table: Leaderboard) -> Array:
        """``(model, 3)``: raw logs and their product, or log FLOPs and two columns of zeros."""
        if self.columns == "flops":
            flops = log_flops(table)
            return jnp.asarray(np.stack([flops, 0.0 * flops, 0.0 * flops], axis=1))
        size, tokens = (jnp.log(jnp.asarray(x, float)) for x in (table.params_b, table.tokens_t))
        return jnp.stack([size, tokens, size * tokens], axis=1)

    def _start(self, table: Leaderboard, group: int, width: int, seed: int) -> _Optimised:
        """The published start of one group of benchmarks."""
        generator = PublishedGenerator(seed)
        skills = self.skills or 1
        families = len(table.families)
        # The order of these four draws is the published one.
        slopes = 3 if self.columns == "size_tokens" else families if self.family_slopes else 1
        slope = np.abs(generator.normal((slopes, skills)))
        intercept = generator.normal((families if self.family_intercepts else 1, skills))
        bias = generator.normal((1, width))[0]
        loading = np.ones((1, skills))
        if width > 1:
            loading = np.abs(generator.normal((skills, width))).T

        def padded(values: np.ndarray, rows: int) -> Any:
            missing = max(MAX_SKILLS - skills, 0) if self.skills else 0
            return np.pad(values, ((0, rows - len(values)), (0, missing)))

        none = np.zeros((1, skills))
        if self.columns == "size_tokens":
            slope = slope[[1, 0, 2]]  # published: tokens before size
        floor = table.floors.reshape(-1, width)[group]
        # Where families share the intercept there are idle ones, so that both kinds of method run
        # the same program; not beside slopes of families, which are a program of their own.
        idle = not self.family_slopes
        return _Optimised(
            intercept=padded(intercept, families if idle else len(intercept)),
            slope=padded(none if self.family_slopes else slope, 3),
            growth=padded(slope, families) if self.family_slopes else None,
            loading=padded(loading, width),
            bias=bias,
            floor=np.log((floor + _FLOOR_MARGIN) / (1.0 - floor + _FLOOR_MARGIN)),
            link=Logistic(),
        )

    def _free(self, start: _Optimised) -> _Optimised:
        """1 for what this method fits, 0 for what it holds, like ``start``."""
        free = jax.tree.map(np.ones_like, start)._replace(
            slope=np.full_like(start.slope, not self.family_slopes),
            floor=np.full_like(start.floor, self._learns_floors),
        )
        return jax.tree.map(_in_default_type, free)


def _in_default_type(values: np.ndarray) -> Array:
    """NumPy's values in JAX, floats in its default type."""
    return jnp.asarray(values, None if values.dtype == np.bool_ else float)


@dataclass(frozen=True)
class _Task:
    """What a baseline is fitted to; equal for the same table and masks."""

    table: Leaderboard
    folds: int
    masks: bytes

    @property
    def train(self) -> np.ndarray:
        """``(fold, model, benchmark)``, bool."""
        return np.frombuffer(self.masks, bool).reshape(self.folds, *self.table.scores.shape)


class PublishedSkills(NamedTuple):
    """Skills of the basic law, ``factor_sigmoid_faminter``, fitted to a whole table.

    Attributes:
        loading: ``(benchmark, skill)``, real.
        theta: skills of the table's models, ``(model, skill)``, real.
        error: mean absolute error of the observed scores, a fraction.
    """

    loading: np.ndarray
    theta: np.ndarray
    error: float


def published_skills(
    table: Leaderboard,
    *,
    skills: int = 3,
    starts: int = 1,
    max_steps: int = Plateau().max_steps,
) -> PublishedSkills:
    """Skills of the published basic law, the best of several starts by training error.

    Args:
        table: models and scores; published were complete rows only.
        skills: how many, at most :data:`MAX_SKILLS`.
        starts: the published start, and others by the same generator with the seeds that follow.
        max_steps: steps after which a fit stops in any case.

    Raises:
        InputError: if there are too many skills.
    """
    if not 1 <= skills <= MAX_SKILLS:
        raise InputError(f"{skills} skills of the published law: ask for 1 to {MAX_SKILLS}")
    method = Baseline("size_tokens", skills, "logistic", True, max_steps=max_steps)
    task = _Task(table, 1, table.observed.tobytes())
    fits = [method._fit(task, seed=_SEED + start) for start in range(starts)]
    best = min(fits, key=lambda fitted: float(fitted.error[0]))
    law = jax.tree.map(lambda values: np.asarray(values[0], float), best.params)
    # theta_m = alpha_f(m) + B' x_m
    theta = law.intercept[table.family] + np.asarray(method._design(table), float) @ law.slope
    return PublishedSkills(law.loading[:, :skills], theta[:, :skills], float(best.error[0]))


# A method with a network begins where the one without ended, which has usually just been run.
@lru_cache(maxsize=1)
def _fit_basic(baseline: Baseline, task: _Task) -> _Fitted:
    return baseline._fit(task)


def _network_start(benchmarks: int) -> MonotoneNetwork:
    """The published start of the networks: PyTorch's for linear layers, weights made positive."""
    generator = PublishedGenerator(_SEED)
    hidden = HIDDEN_UNITS
    narrow = 1.0 / np.sqrt(hidden)
    draws = [
        (
            np.abs(generator.uniform((hidden,), 1.0)),
            generator.uniform((hidden,), 1.0),
            np.abs(generator.uniform((hidden, hidden), narrow)),
            generator.uniform((hidden,), narrow),
            np.abs(generator.uniform((hidden,), narrow)),
            generator.uniform((1,), narrow)[0],
        )
        for _ in range(benchmarks)
    ]
    return MonotoneNetwork(*(np.stack(a) for a in zip(*draws, strict=True)))  # pyright: ignore
