"""Checkpoints of one run: their density and draws, against dense normals."""

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
    dense_condition,
    dense_density,
    expected,
    free_parts,
    log_density,
    members,
    nested,
    predictors,
    with_runs,
)

from sloth_jax.effects.bins import Checkpoints, plain_bins
from sloth_jax.effects.conditioning import draw_normals, zero_normals
from sloth_jax.effects.runs import continue_runs, find_neighbours, run_correlation, run_root


@pytest.mark.parametrize("skills", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_log_density_is_that_of_one_big_normal(skills, seed):
    one = with_runs(case(seed, skills), seed)
    dense = dense_density(one)
    assert float(log_density(one.problem, one.bins)) == pytest.approx(dense, rel=EXACT)
    assert float(log_density(one.problem, nested(one))) == pytest.approx(dense, rel=EXACT)
    apart = one._replace(checkpoints=None)
    assert abs(float(log_density(one.problem, apart.bins)) - dense) > 0.1


def test_gradient_agrees_with_finite_differences():
    density, flat = free_parts(with_runs(case(5, 2, lineages=5), 5))
    gradient, step = jax.jit(jax.grad(density))(flat), 1e-5
    shifted = jax.jit(jax.vmap(lambda e, s: density(flat + s * e), in_axes=(0, None)))
    unit = jnp.eye(flat.size)
    differences = (shifted(unit, step) - shifted(unit, -step)) / (2 * step)
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5)
    assert abs(float(gradient[-1])) > 1e-3  # of the length of the process


@pytest.mark.parametrize("bins", [None, nested])
def test_expected_effects_are_those_of_the_dense_conditional(bins):
    one = with_runs(case(12), 12)
    found = expected(one, bins and bins(one))
    np.testing.assert_allclose(found, dense_condition(one)[0], atol=1e-9)


def test_order_does_not_matter():
    one, rng = with_runs(case(8), 8), np.random.default_rng(1)
    density = float(log_density(one.problem, one.bins))
    order = rng.permutation(one.family.size)
    permuted = one.rows(order)
    assert float(log_density(permuted.problem, permuted.bins)) == pytest.approx(density, rel=EXACT)
    found = expected(one).reshape(-1, BENCHMARKS)[order].ravel()
    np.testing.assert_allclose(expected(permuted), found, atol=1e-10)


def test_a_single_checkpoint_is_as_any_model():
    one = with_runs(case(9), 9)
    alone = one._replace(checkpoints=Checkpoints(np.arange(one.x.size), one.x))
    found = float(log_density(alone.problem, alone.bins))
    # Whether its noise follows a run or not is the same to what is observed.
    noise = one.problem.variance + one.problem.benchmark.model[None] ** 2
    plain = one.problem._replace(
        variance=noise, benchmark=case(9).problem.benchmark, run_length=None
    )
    none = one._replace(problem=plain, checkpoints=None)
    assert found == pytest.approx(float(log_density(plain, none.bins)), rel=EXACT)


def test_roots_are_roots():
    one = with_runs(case(3), 3)
    for some in plain_bins(one.bins):
        root = run_root(some, jnp.asarray(0.7))
        whole = run_correlation(some, jnp.asarray(0.7))
        np.testing.assert_allclose(root @ jnp.swapaxes(root, 1, 2), whole, atol=1e-12)
        assert np.abs(np.asarray(whole) - np.eye(whole.shape[1])).max() > 0.1


