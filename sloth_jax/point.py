"""Point fits: one best set of parameters, by many starts of Adam in one compiled program.

The published point fit minimises the mean Huber loss over the observed scores (Maia Polo et al.,
arXiv 2412.06540, appendix on estimation; delta 0.01). :func:`fit_point` does so;
:func:`minimise` is the optimiser by itself, which :mod:`sloth_jax.posterior` uses as well to find
where its chains start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from sloth_jax.constraints import constrain, unconstrain
from sloth_jax.covariates import Scaling, fit_scaling
from sloth_jax.errors import InputError
from sloth_jax.law import Params, matmul, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import GRID_CENTRES, Link, Logistic, Mixture, MonotoneNetwork
from sloth_jax.observations import Observations, observe

LINKS = ("logistic", "mixture", "network")
DIVERGED = "every start of the fit diverged: look for extreme sizes or token counts in the table"
_HIDDEN_UNITS = 10


class Minimum(NamedTuple):
    """Where an objective was brought to from each start.

    Attributes:
        argument: tree of arrays with a leading axis ``start``.
        value: objective at the end, ``(start,)``.
        converged: whether the second half of the steps lowered the objective by less than a
            hundredth of what all steps did, ``(start,)``, bool. The last steps alone would not
            tell: the rate has fallen to zero by then, so they never move.
    """

    argument: Any
    value: Array
    converged: Array

    def best(self) -> tuple[Any, Array, Array]:
        """Argument, value and convergence of the start that ended lowest."""
        winner = jnp.nanargmin(self.value)
        return (
            jax.tree.map(lambda a: a[winner], self.argument),
            self.value[winner],
            self.converged[winner],
        )


def minimise(
    objective: Callable[[Any], Array], starts: Any, *, steps: int, learning_rate: float = 0.05
) -> Minimum:
    """Minimise a function from many starts at once with Adam and a cosine-decayed rate.

    Args:
        objective: from a tree of arrays to a scalar; pure.
        starts: tree of arrays with a leading axis ``start``.
        steps: Adam steps from every start.
        learning_rate: rate of the first step; it falls to zero along a cosine.

    Returns:
        A :class:`Minimum`. A start that ends in NaN is never the best; only if all do is the
        best value NaN.
    """
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def descend(start: Any) -> tuple[Any, Array, Array]:
        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Array]:
            argument, state = carry
            value, gradient = jax.value_and_grad(objective)(argument)
            updates, state = optimiser.update(gradient, state, argument)
            return (optax.apply_updates(argument, updates), state), value

        (argument, _), trace = jax.lax.scan(step, (start, optimiser.init(start)), length=steps)
        end = objective(argument)
        late = trace[steps // 2] - end
        return argument, end, late <= 1e-2 * (trace[0] - end)

    return Minimum(*jax.jit(jax.vmap(descend))(starts))


@dataclass(frozen=True, eq=False)
class PointFit:
    """The law fitted as a point.

    Attributes:
        params: fitted parameters; families of :attr:`table`, in its order.
        table: the table it was fitted to.
        scaling: standardisation of its covariates.
        interaction: whether the product of the logs is a covariate.
        loss: mean Huber loss of the best start.
        losses: of every start, ``(start,)``.
        converged: whether the best start had settled.
        mean_absolute_error: over the observed scores of the table, a fraction.
    """

    params: Params
    table: Leaderboard
    scaling: Scaling
    interaction: bool
    loss: float
    losses: Array
    converged: bool
    mean_absolute_error: float


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
        hidden = _HIDDEN_UNITS
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
        :class:`Params` with zero deviations ``specific``, ``growth`` and ``specific_growth``.
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
        specific=jnp.zeros((families, benchmarks)),
        growth=jnp.zeros((families, skills)),
        specific_growth=jnp.zeros((families, benchmarks)),
        floor=observations.floor,
        link=random_link(keys[3], link, benchmarks),
    )


def huber_loss(params: Params, observations: Observations, delta: float = 0.01) -> Array:
    """Mean Huber loss over the observed scores; ``delta`` is a fraction of a full score."""
    expected = scores(params, observations.covariates, observations.family)
    loss = optax.huber_loss(expected, observations.scores, delta=delta)
    # A masked score adds nothing, to the loss or to its gradient.
    seen = jnp.sum(jnp.where(observations.observed, loss, 0.0))
    return seen / jnp.maximum(jnp.sum(observations.observed), 1)


def fit_point(
    table: Leaderboard,
    *,
    key: Array,
    skills: int = 3,
    link: str = "mixture",
    learn_floors: bool = False,
    interaction: bool = True,
    starts: int = 10,
    steps: int = 2000,
) -> PointFit:
    """Fit the law by mean Huber loss from many random starts, and keep the best.

    Missing scores are masked: they are not imputed, and no row is dropped for them. Families
    enter as intercepts; one without any observed score gets the mean intercept of the families
    with the same post-training.

    Args:
        table: scores to fit.
        key: random key of the starts.
        skills: number of skills, at most the number of benchmarks.
        link: one of :data:`LINKS`.
        learn_floors: whether floors are fitted too, from the table's as a start.
        interaction: whether log size times log tokens is a covariate.
        starts: how many random starts.
        steps: Adam steps of each.

    Returns:
        A :class:`PointFit`; look at its ``converged``.

    Raises:
        InputError: if ``skills`` is not between 1 and the number of benchmarks, or every start
            diverged.
        ValueError: if there is no such link.
    """
    check_skills(skills, table)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, interaction=interaction)

    def start(key: Array) -> Params:
        params = random_params(key, observations, skills=skills, link=link)
        # None is an empty tree: what is None here is not optimised.
        floor = jnp.clip(params.floor, 0.005, 0.995) if learn_floors else None
        free = params._replace(specific=None, growth=None, specific_growth=None, floor=floor)
        return unconstrain(free)

    def complete(free: Params) -> Params:
        params = constrain(free)
        floor = params.floor if learn_floors else observations.floor
        return without_deviations(params)._replace(floor=floor)

    minimum = minimise(
        lambda free: huber_loss(complete(free), observations),
        jax.vmap(start)(jax.random.split(key, starts)),
        steps=steps,
    )
    free, loss, converged = minimum.best()
    if not bool(jnp.isfinite(loss)):
        raise InputError(DIVERGED)
    params = complete(free)
    params = params._replace(intercept=_fill_unseen(params.intercept, observations))
    expected = scores(params, observations.covariates, observations.family)
    error = jnp.abs(expected - observations.scores)[observations.observed]
    return PointFit(
        params=params,
        table=table,
        scaling=scaling,
        interaction=interaction,
        loss=float(loss),
        losses=minimum.value,
        converged=bool(converged),
        mean_absolute_error=float(jnp.mean(error)),
    )


def without_deviations(params: Params) -> Params:
    """The same parameters with families that differ by their intercepts only, as published."""
    families, skills = params.intercept.shape
    own = jnp.zeros((families, params.bias.shape[0]))
    return params._replace(specific=own, growth=jnp.zeros((families, skills)), specific_growth=own)


def check_skills(skills: int, table: Leaderboard) -> None:
    """Raise InputError unless the number of skills fits the table's number of benchmarks."""
    if not 1 <= skills <= len(table.benchmarks):
        raise InputError(
            f"{skills} skills do not fit {len(table.benchmarks)} benchmarks: "
            f"choose a number from 1 to {len(table.benchmarks)}"
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
