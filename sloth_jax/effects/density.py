"""The density of scores with the effects of lineages, families and models integrated out.

On the scale of the predictor the hierarchical law of :mod:`sloth_jax.law.hierarchical` is a linear
mixed model. With the residual ``r_mj`` of a score's predictor from what all lineages share::

    r_mj = sum_k lambda_jk e_mk + u_mj + N(0, variance_mj)

    Cov(e_mk, e_nk) = a_k^2 + b_k^2 w_mn + 1[same family] (c_k^2 + d_k^2 w_mn) + R_mn s_k^2
    Cov(u_mj, u_nj) = a_j^2 + b_j^2 w_mn + 1[same family] (c_j^2 + d_j^2 w_mn) + R_mn s_j^2

for two models ``m, n`` of one lineage, and nothing between lineages. ``a`` to ``d`` and ``s`` are
the :class:`Spread` of effects. ``w_mn`` is the covariance of a random walk in log size that starts
at the smallest size of the table (:mod:`sloth_jax.effects.walk`): what sets a family apart changes
with size by independent steps, so that it is known near the sizes at which the family was seen and
uncertain far from them, whichever of its models were observed. ``R_mn`` is ``1[m = n]``, or more
for two checkpoints of one training run (:mod:`sloth_jax.effects.runs`).

So the scores of a lineage are jointly normal given what is shared, and lineages are independent.
:mod:`sloth_jax.effects.elimination` has the algebra of one lineage, :mod:`sloth_jax.effects.nested`
that of a lineage of very many models. (Rue and Held 2005, Gaussian Markov Random Fields, sections
2.2 and 2.3; Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, sections 2.2 and
2.7.) :func:`sloth_jax.effects.dense.dense_covariance` is the same covariance as one matrix, the
oracle of the tests.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.bins import AnyBins, Bins, NestedBins, ScoreBlocks, ShardedBins
from sloth_jax.effects.elimination import (
    BinProblem,
    UnknownCovariates,
    bin_log_density,
    in_blocks,
    solve,
)
from sloth_jax.effects.nested import nested_log_density, prior_root, solve_nested
from sloth_jax.effects.runs import run_correlation
from sloth_jax.effects.spread import Spread, covariance


class Problem(NamedTuple):
    """A linear mixed model: everything that scores say about effects, given what lineages share.

    Attributes:
        residual: r, predictor of each score less what the law without effects predicts, ``(model,
            benchmark)``; any finite number where not observed.
        variance: of the residuals' noise, ``(model, benchmark)``, positive.
        seen: 1 where observed, else 0, ``(model, benchmark)``.
        loading: lambda, ``(benchmark, skill)``.
        skill: spread of effects on skills, ``(skill,)`` each.
        benchmark: spread of effects on single benchmarks, ``(benchmark,)`` each.
        slope: how much unknown covariates move predictors, ``(covariate, model, benchmark)``; None
            where all are known.
        run_length: of the process along training runs, in log tokens, scalar; None without runs.
    """

    residual: Float[Array, "model benchmark"]
    variance: Float[Array, "model benchmark"]
    seen: Float[Array, "model benchmark"]
    loading: Float[Array, "benchmark skill"]
    skill: Spread
    benchmark: Spread
    slope: Float[Array, "covariate model benchmark"] | None = None
    run_length: Float[Array, ""] | None = None


def log_density(problem: Problem, bins: AnyBins) -> Float[Array, ""]:
    """Log density of all observed residuals, all effects integrated out: scalar."""
    found = jnp.zeros((), problem.residual.dtype)
    for some in bins:
        if isinstance(some, NestedBins):
            found += nested_log_density(*_families_given_lineages(problem, some), some)
        elif isinstance(some, ShardedBins):
            found += jnp.sum(some.map(lambda shard, given: log_density(given, (shard,)), problem))
        else:
            found += bin_log_density(problem_in_bins(problem, some))
    return found


def lineage_log_densities(
    problem: Problem, bins: AnyBins, lineages: int
) -> Float[Array, " lineage"]:
    """Log density of the residuals of each lineage, ``(lineage,)``; 0 for one without a score."""
    found = jnp.zeros(lineages + 1, problem.residual.dtype)
    for some in bins:
        if isinstance(some, ShardedBins):
            by_shard = some.map(
                lambda shard, given: lineage_log_densities(given, (shard,), lineages), problem
            )
            found = found.at[:lineages].add(jnp.sum(by_shard, axis=0))
            continue
        found = found.at[some.lineage].add(solve_bins(problem, some)[0])
    return found[:lineages]


def problem_in_bins(problem: Problem, bins: Bins) -> BinProblem:
    """The problem of the lineages in some bins, as :func:`solve` takes it."""

    def gathered(values: Array) -> Array:
        return jnp.swapaxes(values[bins.rows], 1, 2)

    seen = gathered(problem.seen) * bins.mask[:, None, :]
    variance = jnp.where(seen > 0.0, gathered(problem.variance), 1.0)
    identity = jnp.eye(bins.rows.shape[1], dtype=problem.residual.dtype)[None]
    correlation = run_correlation(bins, problem.run_length)
    of_runs = None if problem.run_length is None else correlation
    skill = covariance(problem.skill, bins.same_lineage, bins.walk, bins.same_family, correlation)
    empty = identity * (1.0 - bins.mask)[:, None, :]
    unknown = None
    if bins.covariate_covariance is not None and problem.slope is not None:
        slope = jnp.transpose(problem.slope[:, bins.rows], (1, 0, 3, 2))
        unknown = UnknownCovariates(bins.covariate_covariance, slope * seen[:, None])
    return BinProblem(
        specific=tuple(
            _specific_covariance(problem.benchmark, some, seen, variance, of_runs)
            for some in bins.blocks
        ),
        skill=skill + empty[:, None],
        loading=problem.loading,
        residual=jnp.where(seen > 0.0, gathered(problem.residual), 0.0),
        seen=seen,
        unknown=unknown,
        bins=bins,
    )


def _specific_covariance(
    spread: Spread, blocks: ScoreBlocks, seen: Array, variance: Array, correlation: Array | None
) -> Float[Array, "block score score"]:
    """Covariance of the residuals of blocks given latents; the identity where not observed.

    Args:
        spread: of effects on single benchmarks, ``(benchmark,)`` each.
        blocks: of one size.
        seen: 1 where observed, else 0, ``(bin, benchmark, slot)``.
        variance: of the noise, of the same shape.
        correlation: R, ``(bin, slot, slot)``; None without runs.
    """
    # a^2 + b^2 w + 1[same family] (c^2 + d^2 w) + R s^2 + 1[m = n] variance
    a, b, c, d = (part[blocks.benchmark][:, None, None] ** 2 for part in spread[:4])
    observed = in_blocks(blocks, seen)
    found = a + b * blocks.walk + blocks.same_family * (c + d * blocks.walk)
    if correlation is not None:
        found += spread.model[blocks.benchmark][:, None, None] ** 2 * correlation[blocks.pairs]
    found *= observed[:, :, None] * observed[:, None, :]
    identity = jnp.eye(blocks.mask.shape[1], dtype=found.dtype)[None]
    return found + identity * (in_blocks(blocks, variance) + 1.0 - blocks.mask)[:, None, :]


def solve_bins(
    problem: Problem, bins: Bins | NestedBins
) -> tuple[Float[Array, "*part"], list[tuple[Bins, Array]]]:
    """Log densities of lineages, and V^-1 r.

    Returns:
        Log densities in parts, each of the lineage that ``bins.lineage`` has there; bins, and
        V^-1 r at their slots, ``(bin, benchmark, slot)``.
    """
    if not isinstance(bins, NestedBins):
        solved = solve(problem_in_bins(problem, bins))
        return solved.log_density, [(bins, solved.weight)]
    nested = solve_nested(*_families_given_lineages(problem, bins), bins)
    weights = [one.solved.weight for one in nested.families]
    return nested.log_density, list(zip(bins.families, weights, strict=True))


def _families_given_lineages(
    problem: Problem, bins: NestedBins
) -> tuple[tuple[BinProblem, ...], Float[Array, "lineage coefficient benchmark unit"]]:
    """Families without the effects of their lineages, and the prior root of those effects.

    Given the effects of their lineage, families are as lineages that have none.
    """
    spreads = (problem.skill, problem.benchmark)
    root = prior_root(bins.level_share, problem.loading, *(spread[:2] for spread in spreads))
    skill, benchmark = (
        spread._replace(lineage=0.0 * spread.lineage, lineage_walk=0.0 * spread.lineage)
        for spread in spreads
    )
    alone = problem._replace(skill=skill, benchmark=benchmark)
    return tuple(problem_in_bins(alone, some) for some in bins.families), root