def with_later(one: Case) -> tuple[Case, np.ndarray, np.ndarray]:
    """The models of a case and five without scores, their runs and log tokens.

    They come before, between and after checkpoints of one run, at one of them, and are of none.
    """
    hidden = jnp.zeros((5, BENCHMARKS))
    p = one.problem
    p = p._replace(
        residual=jnp.concatenate([p.residual, hidden]),
        variance=jnp.concatenate([p.variance, hidden + 1.0]),
        seen=jnp.concatenate([p.seen, hidden]),
    )
    assert one.checkpoints is not None
    run, log_tokens = one.checkpoints
    numbers, counts = np.unique(run, return_counts=True)
    longest = numbers[np.argmax(counts)]
    rows = np.flatnonzero(run == longest)
    at = np.sort(log_tokens[rows])
    assert len(at) > 1
    new_run = np.array([longest] * 4 + [-1])
    new_at = np.array([at[0] - 0.3, 0.4 * at[0] + 0.6 * at[1], at[-1] + 1.0, at[1], 0.0])
    known = Checkpoints(np.append(run, new_run), np.append(log_tokens, new_at))
    last = int(rows[0])
    family, lineage, x = (
        np.append(part, [part[last]] * 5) for part in (one.family, one.lineage, one.x)
    )
    return Case(p, family, lineage, x, known), new_run, new_at


def test_draws_of_old_and_later_checkpoints_follow_the_dense_conditional():
    one = with_runs(case(13), 13)
    both, run, log_tokens = with_later(one)
    models, draws, skills = one.family.size, 600, 2
    everyone = members(both)
    who = everyone._replace(
        lineage=everyone.lineage[:models],
        family=everyone.family[:models],
        basis=everyone.basis[:models],
    )
    p, bins = one.problem, one.bins
    assert one.checkpoints is not None
    assert p.run_length is not None
    neighbours = find_neighbours(one.checkpoints, run, log_tokens)
    spread = jnp.concatenate([p.skill.model, p.benchmark.model])

    @jax.jit
    @jax.vmap
    def draw(key: jax.Array) -> jax.Array:
        normals = draw_normals(everyone, BENCHMARKS, skills, key)
        found = condition(p, bins, who, normals)
        prior_draw = spread[None] * normals.effects.model[models:]
        new = continue_runs(neighbours, p.run_length, found.model, prior_draw)
        whole = found._replace(model=jnp.concatenate([found.model, new]))
        return predictors(whole, everyone, p).ravel()

    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), draws)))
    mean, covariance = dense_condition(both)
    # New checkpoints are drawn each by itself: what they have in common beyond is left out.
    new = np.repeat(np.arange(both.family.size) >= models, BENCHMARKS)
    model = np.repeat(np.arange(both.family.size), BENCHMARKS)
    left_out = new[:, None] & new[None, :] & (model[:, None] != model[None, :])
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4.0 / np.sqrt(draws)
    errors = np.sqrt((np.outer(sd**2, sd**2) + covariance**2) / draws)
    off = (np.abs(np.cov(drawn.T) - covariance) / errors)[~left_out]
    assert off.max() < 5.5
    assert np.sqrt(np.mean(off**2)) == pytest.approx(1.0, abs=0.25)
    # At the tokens of a checkpoint it is that checkpoint.
    old = int(np.flatnonzero(one.checkpoints.log_tokens == log_tokens[3])[0])
    at = drawn.reshape(draws, -1, BENCHMARKS)
    np.testing.assert_allclose(at[:, models + 3], at[:, old], atol=1e-10)


def test_rows_without_scores_are_where_later_checkpoints_stand():
    one = with_runs(case(14), 14)
    assert one.checkpoints is not None
    both, run, log_tokens = with_later(one)
    models = one.family.size
    apart = both.rows(np.arange(both.family.size) != models + 3)  # all but one at the same tokens
    mean = expected(apart)
    np.testing.assert_allclose(mean, dense_condition(apart)[0], atol=1e-9)
    # Looked up afterwards, they are the same.
    p, skills = one.problem, 2
    everyone = members(both)
    found = condition(p, one.bins, members(one), zero_normals(members(one), BENCHMARKS, skills))
    neighbours = find_neighbours(one.checkpoints, run, log_tokens)
    new = continue_runs(neighbours, p.run_length, found.model, jnp.zeros((5, skills + BENCHMARKS)))
    whole = found._replace(model=jnp.concatenate([found.model, new]))
    looked_up = np.asarray(predictors(whole, everyone, p))
    np.testing.assert_allclose(np.delete(looked_up, models + 3, axis=0).ravel(), mean, atol=1e-9)
