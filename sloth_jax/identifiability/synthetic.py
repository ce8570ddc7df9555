"""Tables drawn from a law with known parameters, to see what a fit or a check makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.effects.spread import Spread
from sloth_jax.effects.walk import walk_basis
from sloth_jax.law.forward import Effects, Params, linear_predictor, scores
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.links import PIECES, SLACK, QuantileMixture, standardise
from sloth_jax.law.options import Prior
from sloth_jax.law.surface import Surface, fit_surface

_SLOPES = (1.2, 0.7, 0.2, 0.3)  # of log size, log tokens, their product and post-training, about
_WEAK = 0.1  # what a benchmark owes to the other skills, beside about 1 to its own


class Truth(NamedTuple):
    """What a table was drawn from.

    Attributes:
        law: what all lineages share; one draw, without a leading axis.
        effects: what sets the table's models apart, ``(model, .)``.
        surface: columns and axes of the law, a translog.
    """

    law: SharedLaw
    effects: Effects
    surface: Surface


def synthetic_table(
    seed: int,
    *,
    families: int = 8,
    sizes: int = 4,
    benchmarks: int = 4,
    skills: int = 2,
    noise: float = 0.1,
    tilt: float = 0.3,
    own: float = Prior().model,
    specific: float = 0.0,
    spread: float = 0.6,
) -> tuple[Leaderboard, Truth]:
    """A table drawn from a law with a simple structure: each benchmark measures mainly one skill.

    Two families, a base and a post-trained one, descend from each lineage. Sizes and tokens vary
    inside families. Every second benchmark has a floor of 0.25. Lineages and families differ as
    much as :class:`sloth_jax.law.options.Prior` expects.

    Args:
        seed: of everything that is drawn.
        families: how many.
        sizes: models per family.
        benchmarks: how many.
        skills: how many; benchmark ``j`` measures mainly skill ``j`` modulo this number.
        noise: standard deviation of the noise inside the link, in predictor units.
        tilt: how far links leave their neutral shape.
        own: spread of models around their families in skills, in units of the prior.
        specific: spread of lineages and families on single benchmarks, as a share of the prior's.
        spread: of each benchmark's predictors without noise. Much more, and scores would be cut at
            0 and 1, which no link undoes.

    Returns:
        The table, and what it was drawn from.
    """
    rng = np.random.default_rng(seed)
    blank = _blank_table(rng, families, sizes, benchmarks)
    scales = _Scales(skills, noise, tilt, own, specific, spread)
    return _draw_scores(rng, blank, scales, _apart, _apart)


def synthetic_runs(
    seed: int,
    *,
    families: int = 4,
    sizes: int = 3,
    checkpoints: int = 10,
    benchmarks: int = 4,
    skills: int = 2,
    noise: float = 0.1,
    share: float = 0.5,
    length: float = 2.0,
    walk: bool = False,
) -> tuple[Leaderboard, Truth]:
    """A table of training runs, whose checkpoints are evenly spread over their tokens.

    As :func:`synthetic_table`, with a run of each size of each family, all base and each a lineage
    of its own; all runs of a family end after as many tokens.

    Args:
        seed: of everything that is drawn.
        families: how many.
        sizes: runs per family.
        checkpoints: of each run.
        benchmarks: how many.
        skills: how many.
        noise: standard deviation of the noise inside the link, in predictor units.
        share: of its variance, what follows the run.
        length: of the process along a run, in log tokens.
        walk: whether departures walk at random in log tokens instead, starting with half of their
            usual variance and ending with one and a half, which the law does not believe.

    Returns:
        The table, and what it was drawn from; of a walk, the law that comes closest.
    """
    rng = np.random.default_rng(seed)
    blank = _blank_table(rng, families, sizes * checkpoints, benchmarks)
    size, at = np.divmod(np.arange(sizes * checkpoints), checkpoints)
    size, at = np.tile(size, families), np.tile(at, families)
    last = np.repeat(np.exp(0.6 * rng.normal(size=families)), sizes * checkpoints)
    names = [f"{blank.families[f]}-{s}" for f, s in zip(blank.family, size, strict=True)]
    blank = replace(
        blank,
        models=tuple(f"{run}-{k:03d}" for run, k in zip(names, at, strict=True)),
        params_b=2.0 ** (size + blank.family % 3),
        tokens_t=last * (at + 1) / checkpoints,
        run=tuple(names),
        lineages=tuple(f"lineage{f}" for f in range(families)),
        lineage_of_family=np.arange(families),
        post_trained_of_family=np.zeros(families),
    )
    # A walk's last variance is three times its first.
    steps = np.log(np.arange(1, checkpoints + 1))
    after = np.exp(-np.diff(steps, prepend=-np.inf) / length)
    kept, new = after, np.sqrt(1.0 - after**2)
    if walk:
        kept = (np.arange(checkpoints) > 0).astype(float)
        new = np.sqrt(np.diff(0.5 + steps / steps[-1], prepend=0.0))

    def along(rng: np.random.Generator, models: int, units: int) -> np.ndarray:
        found = rng.normal(size=(families * sizes, checkpoints, units))
        for k in range(checkpoints):
            found[:, k] = new[k] * found[:, k] + kept[k] * found[:, k - 1] * (k > 0)
        return found.reshape(models, units)

    def noisy(rng: np.random.Generator, models: int, units: int) -> np.ndarray:
        fresh = np.sqrt(1.0 - share) * _apart(rng, models, units)
        return np.sqrt(share) * along(rng, models, units) + fresh

    scales = _Scales(skills, noise, 0.3, Prior().model, 0.0, 0.6)
    made, truth = _draw_scores(rng, blank, scales, along, noisy)
    model = jnp.full(benchmarks, noise * np.sqrt(share))
    law = truth.law._replace(
        benchmark=truth.law.benchmark._replace(model=model), run_length=jnp.asarray(length)
    )
    return made, truth._replace(law=law)


class _Scales(NamedTuple):
    """Scales of what is drawn, by the arguments of :func:`synthetic_table`."""

    skills: int
    noise: float
    tilt: float
    own: float
    specific: float
    spread: float


# Standard normals of models on units: generator, models, units -> (model, unit).
_Departures = Callable[[np.random.Generator, int, int], np.ndarray]


def _apart(rng: np.random.Generator, models: int, units: int) -> np.ndarray:
    return rng.normal(size=(models, units))


def _draw_scores(
    rng: np.random.Generator,
    blank: Leaderboard,
    scales: _Scales,
    departures: _Departures,
    noisy: _Departures,
) -> tuple[Leaderboard, Truth]:
    """Scores of a table, of departures of models in skills and of noise."""
    skills, noise, tilt, own, specific, spread = scales
    models, benchmarks = blank.scores.shape
    surface = fit_surface(blank, kind="translog")
    x = surface.of(blank, blank.post_trained_of_family[blank.family])
    basis = np.asarray(walk_basis(surface.from_smallest(blank.params_b)), float)
    prior = Prior()
    of_skill = (prior.lineage, prior.lineage_walk, prior.family, prior.family_walk, own)
    lineage = (prior.specific_lineage, prior.specific_lineage_walk)
    family = (prior.specific_family, prior.specific_family_walk)
    of_benchmark = tuple(specific * np.array([*lineage, *family, 0.0]))

    params = _draw_params(rng, blank, skills, tilt)
    on_skills = jnp.asarray(_draw_effects(rng, blank, basis, of_skill, skills, departures))
    on_benchmarks = _draw_effects(rng, blank, basis, of_benchmark, benchmarks, departures)
    # Each benchmark's predictors get mean 0 and the given spread, by its loadings.
    eta = np.asarray(linear_predictor(params, x, Effects(on_skills)), float) + on_benchmarks
    scale = spread / eta.std(axis=0)
    params = params._replace(
        loading=params.loading * scale[:, None], bias=jnp.asarray(-eta.mean(axis=0) * scale)
    )
    on_benchmarks = on_benchmarks * scale
    law = SharedLaw(
        params=params,
        skill=Spread(*(jnp.full(skills, part) for part in of_skill)),
        benchmark=Spread(*(jnp.asarray(part * scale) for part in of_benchmark)),
        noise=jnp.full(benchmarks, noise),
        offset=jnp.zeros((1, benchmarks)),
    )
    measured = jnp.asarray(on_benchmarks + noise * noisy(rng, models, benchmarks))
    made = np.asarray(scores(params, x, Effects(on_skills, measured)), float)
    effects = Effects(on_skills, jnp.asarray(on_benchmarks))
    return replace(blank, scores=made), Truth(law, effects, surface)


def _blank_table(
    rng: np.random.Generator, families: int, sizes: int, benchmarks: int
) -> Leaderboard:
    """The table without its scores."""
    family, size = np.repeat(np.arange(families), sizes), np.tile(np.arange(sizes), families)
    models = len(family)
    numbers = [f"{f:0{len(str(families - 1))}d}" for f in range(families)]
    missing = np.full((models, benchmarks), np.nan)
    return Leaderboard(
        models=tuple(f"family{numbers[f]}-{s}" for f, s in zip(family, size, strict=True)),
        families=tuple(f"family{f}" for f in numbers),
        lineages=tuple(f"lineage{f}" for f in numbers[: (families + 1) // 2]),
        benchmarks=tuple(f"benchmark{j + 1}" for j in range(benchmarks)),
        family=family,
        lineage_of_family=np.arange(families) // 2,
        post_trained_of_family=np.arange(families) % 2.0,
        params_b=2.0 ** (size + family % 3),
        active_params_b=np.full(models, np.nan),
        tokens_t=np.exp(0.6 * rng.normal(size=models)),
        released=("",) * models,
        scores=missing,
        floors=np.resize([0.25, 0.0], benchmarks),
        standard_errors=missing,
        items=missing[0],
        source=np.zeros(missing.shape, dtype=np.int64),
    )


def _draw_params(rng: np.random.Generator, table: Leaderboard, skills: int, tilt: float) -> Params:
    """Parameters whose loadings have a simple structure; biases are zero."""
    benchmarks = len(table.benchmarks)
    loading = _WEAK * rng.normal(size=(benchmarks, skills))
    own = np.arange(benchmarks)
    loading[own, own % skills] += rng.uniform(0.8, 1.2, benchmarks)
    return Params(
        slope=jnp.asarray(np.array(_SLOPES)[:, None] * rng.uniform(0.5, 1.5, (4, skills))),
        loading=jnp.asarray(loading),
        bias=jnp.zeros(benchmarks),
        floor=jnp.asarray(table.floors),
        # For shares that are evenly spread, predictors have mean 0 and standard deviation 1.
        link=standardise(
            QuantileMixture(
                tilt=jnp.asarray(tilt * rng.normal(size=(PIECES, benchmarks))),
                slack=jnp.full(benchmarks, SLACK),
                centre=jnp.zeros(benchmarks),
                spread=jnp.ones(benchmarks),
            ),
            jnp.zeros((1, benchmarks)),
            jnp.zeros((1, benchmarks), bool),
        ),
    )


def _draw_effects(
    rng: np.random.Generator,
    table: Leaderboard,
    basis: np.ndarray,
    spread: tuple[float, ...],
    units: int,
    departures: _Departures,
) -> np.ndarray:
    """Effects of lineages, families and models on so many units, ``(model, unit)``."""
    lineage = table.lineage_of_family[table.family]
    found = spread[4] * departures(rng, len(table.models), units)
    for level, walk, of_model in ((*spread[:2], lineage), (*spread[2:4], table.family)):
        drawn = rng.normal(size=(of_model.max() + 1, basis.shape[1], units))
        drawn[:, 0] *= level
        drawn[:, 1:] *= walk
        found += np.einsum("mq,mqu->mu", basis, drawn[of_model])
    return found
