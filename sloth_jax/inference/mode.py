"""The mode of the hierarchical law: where every inference begins, and a prediction in a second.

All effects are integrated out (:mod:`sloth_jax.law.effects`), so the mode of what is left is a
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

from sloth_jax.law.hierarchical import (
    Density,
    RawParams,
    SharedLaw,
    shares,
    zero_raw_params,
)
from sloth_jax.law.links import learnt_link, standardise
from sloth_jax.law.observations import Observations
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots, TriangularLoadings, choose_pivots
from sloth_jax.law.products import einsum, matmul

_RATE = 0.05  # of Adam's first step, in standard deviations of the prior
_JITTER = 0.3  # between random starts, in the same


class Mode(NamedTuple):
    """The best mode that was found.

    Attributes:
        position: all :class:`RawParams` as one vector, ``(parameter,)``.
        pivots: loadings that fix the rotation of the skills.
        value: minus the log density there, scalar; NaN if every start diverged.
        gradient: length of its gradient there, scalar.
    """

    position: Float[Array, "*fold parameter"]
    pivots: Pivots
    value: Float[Array, "*fold"]
    gradient: Float[Array, "*fold"]


class Target(NamedTuple):
    """The density over one flat vector, as optimisers and samplers want it."""

    density: Density
    unravel: Callable[[Array], RawParams]

    def potential(self, position: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Minus the log density of a position ``(parameter,)``, scalar."""
        return self.density.potential(self.unravel(position))

    def law(self, position: Float[Array, " parameter"]) -> SharedLaw:
        """The law that a position stands for."""
        return self.density.law(self.unravel(position))

    def evaluate(self, position: Array) -> tuple[Array, Array, SharedLaw]:
        """Minus the log density, the part of each lineage, and the law; see :class:`Density`."""
        return self.density.evaluate(self.unravel(position))


def target_of(observations: Observations, prior: Prior, pivots: Pivots, skills: int) -> Target:
    """The density of a table over one flat vector."""
    blank = zero_raw_params(observations, skills, prior)
    return Target(Density(observations, prior, pivots), ravel_pytree(blank)[1])


def find_mode(
    observations: Observations, key: Array, *, skills: int, prior: Prior, starts: int, steps: int
) -> Mode:
    """Maximise the posterior density: a pure function of arrays.

    The first start is at the principal components of the scores, further ones around it.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key of the starts.
        skills: number of skills.
        prior: units of the raw parameters.
        starts: how many starts.
        steps: Adam steps of each.

    Returns:
        The best :class:`Mode` of all starts. Source of the optimiser: Kingma and Ba 2015; its rate
        falls to zero along a cosine.
    """
    import optax  # a saved fit needs none

    raw, pivots = _principal_start(observations, skills, prior)
    first, _ = ravel_pytree(raw)
    target = target_of(observations, prior, pivots, skills)
    value_and_gradient = jax.value_and_grad(target.potential)
    optimiser = optax.adam(optax.cosine_decay_schedule(_RATE, steps))

    def descend(start: Array) -> tuple[Array, Array, Array]:
        def step(_: Array, state: tuple) -> tuple:
            position, inner = state[:2]
            value, gradient = value_and_gradient(position)
            updates, inner = optimiser.update(gradient, inner, position)
            size = jnp.sqrt(jnp.sum(gradient**2))
            return optax.apply_updates(position, updates), inner, position, value, size

        nothing = jnp.zeros((), start.dtype)
        state = (start, optimiser.init(start), start, nothing, nothing)
        *_, position, value, size = jax.lax.fori_loop(0, steps + 1, step, state)
        return position, value, size

    jitter = _JITTER * jax.random.normal(key, (starts, first.size))
    positions, values, sizes = jax.lax.map(descend, first[None, :] + jitter.at[0].set(0.0))
    # nanargmin, where none is a number too
    best = jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values))
    return Mode(positions[best], pivots, values[best], sizes[best])


def _principal_start(
    observations: Observations, skills: int, prior: Prior
) -> tuple[RawParams, Pivots]:
    """Raw parameters at the principal components of the scores, and the pivots that suit them.

    Components are those of the benchmarks' correlations over what was measured, skills their
    regression on the surface's columns; everything else is at its prior median.
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
    gauged = TriangularLoadings(prior.loading, pivots).raw(matmul(loading, rotation))
    return blank._replace(slope=matmul(slope, rotation), loading=gauged), pivots
