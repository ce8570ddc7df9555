"""Point fits: one best set of parameters, by many starts of Adam in one compiled program.

The published point fit minimises the mean Huber loss over the observed scores (Maia Polo et al.,
arXiv 2412.06540, appendix on estimation; delta 0.01). :func:`fit_point` does so for a table,
:func:`fit_observations` for arrays: a pure function, so that cross-validation maps it over folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from sloth_jax.constraints import constrain, unconstrain
from sloth_jax.covariates import Scaling, fit_scaling
from sloth_jax.errors import Diverged
from sloth_jax.finite import furthest_in_words
from sloth_jax.identifiability import Report, check_identifiability
from sloth_jax.law import Params, matmul, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import GRID_CENTRES, Link, Logistic, Mixture, MonotoneNetwork
from sloth_jax.observations import Observations, observe
from sloth_jax.optimise import minimise

LINKS = ("logistic", "mixture", "network")
LOSSES = ("huber", "l1", "l2")
DIVERGED = "every start of the fit diverged: look for extreme sizes or token counts in the table"
DELTA = 0.01  # of Huber's loss, a fraction of a full score
HIDDEN_UNITS = 10  # of the link networks, as published
# How far a family's slope may leave the shared one where slopes are shrunk, and how exactly scores
# are fitted: medians of the same scales in the hierarchical prior (sloth_jax.prior.Scales).
_SLOPE_SCALE = 0.2
_NOISE_SCALE = 0.02


@dataclass(frozen=True)
class PointSettings:
    """What is fitted and how.

    Attributes:
        skills: number of skills, at most the number of benchmarks.
        link: one of :data:`LINKS`.
        loss: one of :data:`LOSSES`: Huber's with delta 0.01, absolute or squared errors.
        learn_floors: whether floors are fitted too, from the table's as a start.
        family_slopes: whether every family has a slope of its own on the first covariate, shrunk
            towards the shared one: its effect on a benchmark is penalised like a normal deviation
            with standard deviation 0.2 on the scale of the predictor.
        starts: how many random starts.
        steps: Adam steps of each.
    """

    skills: int = 3
    link: str = "mixture"
    loss: str = "huber"
    learn_floors: bool = False
    family_slopes: bool = False
    starts: int = 10
    steps: int = 2000

    def __post_init__(self) -> None:
        for name, value, known in (("link", self.link, LINKS), ("loss", self.loss, LOSSES)):
            if value not in known:
                raise ValueError(f"no {name} {value!r}: choose one of {', '.join(known)}")


@dataclass(frozen=True, eq=False)
class PointFit:
    """The law fitted as a point.

    Attributes:
        params: fitted parameters; families of :attr:`table`, in its order.
        table: the table it was fitted to.
        scaling: standardisation of its covariates.
        covariates: which covariates it has, of :data:`sloth_jax.covariates.KINDS`.
        settings: what was fitted and how.
        loss: objective of the best start.
        losses: of every start, ``(start,)``.
        converged: whether the best start had settled.
        mean_absolute_error: over the observed scores of the table, a fraction.
        report: whether the table determines the law's skills and slopes.
    """

    params: Params
    table: Leaderboard
    scaling: Scaling
    covariates: str
    settings: PointSettings
    loss: float
    losses: Array
    converged: bool
    mean_absolute_error: float
    report: Report


def random_link(key: Array, link: str, benchmarks: int) -> Link:
    """A link near its neutral shape, to start from.

    Args:
        key: random key.
        link: one of :data:`LINKS`.
        benchmarks: how many benchmarks it serves.

    Returns:
        The link with parameters in their constrained space.

    Raises:
        ValueError: if there is no such link.
    """
    if link == "logistic":
        return Logistic()
    if link == "mixture":
        return Mixture(0.1 * jax.random.normal(key, (len(GRID_CENTRES), benchmarks)))
    if link == "network":
        keys = jax.random.split(key, 6)
        hidden = HIDDEN_UNITS
        positive = lambda key, *shape: jnp.exp(0.3 * jax.random.normal(key, shape))  # noqa: E731
        return MonotoneNetwork(
            input_weight=positive(keys[0], benchmarks, hidden),
            input_bias=0.5 * jax.random.normal(keys[1], (benchmarks, hidden)),
            hidden_weight=positive(keys[2], benchmarks, hidden, hidden) / hidden,
            hidden_bias=0.5 * jax.random.normal(keys[3], (benchmarks, hidden)),
            output_weight=positive(keys[4], benchmarks, hidden) * (4.0 / hidden),
            output_bias=0.1 * jax.random.normal(keys[5], (benchmarks,)),
        )
    raise ValueError(f"no link {link!r}: choose one of {', '.join(LINKS)}")


def random_params(key: Array, observations: Observations, *, skills: int, link: str) -> Params:
    """Parameters to start an optimiser from.

    Biases stand where the logistic link would give each benchmark its mean score, the rest is
    small and random, so that starts differ in how skills share the benchmarks.

    Args:
        key: random key.
        observations: arrays of the table.
        skills: number of skills.
        link: one of :data:`LINKS`.

    Returns:
        :class:`Params` of families that differ by their intercepts only.
    """
    benchmarks = observations.scores.shape[1]
    families = observations.lineage.shape[0]
    keys = jax.random.split(key, 4)
    count = jnp.maximum(jnp.sum(observations.observed, axis=0), 1)
    mean = jnp.sum(observations.scores * observations.observed, axis=0) / count
    share = jnp.clip((mean - observations.floor) / (1.0 - observations.floor), 0.02, 0.98)
    return Params(
        intercept=0.1 * jax.random.normal(keys[0], (families, skills)),
        slope=0.5 * jax.random.normal(keys[1], (observations.covariates.shape[1], skills)),
        loading=0.5 * jax.random.normal(keys[2], (benchmarks, skills)),
        bias=jnp.log(share / (1.0 - share)),
        specific=None,
        growth=None,
        specific_growth=None,
        growth_from=None,
        floor=observations.floor,
        link=random_link(keys[3], link, benchmarks),
    )


def mean_loss(params: Params, observations: Observations, loss: str = "huber") -> Array:
    """Mean over the observed scores of one of :data:`LOSSES`."""
    error = scores(params, observations.covariates, observations.family) - observations.scores
    if loss == "huber":
        each = optax.huber_loss(error, delta=DELTA)
    else:
        each = jnp.abs(error) if loss == "l1" else 0.5 * error**2
    # A masked score adds nothing, to the loss or to its gradient; one that counts twice, double.
    seen = jnp.sum(jnp.where(observations.observed, each, 0.0) * observations.observed)
    return seen / jnp.maximum(jnp.sum(observations.observed), 1)


def slope_penalty(params: Params, observations: Observations, loss: str = "huber") -> Array:
    """What slopes of families cost, on the scale of :func:`mean_loss`; 0 where there are none."""
    if params.growth is None:
        return jnp.zeros(())
    # Errors e with a Laplace (or, for l2, normal) scale b, deviations lambda_j' gamma_f with
    # normal scale s: minus the log density is sum |e| / b + sum (lambda_j' gamma_f)^2 / (2 s^2).
    unit = {"huber": DELTA * _NOISE_SCALE, "l1": _NOISE_SCALE, "l2": _NOISE_SCALE**2}[loss]
    deviation = matmul(params.growth, params.loading.T)
    count = jnp.maximum(jnp.sum(observations.observed), 1)
    return unit * jnp.sum(deviation**2) / (2.0 * _SLOPE_SCALE**2 * count)


class FittedPoint(NamedTuple):
    """Arrays of a point fit.

    Attributes:
        params: parameters of the best start.
        loss: its objective, scalar; NaN if every start diverged.
        losses: objective of every start, ``(start,)``.
        converged: whether the best start had settled, scalar, bool.
    """

    params: Params
    loss: Array
    losses: Array
    converged: Array


def fit_observations(
    observations: Observations, key: Array, settings: PointSettings
) -> FittedPoint:
    """Fit the law to arrays: a pure function, to be mapped over folds.

    Args:
        observations: from :func:`sloth_jax.observations.observe`, perhaps with a mask.
        key: random key of the starts.
        settings: what is fitted and how.

    Returns:
        A :class:`FittedPoint`. A family without any observed score has the mean intercept of the
        families with the same post-training.
    """

    def start(key: Array) -> Params:
        params = random_params(key, observations, skills=settings.skills, link=settings.link)
        # None is an empty tree: what is None here is not optimised.
        floor = jnp.clip(params.floor, 0.005, 0.995) if settings.learn_floors else None
        growth = jnp.zeros_like(params.intercept) if settings.family_slopes else None
        return unconstrain(params._replace(floor=floor, growth=growth))

    def complete(free: Params) -> Params:
        params = constrain(free)
        return params if settings.learn_floors else params._replace(floor=observations.floor)

    def objective(free: Params) -> Array:
        params = complete(free)
        fit = mean_loss(params, observations, settings.loss)
        return fit + slope_penalty(params, observations, settings.loss)

    starts = jax.vmap(start)(jax.random.split(key, settings.starts))
    minimum = minimise(objective, starts, steps=settings.steps)
    free, loss, converged = minimum.best()
    params = complete(free)
    params = params._replace(intercept=_fill_unseen(params.intercept, observations))
    return FittedPoint(params, loss, minimum.value, converged)


_fit_observations = jax.jit(fit_observations, static_argnames="settings")


def fit_point(
    table: Leaderboard,
    *,
    key: Array,
    skills: int = 3,
    link: str = "mixture",
    loss: str = "huber",
    covariates: str = "translog",
    learn_floors: bool = False,
    family_slopes: bool = False,
    starts: int = 10,
    steps: int = 2000,
) -> PointFit:
    """Fit the law from many random starts, and keep the best.

    Missing scores are masked: they are not imputed, and no row is dropped for them. A family
    without any observed score gets the mean intercept of the families with the same
    post-training, and the shared slopes.

    Args:
        table: scores to fit.
        key: random key of the starts.
        skills: see :class:`PointSettings`, as for ``link``, ``loss``, ``learn_floors``,
            ``family_slopes``, ``starts`` and ``steps``.
        link: one of :data:`LINKS`.
        loss: one of :data:`LOSSES`.
        covariates: one of :data:`sloth_jax.covariates.KINDS`.
        learn_floors: whether floors are fitted too.
        family_slopes: whether families have slopes of their own, shrunk to the shared ones.
        starts: how many random starts.
        steps: Adam steps of each.

    Returns:
        A :class:`PointFit`; look at its ``converged`` and ``report``.

    Raises:
        InputError: if ``skills`` is not between 1 and the number of benchmarks, or every start
            diverged.
        ValueError: if there is no such link, loss or kind of covariates.
    """
    settings = PointSettings(skills, link, loss, learn_floors, family_slopes, starts, steps)
    report = check_identifiability(table, skills=skills, covariates=covariates)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, covariates=covariates)
    fitted = _fit_observations(observations, key, settings)
    if not bool(jnp.isfinite(fitted.loss)):
        raise Diverged(f"{DIVERGED} ({furthest_in_words(table)})")
    expected = scores(fitted.params, observations.covariates, observations.family)
    error = jnp.abs(expected - observations.scores)[observations.observed]
    return PointFit(
        params=fitted.params,
        table=table,
        scaling=scaling,
        covariates=covariates,
        settings=settings,
        loss=float(fitted.loss),
        losses=fitted.losses,
        converged=bool(fitted.converged),
        mean_absolute_error=float(jnp.mean(error)),
        report=report,
    )


def mean_intercepts(intercept: Array, observations: Observations) -> Array:
    """Mean intercepts of observed families, base and post-trained.

    Args:
        intercept: ``(family, skill)``.
        observations: which families were observed and which are post-trained.

    Returns:
        ``(2, skill)``: row 0 for base, row 1 for post-trained families; where one kind was never
        observed, the mean of the other.
    """
    seen = jnp.any(observations.family_observed, axis=1).astype(intercept.dtype)
    kinds = jnp.stack([(1.0 - observations.post_trained) * seen, observations.post_trained * seen])
    count = jnp.sum(kinds, axis=1, keepdims=True)
    means = matmul(kinds, intercept) / jnp.maximum(count, 1.0)
    return jnp.where(count > 0, means, means[::-1])


def _fill_unseen(intercept: Array, observations: Observations) -> Array:
    seen = jnp.any(observations.family_observed, axis=1)[:, None]
    means = mean_intercepts(intercept, observations)
    return jnp.where(seen, intercept, means[observations.post_trained.astype(int)])
