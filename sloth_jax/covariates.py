"""Covariates: what compute enters the law as.

``x = (log s, log t, log s log t)`` for ``s`` parameters and ``t`` pretraining tokens: a translog
production function (Maia Polo et al., arXiv 2412.06540, section 3.1; Christensen, Jorgenson and
Lau 1973). The logs are standardised over the training table before they are multiplied. Together
with an intercept that spans the same functions as the raw product, and it keeps the three columns
nearly orthogonal, which fits and samplers need. The standardisation is remembered, so a query is
placed on the same axes, and units cancel: billions or units give the same covariates.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

COVARIATES = ("log_params", "log_tokens", "log_params_x_log_tokens")

# What of compute enters: the law's own translog, the same without the product, or nothing but
# training FLOPs (6 s t), as older laws have it (Owen, arXiv 2401.04757).
KINDS = {"translog": COVARIATES, "additive": COVARIATES[:2], "flops": ("log_flops",)}


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
    scaling: Scaling, params_b: ArrayLike, tokens_t: ArrayLike, *, kind: str = "translog"
) -> Array:
    """Covariates of models on the axes of a training table.

    Args:
        scaling: standardisation from :func:`fit_scaling`.
        params_b: parameters in billions, ``(model,)``, positive.
        tokens_t: pretraining tokens in trillions, ``(model,)``, positive.
        kind: one of :data:`KINDS`.

    Returns:
        ``(model, covariate)`` in the order that :data:`KINDS` gives.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no covariates {kind!r}: choose one of {', '.join(KINDS)}")
    log_params = (jnp.log(jnp.asarray(params_b)) - scaling.log_params_mean) / scaling.log_params_sd
    log_tokens = (jnp.log(jnp.asarray(tokens_t)) - scaling.log_tokens_mean) / scaling.log_tokens_sd
    if kind == "flops":
        # log(6 s t) = log s + log t + constant, on a scale like that of the two
        sizes = scaling.log_params_sd * log_params + scaling.log_tokens_sd * log_tokens
        return (sizes / math.hypot(scaling.log_params_sd, scaling.log_tokens_sd))[..., None]
    columns = [log_params, log_tokens, log_params * log_tokens]
    return jnp.stack(columns[: len(KINDS[kind])], axis=-1)
