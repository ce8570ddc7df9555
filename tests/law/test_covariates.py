"""Sizes and tokens that are not known, eliminated with the effects: against one big normal."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from effect_cases import (
    BENCHMARKS,
    EXACT,
    Case,
    case,
    condition,
    covariance,
    log_density,
    members,
    predictors,
)
from jax.flatten_util import ravel_pytree
from scipy import stats
from small import table

from sloth_jax.effects.conditioning import draw_normals, zero_normals
from sloth_jax.effects.density import Problem
from sloth_jax.effects.packing import covariate_priors_among, fill_bins
from sloth_jax.effects.spread import Spread
from sloth_jax.inference.observe import observe
from sloth_jax.law.observations import linearised_at
from sloth_jax.law.surface import fit_surface


class Lacking:
    """A case whose lineages but two lack covariates, and the covariance that these add."""

    def __init__(self, seed: int, units: int = 2) -> None:
        rng, self.case = np.random.default_rng(seed), case(seed)
        lineage, models = self.case.lineage, self.case.lineage.size
        unknown = (rng.random((units, models)) < 0.6) & ~np.isin(lineage, (3, 4))
        self.covariances = {}
        self.prior = np.zeros((units, models, models))
        for at in np.unique(lineage[unknown.any(axis=0)]).tolist():
            rows = np.flatnonzero(lineage == at)
            root = rng.normal(size=(units, rows.size, rows.size))
            block = root @ root.swapaxes(1, 2) + np.eye(rows.size)
            both = unknown[:, rows, None] & unknown[:, None, rows]
            block = np.where(both, block, np.eye(rows.size))
            self.covariances[at] = (rows, block)
            self.prior[:, rows[:, None], rows[None, :]] = np.where(both, block, 0.0)
        slope = rng.normal(size=(units, models, BENCHMARKS)) * unknown[:, :, None]
        self.problem = self.case.problem._replace(slope=jnp.asarray(slope))
        self.unknown = unknown

    @property
    def bins(self):
        one: Case = self.case
        return fill_bins(one.lineage, one.family, one.x, one.seen, self.covariances)

    def dense(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Covariance of predictors; of the observed scores; of those with the covariates."""
        slope, on = np.asarray(self.problem.slope), self.case.seen.ravel()
        models = slope.shape[1]
        added = np.einsum("umj,umn,unk->mjnk", slope, self.prior, slope)
        prior = covariance(self.case) + added.reshape(models * BENCHMARKS, -1)
        noise = np.diag(np.asarray(self.problem.variance).ravel())
        with_covariates = np.einsum("umn,unk->umnk", self.prior, slope)
        scores = (prior + noise)[np.ix_(on, on)]
        return prior, scores, with_covariates.reshape(*slope.shape[:2], -1)[:, :, on]


@pytest.mark.parametrize("units", [1, 2])
def test_the_density_is_that_of_one_big_normal(units):
    one = Lacking(units, units)
    residual = np.asarray(one.problem.residual)[one.case.seen]
    expected = stats.multivariate_normal.logpdf(residual, cov=one.dense()[1])
    assert float(log_density(one.problem, one.bins)) == pytest.approx(expected, rel=EXACT)


def test_its_gradient_agrees_with_finite_differences():
    one, step = Lacking(3), 1e-5
    p, bins = one.problem, one.bins
    free = (p.residual, p.variance, p.loading, p.skill, p.benchmark[:4], p.slope)
    flat, unravel = ravel_pytree(free)

    def density(at: jax.Array) -> jax.Array:
        residual, variance, loading, skill, benchmark, slope = unravel(at)
        own = Spread(*benchmark, p.benchmark.model)
        return log_density(Problem(residual, variance, p.seen, loading, skill, own, slope), bins)

    gradient, quick = jax.jit(jax.grad(density))(flat), jax.jit(density)
    assert np.abs(gradient).max() > 1.0
    for seed in range(10):
        v = jax.random.normal(jax.random.key(seed), flat.shape)
        difference = float(quick(flat + step * v) - quick(flat - step * v)) / (2 * step)
        assert float(gradient @ v) == pytest.approx(difference, rel=1e-5, abs=1e-4)


