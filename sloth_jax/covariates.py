"""Covariates: what compute enters the law as.

``x = (log s, log t, log s log t)`` for ``s`` parameters and ``t`` pretraining tokens: a translog
production function (Maia Polo et al., arXiv 2412.06540, section 3.1; Christensen, Jorgenson and
Lau 1973). The logs are standardised over the training table before they are multiplied. Together
with an intercept that spans the same functions as the raw product, and it keeps the three columns
nearly orthogonal, which fits and samplers need. The standardisation is remembered, so a query is
placed on the same axes, and units cancel: billions or units give the same covariates.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

COVARIATES = ("log_params", "log_tokens", "log_params_x_log_tokens")


class Scaling(NamedTuple):
    """Mean and standard deviation of log parameters and log tokens over a training table."""

    log_params_mean: float
    log_params_sd: float
    log_tokens_mean: float
    log_tokens_sd: float


def fit_scaling(params_b: np.ndarray, tokens_t: np.ndarray) -> Scaling:
    """Standardisation of a training table.

    Args:
        params_b: parameters in billions, ``(model,)``, positive.
        tokens_t: pretraining tokens in trillions, ``(model,)``, positive.

    Returns:
        Means and standard deviations of the logs. A column that never varies keeps its mean and
        gets standard deviation 1: its covariate is then zero for every training model.
    """

    def moments(values: np.ndarray) -> tuple[float, float]:
        logs = np.log(np.asarray(values, dtype=np.float64))
        sd = float(logs.std())
        return float(logs.mean()), sd if sd > 1e-9 else 1.0

    return Scaling(*moments(params_b), *moments(tokens_t))


def covariate_matrix(
    scaling: Scaling, params_b: ArrayLike, tokens_t: ArrayLike, *, interaction: bool = True
) -> Array:
    """Covariates of models on the axes of a training table.

    Args:
        scaling: standardisation from :func:`fit_scaling`.
        params_b: parameters in billions, ``(model,)``, positive.
        tokens_t: pretraining tokens in trillions, ``(model,)``, positive.
        interaction: whether to append the product of the two standardised logs.

    Returns:
        ``(model, covariate)`` in the order of :data:`COVARIATES`.
    """
    log_params = (jnp.log(jnp.asarray(params_b)) - scaling.log_params_mean) / scaling.log_params_sd
    log_tokens = (jnp.log(jnp.asarray(tokens_t)) - scaling.log_tokens_mean) / scaling.log_tokens_sd
    columns = [log_params, log_tokens]
    if interaction:
        columns.append(log_params * log_tokens)
    return jnp.stack(columns, axis=-1)
