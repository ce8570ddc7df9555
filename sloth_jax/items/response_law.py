"""The item response law, fitted to a bank: items and models as normal posteriors.

The law stands in :mod:`sloth_jax.items.response_moments`. Its priors are learnt from the bank::

    (a_i, b_i) ~ N(mean of the item's category, item covariance)
    theta_m    ~ N(covariates_m' slope + family effect, ability covariance)
    u_m        ~ N(0, departure variances)

How it is fitted stands in :mod:`sloth_jax.items.response_sweeps`. With several skills their
rotation is open, as in every factor law; scores do not depend on it. Items come in blocks, so that
memory grows with models times the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.errors import InputError, check_choice
from sloth_jax.inference.diagnostics import Diagnostics
from sloth_jax.inference.settings import NutsSettings
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.response_moments import Normals
from sloth_jax.items.response_sweeps import (
    DEPARTURE_SD,
    ItemPriors,
    categories_of,
    prior_precision,
    standardised,
    sweep_all,
)
from sloth_jax.showing import Shown

_CELLS = 2_000_000  # of a block, so that a dozen arrays of it stay below 100 MB


@dataclass(frozen=True, eq=False, repr=False)
class ResponseLaw(Shown):
    """A fitted item response law.

    Attributes:
        items: posterior of (a_i, b_i), ``(item, skill + 1)``.
        design: categories and difficulty of each item, ``(item, departure)``.
        floor: chance of a right answer without any skill, ``(item,)``.
        abilities: posterior of (theta_m, u_m) of the bank's models, ``(model, skill + departure)``.
        priors: learnt.
        sweeps: how many were made.
        converged: whether the last sweep moved no skill by more than the tolerance; of ``nuts``,
            whether its diagnostics find no problem.
        diagnostics: of ``nuts``; None for ``laplace``.
    """

    items: Normals
    design: np.ndarray
    floor: np.ndarray
    abilities: Normals
    priors: ItemPriors
    sweeps: int
    converged: bool
    diagnostics: Diagnostics | None = None

    @property
    def skills(self) -> int:
        """How many skills."""
        return self.items.mean.shape[1] - 1

    def prior_of(self, covariates: np.ndarray | None = None) -> tuple[Array, Array]:
        """Prior mean and precision of (theta, u) of a model outside the bank.

        Args:
            covariates: a row as of :func:`fit_responses`, ``(covariate,)``; None for a model of
                which nothing is known.
        """
        priors, skills = self.priors, self.skills
        mean = jnp.zeros(self.abilities.mean.shape[1])
        if covariates is not None:
            known = jnp.asarray(np.concatenate([[1.0], covariates]))
            mean = mean.at[:skills].set(known @ priors.slope[: len(known)])
            covariance = priors.ability_covariance * (1.0 + priors.family_variance)
        else:
            covariance = jnp.eye(skills)  # over the bank's models
        return mean, prior_precision(covariance, priors.departure_variance)


def fit_responses(
    bank: ItemBank,
    *,
    skills: int = 1,
    floor: float | np.ndarray = 0.0,
    covariates: np.ndarray | None = None,
    families: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    sweeps: int = 80,
    tolerance: float = 2e-3,
    inference: str = "laplace",
    key: Array | None = None,
    nuts: NutsSettings | None = None,
) -> ResponseLaw:
    """Fit the law to a bank.

    Args:
        bank: answers.
        skills: how many, 1 to 4.
        floor: chance of a right answer without any skill, a fraction, for all items or
            ``(item,)``.
        covariates: of the models' skills, such as the skills that the scaling law expects of
            their size and tokens, ``(model, covariate)``; standardised.
        families: position of each model's family, ``(model,)``; None for none.
        groups: position of each item's group, whose items share a prior, ``(item,)``; None for
            the categories.
        sweeps: at most so many.
        tolerance: converged once no skill moves by more, in standard deviations over models.
        inference: ``laplace``, the approximation that sweeps make; or ``nuts``, for small banks,
            which begins there and gives moments of draws instead.
        key: random key of ``nuts``.
        nuts: how its chains move; None for the default.

    Raises:
        InputError: fewer than three models, more skills than the bank can tell apart, or for
            ``nuts`` no key, covariates or families, or too large a bank.
    """
    check_choice("inference", inference, ("laplace", "nuts"))
    if inference == "nuts" and (key is None or covariates is not None or families is not None):
        raise InputError("nuts needs a key, and takes no covariates or families")
    models = len(bank.models)
    if models < 3:
        raise InputError(f"the bank has {models} models, the item response law needs 3 or more")
    if not 1 <= skills <= min(4, models - 2):
        raise InputError(f"{skills} skills for {models} models: ask for 1 to {min(4, models - 2)}")
    blocks = _Blocks(bank.tries.shape)
    category = np.asarray(bank.category)
    departing = categories_of(np.eye(len(bank.categories))[category])
    group = category if groups is None else np.asarray(groups, int)
    indicator = np.eye(int(group.max()) + 1)[group]
    floors = np.broadcast_to(np.asarray(floor, float), category.shape)
    if not ((floors >= 0.0) & (floors < 1.0)).all():
        raise InputError("floor: give chances from 0 up, below 1")
    known, families_of = _ability_design(models, covariates, families)
    start = _start(bank, skills, indicator, departing, known.shape[1], blocks.size)
    data = (
        blocks.cut(departing),
        blocks.cut(indicator),
        blocks.cut(floors),
        *(blocks.cut(counts.T).transpose(0, 2, 1) for counts in (bank.successes, bank.tries)),
    )
    first = Normals(*(jnp.asarray(blocks.cut(np.asarray(part))) for part in start.items))
    items, abilities, priors, made, moved = sweep_all(
        first, start.abilities, start.priors,
        tuple(jnp.asarray(part) for part in data), jnp.asarray(known), jnp.asarray(families_of),
        jnp.asarray(tolerance, float), most=sweeps,
    )  # fmt: skip
    joined = Normals(*(blocks.join(part) for part in items))
    hard = np.asarray(standardised(joined.mean[:, -1], jnp.ones(len(category))))
    design = np.concatenate([departing, hard[:, None]], axis=1)
    law = ResponseLaw(
        joined, design, floors, abilities, priors,
        int(made), bool(moved <= tolerance),
    )  # fmt: skip
    if inference == "laplace":
        return law
    from sloth_jax.items.response_nuts import sample_responses

    assert key is not None
    return sample_responses(bank, law, indicator, key, nuts or NutsSettings())


class _Start(NamedTuple):
    items: Normals
    abilities: Normals
    priors: ItemPriors


@dataclass(frozen=True)
class _Blocks:
    """Blocks of as many items each; the last is filled up with items without answers."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(min(self.shape[1], max(64, _CELLS // self.shape[0])))

    def cut(self, values: np.ndarray) -> np.ndarray:
        count = -(-len(values) // self.size)
        filled = np.zeros((count * self.size, *values.shape[1:]), values.dtype)
        filled[: len(values)] = values
        return filled.reshape(count, self.size, *values.shape[1:])

    def join(self, values: Array) -> Array:
        return values.reshape(-1, *values.shape[2:])[: self.shape[1]]


def _ability_design(
    models: int, covariates: np.ndarray | None, families: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Intercept, covariates and families side by side, and which columns are families."""
    parts = [np.ones((models, 1))]
    for name, values in (("covariates", covariates), ("families", families)):
        if values is not None and (len(values) != models or not np.isfinite(values).all()):
            raise InputError(f"{name}: give a finite row for each of the {models} models")
    if covariates is not None:
        parts.append(np.asarray(covariates, float).reshape(models, -1))
    fixed = sum(part.shape[1] for part in parts)
    if families is not None:
        parts.append(np.eye(int(np.max(families)) + 1)[np.asarray(families, int)])
    design = np.concatenate(parts, axis=1)
    return design, np.arange(design.shape[1]) >= fixed


def _start(
    bank: ItemBank,
    skills: int,
    indicator: np.ndarray,
    departing: np.ndarray,
    columns: int,
    size: int,
) -> _Start:
    """Pooled log odds of items, and the leading directions of what models differ in."""
    models, items = bank.tries.shape
    right, made = (counts.sum(axis=0, dtype=float) for counts in (bank.successes, bank.tries))
    rate = (right + 0.5) / (made + 1.0)
    difficulty = np.log1p(-rate) - np.log(rate)
    # What models differ in, a block of items at a time: (model, model) and (model,)
    square, total = np.zeros((models, models if skills > 1 else 0)), np.zeros(models)
    for first in range(0, items, size):
        own = slice(first, first + size)
        right, made = bank.successes[:, own], bank.tries[:, own]
        left = np.where(made > 0, right / np.maximum(made, 1) - rate[own], 0.0)
        total += left.sum(axis=1)
        square += left @ left.T if skills > 1 else 0.0
    theta = total[:, None] / items
    if skills > 1:
        theta = np.linalg.eigh(square)[1][:, ::-1][:, :skills]
        theta = theta * np.where(total @ theta < 0.0, -1.0, 1.0)
    theta = (theta - theta.mean(axis=0)) / np.maximum(theta.std(axis=0), 1e-6)
    departures = departing.shape[1] + 1
    parts = skills + departures
    mean = np.concatenate([np.full((items, skills), 0.5), difficulty[:, None]], axis=1)
    priors = ItemPriors(
        jnp.asarray(np.tile([0.7] * skills + [difficulty.mean()], (indicator.shape[1], 1))),
        jnp.diag(jnp.asarray([0.5] * skills + [2.0])),
        jnp.zeros((columns, skills)),
        jnp.eye(skills),
        jnp.full(departures, DEPARTURE_SD**2),
        jnp.asarray(0.5),
    )
    return _Start(
        Normals(
            jnp.asarray(mean),
            jnp.broadcast_to(0.1 * jnp.eye(skills + 1), (items, skills + 1, skills + 1)),
        ),
        Normals(
            jnp.asarray(np.concatenate([theta, np.zeros((models, departures))], axis=1)),
            jnp.broadcast_to(0.01 * jnp.eye(parts), (models, parts, parts)),
        ),
        priors,
    )
