"""Averaging the forecasts of several laws, weighted by how well each predicts lineages it left out.

``fit(surface="averaged")`` averages over surfaces by itself (:mod:`sloth_jax.inference.stacking`).
Here whole fits are weighed, whatever they differ in, such as their number of skills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.forecasting.forecast import Forecast
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.leave_lineage_out import lineage_elpd
from sloth_jax.inference.stacking import stack
from sloth_jax.showing import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Weights(Shown):
    """How much each of several fits counts.

    Attributes:
        fits: weights, not negative, that sum to 1, ``(fit,)``.
        elpd: log density of each lineage left out by each fit, nats, ``(fit, lineage)``.
        max_pareto_k: largest Pareto k of each fit's importance weights, ``(fit,)``; above 0.7 its
            densities are rough.
    """

    fits: np.ndarray
    elpd: np.ndarray
    max_pareto_k: np.ndarray


def stacking_weights(fits: Sequence[Fit]) -> Weights:
    """Weigh fits of one table by the lineages that each leaves out.

    Args:
        fits: from :func:`sloth_jax.fit`, of the same table, by any inference but ``"mode"``.

    Raises:
        InputError: if there is no fit, their tables differ, or one cannot leave lineages out.
    """
    if not fits:
        raise InputError("no fit to weigh: give at least one")
    left_out = [lineage_elpd(fit) for fit in fits]
    if any(one.lineages != left_out[0].lineages for one in left_out):
        raise InputError("fits of different tables cannot be weighed: fit them to the same one")
    elpd = np.array([one.elpd for one in left_out])
    return Weights(
        np.asarray(stack(jnp.asarray(elpd))),
        elpd,
        np.array([one.pareto_k.max() for one in left_out]),
    )


def average(forecasts: Sequence[Forecast], weights: np.ndarray) -> Forecast:
    """One forecast whose draws are those of several, as many of each as its weight says.

    Args:
        forecasts: of the same models and benchmarks.
        weights: of each, not negative, that sum to 1, ``(forecast,)``.

    Raises:
        InputError: if there is no forecast, the weights do not fit them, or they are of different
            models or benchmarks.
    """
    if not forecasts or np.shape(weights) != (len(forecasts),):
        raise InputError(
            f"{len(forecasts)} forecasts and weights of shape {np.shape(weights)}: give one weight "
            "for each of at least one forecast"
        )
    first = forecasts[0]
    predicted = {(one.models, one.benchmarks) for one in forecasts}
    if len(predicted) > 1:
        raise InputError("forecasts of different models or benchmarks cannot be averaged")
    total = min(len(one.draws) for one in forecasts)
    # Whole numbers of draws that add up: those of cumulated weights, rounded.
    ends = np.rint(np.cumsum(weights) / np.sum(weights) * total).astype(int)
    parts = []
    for one, begin, end in zip(forecasts, [0, *ends[:-1]], ends, strict=True):
        rows = np.linspace(0, len(one.draws) - 1, end - begin).astype(int)
        parts.append(one.draws[rows])
    return replace(first, draws=np.concatenate(parts))
