"""Effects given scores, and draws of them, against the dense conditional normal."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from effect_cases import (
    BENCHMARKS,
    Case,
    case,
    condition,
    dense_condition,
    expected,
    log_density,
    members,
    predictors,
)
from scipy import stats

from sloth_jax.effects.conditioning import Coefficients, draw_normals, zero_normals


@pytest.mark.parametrize("skills", [1, 3])
def test_expected_effects_are_those_of_the_dense_conditional(skills):
    one = case(12, skills)
    np.testing.assert_allclose(expected(one), dense_condition(one)[0], atol=1e-9)


def with_queries(one: Case) -> Case:
    """The models of a case, and four that have no score: sizes, families and lineages mixed."""
    hidden = jnp.zeros((4, BENCHMARKS))
    p = one.problem
    p = p._replace(
        residual=jnp.concatenate([p.residual, hidden]),
        variance=jnp.concatenate([p.variance, hidden + 1.0]),
        seen=jnp.concatenate([p.seen, hidden]),
    )
    last = int(np.flatnonzero(one.lineage == 6)[0])
    # Of a known family, larger and smaller than any; of a new family and of a new lineage.
    family = np.append(one.family, [one.family[last], one.family[last], 21, 22])
    lineage = np.append(one.lineage, [6, 6, 6, 7])
    return Case(p, family, lineage, np.append(one.x, [7.3, -1.4, 2.0, 1.0]))


def test_draws_of_old_and_new_models_follow_the_dense_conditional():
    one = case(13)
    both, models, draws = with_queries(one), one.family.size, 600
    everyone = members(both)
    # Conditioning knows the models that have scores; the others are looked up afterwards.
    who = everyone._replace(
        lineage=everyone.lineage[:models],
        family=everyone.family[:models],
        basis=everyone.basis[:models],
    )
    p, skills = one.problem, 2

    def new(found: Coefficients, own: jax.Array) -> jax.Array:
        padding = jnp.zeros((4, BENCHMARKS))
        apart = jnp.concatenate([p.skill.model[None] * own[:, :skills], padding], axis=1)
        whole = jnp.concatenate([found.model, apart])
        return predictors(found._replace(model=whole), everyone, p).ravel()

    mean, covariance = dense_condition(both)
    nothing = zero_normals(everyone, BENCHMARKS, skills)
    found = condition(p, one.bins, who, nothing)
    np.testing.assert_allclose(new(found, nothing.effects.model[models:]), mean, atol=1e-9)

    bins = one.bins

    @jax.jit
    @jax.vmap
    def draw(key: jax.Array) -> jax.Array:
        normals = draw_normals(everyone, BENCHMARKS, skills, key)
        return new(condition(p, bins, who, normals), normals.effects.model[models:])

    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), draws)))
    sd = np.sqrt(np.diag(covariance))
    # Some hundred means, and ten thousand covariances, each within Monte Carlo standard errors.
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4.0 / np.sqrt(draws)
    errors = np.sqrt((np.outer(sd**2, sd**2) + covariance**2) / draws)
    off = np.abs(np.cov(drawn.T) - covariance) / errors
    assert off.max() < 5.5
    assert np.sqrt(np.mean(off**2)) == pytest.approx(1.0, abs=0.25)


def test_draws_go_by_names():
    one = case(14)
    who = members(one, more=2)
    whole = draw_normals(who, BENCHMARKS, 2, jax.random.key(1))
    fewer = who._replace(
        lineage_hash=who.lineage_hash[1:4],
        family_hash=who.family_hash[2:5],
        model_hash=who.model_hash[3:],
    )
    some = draw_normals(fewer, BENCHMARKS, 2, jax.random.key(1))
    np.testing.assert_array_equal(some.effects.lineage, whole.effects.lineage[1:4])
    np.testing.assert_array_equal(some.effects.family, whole.effects.family[2:5])
    np.testing.assert_array_equal(some.effects.model, whole.effects.model[3:])
    np.testing.assert_array_equal(some.replicate_noise, whole.replicate_noise[3:])
    np.testing.assert_array_equal(some.post_training, whole.post_training[2:5])
    # No two of them are the same number.
    drawn = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(whole)])
    assert np.unique(drawn).size == drawn.size


def test_one_more_model_updates_what_is_expected():
    one = case(15)
    new = int(np.flatnonzero((one.lineage == 6) & one.seen.all(axis=1))[0])
    before = one._replace(problem=one.problem._replace(seen=one.problem.seen.at[new].set(0.0)))
    mean, covariance = dense_condition(before)
    at = BENCHMARKS * new + np.arange(BENCHMARKS)
    # Without its scores it is expected to be what a model is that was never listed.
    np.testing.assert_allclose(expected(before), mean, atol=1e-9)
    # Kalman's update by them, a conditional of the conditional, is what all scores say together.
    marginal = covariance[np.ix_(at, at)] + np.diag(np.asarray(one.problem.variance)[new])
    surprise = np.asarray(one.problem.residual)[new] - mean[at]
    updated = mean + covariance[:, at] @ np.linalg.solve(marginal, surprise)
    np.testing.assert_allclose(expected(one), updated, atol=1e-9)
    # The density of all scores is that of the others, times that of these given them.
    more = log_density(one.problem, one.bins) - log_density(before.problem, before.bins)
    given = stats.multivariate_normal.logpdf(surprise, cov=marginal)
    assert float(more) == pytest.approx(float(given), abs=1e-8)


def test_a_model_that_is_hidden_is_as_one_that_is_not_there():
    one = case(16)
    keep = np.arange(one.family.size) % 3 > 0
    hidden = one._replace(
        problem=one.problem._replace(seen=one.problem.seen * jnp.asarray(keep)[:, None])
    )
    left = expected(hidden).reshape(-1, BENCHMARKS)[keep].ravel()
    # Lineages without a model keep their names.
    np.testing.assert_allclose(left, expected(one.rows(keep)), atol=1e-10)
