"""The skills scaling law as one pure function of its parameters.

A model ``m`` of family ``f`` has the skills

    theta_m = alpha_f + B' x_m + gamma_f w_m + epsilon_m           (skill,)

and scores on benchmark ``j``

    mu_mj = c_j + (1 - c_j) g_j( lambda_j' theta_m + b_j + u_fj + v_fj w_m )

with covariates ``x`` from :mod:`sloth_jax.covariates` (the first is log size), a chance floor
``c`` and an increasing link ``g`` from :mod:`sloth_jax.links`. ``gamma`` is a family's own growth
of skills with size and ``epsilon`` what sets a model apart from its family; ``u`` and ``v`` are a
family's own deviations on single benchmarks, in level (the factor analyst's unique factor) and in
growth, along ``w`` (:func:`own_growth`). The published law has none of the four. Source: Maia Polo
et al., "Sloth: scaling laws for LLM skills", arXiv 2412.06540, section 3.

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
        growth: gamma, a family's own growth of skills along w, on top of the shared
            slope, ``(family, skill)``, real; None where families have none.
        specific_growth: v, the same for its deviation on each benchmark,
            ``(family, benchmark)``, real; None where families have none.
        growth_from: log size from which a family's own growth counts, on the axis of the first
            covariate, ``(family,)``; None where it counts from zero and never levels off.
        floor: c, score by chance, a fraction, ``(benchmark,)``, in [0, 1).
        link: g, an increasing link with one slice per benchmark.
        own: epsilon, what is peculiar to each model, in skills, ``(model, skill)``, a row for each
            row of the covariates; None where models follow their families exactly.
    """

    intercept: Array
    slope: Array
    loading: Array
    bias: Array
    specific: Array | None
    growth: Array | None
    specific_growth: Array | None
    growth_from: Array | None
    floor: Array
    link: Link
    own: Array | None = None


# A family's own growth levels off at about this distance, in standard deviations of log size
# (1.5 in log size, a factor of four or five): two small models tell how a family differs from
# others at their size, not that it will go on to differ ever more.
REACH = 1.0


def own_growth(log_size: Array, start: Array) -> Array:
    """Basis of a family's own growth: distance in log size, levelling off at :data:`REACH`.

    Args:
        log_size: first covariate, any shape.
        start: where the growth counts from, of the same shape.
    """
    # w = r tanh((x1 - start) / r)
    return REACH * jnp.tanh((log_size - start) / REACH)


def _growth_basis(params: Params, covariates: Array, family: Array) -> Array:
    if params.growth_from is None:
        return covariates[:, :1]
    return own_growth(covariates[:, :1], params.growth_from[family][:, None])


def skills(params: Params, covariates: Array, family: Array) -> Array:
    """Latent skills of models.

    Args:
        params: parameters of the law.
        covariates: ``(model, covariate)``, standardised as they were for the fit.
        family: index of each model's family, ``(model,)``, integer.

    Returns:
        theta, ``(model, skill)``, in the units that the loadings give them.
    """
    # theta_m = alpha_f(m) + B' x_m + gamma_f(m) w_m + epsilon_m
    theta = params.intercept[family] + matmul(covariates, params.slope)
    if params.own is not None:
        theta += params.own
    if params.growth is not None:
        theta += params.growth[family] * _growth_basis(params, covariates, family)
    return theta


def linear_predictor(params: Params, covariates: Array, family: Array) -> Array:
    """What enters the link, ``(model, benchmark)``; arguments as for :func:`skills`."""
    theta = skills(params, covariates, family)
    # eta_mj = lambda_j' theta_m + b_j + u_f(m)j + v_f(m)j w_m
    eta = matmul(theta, params.loading.T) + params.bias[None, :]
    if params.specific is not None:
        eta += params.specific[family]
    if params.specific_growth is not None:
        eta += params.specific_growth[family] * _growth_basis(params, covariates, family)
    return eta


def scores(params: Params, covariates: Array, family: Array) -> Array:
    """Expected scores of models on every benchmark; arguments as for :func:`skills`.

    Returns:
        mu, ``(model, benchmark)``, fractions between each benchmark's floor and 1.
    """
    share = params.link(linear_predictor(params, covariates, family))
    # mu_mj = c_j + (1 - c_j) g_j(eta_mj)
    return params.floor[None, :] + (1.0 - params.floor[None, :]) * share
