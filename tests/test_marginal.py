"""Effects integrated out against the textbook's dense normal distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sloth_jax.marginal import Effects, Evidence, draw_effects, expected_effects, log_evidence

FAMILY = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4])  # family 4 has no score
LINEAGE = np.array([0, 0, 1, 1, 2])
BENCHMARKS = 4


def _total(e: Evidence) -> jax.Array:
    return jnp.sum(log_evidence(e))


def evidence(skills: int, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    precision = 5.0 * np.exp(rng.normal(size=(len(FAMILY), BENCHMARKS)))
    precision[rng.random(precision.shape) < 0.25] = 0.0
    precision[FAMILY == 4] = 0.0
    precision[FAMILY == 2, 1] = 0.0
    return Evidence(
        residual=jnp.asarray(rng.normal(size=precision.shape)),
        precision=jnp.asarray(precision),
        away=jnp.asarray(rng.normal(size=len(FAMILY))),
        member=jax.nn.one_hot(FAMILY, 5).T,
        descends=jax.nn.one_hot(LINEAGE, 3).T,
        loading=jnp.asarray(rng.normal(size=(BENCHMARKS, skills))),
        lineage_scale=jnp.asarray(1.3),
        growth_scale=jnp.asarray(0.4),
        specific_scale=jnp.asarray([0.3, 0.1, 0.5, 0.2]),
        specific_growth_scale=jnp.asarray([0.2, 0.4, 0.1, 0.3]),
    )


def flat(effects: Effects) -> np.ndarray:
    """Efficiency relative to the lineage, so that all effects are independent beforehand."""
    own = effects.efficiency - effects.lineage[..., LINEAGE, :]
    parts = (effects.lineage, own, effects.growth, effects.specific, effects.specific_growth)
    lead = effects.lineage.shape[:-2]
    return np.concatenate([np.asarray(part).reshape(*lead, -1) for part in parts], axis=-1)


def dense(e: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Design of the observed residuals in the effects, prior variances, noise, residuals."""
    skills = e.loading.shape[1]
    loading, away = np.asarray(e.loading), np.asarray(e.away)
    rows, noise, residual = [], [], []
    for m, f in enumerate(FAMILY):
        for j in range(BENCHMARKS):
            if e.precision[m, j] == 0:
                continue
            blocks = [np.zeros((3, skills)), np.zeros((5, skills)), np.zeros((5, skills))]
            blocks += [np.zeros((5, BENCHMARKS)), np.zeros((5, BENCHMARKS))]
            blocks[0][LINEAGE[f]] = loading[j]
            blocks[1][f] = loading[j]
            blocks[2][f] = loading[j] * away[m]
            blocks[3][f, j] = 1.0
            blocks[4][f, j] = away[m]
            rows.append(np.concatenate([block.ravel() for block in blocks]))
            noise.append(1.0 / float(e.precision[m, j]))
            residual.append(float(e.residual[m, j]))
    prior = np.concatenate(
        [
            np.full(3 * skills, float(e.lineage_scale) ** 2),
            np.ones(5 * skills),
            np.full(5 * skills, float(e.growth_scale) ** 2),
            np.tile(np.asarray(e.specific_scale) ** 2, 5),
            np.tile(np.asarray(e.specific_growth_scale) ** 2, 5),
        ]
    )
    return np.array(rows), prior, np.array(noise), np.array(residual)


@pytest.mark.parametrize("skills", [1, 2, 3])
def test_log_evidence_is_the_density_of_one_big_normal(skills):
    e = evidence(skills, seed=skills)
    design, prior, noise, residual = dense(e)
    covariance = design @ np.diag(prior) @ design.T + np.diag(noise)
    expected = stats.multivariate_normal.logpdf(residual, np.zeros(len(residual)), covariance)
    assert float(_total(e)) == pytest.approx(expected, rel=1e-12)


def test_gradient_is_finite_where_nothing_is_observed():
    e = evidence(2)
    blank = e._replace(precision=jnp.zeros_like(e.precision))
    assert float(_total(blank)) == pytest.approx(0.0, abs=1e-12)
    gradient = jax.grad(lambda residual: _total(e._replace(residual=residual)))(e.residual)
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[np.asarray(e.precision) == 0] == 0).all()


@pytest.mark.parametrize("skills", [1, 3])
def test_effects_follow_their_closed_form_conditional(skills):
    e = evidence(skills)
    design, prior, noise, residual = dense(e)
    # Bayesian linear regression: precision D^-1 + X' N^-1 X (Gelman et al., Bayesian Data Analysis)
    covariance = np.linalg.inv(np.diag(1 / prior) + design.T @ np.diag(1 / noise) @ design)
    mean = covariance @ design.T @ (residual / noise)
    np.testing.assert_allclose(flat(expected_effects(e)), mean, atol=1e-10)
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = flat(jax.jit(jax.vmap(lambda key: draw_effects(e, key)))(keys))
    sd = np.sqrt(np.diag(covariance))
    # Within 4 Monte Carlo standard errors, for each of some 70 numbers.
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(len(keys))).all()
    errors = np.sqrt((np.outer(sd**2, sd**2) + covariance**2) / len(keys))
    assert (np.abs(np.cov(draws.T) - covariance) < 5.5 * errors).all()


def test_single_precision_is_enough():
    e = evidence(3)
    single = jax.tree.map(lambda a: a.astype(jnp.float32), e)
    assert float(_total(single)) == pytest.approx(float(_total(e)), rel=1e-5)
