"""Covariates: what compute enters the law as.

``x = (log s, log t, log s log t)`` for ``s`` parameters and ``t`` pretraining tokens: a translog
production function (Maia Polo et al., arXiv 2412.06540, section 3.1; Christensen, Jorgenson and
Lau 1973). The logs are standardised over the training table before they are multiplied. Together
with an intercept that spans the same functions as the raw product, and it keeps the three columns
nearly orthogonal, which fits and samplers need. The standardisation is remembered, so a query is
placed on the same axes, and units cancel: billions or units give the same covariates.

A mixture of experts has more parameters than a token meets. Its size is all of them by default;
``"active"`` counts those that a token meets, and ``"total_and_active"`` lets the table say, by a
fourth covariate, how much the others are worth. Dense models are the same in all three.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

COVARIATES = ("log_params", "log_tokens", "log_params_x_log_tokens")

# What of compute enters: the law's own translog, the same without the product, nothing but
# training FLOPs (6 s t), as older laws have it (Owen, arXiv 2401.04757), or the translog with
# other sizes for mixtures of experts.
KINDS = {
    "translog": COVARIATES,
    "additive": COVARIATES[:2],
    "flops": ("log_flops",),
    "active": ("log_active_params", "log_tokens", "log_active_params_x_log_tokens"),
    "total_and_active": (*COVARIATES, "log_sparsity"),
}


class Sized(Protocol):
    """Rows that have covariates: a table or a query."""

    @property
    def params_b(self) -> np.ndarray:
        """Parameters in billions, ``(model,)``; of a mixture of experts, all of them."""
        ...

    @property
    def active_params_b(self) -> np.ndarray:
        """Parameters active per token in billions, ``(model,)``; NaN where dense."""
        ...

    @property
    def tokens_t(self) -> np.ndarray:
        """Pretraining tokens in trillions, ``(model,)``."""
        ...


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


def covariates_of(scaling: Scaling, rows: Sized, *, kind: str = "translog") -> Array:
    """Covariates of a table's or a query's models; see :func:`covariate_matrix`."""
    return covariate_matrix(
        scaling, rows.params_b, rows.tokens_t, kind=kind, active_params_b=rows.active_params_b
    )


def covariate_matrix(
    scaling: Scaling,
    params_b: ArrayLike,
    tokens_t: ArrayLike,
    *,
    kind: str = "translog",
    active_params_b: ArrayLike | None = None,
) -> Array:
    """Covariates of models on the axes of a training table.

    Args:
        scaling: standardisation from :func:`fit_scaling`.
        params_b: parameters in billions, ``(model,)``, positive.
        tokens_t: pretraining tokens in trillions, ``(model,)``, positive.
        kind: one of :data:`KINDS`.
        active_params_b: parameters active per token in billions, ``(model,)``; NaN where dense,
            None where all are. Training FLOPs are theirs.

    Returns:
        ``(model, covariate)`` in the order that :data:`KINDS` gives.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no covariates {kind!r}: choose one of {', '.join(KINDS)}")
    total = jnp.asarray(params_b)
    active = total
    if active_params_b is not None:
        given = jnp.asarray(active_params_b)
        active = jnp.where(jnp.isnan(given), total, given)
    size = active if kind in ("active", "flops") else total
    log_params = (jnp.log(size) - scaling.log_params_mean) / scaling.log_params_sd
    log_tokens = (jnp.log(jnp.asarray(tokens_t)) - scaling.log_tokens_mean) / scaling.log_tokens_sd
    if kind == "flops":
        # log(6 s t) = log s + log t + constant, on a scale like that of the two
        sizes = scaling.log_params_sd * log_params + scaling.log_tokens_sd * log_tokens
        return (sizes / jnp.hypot(scaling.log_params_sd, scaling.log_tokens_sd))[..., None]
    columns = [log_params, log_tokens, log_params * log_tokens]
    if kind == "total_and_active":
        columns.append(jnp.log(total / active))
    return jnp.stack(columns[: len(KINDS[kind])], axis=-1)
