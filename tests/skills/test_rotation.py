"""Rotations against factor_analyzer's, and what no rotation may change."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from factor_analyzer.rotator import Rotator
from loadings import BENCHMARKS, matched, simple
from small import random_links, random_params

from sloth_jax.law.forward import Effects, scores, skills as skills_of
from sloth_jax.skills.alignment import canonical_order, whitening
from sloth_jax.skills.gradient_projection import CRITERIA, rotate_loading
from sloth_jax.skills.rotation import local_optima, rotate


@pytest.mark.parametrize("skills", [2, 4])
@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize(
    ("criterion", "oblique", "theirs"),
    [
        ("varimax", False, "varimax"),
        ("geomin", True, "geomin_obl"),
        ("geomin", False, "geomin_ort"),
        ("quartimin", True, "quartimin"),
    ],
)
def test_no_worse_than_factor_analyzer(criterion, oblique, theirs, structured, skills):
    rng = np.random.default_rng(skills)
    loading = simple(skills, skills) if structured else rng.normal(size=(BENCHMARKS, skills))
    ours = rotate(jnp.asarray(loading), jax.random.key(0), criterion=criterion, oblique=oblique)
    options = {"normalize": False} if theirs == "varimax" else {}
    found = Rotator(method=theirs, max_iter=5000, tol=1e-9, **options).fit_transform(loading)
    value = float(CRITERIA[criterion](jnp.asarray(found)))
    assert bool(ours.converged)
    assert float(ours.value) <= value + 1e-6
    if structured:  # where the optimum is unique
        assert (np.abs(matched(ours.loading, found)) > 0.999).all()


@pytest.mark.parametrize("oblique", [True, False])
def test_a_rotation_is_what_it_says(oblique):
    loading = jnp.asarray(simple(3, 0))
    found = rotate(loading, jax.random.key(1), oblique=oblique)
    inverse = jnp.linalg.inv(found.transform)
    np.testing.assert_allclose(found.loading, loading @ inverse.T, atol=1e-10)
    np.testing.assert_allclose(jnp.diag(found.correlation), 1.0, atol=1e-10)
    if not oblique:
        np.testing.assert_allclose(found.correlation, np.eye(3), atol=1e-10)
    # covariances of benchmarks are as they were
    after = found.loading @ found.correlation @ found.loading.T
    np.testing.assert_allclose(after, loading @ loading.T, atol=1e-10)


def test_what_does_not_converge_says_so():
    loading = jnp.asarray(np.random.default_rng(0).normal(size=(BENCHMARKS, 4)))
    short = rotate(loading, jax.random.key(0), starts=2, steps=1)
    assert not bool(short.converged)
    assert np.isfinite(short.loading).all()
    assert not bool(rotate(loading.at[0, 0].set(jnp.nan), jax.random.key(0), starts=2).converged)


@pytest.mark.parametrize("skills", [1, 3])
def test_turning_permuting_and_flipping_skills_changes_no_prediction(skills):
    params = random_params(0, skills, 6, random_links(0, 6)["quantiles"])
    rng = np.random.default_rng(0)
    x, effects = jnp.asarray(rng.normal(size=(9, 4))), jnp.asarray(rng.normal(size=(9, skills)))
    before = scores(params, x, Effects(effects))
    turn = jnp.asarray(rng.normal(size=(skills, skills)) + 2.0 * np.eye(skills))
    white = whitening(skills_of(params, x, Effects(effects)))
    for transform in (turn, white, canonical_order(params.loading)):
        slope, loading = params.slope @ transform, rotate_loading(params.loading, transform)
        turned = params._replace(slope=slope, loading=loading)
        after = scores(turned, x, Effects(effects @ transform))
        np.testing.assert_allclose(after, before, atol=1e-10)


def test_all_local_optima_are_found_once():
    # One benchmark pulls the second skill to either side: two rotations are almost as simple.
    first = [1.4, 0.2, 0.0, 0.1, 0.5, 3.5, 0.1, 1.4, 3.6, 2.0, 0.7, 1.5]
    second = [0.5, 0.7, 0.8, 0.8, 0.1, 0.0, 0.1, 0.5, -0.1, 0.5, 0.3, 0.4]
    third = [0.0, 0.1, 0.1, 0.0, 0.3, 0.0, 0.6, 0.0, 0.0, -0.2, 0.0, 0.0]
    loading = np.stack([first, second, third], axis=1)
    correlation = np.array([[1.0, 0.6, 0.3], [0.6, 1.0, 0.3], [0.3, 0.3, 1.0]])
    turned = jnp.asarray(loading @ np.linalg.cholesky(correlation))
    optima = local_optima(turned, jax.random.key(0), steps=8000)
    values = [float(one.value) for one in optima]
    assert len(optima) >= 2
    assert values == sorted(values)
    best = rotate(turned, jax.random.key(1), steps=8000)
    assert values[0] == pytest.approx(float(best.value), abs=1e-6)
    assert all(bool(one.converged) for one in optima)
    assert sum(float(one.agreeing) for one in optima) <= 1.0
    assert np.abs(matched(optima[0].loading, optima[1].loading)).min() < 0.99
