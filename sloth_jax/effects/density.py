"""What scores say about the effects of lineages, families and models, and their density.

On the scale of the predictor the hierarchical law of :mod:`sloth_jax.law.hierarchical` is linear in
the effects of lineages, families and models, and its noise is normal. With the
residual ``r_mj`` of a score's predictor from what all lineages share::

    r_mj = sum_k lambda_jk e_mk + u_mj + N(0, variance_mj)

    Cov(e_mk, e_nk) = a_k^2 + b_k^2 w_mn + 1[same family] (c_k^2 + d_k^2 w_mn) + R_mn s_k^2
    Cov(u_mj, u_nj) = a_j^2 + b_j^2 w_mn + 1[same family] (c_j^2 + d_j^2 w_mn) + R_mn s_j^2

for two models ``m, n`` of one lineage, and nothing between lineages. ``w_mn`` is the covariance of
a random walk in log size that starts at the smallest size of the table (:class:`Walk`): what sets
a family apart changes with size by independent steps, so that it is known near the sizes at which
the family was seen and uncertain far from them, whichever of its models were observed. ``R_mn`` is
``1[m = n]``, or more for two checkpoints of one training run (:mod:`sloth_jax.effects.runs`).

So the scores of a lineage are jointly normal given what is shared. Benchmarks are eliminated
first: given the skills ``e`` they are independent, with one small matrix each; what they say about
skills adds up to one matrix of models times skills. (Rue and Held 2005, Gaussian Markov Random
Fields, sections 2.2 and 2.3; Rasmussen and Williams 2006, Gaussian Processes for Machine Learning,
sections 2.2 and 2.7.) The effects of a lineage of very many models are taken out first, as a few
coefficients, so that its cost is that of its families (:mod:`sloth_jax.effects.nested`). Draws of
effects are in :mod:`sloth_jax.effects.conditioning`.

:func:`sloth_jax.effects.dense.dense_covariance` is the same covariance as one matrix, the oracle
of the tests.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sloth_jax.effects.bins import AnyBins, Bins, NestedBins, ScoreBlocks, SplitBins
from sloth_jax.effects.elimination import Latent, block_log_density, in_blocks, solve
from sloth_jax.effects.nested import Block, nested_log_density, prior_root, solve_nested
from sloth_jax.effects.runs import run_correlation
from sloth_jax.effects.spread import Spread, covariance


class Problem(NamedTuple):
    """Everything that scores say about effects, given what all lineages share.

    Attributes:
        residual: predictor of each score less what the law without effects predicts, ``(model,
            benchmark)``; any finite number where not observed.
        variance: of its noise, ``(model, benchmark)``, positive.
        seen: 1 where observed, else 0, ``(model, benchmark)``.
        loading: ``(benchmark, skill)``.
        skill: spread of effects on skills, ``(skill,)`` each.
        benchmark: spread of effects on single benchmarks, ``(benchmark,)`` each.
        slope: how much unknown covariates move predictors, ``(unit, model, benchmark)``; None
            where all are known.
        run_length: of the process along training runs, in log tokens, scalar; None without runs.
    """

    residual: Float[Array, "model benchmark"]
    variance: Float[Array, "model benchmark"]
    seen: Float[Array, "model benchmark"]
    loading: Float[Array, "benchmark skill"]
    skill: Spread
    benchmark: Spread
    slope: Float[Array, "unit model benchmark"] | None = None
    run_length: Float[Array, ""] | None = None


def log_density(problem: Problem, bins: AnyBins) -> Float[Array, ""]:
    """Log density of all observed residuals, all effects integrated out: scalar."""
    found = jnp.zeros((), problem.residual.dtype)
    for some in bins:
        if isinstance(some, NestedBins):
            found += nested_log_density(*_families(problem, some), some)
        elif isinstance(some, SplitBins):
            found += jnp.sum(some.map(lambda part, given: log_density(given, (part,)), problem))
        else:
            found += block_log_density(*blocks_of(problem, some))
    return found


def lineage_densities(problem: Problem, bins: AnyBins, lineages: int) -> Float[Array, " lineage"]:
    """The same for each lineage, ``(lineage,)``; 0 for one without a score."""
    found = jnp.zeros(lineages + 1, problem.residual.dtype)
    for some in bins:
        if isinstance(some, SplitBins):
            of_part = some.map(
                lambda part, given: lineage_densities(given, (part,), lineages), problem
            )
            found = found.at[:lineages].add(jnp.sum(of_part, axis=0))
            continue
        found = found.at[some.lineage].add(solved_parts(problem, some)[0])
    return found[:lineages]


def blocks_of(
    problem: Problem, bins: Bins
) -> tuple[tuple[Array, ...], Array, Array, Array, Array, Latent | None, Bins]:
    """Arguments of :func:`solve`."""

    def placed(values: Array) -> Array:
        return jnp.swapaxes(values[bins.rows], 1, 2)

    seen = placed(problem.seen) * bins.real[:, None, :]
    residual = jnp.where(seen > 0.0, placed(problem.residual), 0.0)
    noise = jnp.where(seen > 0.0, placed(problem.variance), 1.0)
    unit = jnp.eye(bins.rows.shape[1], dtype=residual.dtype)[None]
    own = run_correlation(bins, problem.run_length)
    along = None if problem.run_length is None else own
    benchmark = tuple(
        _block_covariance(problem.benchmark, some, seen, noise, along) for some in bins.blocks
    )
    alike = (bins.same_lineage, bins.walk, bins.same_family, own)
    empty = unit * (1.0 - bins.real)[:, None, :]
    skill = covariance(problem.skill, *alike) + empty[:, None]
    latent = None
    if bins.covariance is not None and problem.slope is not None:
        slope = jnp.transpose(problem.slope[:, bins.rows], (1, 0, 3, 2))
        latent = Latent(bins.covariance, slope * seen[:, None])
    return benchmark, skill, problem.loading, residual, seen, latent, bins


def _block_covariance(
    spread: Spread, blocks: ScoreBlocks, seen: Array, noise: Array, along: Array | None
) -> Float[Array, "block score score"]:
    """Covariance of the residuals of blocks given skills; a unit matrix where not observed."""
    a, b, c, d = (part[blocks.benchmark][:, None, None] ** 2 for part in spread[:4])
    inside = in_blocks(blocks, seen)
    found = a + b * blocks.walk + blocks.same_family * (c + d * blocks.walk)
    if along is not None:  # noise that follows runs
        at = blocks.bin[:, None, None], blocks.place[:, :, None], blocks.place[:, None, :]
        found += spread.model[blocks.benchmark][:, None, None] ** 2 * along[at]
    found *= inside[:, :, None] * inside[:, None, :]
    unit = jnp.eye(blocks.real.shape[1], dtype=found.dtype)[None]
    return found + unit * (in_blocks(blocks, noise) + 1.0 - blocks.real)[:, None, :]


def solved_parts(
    problem: Problem, bins: Bins | NestedBins
) -> tuple[Array, list[tuple[Bins, Array]]]:
    """Log densities of the lineages of bins, and V^-1 r with the bins that it is of."""
    if not isinstance(bins, NestedBins):
        solved = solve(*blocks_of(problem, bins))
        return solved.log_density, [(bins, solved.weight)]
    nested = solve_nested(*_families(problem, bins), bins)
    weights = [one.solved.weight for one in nested.families]
    return nested.log_density, list(zip(bins.families, weights, strict=True))


def _families(problem: Problem, bins: NestedBins) -> tuple[tuple[Block, ...], Array]:
    """Arguments of :func:`solve_nested`."""
    spreads = (problem.skill, problem.benchmark)
    root = prior_root(bins.level, problem.loading, *(spread[:2] for spread in spreads))
    # Given the effects of their lineage, families are as lineages that have none.
    skill, benchmark = (
        spread._replace(lineage=0.0 * spread.lineage, lineage_walk=0.0 * spread.lineage)
        for spread in spreads
    )
    alone = problem._replace(skill=skill, benchmark=benchmark)
    return tuple(blocks_of(alone, some) for some in bins.families), root
