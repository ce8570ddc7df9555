"""Scores that a measurement may bring, and what they tell draws of the law.

What is measured next is chosen before its outcome is known. Outcomes ("futures") are drawn from the
fit; in each, draws of the law are weighed by how well they foresaw it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.law.forward import Params
from sloth_jax.law.hierarchical import SharedLaw


def thinned(law: SharedLaw, draws: int) -> SharedLaw:
    """Draws of a law, evenly spaced; a mode's one is repeated."""
    count = law.noise.shape[0]
    used = draws if count == 1 else min(draws, count)
    kept = np.linspace(0, count - 1, used).round().astype(int)
    return jax.tree.map(lambda a: a[kept], law)


def scores_of(params: Params, predictor: np.ndarray) -> np.ndarray:
    """Scores of predictors, ``(draw, any, benchmark)`` both, fractions."""
    share = np.asarray(_shares(params, jnp.asarray(predictor)), float)
    floor = np.asarray(params.floor, float)[:, None, :]
    return np.clip(floor + (1.0 - floor) * share, 0.0, 1.0)


@jax.jit
def _shares(params: Params, predictor: Array) -> Array:
    return jax.vmap(lambda one, eta: one.link(eta))(params, predictor)


def foreseen(
    params: Params, happens: np.ndarray, turned_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores that futures bring, as predictors of every draw and their rates of change.

    Args:
        params: of every draw.
        happens: draw that each future is from, ``(future,)``.
        turned_out: predictors of the scores by that draw, ``(future, benchmark)``.

    Returns:
        ``(draw, future, benchmark)`` each.
    """
    reached, rate = _foreseen(params, jnp.asarray(happens), jnp.asarray(turned_out))
    return np.asarray(reached, float), np.asarray(rate, float)


@jax.jit
def _foreseen(params: Params, happens: Array, turned_out: Array) -> tuple[Array, Array]:
    links = jax.tree.map(lambda a: a[happens], params.link)
    share = jax.vmap(lambda link, eta: link(eta[None])[0])(links, turned_out)
    return jax.vmap(lambda one: one.link.inverse(share))(params)


def weights_of_draws(log_weight: np.ndarray) -> np.ndarray:
    """Weights that sum to 1 over draws, of log densities ``(draw, future)``."""
    weights = np.exp(log_weight - log_weight.max(axis=0))
    return weights / weights.sum(axis=0)


def effective_draws(weights: np.ndarray) -> float:
    """How many draws weights ``(draw, future)`` leave, on average over futures."""
    return float((1.0 / (weights**2).sum(axis=0)).mean())


def weighted_quantiles(
    values: np.ndarray, weights: np.ndarray, probabilities: list[float]
) -> np.ndarray:
    """Quantiles of values with weights that sum to 1."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(probabilities, reached, values[order])
