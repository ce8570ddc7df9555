"""The skills scaling law as one pure function of its parameters.

A model ``m`` of family ``f`` has the skills

    theta_m = alpha_f + B' x_m + gamma_f x_m1                      (skill,)

and scores on benchmark ``j``

    mu_mj = c_j + (1 - c_j) g_j( lambda_j' theta_m + b_j + u_fj + v_fj x_m1 )

with covariates ``x`` from :mod:`sloth_jax.covariates` (the first is log size), a chance floor
``c`` and an increasing link ``g`` from :mod:`sloth_jax.links`. ``gamma`` is a family's own growth
of skills with size; ``u`` and ``v`` are its own deviations on single benchmarks, in level (the
factor analyst's unique factor) and in growth. The published law has none of the three. Source:
Maia Polo et al., "Sloth: scaling laws for LLM skills", arXiv 2412.06540, section 3.

Both inference paths call :func:`scores` and nothing else: :mod:`sloth_jax.point` through optax,
:mod:`sloth_jax.prior` through NumPyro. Nothing here validates; tables are checked where they
enter, in :mod:`sloth_jax.leaderboard`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from sloth_jax.links import Link


def matmul(left: Array, right: Array) -> Array:
    """Matrix product in full precision: accelerators would round float32 inputs to about 1e-3."""
    return jnp.matmul(left, right, precision="highest")


class Params(NamedTuple):
    """Parameters of the law.

    Attributes:
        intercept: alpha, efficiency of each family in each skill, ``(family, skill)``, real.
        slope: B, effect of each covariate on each skill, ``(covariate, skill)``, real.
        loading: lambda, how much each skill moves each benchmark, ``(benchmark, skill)``, real.
        bias: b, predictor of each benchmark at zero skills, ``(benchmark,)``, real.
        specific: u, a family's own deviation on each benchmark, on the scale of the predictor,
            ``(family, benchmark)``, real; None where families have none.
        growth: gamma, a family's own growth of skills per unit of the first covariate, on top of
            the shared slope, ``(family, skill)``, real; None where families have none.
        specific_growth: v, the same for its deviation on each benchmark,
            ``(family, benchmark)``, real; None where families have none.
        floor: c, score by chance, a fraction, ``(benchmark,)``, in [0, 1).
        link: g, an increasing link with one slice per benchmark.
    """

    intercept: Array
    slope: Array
    loading: Array
    bias: Array
    specific: Array | None
    growth: Array | None
    specific_growth: Array | None
    floor: Array
    link: Link


def skills(params: Params, covariates: Array, family: Array) -> Array:
    """Latent skills of models.

    Args:
        params: parameters of the law.
        covariates: ``(model, covariate)``, standardised as they were for the fit.
        family: index of each model's family, ``(model,)``, integer.

    Returns:
        theta, ``(model, skill)``, in the units that the loadings give them.
    """
    # theta_m = alpha_f(m) + B' x_m + gamma_f(m) x_m1
    theta = params.intercept[family] + matmul(covariates, params.slope)
    if params.growth is not None:
        theta += params.growth[family] * covariates[:, :1]
    return theta


def linear_predictor(params: Params, covariates: Array, family: Array) -> Array:
    """What enters the link, ``(model, benchmark)``; arguments as for :func:`skills`."""
    theta = skills(params, covariates, family)
    # eta_mj = lambda_j' theta_m + b_j + u_f(m)j + v_f(m)j x_m1
    eta = matmul(theta, params.loading.T) + params.bias[None, :]
    if params.specific is not None:
        eta += params.specific[family]
    if params.specific_growth is not None:
        eta += params.specific_growth[family] * covariates[:, :1]
    return eta


def scores(params: Params, covariates: Array, family: Array) -> Array:
    """Expected scores of models on every benchmark; arguments as for :func:`skills`.

    Returns:
        mu, ``(model, benchmark)``, fractions between each benchmark's floor and 1.
    """
    share = params.link(linear_predictor(params, covariates, family))
    # mu_mj = c_j + (1 - c_j) g_j(eta_mj)
    return params.floor[None, :] + (1.0 - params.floor[None, :]) * share
