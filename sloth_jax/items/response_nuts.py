"""The item response law by the No-U-Turn sampler, for small banks: the reference for Laplace.

All parameters are functions of standard normal ones::

    (a_i, b_i) = mean of the item's group + L z_i        L: Cholesky factor, its scales free
    theta_m    = z_m                                     a_i carries the scale
    u_m        = scales of departures times z

Chains begin at the normal approximation and move in the axes of its curvature, as those of the
scaling law do (:mod:`sloth_jax.inference.nuts`). Each draw is brought to the location, scale and
rotation of the approximation, so that draws can be averaged; what they say of chances is the same.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.scipy.optimize import minimize

from sloth_jax.errors import InputError
from sloth_jax.inference.approximations import normal_of
from sloth_jax.inference.diagnostics import Diagnostics, judge_chains
from sloth_jax.inference.nuts import run_chains
from sloth_jax.inference.settings import NutsSettings
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.response_law import ResponseLaw
from sloth_jax.items.response_moments import Normals
from sloth_jax.items.response_sweeps import DEPARTURE_SD, learnt
from sloth_jax.law.curvature import curvature_by_differences
from sloth_jax.products import matmul

_STEPS = 200  # of the search for the mode
_MOST = 3000  # parameters: their curvature is a dense matrix
_JUDGED = 2000  # chances at which chains are compared
_GROUP_WORTH = 5.0  # items' worth of belief that groups have the same mean
_SLOPE, _SLOPE_SD, _DIFFICULTY_SD, _MEAN_SD = 0.7, 0.5, 1.5, 2.0
_LOG_SD = 0.5  # of scales, around those


class Facts(NamedTuple):
    """Arrays that the density needs."""

    successes: Array  # (model, item)
    tries: Array  # (model, item)
    floor: Array  # (item,)
    design: Array  # (item, departure)
    group: Array  # (item, group)


class Target(NamedTuple):
    """The density over a flat vector of standard normal parameters."""

    facts: Facts
    skills: int

    def raw(self, position: Array) -> dict[str, Array]:
        """Raw parameters of a position ``(parameter,)``."""
        (models, items), width = self.facts.tries.shape, self.skills + 1
        departures, groups = self.facts.design.shape[1], self.facts.group.shape[1]
        blank = {
            "mean": jnp.zeros(width),
            "group": jnp.zeros((groups, width)),
            "scale": jnp.zeros(width),
            "lower": jnp.zeros((width, width)),
            "item": jnp.zeros((items, width)),
            "departure": jnp.zeros(departures),
            "ability": jnp.zeros((models, self.skills + departures)),
        }
        return ravel_pytree(blank)[1](position)

    def factor(self, raw: dict[str, Array]) -> Array:
        """Cholesky factor of the items' covariance."""
        centre = jnp.asarray([_SLOPE_SD] * self.skills + [_DIFFICULTY_SD])
        scale = centre * jnp.exp(_LOG_SD * raw["scale"])
        return jnp.diag(scale) + jnp.tril(0.5 * raw["lower"], -1) * scale[:, None]

    def parameters(self, position: Array) -> tuple[Array, Array]:
        """(a_i, b_i), ``(item, skill + 1)``, and (theta_m, u_m), ``(model, part)``."""
        raw = self.raw(position)
        factor = self.factor(raw)
        first = jnp.asarray([_SLOPE] * self.skills + [0.0])
        groups = matmul(raw["group"] / jnp.sqrt(_GROUP_WORTH), factor.T)
        mean = (first + _MEAN_SD * raw["mean"])[None] + matmul(self.facts.group, groups)
        departure = DEPARTURE_SD * jnp.exp(_LOG_SD * raw["departure"])
        scale = jnp.concatenate([jnp.ones(self.skills), departure])
        return mean + matmul(raw["item"], factor.T), raw["ability"] * scale[None]

    def potential(self, position: Array) -> Array:
        """Minus the log density, scalar."""
        p = self.chances(position)
        made, right = self.facts.tries, self.facts.successes
        told = right * jnp.log(p) + (made - right) * jnp.log1p(-p)
        return 0.5 * jnp.sum(position**2) - jnp.sum(told)

    def chances(self, position: Array) -> Array:
        """Of a right answer, ``(model, item)``."""
        items, abilities = self.parameters(position)
        loading = jnp.concatenate([items[:, :-1], self.facts.design], axis=1)
        eta = matmul(abilities, loading.T) - items[None, :, -1]
        q = jnp.clip(jax.nn.sigmoid(eta), 1e-6, 1.0 - 1e-6)
        floor = self.facts.floor[None]
        return floor + (1.0 - floor) * q


def target_of(given: tuple[Facts, Array]) -> Target:
    """The density of facts; the second of the pair is as long as there are skills."""
    return Target(given[0], len(given[1]))


