"""Effects integrated out: the marginal density, against one big normal."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from effect_cases import (
    EXACT,
    Case,
    case,
    dense_density,
    free_parts,
    lineage_log_densities,
    log_density,
)

from sloth_jax.effects.density import Problem


@pytest.mark.parametrize("skills", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_log_density_is_that_of_one_big_normal(skills, seed):
    one = case(seed, skills)
    assert float(log_density(one.problem, one.bins)) == pytest.approx(dense_density(one), rel=EXACT)


@pytest.mark.parametrize("skills", [1, 3])
def test_gradient_agrees_with_finite_differences(skills):
    one = case(5, skills, lineages=5)
    density, flat = free_parts(one)
    gradient, step = jax.jit(jax.grad(density))(flat), 1e-5
    shifted = jax.jit(jax.vmap(lambda e, s: density(flat + s * e), in_axes=(0, None)))
    unit = jnp.eye(flat.size)
    differences = (shifted(unit, step) - shifted(unit, -step)) / (2 * step)
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5)
    assert np.abs(gradient).max() > 1.0


def test_hessian_agrees_with_finite_differences_of_the_gradient():
    density, flat = free_parts(case(6, 2, lineages=5))
    gradient, step = jax.jit(jax.grad(density)), 1e-5
    curvature = jax.jit(lambda v: jax.jvp(jax.grad(density), (flat,), (v,))[1])
    for seed in range(5):
        v = jax.random.normal(jax.random.key(seed), flat.shape)
        differences = (gradient(flat + step * v) - gradient(flat - step * v)) / (2 * step)
        scale = float(jnp.abs(differences).max())
        np.testing.assert_allclose(curvature(v), differences, atol=1e-5 * scale)


def test_lineages_are_independent_of_one_another():
    one = case(7)
    found = lineage_log_densities(one.problem, one.bins, 7)
    assert float(found.sum()) == pytest.approx(float(log_density(one.problem, one.bins)), rel=EXACT)
    # Has no score: the logarithm of 1, which a GPU rounds.
    assert abs(float(found[2])) <= 2 * np.finfo(np.float64).eps
    for at in (0, 1, 6):
        alone = one.rows(one.lineage == at)
        alone = alone._replace(lineage=np.zeros_like(alone.lineage))
        assert float(found[at]) == pytest.approx(dense_density(alone), rel=EXACT)


def test_labels_and_order_do_not_matter():
    one, rng = case(8), np.random.default_rng(1)
    density = float(log_density(one.problem, one.bins))
    renamed = one._replace(family=rng.permutation(21)[one.family], lineage=6 - one.lineage)
    assert float(log_density(renamed.problem, renamed.bins)) == pytest.approx(density, rel=EXACT)
    permuted = one.rows(rng.permutation(one.family.size))
    assert float(log_density(permuted.problem, permuted.bins)) == pytest.approx(density, rel=EXACT)


def test_models_without_a_score_change_nothing():
    one = case(9)
    density = float(log_density(one.problem, one.bins))
    # Garbage in place of a score that was not observed, in both arrays.
    hidden = ~one.seen
    p = one.problem._replace(
        residual=jnp.where(hidden, 1e6, one.problem.residual),
        variance=jnp.where(hidden, jnp.nan, one.problem.variance),
    )
    assert float(log_density(p, one.bins)) == pytest.approx(density, rel=EXACT)
    bins = one.bins
    of_residual = jax.grad(lambda r: log_density(p._replace(residual=r), bins))
    gradient = jax.jit(of_residual)(p.residual)
    assert (np.asarray(gradient)[hidden] == 0.0).all()
    # Leave out those that have none; or add a family of them to a lineage, and a lineage.
    some = one.rows(one.seen.any(axis=1))
    assert float(log_density(some.problem, some.bins)) == pytest.approx(density, rel=EXACT)
    blank = case(10)
    more = Problem(
        *(jnp.concatenate([a, b]) for a, b in zip(one.problem[:2], blank.problem[:2], strict=True)),
        jnp.concatenate([one.problem.seen, jnp.zeros_like(blank.problem.seen)]),
        *one.problem[3:],
    )
    both = Case(
        more,
        np.concatenate([one.family, blank.family + 21]),
        np.concatenate([one.lineage, np.where(blank.lineage > 3, 7, blank.lineage)]),
        np.concatenate([one.x, blank.x]),
    )
    assert float(log_density(both.problem, both.bins)) == pytest.approx(density, rel=EXACT)
