"""Problems of effects with their members, and the dense normal they are compared with."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import stats

from sloth_jax.effects import conditioning, density
from sloth_jax.effects.bins import AnyBins, Checkpoints
from sloth_jax.effects.conditioning import (
    Coefficients,
    Members,
    effects_at_models,
    hash_names,
    zero_normals,
)
from sloth_jax.effects.dense import Cells, dense_covariance
from sloth_jax.effects.density import Problem
from sloth_jax.effects.packing import fill_bins, nested_bins
from sloth_jax.effects.runs import with_checkpoints
from sloth_jax.effects.spread import Spread
from sloth_jax.effects.walk import walk_basis

BENCHMARKS = 3
# One program each: a step at a time they would be a hundred.
log_density = jax.jit(density.log_density)
lineage_log_densities = jax.jit(density.lineage_log_densities, static_argnums=2)
condition = jax.jit(conditioning.condition)
EXACT = 1e-9  # of log densities, relative: a hundred scores, float64


class Case(NamedTuple):
    """A problem, and who its models are."""

    problem: Problem
    family: np.ndarray
    lineage: np.ndarray
    x: np.ndarray  # log size from the smallest, standardised
    checkpoints: Checkpoints | None = None

    @property
    def bins(self) -> AnyBins:
        bins = fill_bins(self.lineage, self.family, self.x, self.seen)
        return with_checkpoints(bins, self.checkpoints)

    @property
    def basis(self) -> np.ndarray:
        return np.asarray(walk_basis(jnp.asarray(self.x)))

    @property
    def seen(self) -> np.ndarray:
        return np.asarray(self.problem.seen) > 0

    def rows(self, keep: np.ndarray) -> Case:
        """The same without some models."""
        p = self.problem
        p = p._replace(residual=p.residual[keep], variance=p.variance[keep], seen=p.seen[keep])
        known = self.checkpoints and Checkpoints(*(part[keep] for part in self.checkpoints))
        return Case(p, self.family[keep], self.lineage[keep], self.x[keep], known)


def case(seed: int, skills: int = 2, *, lineages: int = 7) -> Case:
    """Lineages of one to seven models in random order, missing scores, a lineage without any."""
    rng = np.random.default_rng(seed)
    lineage = rng.permutation(np.repeat(np.arange(lineages), np.arange(lineages) % 7 + 1))
    family = 3 * lineage + rng.integers(0, 3, lineage.size)
    seen = rng.random((lineage.size, BENCHMARKS)) < 0.7
    seen[lineage == 2] = False

    def spread(units: int) -> Spread:
        return Spread(*(jnp.asarray(0.6 * np.exp(0.5 * rng.normal(size=units))) for _ in range(5)))

    problem = Problem(
        residual=jnp.asarray(rng.normal(size=seen.shape)),
        variance=jnp.asarray(0.05 * np.exp(rng.normal(size=seen.shape))),
        seen=jnp.asarray(seen.astype(float)),
        loading=jnp.asarray(rng.normal(size=(BENCHMARKS, skills))),
        skill=spread(skills),
        benchmark=spread(BENCHMARKS)._replace(model=jnp.zeros(BENCHMARKS)),
    )
    return Case(problem, family, lineage, rng.uniform(-0.7, 4.0, lineage.size))


def with_runs(one: Case, seed: int, length: float = 0.7) -> Case:
    """Half of each family's models as checkpoints of one run, of the size of the first of them."""
    rng = np.random.default_rng(seed)
    run, x = np.arange(one.family.size), one.x.copy()
    for family in np.unique(one.family):
        rows = rng.permutation(np.flatnonzero(one.family == family))
        rows = rows[: -(-len(rows) // 2)]
        run[rows], x[rows] = rows[0], one.x[rows[0]]
    benchmark = one.problem.benchmark._replace(
        model=jnp.asarray(0.4 * np.exp(0.5 * rng.normal(size=BENCHMARKS)))
    )
    p = one.problem._replace(benchmark=benchmark, run_length=jnp.asarray(length))
    return Case(p, one.family, one.lineage, x, Checkpoints(run, rng.normal(size=run.size)))


def nested(one: Case) -> AnyBins:
    """Bins of the families of all lineages, as if they were large."""
    bins = (nested_bins(np.unique(one.lineage), one.lineage, one.family, one.x, one.seen),)
    return with_checkpoints(bins, one.checkpoints)


def members(one: Case, more: int = 0) -> Members:
    """Members by name, with the names of so many models that have no scores."""
    lineages, families = int(one.lineage.max()) + 1, int(one.family.max()) + 1

    def numbers(kind: str, count: int) -> jax.Array:
        return jnp.asarray(hash_names(kind, [str(k) for k in range(count)]))

    return Members(
        lineage=jnp.asarray(one.lineage),
        family=jnp.asarray(one.family),
        basis=jnp.asarray(one.basis),
        lineage_hash=numbers("lineage", lineages),
        family_hash=numbers("family", families),
        model_hash=numbers("model", one.family.size + more),
    )


def covariance(one: Case) -> np.ndarray:
    """Of the predictors of all models on all benchmarks, ``(model x benchmark, same)``."""
    model = np.repeat(np.arange(one.family.size), BENCHMARKS)
    cells = Cells(
        model=model,
        family=one.family[model],
        lineage=one.lineage[model],
        benchmark=np.tile(np.arange(BENCHMARKS), one.family.size),
        basis=one.basis[model],
    )
    if one.checkpoints is not None:
        run, log_tokens = (part[model] for part in one.checkpoints)
        cells = cells._replace(run=run, log_tokens=log_tokens)
    p = one.problem
    return dense_covariance(cells, np.asarray(p.loading), p.skill, p.benchmark, p.run_length)


def dense_covariance_of_scores(one: Case) -> np.ndarray:
    """Of what is observed, with noise, ``(score, score)``."""
    on = one.seen.ravel()
    whole = covariance(one) + np.diag(np.asarray(one.problem.variance).ravel())
    return whole[np.ix_(on, on)]


def dense_density(one: Case) -> float:
    """Log density of what is observed, by one big normal."""
    residual = np.asarray(one.problem.residual)[one.seen]
    return float(stats.multivariate_normal.logpdf(residual, cov=dense_covariance_of_scores(one)))


def dense_condition(one: Case) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all predictors given what is observed (Rasmussen 2006, 2.23)."""
    on, prior = one.seen.ravel(), covariance(one)
    whole = (prior + np.diag(np.asarray(one.problem.variance).ravel()))[np.ix_(on, on)]
    gain = np.linalg.solve(whole, prior[on]).T
    mean = gain @ np.asarray(one.problem.residual).ravel()[on]
    return mean, prior - gain @ prior[on]


def predictors(found: Coefficients, who: Members, problem: Problem) -> jax.Array:
    """What effects add to predictors, ``(model, benchmark)``."""
    skill, benchmark = effects_at_models(found, who, problem.loading.shape[1])
    return skill @ problem.loading.T + benchmark


def expected(one: Case, bins: AnyBins | None = None) -> np.ndarray:
    """Expected predictors of all models given what is observed, by the module, flat."""
    return np.asarray(_expected(one.problem, bins or one.bins, members(one))).ravel()


@jax.jit
def _expected(problem: Problem, bins: AnyBins, who: Members) -> jax.Array:
    nothing = zero_normals(who, BENCHMARKS, problem.loading.shape[1])
    return predictors(conditioning.condition(problem, bins, who, nothing), who, problem)


def free_parts(one: Case, bins: AnyBins | None = None):
    """The problem as a function of one vector, compiled, and the vector."""
    p, bins = one.problem, bins or one.bins
    # Without runs, spreads of models on single benchmarks are 0 by definition.
    count = 4 if p.run_length is None else 5
    free = (p.residual, p.variance, p.loading, p.skill, p.benchmark[:count], p.run_length)
    flat, unravel = ravel_pytree(free)

    def density(at: jax.Array) -> jax.Array:
        residual, variance, loading, skill, benchmark, length = unravel(at)
        own = Spread(*benchmark, *p.benchmark[count:])
        moved = Problem(residual, variance, p.seen, loading, skill, own, run_length=length)
        return log_density(moved, bins)

    return jax.jit(density), flat
