"""What is to be good: a benchmark, a weighted mix of them, or a skill.

A target is evaluated draw by draw, anywhere in size and tokens: what sets a family apart is a
function of its size. A single benchmark's score grows with its linear predictor, so that its
optimum needs no link; a mix needs the scores themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.data.schema import match_benchmark
from sloth_jax.errors import InputError
from sloth_jax.forecasting.forecast import PredictiveLaw
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import Effects, linear_predictor, scores, skills as skills_of
from sloth_jax.law.links import of_benchmarks
from sloth_jax.law.products import matmul
from sloth_jax.law.surface import Surface
from sloth_jax.law.walk import walk_basis
from sloth_jax.skills.interpret import Skills
from sloth_jax.wording import did_you_mean, quoted

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
    """A predictive law of one queried model, reduced to what a target needs.

    Attributes:
        law: of the target's benchmarks only, leading axis ``(draw,)``, as all that follow.
        items: number of their items, the same in each draw, ``(draw, benchmark)``.
        weight: of the benchmarks, likewise, ``(draw, benchmark)``; empty for a skill.
        axis: direction of the skill in the law's own, ``(draw, skill)``; None for benchmarks.
        offset: of the skill, ``(draw,)``; None for benchmarks.
    """

    law: PredictiveLaw
    items: Array
    weight: Array
    axis: Array | None
    offset: Array | None


class Places(NamedTuple):
    """Where a target is evaluated.

    Attributes:
        design: columns of the surface, base models, ``(point, column)``.
        basis: places on the walks, ``(point, coefficient)``.
    """

    design: Array
    basis: Array


def places(
    surface: Surface, active_fraction: float | Array, log_params: Array, log_tokens: Array
) -> Places:
    """Places of log sizes (billions, of all parameters) and log tokens, ``(point,)`` each. Pure."""
    size = jnp.exp(log_params)
    active = active_fraction * size
    design = surface.design(size, jnp.exp(log_tokens), 0.0, active)
    return Places(design, walk_basis(surface.from_smallest(size, active)))


def aim(law: PredictiveLaw, target: Target, fit: Fit, skills: Skills | None) -> AimedLaw:
    """Reduce a predictive law to a target."""
    draws, kind = law.shared.noise.shape[0], law.shared.noise.dtype

    def repeated(values: np.ndarray) -> Array:
        return jnp.tile(jnp.asarray(values, kind)[None], (draws, 1))

    items = repeated(np.nan_to_num(fit.table.items, nan=np.inf))
    weight = repeated(np.asarray(target.weights))
    if target.skill is None:
        at = jnp.asarray(target.benchmarks)
        return AimedLaw(_reduced(law, at), items[:, at], weight, None, None)
    assert skills is not None  # a target has a skill where it was found among their labels
    # (theta - centre) @ transform, of which a mode has one for all its draws
    axis = skills.transform[:, :, target.skill]
    offset = -np.sum(skills.centre * axis, axis=1)
    return AimedLaw(
        law,
        items,
        weight,
        jnp.broadcast_to(jnp.asarray(axis, kind), (draws, axis.shape[1])),
        jnp.broadcast_to(jnp.asarray(offset, kind), (draws,)),
    )


def _reduced(law: PredictiveLaw, at: Array) -> PredictiveLaw:
    """The same for some benchmarks only."""
    shared, skills = law.shared, law.own.shape[-1]
    params = shared.params
    assert params.specific_slope is not None  # of every hierarchical law
    few = params._replace(
        loading=params.loading[:, at],
        bias=params.bias[:, at],
        floor=params.floor[:, at],
        link=of_benchmarks(params.link, at),
        specific_slope=params.specific_slope[:, :, at],
    )
    units = jnp.concatenate([jnp.arange(skills), skills + at])  # of walks
    return replace(
        law,
        shared=shared._replace(params=few, noise=shared.noise[:, at]),
        walk=law.walk[..., units],
        noise=law.noise[:, :, at],
        luck=law.luck[:, :, at],
    )


def measured(aimed: AimedLaw, where: Places) -> Array:
    """Value of the target as it would be measured, of one draw, ``(point,)``."""
    design = _design(aimed, where)
    if aimed.axis is not None:
        return _skill(aimed, design, aimed.law.effects(where.basis))
    return matmul(aimed.law.scores(design, where.basis, aimed.items), aimed.weight)


def expected(aimed: AimedLaw, where: Places) -> Array:
    """Value of the target by the law alone: no noise, no departure of the model from its family."""
    design, effects = _design(aimed, where), _of_family(aimed, where)
    if aimed.axis is not None:
        return _skill(aimed, design, effects)
    return matmul(scores(aimed.law.shared.params, design, effects), aimed.weight)


def ranked(aimed: AimedLaw, where: Places) -> Array:
    """What is largest where :func:`expected` is, without a link for a single benchmark."""
    if aimed.axis is not None or aimed.weight.shape[0] > 1:
        return expected(aimed, where)
    params = aimed.law.shared.params
    return linear_predictor(params, _design(aimed, where), _of_family(aimed, where))[:, 0]


def _design(aimed: AimedLaw, where: Places) -> Array:
    """Columns of one draw, which knows whether the model is post-trained."""
    return where.design.at[:, -1].set(aimed.law.shifted[0])


def _of_family(aimed: AimedLaw, where: Places) -> Effects:
    return replace(aimed.law, own=jnp.zeros_like(aimed.law.own)).effects(where.basis)


def _skill(aimed: AimedLaw, design: Array, effects: Effects) -> Array:
    assert aimed.axis is not None
    assert aimed.offset is not None  # the two come together
    return matmul(skills_of(aimed.law.shared.params, design, effects), aimed.axis) + aimed.offset