def test_expected_covariates_and_predictors_are_those_of_the_dense_conditional():
    one = Lacking(4)
    prior, scores, beside = one.dense()
    on = one.case.seen.ravel()
    weight = np.linalg.solve(scores, np.asarray(one.problem.residual).ravel()[on])
    who, skills = members(one.case), one.problem.loading.shape[1]
    found = condition(one.problem, one.bins, who, zero_normals(who, BENCHMARKS, skills))
    np.testing.assert_allclose(found.covariate * one.unknown, beside @ weight, atol=1e-10)
    slope = np.asarray(one.problem.slope)
    expected = np.asarray(predictors(found, who, one.problem))
    expected = expected + np.einsum("um,umj->mj", found.covariate, slope)
    np.testing.assert_allclose(expected.ravel(), prior[:, on] @ weight, atol=1e-10)


def test_draws_of_covariates_have_the_conditional_covariance():
    one = Lacking(5, 1)
    _, scores, beside = one.dense()
    who, bins, skills = members(one.case), one.bins, one.problem.loading.shape[1]

    @jax.jit
    @jax.vmap
    def draw(key: jax.Array) -> jax.Array:
        normals = draw_normals(who, BENCHMARKS, skills, key)
        return condition(one.problem, bins, who, normals).covariate[0]

    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), 4000)))
    unknown = one.unknown[0]
    expected = one.prior[0] - beside[0] @ np.linalg.solve(scores, beside[0].T)
    found = np.cov(drawn[:, unknown].T)
    scale = np.sqrt(np.diag(expected)[unknown])
    off = (found - expected[np.ix_(unknown, unknown)]) / np.outer(scale, scale)
    assert np.abs(off).max() < 0.1  # 4,000 draws: 1 / sqrt(4000) = .016 each


def test_what_some_models_lack_is_found_in_the_bins_of_all():
    one = Lacking(6)
    rows = np.flatnonzero(np.isin(one.case.lineage, (5, 6)))[1:]
    found = covariate_priors_among(one.bins, rows, one.case.lineage[rows] - 5)
    assert sorted(found) == [0, 1]
    for at, (place, block) in found.items():
        own = rows[place]
        assert (one.case.lineage[own] == at + 5).all()
        both = one.unknown[:, own, None] & one.unknown[:, None, own]
        prior = one.prior[:, own[:, None], own[None, :]]
        np.testing.assert_allclose(np.where(both, block, 0.0), np.where(both, prior, 0.0))


def test_slopes_are_those_of_the_surface():
    data, _ = table(1)
    tokens, sizes = data.tokens_t.copy(), data.params_b.copy()
    tokens[[1, 5, 6]] = np.nan
    sizes[[5, 9]] = np.nan
    data = type(data)(**{**vars(data), "tokens_t": tokens, "params_b": sizes})
    start = observe(data, fit_surface(data))
    assert start.covariates is not None
    unknown = np.asarray(start.covariates.unknown)
    np.testing.assert_array_equal(unknown, [np.isnan(sizes), np.isnan(tokens)])
    at = 0.3 * jax.random.normal(jax.random.key(0), unknown.shape)
    found, step = linearised_at(start, at), 1e-6
    assert found.covariates is not None
    for unit in range(2):
        moved = [at.at[unit].add(sign * step) for sign in (1.0, -1.0)]
        ahead, behind = (linearised_at(start, place).design for place in moved)
        slope = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(found.covariates.slope[unit], slope, atol=1e-7)
    # A known model stays where it is; the walk of one whose size is unknown moves along.
    known = ~unknown.any(axis=0)
    np.testing.assert_allclose(found.design[known], start.design[known], rtol=1e-12)
    moved = np.abs(np.asarray(found.members.basis - start.members.basis)).max(axis=1) > 1e-9
    np.testing.assert_array_equal(moved, np.isnan(sizes))
