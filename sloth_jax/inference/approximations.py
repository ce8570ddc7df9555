"""Approximations of the posterior by a normal distribution: seconds instead of minutes.

* ``laplace``: the normal with the curvature of the mode (Bishop 2006, section 4.4), in no direction
  wider than the prior;
* ``svi``: the normal that is closest in Kullback-Leibler divergence among those along the axes of
  that curvature, by stochastic variational inference (Kucukelbir et al. 2017).

Both come with the density's ratio to the approximation at each draw, by which
:mod:`sloth_jax.inference.diagnostics` judges them and weighs draws.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.chunks import map_in_chunks
from sloth_jax.law.curvature import curvature
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.target import Target
from sloth_jax.products import matmul

_SVI_STEPS = 1000
_SVI_RATE = 0.02


class Normal(NamedTuple):
    """A normal distribution of positions.

    Attributes:
        mean: ``(parameter,)``.
        axes: its principal axes, each as long as its standard deviation, ``(parameter, axis)``.
    """

    mean: Float[Array, " parameter"]
    axes: Float[Array, "parameter axis"]

    def position(self, unit: Float[Array, "*draw axis"]) -> Float[Array, "*draw parameter"]:
        """The position of a standard normal draw along the axes, ``(..., axis)``."""
        return jnp.broadcast_to(self.mean, unit.shape) + matmul(unit, self.axes.T)


class Drawn(NamedTuple):
    """Draws of an approximation.

    Attributes:
        position: ``(draw, parameter)``.
        log_density: of the approximation there, up to a constant, ``(draw,)``.
        log_ratio: log importance ratio, of the posterior density over it, up to a constant, of the
            first draws only, ``(ratio,)``.
        lineage_log_density: of each lineage's scores, by the same draws, ``(ratio, lineage)``.
        law: of each draw, every array with a leading axis ``(draw,)``.
    """

    position: Float[Array, "draw parameter"]
    log_density: Float[Array, " draw"]
    log_ratio: Float[Array, " ratio"]
    lineage_log_density: Float[Array, "ratio lineage"]
    law: SharedLaw


def laplace_normal(target: Target, mean: Float[Array, " parameter"]) -> Normal:
    """The normal around a mode with the curvature of the density there."""
    return normal_of(mean, curvature(target, mean))


def normal_of(mean: Array, curved: Array) -> Normal:
    """The normal of a mean ``(parameter,)`` and a curvature ``(parameter, parameter)``.

    All raw parameters are standard normal a priori, so a curvature below 1 says that the density is
    flatter than the prior, or curves the wrong way: it is taken to be 1.
    """
    values, vectors = jnp.linalg.eigh(curved)
    return Normal(mean, vectors / jnp.sqrt(jnp.maximum(values, 1.0))[None, :])


_REFINE_RATE, _REFINE_STEPS = 0.1, 40  # of Adam, along the axes in their lengths


def refine_mode(target: Target, normal: Normal) -> tuple[Normal, Array, Array]:
    """The normal moved to the mode, where the search for it ended nearby.

    Along the axes of the curvature the density falls equally fast in all directions, so that a few
    steps of Adam do what would need many along the parameters (preconditioning).

    Returns:
        The normal; the potential there, a scalar; and the length of its gradient along the axes,
        in their lengths: by a quadratic, the potential can still fall by half of its square.
    """
    import optax  # a saved fit needs none

    value_and_gradient = jax.value_and_grad(target.potential)
    optimiser = optax.adam(optax.cosine_decay_schedule(_REFINE_RATE, _REFINE_STEPS))

    def step(_: Array, state: tuple) -> tuple:
        unit, inner = state[:2]
        position = normal.position(unit)
        value, gradient = value_and_gradient(position)
        along = matmul(gradient, normal.axes)
        length = jnp.sqrt(jnp.sum(along**2))
        updates, inner = optimiser.update(along, inner, unit)
        return optax.apply_updates(unit, updates), inner, (position, value, length)

    nothing = jnp.zeros((), normal.mean.dtype)
    unit = jnp.zeros_like(normal.mean)
    state = (unit, optimiser.init(unit), (normal.mean, nothing, nothing))
    mean, value, length = jax.lax.fori_loop(0, _REFINE_STEPS + 1, step, state)[-1]
    return normal._replace(mean=mean), value, length


def laplace(target: Target, normal: Normal, key: Array, draws: int, ratio_draws: int) -> Drawn:
    """Draws of the normal itself; importance ratios of the first ``ratio_draws`` of them."""
    unit = jax.random.normal(key, (draws, normal.mean.size), normal.mean.dtype)
    # The symmetric root V Sigma^1/2 V' instead of V Sigma^1/2: where widths are equal, rounding
    # decides on the axes V, and draws would differ between devices.
    unit = matmul(unit, normal.axes / jnp.sqrt(jnp.sum(normal.axes**2, axis=0, keepdims=True)))
    return _drawn(target, normal, unit, -0.5 * jnp.sum(unit**2, axis=1), ratio_draws)


def svi(target: Target, normal: Normal, key: Array, draws: int, ratio_draws: int) -> Drawn:
    """The same of the normal along the same axes with the least KL divergence to the density."""
    import optax  # a saved fit needs none

    fit_key, draw_key = jax.random.split(key)
    optimiser = optax.adam(optax.cosine_decay_schedule(_SVI_RATE, _SVI_STEPS))

    def loss(free: tuple[Array, Array], unit: Array) -> Array:
        # KL(q || p) up to a constant: E_q[-log p] - sum log width
        centre, log_width = free
        moved = centre + jnp.exp(log_width) * unit
        return target.potential(normal.position(moved)) - jnp.sum(log_width)

    def step(state: tuple, key: Array) -> tuple:
        free, inner = state
        gradient = jax.grad(loss)(free, jax.random.normal(key, free[0].shape, free[0].dtype))
        updates, inner = optimiser.update(gradient, inner, free)
        return (optax.apply_updates(free, updates), inner), None

    free = (jnp.zeros_like(normal.mean), jnp.zeros_like(normal.mean))
    keys = jax.random.split(fit_key, _SVI_STEPS)
    (free, _), _ = jax.lax.scan(step, (free, optimiser.init(free)), keys)
    unit = jax.random.normal(draw_key, (draws, normal.mean.size), normal.mean.dtype)
    moved = free[0][None] + jnp.exp(free[1])[None] * unit
    return _drawn(target, normal, moved, -0.5 * jnp.sum(unit**2, axis=1), ratio_draws)


def _drawn(
    target: Target, normal: Normal, unit: Array, log_density: Array, ratio_draws: int
) -> Drawn:
    position = normal.position(unit)
    potential, lineages, _ = map_in_chunks(target.evaluate, position[:ratio_draws])
    law = jax.vmap(target.law)(position)
    return Drawn(position, log_density, -potential - log_density[:ratio_draws], lineages, law)
