"""The numerical core in single precision, beside double precision.

Single precision is JAX's default, so it is what users get. Tolerances
follow from its rounding:

* a sum of n terms, each rounded, is off by n eps of its size at most (Higham 2002, "Accuracy and
  stability of numerical algorithms", section 4.2);
* a solution of equations with a matrix of condition number k is off by about k eps of its length
  (section 7.1), and so is the gradient of the density, which is one;
* two places whose densities differ by less than the density's rounding are one mode: a parabola
  with the curvature of the prior, 1, is that flat within sqrt(2 tolerance) of its top.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from effect_cases import Case, case, dense_covariance_of_scores, dense_density, log_density, nested
from small import table

from sloth_jax import Prior
from sloth_jax.inference.approximations import Drawn, Normal, laplace, laplace_normal
from sloth_jax.inference.mode import Mode, find_mode
from sloth_jax.inference.observe import observe
from sloth_jax.law.observations import Observations
from sloth_jax.law.surface import fit_surface
from sloth_jax.law.target import target_of

EPS = float(np.finfo(np.float32).eps)
# Of standard deviations by differences of gradients: a seventh of the Monte Carlo error,
# 1 / sqrt(2 DRAWS), that those of draws have in any precision.
WIDTH = 0.01
SKILLS, DRAWS = 1, 100
KEY = jax.random.key(0)


def single(tree):
    """The same arrays in single precision."""
    return jax.tree.map(
        lambda a: a.astype(jnp.float32 if a.dtype == jnp.float64 else jnp.int32), tree
    )


@pytest.mark.parametrize(("skills", "apart"), [(1, False), (3, False), (3, True)])
def test_density_and_gradient_are_those_of_the_dense_normal(skills, apart):
    one: Case = case(11, skills)
    problem, bins = single((one.problem, nested(one) if apart else one.bins))
    with jax.enable_x64(False):
        value, gradient = jax.jit(
            jax.value_and_grad(
                lambda residual: log_density(problem._replace(residual=residual), bins)
            )
        )(problem.residual)
    assert value.dtype == gradient.dtype == jnp.float32
    scores = one.seen.sum()
    assert float(value) == pytest.approx(dense_density(one), rel=scores * EPS)
    # d log N(r; 0, V) / dr = -V^-1 r
    whole = dense_covariance_of_scores(one)
    exact = -np.linalg.solve(whole, np.asarray(one.problem.residual)[one.seen])
    off = np.linalg.norm(np.asarray(gradient)[one.seen] - exact) / np.linalg.norm(exact)
    assert off < np.linalg.cond(whole) * EPS
    assert (np.asarray(gradient)[~one.seen] == 0.0).all()


class Approximated(NamedTuple):
    """A Laplace approximation, and what it is of."""

    observations: Observations
    mode: Mode
    normal: Normal
    drawn: Drawn


@jax.jit
def approximate(observations: Observations) -> Approximated:
    mode = find_mode(observations, KEY, skills=SKILLS, prior=Prior(), starts=1, steps=300)
    target = target_of(observations, Prior(), mode.pivots, SKILLS)
    normal = laplace_normal(target, mode.position)
    return Approximated(observations, mode, normal, laplace(target, normal, KEY, DRAWS, DRAWS))


def small_table() -> Observations:
    data, _ = table(families=4, sizes=3)
    return observe(data, fit_surface(data, kind="translog"))


@pytest.fixture(scope="module")
def double():
    return approximate(small_table())


@pytest.fixture(scope="module")
def float32():
    with jax.enable_x64(False):
        return approximate(small_table())


@pytest.fixture(scope="module")
def potential(double):
    """Minus the log density of positions, in double precision."""
    target = target_of(double.observations, Prior(), double.mode.pivots, SKILLS)
    of_rows = jax.jit(jax.vmap(target.potential))
    return lambda positions: np.asarray(of_rows(jnp.asarray(positions, float)))


def terms(found: Approximated) -> int:
    """How many terms the log density is a sum of: scores, and parameters with their prior."""
    return int(found.observations.observed.sum()) + found.mode.position.size


def test_the_mode_is_that_of_double_precision(double, float32, potential):
    mode, exact = float32.mode, double.mode
    assert mode.position.dtype == mode.value.dtype == jnp.float32
    tolerance = terms(double) * EPS * abs(float(exact.value))
    (there,) = potential(np.asarray(mode.position)[None])
    assert float(mode.value) == pytest.approx(there, abs=tolerance)
    assert there < float(exact.value) + tolerance
    away = np.asarray(mode.position, float) - np.asarray(exact.position)
    assert np.abs(away).max() < np.sqrt(2.0 * tolerance)


def test_widths_are_those_of_double_precision(double, float32):
    one, exact = (
        np.linalg.norm(np.asarray(x.normal.axes, float), axis=1) for x in (float32, double)
    )
    assert exact.min() < 0.1  # the table says much of some parameters and nothing of others
    assert exact.max() > 0.9
    np.testing.assert_allclose(one, exact, rtol=WIDTH)


def test_draws_are_of_the_approximation_and_weighed_by_the_density(float32, potential):
    drawn, (mean, axes) = float32.drawn, (np.asarray(a, float) for a in float32.normal)
    position = np.asarray(drawn.position, float)
    unit = np.linalg.solve(axes, (position - mean).T).T  # standard normal
    assert abs(unit.mean()) < 4.0 / np.sqrt(unit.size)
    assert abs(unit.std() - 1.0) < 4.0 / np.sqrt(2.0 * unit.size)
    minus_density = potential(position)
    ratio = 0.5 * (unit**2).sum(axis=1) - minus_density  # up to a constant
    off = np.asarray(drawn.log_ratio, float) - ratio
    off = np.abs(off - np.median(off))
    assert np.quantile(off, 0.9) < terms(float32) * EPS * np.abs(minus_density).max()
    # Draws with hardly any noise have covariances of large condition numbers. Still every weight
    # is right to a part of the Monte Carlo error of their mean.
    assert off.max() < 0.5 / np.sqrt(DRAWS)