def sample_responses(
    bank: ItemBank, start: ResponseLaw, group: np.ndarray, key: Array, settings: NutsSettings
) -> ResponseLaw:
    """Sample the law, and give the moments of the draws in the place of the approximation.

    Args:
        bank: answers.
        start: the approximation, without covariates and families.
        group: indicators of the groups of items that share a prior, ``(item, group)``.
        key: random key.
        settings: how chains move.

    Raises:
        InputError: the bank is too large.
    """
    began = time.perf_counter()
    facts = Facts(*(
        jnp.asarray(part, float)
        for part in (bank.successes, bank.tries, start.floor, start.design, group)
    ))  # fmt: skip
    given = (facts, jnp.zeros(start.skills))
    target = target_of(given)
    centre = _position_of(target, start)
    if centre.size > _MOST:
        raise InputError(
            f"{centre.size:,} parameters, nuts takes at most {_MOST:,}: sample a smaller bank, or "
            "use laplace"
        )
    normal = jax.jit(_axes, static_argnames="skills")(facts, centre, skills=start.skills)
    free = _of_no_scale(target, centre)
    trace = run_chains(cast(Any, target_of), given, normal, key, settings)
    flat = trace.position.reshape(-1, centre.size)
    items, abilities = _aligned(lax.map(target.parameters, flat, batch_size=64), start)
    cells = np.flatnonzero(bank.tries.ravel() > 0)
    cells = cells[np.linspace(0, len(cells) - 1, min(_JUDGED, len(cells))).astype(int)]
    chances = lax.map(lambda at: target.chances(at).ravel()[cells], flat, batch_size=64)
    judged = judge_chains(
        np.asarray(chances).reshape(*trace.position.shape[:2], -1),
        energy=np.asarray(trace.energy),
        diverging=np.asarray(trace.diverging),
        steps=np.asarray(trace.steps),
    )
    diagnostics = Diagnostics(
        inference="nuts",
        draws=len(flat),
        seconds=time.perf_counter() - began,
        gradient=float(jnp.linalg.norm(free * jax.grad(target.potential)(normal.mean))),
        **judged,
    )
    models = len(bank.models)
    known, families = jnp.ones((models, 1)), jnp.zeros(1, bool)
    priors = learnt(items, abilities, start.priors, jnp.asarray(group), known, families)
    return replace(
        start,
        items=items,
        abilities=abilities,
        priors=priors,
        sweeps=0,
        converged=not diagnostics.problems(),
        diagnostics=diagnostics,
    )


def _axes(facts: Facts, centre: Array, *, skills: int) -> Any:
    """The mode near a position, scales held where they are, and the axes of the curvature there.

    A joint mode of scales and of what they scale is far from where the posterior has its mass.
    """
    target = Target(facts, skills)
    free = _of_no_scale(target, centre)

    held = lambda move: target.potential(centre + free * move)  # noqa: E731
    found = minimize(held, jnp.zeros_like(centre), method="BFGS", options={"maxiter": _STEPS})
    place = centre + free * found.x
    return normal_of(place, curvature_by_differences(target.potential, place))


def _of_no_scale(target: Target, position: Array) -> Array:
    """1 for parameters that are no scales, 0 for these, ``(parameter,)``."""
    raw = target.raw(position)
    return ravel_pytree(
        {
            name: jnp.full(part.shape, float(name not in ("scale", "lower", "departure")))
            for name, part in raw.items()
        }
    )[0]


def _position_of(target: Target, law: ResponseLaw) -> Array:
    """Where the approximation lies."""
    priors, skills = law.priors, law.skills
    factor = np.linalg.cholesky(np.asarray(priors.item_covariance))
    centre = np.array([_SLOPE_SD] * skills + [_DIFFICULTY_SD])
    scale = np.diag(factor)
    indicator, means = np.asarray(target.facts.group), np.asarray(priors.item_mean)
    overall = indicator.mean(axis=0) @ means
    first = np.array([_SLOPE] * skills + [0.0])
    inverse = np.linalg.inv(factor)
    departure = np.sqrt(np.asarray(priors.departure_variance))
    parts = {
        "mean": (overall - first) / _MEAN_SD,
        "group": np.sqrt(_GROUP_WORTH) * (means - overall) @ inverse.T,
        "scale": np.log(scale / centre) / _LOG_SD,
        "lower": 2.0 * np.tril(factor, -1) / scale[:, None],
        "item": (np.asarray(law.items.mean) - indicator @ means) @ inverse.T,
        "departure": np.log(departure / DEPARTURE_SD) / _LOG_SD,
        "ability": np.asarray(law.abilities.mean) / np.concatenate([np.ones(skills), departure]),
    }
    return ravel_pytree({name: jnp.asarray(part, float) for name, part in parts.items()})[0]


def _aligned(drawn: tuple[Array, Array], start: ResponseLaw) -> tuple[Normals, Normals]:
    """Moments of draws ``(draw, ...)`` after each is turned to the approximation."""
    skills = start.skills
    goal = np.asarray(start.abilities.mean)[:, :skills]
    items, abilities = (np.array(part, float) for part in drawn)
    for one, phi in zip(items, abilities, strict=True):
        theta = phi[:, :skills]
        centre = theta.mean(axis=0)
        # theta <- (theta - centre) T with variance 1: whitened, then turned to the approximation
        values, axes = np.linalg.eigh(np.cov(theta.T, bias=True).reshape(skills, skills))
        white = axes / np.sqrt(values)
        left, _, right = np.linalg.svd(((theta - centre) @ white).T @ goal)
        turn = white @ left @ right
        shift = phi[:, skills:].mean(axis=0)
        one[:, skills] -= one[:, :skills] @ centre + start.design @ shift
        one[:, :skills] = one[:, :skills] @ np.linalg.inv(turn).T
        phi[:, :skills] = (theta - centre) @ turn
        phi[:, skills:] -= shift
    return _moments(items), _moments(abilities)


def _moments(draws: np.ndarray) -> Normals:
    """Of draws ``(draw, n, part)``."""
    mean = draws.mean(axis=0)
    away = draws - mean
    return Normals(
        jnp.asarray(mean), jnp.asarray(np.einsum("dnk,dnl->nkl", away, away) / len(draws))
    )
