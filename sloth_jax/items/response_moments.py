"""Moments of the item response law under normal posteriors of items and models.

The law, for item i of category c and model m (Reckase 2009, Multidimensional Item Response Theory,
chapter 4)::

    eta_mi = a_i' theta_m - b_i + g_i' u_m
    p_mi   = floor_i + (1 - floor_i) logistic(eta_mi)

``g_i`` has an indicator of each category and the item's standardised difficulty, so that ``u_m``
says where a model departs from its skills: in a category, and on hard items against easy ones. The
latter is a slope of the person (Ferrando 2004); it is what models that always guess, or often give
no answer, differ in.

All is uncertain: ``(a_i, b_i)`` are normal, and so are ``phi_m = (theta_m, u_m)``. The chance of a
right answer is averaged over them by MacKay's approximation (1992, The evidence framework applied
to classification networks)::

    E logistic(eta) = logistic(k E eta),   k = (1 + pi / 8 Var eta)^(-1/2)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from sloth_jax.products import einsum, matmul

_TINY = 1e-6  # chances of a right answer stay so far from 0 and 1


class Normals(NamedTuple):
    """Independent normal vectors.

    Attributes:
        mean: ``(n, part)``.
        covariance: ``(n, part, part)``.
    """

    mean: Array
    covariance: Array


class Moments(NamedTuple):
    """What a block of items and all models say of each other.

    Attributes:
        eta: mean of the logit, ``(model, item)``.
        variance: of it, ``(model, item)``.
        loading: z_i = (a_i, g_i), ``(item, part)``.
        loading_square: E z_i z_i', ``(item, part, part)``.
        skill: x_m = (theta_m, -1), ``(model, skill + 1)``.
        skill_square: E x_m x_m', ``(model, skill + 1, skill + 1)``.
    """

    eta: Array
    variance: Array
    loading: Array
    loading_square: Array
    skill: Array
    skill_square: Array


def moments(items: Normals, design: Array, abilities: Normals) -> Moments:
    """Moments of the logit.

    Args:
        items: (a_i, b_i).
        design: g_i, ``(item, departure)``.
        abilities: phi_m = (theta_m, u_m).
    """
    skills = items.mean.shape[1] - 1
    models, parts = abilities.mean.shape
    z = jnp.concatenate([items.mean[:, :skills], design], axis=1)
    x = jnp.concatenate(
        [abilities.mean[:, :skills], -jnp.ones((models, 1), abilities.mean.dtype)], axis=1
    )
    # E zz' = zz' + Cov(a),  E xx' = xx' + Cov(theta)
    zz = (
        (z[:, :, None] * z[:, None, :])
        .at[:, :skills, :skills]
        .add(items.covariance[:, :skills, :skills])
    )
    xx = x[:, :, None] * x[:, None, :]
    xx_all = xx.at[:, :skills, :skills].add(abilities.covariance[:, :skills, :skills])
    eta = matmul(abilities.mean, z.T) - items.mean[:, skills][None, :]
    # Var eta = tr(Cov(phi) E zz') + x' Cov(a, b) x
    variance = matmul(
        abilities.covariance.reshape(models, parts**2), zz.reshape(-1, parts**2).T
    ) + matmul(xx.reshape(models, -1), items.covariance.reshape(len(z), -1).T)
    return Moments(eta, variance, z, zz, x, xx_all)


def chance(eta: Array, variance: Array, floor: Array) -> tuple[Array, Array]:
    """Chance of a right answer, and its derivative by the mean of the logit.

    Args:
        eta: mean of the logit.
        variance: of it.
        floor: chance of a right answer without any skill.
    """
    k = lax.rsqrt(1.0 + jnp.pi / 8.0 * variance)
    q = jnp.clip(jax.nn.sigmoid(k * eta), _TINY, 1.0 - _TINY)
    return floor + (1.0 - floor) * q, (1.0 - floor) * k * q * (1.0 - q)


def residual_and_weight(
    found: Moments, successes: Array, tries: Array, floor: Array
) -> tuple[Array, Array]:
    """Derivative of the log likelihood by the logit, and its expected curvature.

    Args:
        found: moments.
        successes: ``(model, item)``.
        tries: likewise.
        floor: ``(item,)``.
    """
    floor = floor[None, :]
    p, slope = chance(found.eta, found.variance, floor)
    q = (p - floor) / (1.0 - floor)
    # d log p / d eta = h (y - p),  h = (1 - floor) q (1 - q) / (p (1 - p)): 1 without a floor
    h = (1.0 - floor) * q * (1.0 - q) / (p * (1.0 - p))
    return h * (successes - tries * p), tries * h * slope


def item_terms(
    found: Moments, abilities: Normals, residual: Array, weight: Array
) -> tuple[Array, Array]:
    """Gradient and information of (a_i, b_i) from all models: ``(item, k)``, ``(item, k, k)``."""
    skills = found.skill.shape[1] - 1
    information = einsum("mi,mkl->ikl", weight, found.skill_square)
    # The chance is averaged over what is uncertain of the model: - weight Cov(theta, eta)
    together = einsum("mkl,mi->ikl", abilities.covariance[:, :skills, :], weight)
    gradient = matmul(residual.T, found.skill)
    return gradient.at[:, :skills].add(-einsum("ikl,il->ik", together, found.loading)), information


def ability_terms(
    found: Moments, items: Normals, residual: Array, weight: Array
) -> tuple[Array, Array]:
    """Gradient and information of phi_m from all items: ``(model, part)``, and squared."""
    skills, parts = found.skill.shape[1] - 1, found.loading.shape[1]
    information = matmul(weight, found.loading_square.reshape(-1, parts**2))
    # - weight Cov(a, eta), as above for what is uncertain of the item
    together = einsum("ikl,mi->mkl", items.covariance[:, :skills, :], weight)
    gradient = matmul(residual, found.loading)
    gradient = gradient.at[:, :skills].add(-einsum("mkl,ml->mk", together, found.skill))
    return gradient, information.reshape(-1, parts, parts)
