"""What is to be good: a benchmark, a weighted mix of them, or a skill.

A plan maximises a target over sizes and tokens. A single benchmark's score grows with its linear
predictor, so that its optimum needs no link; a mix needs the scores themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.columns import match_benchmark
from sloth_jax.errors import InputError
from sloth_jax.forecasting import PredictiveLaw, noisy_scores
from sloth_jax.law import Params, linear_predictor, matmul, scores
from sloth_jax.law import skills as skills_of
from sloth_jax.links import of_benchmarks
from sloth_jax.point import PointFit
from sloth_jax.posterior import Posterior
from sloth_jax.sampler import flat_draws
from sloth_jax.skills import Skills
from sloth_jax.tables import did_you_mean, quoted

MEAN = "mean"  # the target that weighs all benchmarks alike


@dataclass(frozen=True)
class Target:
    """What is to be good.

    Attributes:
        label: for people.
        benchmarks: positions of its benchmarks in the training table; empty for a skill.
        weights: of the benchmarks, positive, summing to 1.
        skill: position of the skill, None for benchmarks.
    """

    label: str
    benchmarks: tuple[int, ...]
    weights: tuple[float, ...]
    skill: int | None = None

    @property
    def is_mix(self) -> bool:
        """Whether several benchmarks are weighed against each other."""
        return len(self.benchmarks) > 1


def find_target(
    wanted: str | Mapping[str, float], names: tuple[str, ...], labels: tuple[str, ...] = ()
) -> Target:
    """Find what a user names.

    Args:
        wanted: a benchmark, ``"mean"`` of all, a skill, or benchmarks with weights, positive.
        names: benchmarks of the training table.
        labels: of skills; none where nobody has interpreted them.

    Raises:
        InputError: if there is no such benchmark or skill, or the weights are not positive.
    """
    if isinstance(wanted, str):
        if wanted == MEAN:
            return Target("mean of all benchmarks", tuple(range(len(names))), _even(len(names)))
        if wanted in labels:
            return Target(wanted, (), (), labels.index(wanted))
        at = _position(wanted, names, labels)
        return Target(names[at], (at,), (1.0,))
    if not wanted:
        raise InputError("no target: name a benchmark")
    positions = tuple(_position(name, names) for name in wanted)
    weights = np.array([float(weight) for weight in wanted.values()])
    if len(set(positions)) < len(positions):
        raise InputError("a benchmark occurs twice in the target")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError("weights of a target are positive numbers: leave out what does not count")
    weights = weights / weights.sum()
    parts = (f"{w:.3g} {names[j]}" for w, j in zip(weights, positions, strict=True))
    label = names[positions[0]] if len(positions) == 1 else " + ".join(parts)
    return Target(label, positions, tuple(float(w) for w in weights))


def _even(count: int) -> tuple[float, ...]:
    return (1.0 / count,) * count


def _position(name: str, names: tuple[str, ...], labels: tuple[str, ...] = ()) -> int:
    found = match_benchmark(name, names)
    if found is None:
        choices = (*names, *labels, MEAN)
        hint = did_you_mean(name, choices) or f": choose from {', '.join(choices)}"
        raise InputError(f"no target {quoted(name)}{hint}")
    return names.index(found)


class AimedLaw(NamedTuple):
    """A predictive law reduced to what a target needs; one queried model.

    Attributes:
        params: leading axis ``(draw,)``, of the target's benchmarks only.
        noise: ``(draw, 1, benchmark)``; None where there is none.
        sampling: see :class:`sloth_jax.forecasting.PredictiveLaw`, of the same shape, or None.
        weight: of the benchmarks, ``(draw, benchmark)``, the same in each; empty for a skill.
        axis: direction of the skill in the law's own, ``(draw, skill)``; None for benchmarks.
        offset: of the skill, ``(draw,)``; None for benchmarks.
    """

    params: Params
    noise: Array | None
    sampling: Array | None
    weight: Array
    axis: Array | None
    offset: Array | None


def aim(
    law: PredictiveLaw, target: Target, fit: Posterior | PointFit, skills: Skills | None
) -> AimedLaw:
    """Reduce a predictive law to a target."""
    draws, kind = law.params.loading.shape[0], law.params.loading.dtype
    weight = jnp.tile(jnp.asarray(target.weights, kind)[None], (draws, 1))
    if target.skill is None:
        at = jnp.asarray(target.benchmarks)
        params = jax.vmap(lambda one: _reduced(one, at))(law.params)
        noise, sampling = (None if a is None else a[:, :, at] for a in (law.noise, law.sampling))
        return AimedLaw(params, noise, sampling, weight, None, None)
    assert skills is not None  # a target has a skill where it was found among their labels
    axes, offsets = skill_axes(fit, skills)
    axis = jnp.asarray(axes[:, target.skill], kind)
    offset = jnp.asarray(offsets[:, target.skill], kind)
    return AimedLaw(law.params, None, None, weight, axis, offset)


def _reduced(params: Params, at: Array) -> Params:
    specific, own_growth = params.specific, params.specific_growth
    return params._replace(
        loading=params.loading[at],
        bias=params.bias[at],
        specific=None if specific is None else specific[:, at],
        specific_growth=None if own_growth is None else own_growth[:, at],
        floor=params.floor[at],
        link=of_benchmarks(params.link, at),
    )


def skill_axes(fit: Posterior | PointFit, skills: Skills) -> tuple[np.ndarray, np.ndarray]:
    """Interpreted skills as functions of the law's own.

    Args:
        fit: what the skills were interpreted from.
        skills: from :func:`sloth_jax.skills.interpret_skills`.

    Returns:
        ``A`` and ``a`` with ``skill = A theta + a``, ``(draw, skill, skill)`` and
        ``(draw, skill)``.
    """
    own = flat_draws(fit.params) if isinstance(fit, Posterior) else None
    params: Params = own if own is not None else jax.tree.map(lambda a: a[None], fit.params)
    loading = np.asarray(params.loading, float)
    # loading_new = loading M and theta_new = M^-1 theta + a leave loading' theta but for a shift
    turned = np.linalg.pinv(loading) @ skills.loading
    axes = np.linalg.inv(turned)
    # a is read off any family's intercept at the origin of the covariates
    new = np.asarray(skills.params.intercept, float)[:, 0]
    old = np.asarray(params.intercept, float)[:, 0]
    return axes, new - np.einsum("dij,dj->di", axes, old)


def measured(law: AimedLaw, x: Array) -> Array:
    """Value of the target as it would be measured, of one draw at ``x (point, covariate)``."""
    family = jnp.zeros(x.shape[0], int)
    if law.axis is not None:
        return _skill(law, law.params, x, family)
    if law.noise is None:
        return matmul(scores(law.params, x, family), law.weight)
    made = noisy_scores(law.params, x, family, law.noise, sampling=law.sampling)
    return matmul(made, law.weight)


def expected(law: AimedLaw, x: Array) -> Array:
    """Value of the target by the law alone: no noise, no departure of the model from its family."""
    family = jnp.zeros(x.shape[0], int)
    params = law.params._replace(own=None)
    if law.axis is not None:
        return _skill(law, params, x, family)
    return matmul(scores(params, x, family), law.weight)


def ranked(law: AimedLaw, x: Array) -> Array:
    """What is largest where :func:`expected` is, without a link for a single benchmark."""
    if law.axis is not None or law.weight.shape[0] > 1:
        return expected(law, x)
    params = law.params._replace(own=None)
    return linear_predictor(params, x, jnp.zeros(x.shape[0], int))[:, 0]


def _skill(law: AimedLaw, params: Params, x: Array, family: Array) -> Array:
    assert law.axis is not None
    assert law.offset is not None  # the two come together
    return matmul(skills_of(params, x, family), law.axis) + law.offset
