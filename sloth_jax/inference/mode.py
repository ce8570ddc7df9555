"""The mode of the hierarchical law: where every inference begins, and a prediction in a second.

All effects are integrated out (:mod:`sloth_jax.effects.density`), so the mode of what is left is a
sensible estimate, as type-II maximum a posteriori or empirical Bayes: a mode over the effects too
would put all learnt spreads at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from sloth_jax.effects.conditioning import times_covariate_prior
from sloth_jax.law.groups import group_root, pivots_first
from sloth_jax.law.hierarchical import RawParams, zero_raw_params
from sloth_jax.law.links import learnt_link, standardise
from sloth_jax.law.observations import Observations, linearised_at, shares
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots, TriangularLoadings, choose_pivots
from sloth_jax.law.target import target_of
from sloth_jax.products import einsum, matmul

_RATE = 0.05  # of Adam's first step, in standard deviations of the prior
_WARM_RATE = 0.03  # the same from a warm start
WARM_START_SAVING = 3  # times fewer steps from there
_COVARIATE_RATE = 0.2  # share of the way from the expansion point to the expectation, at each step
_JITTER = 0.3  # of random starts, in standard deviations of the prior


class Mode(NamedTuple):
    """The best mode that was found.

    Attributes:
        position: all :class:`RawParams` as one vector, ``(parameter,)``.
        pivots: loadings that fix the rotation of the skills.
        value: minus the log density there, scalar; NaN if every start diverged.
        gradient: length of its gradient there, scalar; of a large table along the axes of its
            curvature, which are no longer than the prior's.
        covariates: expansion point of unknown covariates, less their prior means, ``(covariate,
            model)``; None where all are known.
    """

    position: Float[Array, "*fold parameter"]
    pivots: Pivots
    value: Float[Array, "*fold"]
    gradient: Float[Array, "*fold"]
    covariates: Float[Array, "*fold covariate model"] | None = None


def find_mode(
    observations: Observations,
    key: Array,
    *,
    skills: int,
    prior: Prior,
    starts: int,
    steps: int,
    warm_start: Mode | None = None,
) -> Mode:
    """Maximise the posterior density: a pure function of arrays.

    The first start is at the principal components of the scores, further ones around it. The
    expansion point of unknown covariates moves along: at each step towards their expectation given
    the scores.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key of the starts.
        skills: number of skills.
        prior: units of the raw parameters.
        starts: how many starts.
        steps: Adam steps of each.
        warm_start: the mode of a part of the table, from where a third of the steps will do; then
            it is the only start. None for none.

    Returns:
        The best :class:`Mode` of all starts. Source of the optimiser: Kingma and Ba 2015; its rate
        falls to zero along a cosine.
    """
    import optax  # a saved fit needs none

    rate = _RATE
    if warm_start is None:
        raw, pivots = _principal_start(observations, skills, prior)
        first, _ = ravel_pytree(raw)
    else:
        first, pivots = warm_start.position, warm_start.pivots
        rate, starts, steps = _WARM_RATE, 1, max(1, steps // WARM_START_SAVING)
    value_and_gradient = _gradients(observations, prior, pivots, skills)
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def descend(start: Array) -> Mode:
        def step(_: Array, state: tuple) -> tuple:
            (position, point), inner = state[:2]
            value, gradient, next_point = value_and_gradient(position, point)
            updates, inner = optimiser.update(gradient, inner, position)
            size = jnp.sqrt(jnp.sum(gradient**2))
            following = (optax.apply_updates(position, updates), next_point)
            return following, inner, Mode(position, pivots, value, size, point)

        nothing = jnp.zeros((), start.dtype)
        point = None if observations.covariates is None else observations.covariates.point
        mode = Mode(start, pivots, nothing, nothing, point)
        state = ((start, point), optimiser.init(start), mode)
        return jax.lax.fori_loop(0, steps + 1, step, state)[-1]

    jitter = _JITTER * jax.random.normal(key, (starts, first.size))
    modes = jax.lax.map(descend, first[None, :] + jitter.at[0].set(0.0))
    # not nanargmin, which fails where all are NaN
    best = jnp.argmin(jnp.where(jnp.isnan(modes.value), jnp.inf, modes.value))
    return jax.tree.map(lambda a: a[best], modes)


def _gradients(
    observations: Observations, prior: Prior, pivots: Pivots, skills: int
) -> Callable[[Array, Array | None], tuple[Array, Array, Array | None]]:
    """A function of the position and of the expansion point of unknown covariates.

    It gives minus the log density, its gradient, and the next expansion point.
    """

    def value_and_gradient(
        position: Array, point: Array | None
    ) -> tuple[Array, Array, Array | None]:
        linear = linearised_at(observations, point)
        covariates = linear.covariates
        if covariates is None or point is None:
            target = target_of(linear, prior, pivots, skills)
            return *jax.value_and_grad(target.potential)(position), None

        def potential(position: Array, point: Array) -> Array:
            moved = linear._replace(covariates=covariates._replace(point=point))
            return target_of(moved, prior, pivots, skills).potential(position)

        # E[z] - prior mean = C sum_j g_j (V^-1 r)_j, of which the sum is d potential / d point
        value, (gradient, pull) = jax.value_and_grad(potential, argnums=(0, 1))(position, point)
        expected = times_covariate_prior(linear.bins, pull)
        return value, gradient, point + _COVARIATE_RATE * (expected - point)

    return value_and_gradient


def _principal_start(
    observations: Observations, skills: int, prior: Prior
) -> tuple[RawParams, Pivots]:
    """Raw parameters at the principal components of the scores, and pivots for their loadings.

    Loadings are the components of the benchmarks' correlations over what was measured; slopes are
    a regression of the skills they give on the surface's columns; everything else is at its prior
    median.
    """
    blank = zero_raw_params(observations, skills, prior)
    seen = observations.observed.astype(observations.scores.dtype)
    benchmarks = seen.shape[1]
    link = learnt_link(prior.link_function).from_raw(blank.link, prior)
    link = standardise(link, shares(observations), observations.observed)
    unit = link.inverse(shares(observations))[0] * seen
    pairs = jnp.maximum(matmul(seen.T, seen), 1.0)
    values, vectors = jnp.linalg.eigh(matmul(unit.T, unit) / pairs + 1e-3 * jnp.eye(benchmarks))
    components = vectors[:, ::-1][:, :skills]
    components *= jnp.where(jnp.sum(components, axis=0) < 0.0, -1.0, 1.0)[None, :]
    loading = components * jnp.sqrt(jnp.maximum(values[::-1][:skills], 1e-3))[None, :]
    # Skills by least squares from each model's scores, slopes by ridge regression on the columns.
    gram = einsum("mj,jk,jh->mkh", seen, loading, loading) + 0.1 * jnp.eye(skills)[None]
    pull = matmul(unit, loading)
    theta = jnp.linalg.solve(gram, pull[:, :, None])[:, :, 0]
    some = (jnp.sum(seen, axis=1) > 0.0)[:, None]
    x = observations.design * some
    ridge = matmul(x.T, x) + jnp.eye(x.shape[1])
    slope = jnp.linalg.solve(ridge, matmul(x.T, theta * some))
    rotation, pivots = choose_pivots(loading)
    triangular = matmul(loading, rotation)
    if observations.group is not None:
        rank = pivots_first(pivots)
        _, root_inverse = group_root(observations.group, prior.group_correlation, rank)
        triangular = matmul(root_inverse, triangular)
    raw_loading = TriangularLoadings(prior.loading, pivots).raw(triangular)
    return blank._replace(slope=matmul(slope, rotation), loading=raw_loading), pivots
