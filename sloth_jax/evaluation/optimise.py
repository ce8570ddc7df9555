"""The published optimiser (Maia Polo et al., arXiv 2412.06540, appendix on estimation).

Adam whose rate falls whenever the loss stops falling, and which keeps the parameters with the
smallest mean absolute error it has seen. Where such a fit stops is part of what was published, so
:mod:`sloth_jax.evaluation.baselines` needs it. A pure function of arrays: folds are ``vmap``-ed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array


class Plateau(NamedTuple):
    """When the published optimiser lowers its rate and when it stops.

    Attributes:
        factor: the rate is multiplied by this,
        patience: after more than so many steps in a row,
        threshold: none of which lowered the loss by this share below its last low.
        stop_patience: the fit stops after so many steps in a row,
        stop_threshold: none of which lowered the error by this much below its last low, a fraction.
        max_steps: the fit stops here in any case.
    """

    factor: float = 0.95
    patience: int = 20
    threshold: float = 1e-4
    stop_patience: int = 500
    stop_threshold: float = 1e-5
    max_steps: int = 100_000


class Descent(NamedTuple):
    """Where the published optimiser got to.

    Attributes:
        argument: the parameters with the smallest error, ``(parameter,)``.
        error: that error.
        steps: steps taken before it stopped.
    """

    argument: Array
    error: Array
    steps: Array


class _Progress(NamedTuple):
    argument: Array
    optimiser: Any
    loss: Array  # of the step before
    best: Array
    error: Array
    since_best: Array
    steps: Array


def descend_on_plateau(
    objective: Callable[[Array], tuple[Array, Array]],
    start: Array,
    *,
    learning_rate: Array | float,
    free: Array | float = 1.0,
    least: Array | float = -jnp.inf,
    rule: Plateau = Plateau(),
) -> Descent:
    """Adam that lowers its rate on plateaus, stops on long ones and keeps the best it saw.

    All parameters are one flat vector: a loop over a dozen small arrays would spend its time on
    bookkeeping.

    Args:
        objective: from parameters to the loss that is descended and the error by which the best
            parameters are chosen, both scalars.
        start: ``(parameter,)``.
        learning_rate: rate of the first step.
        free: 1 where a parameter may move, 0 where not, ``(parameter,)``.
        least: lower bounds, to which a step that went below is set back, ``(parameter,)``.
        rule: when the rate falls and when the fit stops.

    Returns:
        A :class:`Descent`. A start whose loss is NaN stops after ``stop_patience`` steps with
        infinite error.

    Source: Kingma and Ba (2015) for Adam; the rest is PyTorch's ``ReduceLROnPlateau``.
    """
    gradient_of = jax.value_and_grad(objective, has_aux=True)
    optimiser = optax.chain(
        optax.adam(learning_rate),
        optax.contrib.reduce_on_plateau(
            rule.factor, rule.patience + 1, rtol=rule.threshold, atol=0.0
        ),
    )
    infinite = jnp.asarray(jnp.inf, start.dtype)
    zero = jnp.asarray(0)
    begin = _Progress(start, optimiser.init(start), infinite, start, infinite, zero, zero)

    def goes_on(now: _Progress) -> Array:
        return (now.since_best < rule.stop_patience) & (now.steps < rule.max_steps)

    def step(now: _Progress) -> _Progress:
        (loss, error), gradient = gradient_of(now.argument)
        # A loss lowers the rate of the step that follows it.
        updates, inner = optimiser.update(free * gradient, now.optimiser, value=now.loss)
        better = error < now.error - rule.stop_threshold
        return _Progress(
            argument=jnp.maximum(jnp.asarray(optax.apply_updates(now.argument, updates)), least),
            optimiser=inner,
            loss=loss,
            best=jnp.where(better, now.argument, now.best),
            error=jnp.where(better, error, now.error),
            since_best=jnp.where(better, 0, now.since_best + 1),
            steps=now.steps + 1,
        )

    end = jax.lax.while_loop(goes_on, step, begin)
    return Descent(end.best, end.error, end.steps)
