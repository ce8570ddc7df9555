"""The skills scaling law as one pure function of its parameters.

A model ``m`` has the skills

    theta_m = B' x_m + e_m                                             (skill,)

and scores on benchmark ``j``

    mu_mj = c_j + (1 - c_j) g_j( lambda_j' theta_m + b_j + d_j' x_m + u_mj )

with columns ``x`` from :mod:`sloth_jax.law.surface` (functions of log size and log tokens, and
whether the model is post-trained), a chance floor ``c`` and an increasing link ``g`` from
:mod:`sloth_jax.law.links`. ``e`` and ``u`` are what sets the model, its family and its lineage
apart, in skills and on single benchmarks; in the published law ``e`` is an intercept per family and
``u`` and ``d`` are zero. Source: Maia Polo et al., "Sloth: scaling laws for LLM skills",
arXiv 2412.06540, section 3.

:func:`scores` is what every fit, forecast and figure calls, the published methods of
:mod:`sloth_jax.evaluation.baselines` among them. Nothing here validates; tables are checked where
they enter, in :mod:`sloth_jax.data.leaderboard`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.law.links import Link
from sloth_jax.products import matmul


class Params(NamedTuple):
    """Parameters of the law that all models share.

    Attributes:
        slope: B, effect of each column on each skill, ``(column, skill)``, real.
        loading: lambda, how much each skill moves each benchmark, ``(benchmark, skill)``, real.
        bias: b, predictor of each benchmark at zero skills, ``(benchmark,)``, real.
        floor: c, score by chance, a fraction, ``(benchmark,)``, in [0, 1).
        link: g, an increasing link with one slice per benchmark.
        specific_slope: d, effect of each column on single benchmarks, ``(column, benchmark)``,
            real; None where columns act through skills only.
    """

    slope: Float[Array, "*draw column skill"]
    loading: Float[Array, "*draw benchmark skill"]
    bias: Float[Array, "*draw benchmark"]
    floor: Float[Array, "*draw benchmark"]
    link: Link
    specific_slope: Float[Array, "*draw column benchmark"] | None = None


class Effects(NamedTuple):
    """What sets models apart from the law that all share, a row for each row of the design.

    Attributes:
        skill: e, ``(model, skill)``, real.
        benchmark: u, on the scale of the predictor, ``(model, benchmark)``, real; noise inside the
            link is added here. None where there is none.
    """

    skill: Float[Array, "*draw model skill"]
    benchmark: Float[Array, "*draw model benchmark"] | None = None


def skills(
    params: Params, design: Float[Array, "model column"], effects: Effects | None = None
) -> Float[Array, "model skill"]:
    """Latent skills of models.

    Args:
        params: parameters of the law.
        design: columns x, ``(model, column)``, on the axes that the fit remembers.
        effects: what sets the models apart; None for the average family.

    Returns:
        theta, ``(model, skill)``, in the units that the loadings give them.
    """
    # theta_m = B' x_m + e_m
    theta = matmul(design, params.slope)
    return theta if effects is None else theta + effects.skill


def linear_predictor(
    params: Params, design: Float[Array, "model column"], effects: Effects | None = None
) -> Float[Array, "model benchmark"]:
    """What enters the link, ``(model, benchmark)``; arguments as for :func:`skills`."""
    # eta_mj = lambda_j' theta_m + b_j + d_j' x_m + u_mj
    eta = matmul(skills(params, design, effects), params.loading.T) + params.bias[None, :]
    if params.specific_slope is not None:
        eta += matmul(design, params.specific_slope)
    if effects is not None and effects.benchmark is not None:
        eta += effects.benchmark
    return eta


def scores(
    params: Params, design: Float[Array, "model column"], effects: Effects | None = None
) -> Float[Array, "model benchmark"]:
    """Scores of models on every benchmark; arguments as for :func:`skills`.

    Returns:
        mu, ``(model, benchmark)``, fractions in [0, 1]: expected scores, or with noise among the
        effects scores that may be measured, a little below the floor now and then.
    """
    share = params.link(linear_predictor(params, design, effects))
    # mu_mj = c_j + (1 - c_j) g_j(eta_mj)
    return jnp.clip(params.floor[None, :] + (1.0 - params.floor[None, :]) * share, 0.0, 1.0)
