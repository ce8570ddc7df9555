"""Effects integrated out and drawn, against the textbook's dense normal distribution."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from sloth_jax.law.bins import Bins, fill_bins
from sloth_jax.law.dense import Cells, dense_covariance
from sloth_jax.law.effects import (
    Coefficients,
    Members,
    Problem,
    Spread,
    at_models,
    condition,
    draw_normals,
    lineage_densities,
    log_density,
    name_numbers,
    no_draw,
)
from sloth_jax.law.elimination import inverse
from sloth_jax.law.walk import walk_basis

BENCHMARKS = 3
EXACT = 1e-9  # of log densities, relative: a hundred scores, float64


class Case(NamedTuple):
    """A problem, and who its models are."""

    problem: Problem
    family: np.ndarray
    lineage: np.ndarray
    x: np.ndarray  # log size from the smallest, standardised

    @property
    def bins(self) -> tuple[Bins, ...]:
        return fill_bins(self.lineage, self.family, self.x)

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
        return Case(p, self.family[keep], self.lineage[keep], self.x[keep])


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


def members(one: Case, more: int = 0) -> Members:
    """Members by name, with the names of so many models that have no scores."""
    lineages, families = int(one.lineage.max()) + 1, int(one.family.max()) + 1

    def numbers(kind: str, count: int) -> jax.Array:
        return jnp.asarray(name_numbers(kind, [str(k) for k in range(count)]))

    return Members(
        lineage=jnp.asarray(one.lineage),
        family=jnp.asarray(one.family),
        basis=jnp.asarray(one.basis),
        lineage_name=numbers("lineage", lineages),
        family_name=numbers("family", families),
        model_name=numbers("model", one.family.size + more),
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
    p = one.problem
    return dense_covariance(cells, np.asarray(p.loading), p.skill, p.benchmark)


def dense_density(one: Case) -> float:
    """Log density of what is observed, by one big normal."""
    on = one.seen.ravel()
    whole = covariance(one) + np.diag(np.asarray(one.problem.variance).ravel())
    residual = np.asarray(one.problem.residual).ravel()[on]
    return float(stats.multivariate_normal.logpdf(residual, cov=whole[np.ix_(on, on)]))


def dense_condition(one: Case) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all predictors given what is observed (Rasmussen 2006, 2.23)."""
    on, prior = one.seen.ravel(), covariance(one)
    whole = (prior + np.diag(np.asarray(one.problem.variance).ravel()))[np.ix_(on, on)]
    gain = np.linalg.solve(whole, prior[on]).T
    mean = gain @ np.asarray(one.problem.residual).ravel()[on]
    return mean, prior - gain @ prior[on]


def predictors(found: Coefficients, who: Members, problem: Problem) -> jax.Array:
    """What effects add to predictors, ``(model, benchmark)``."""
    skill, benchmark = at_models(found, who, problem.loading.shape[1])
    return skill @ problem.loading.T + benchmark


def expected(one: Case) -> np.ndarray:
    """Expected predictors of all models given what is observed, by the module, flat."""
    who, skills = members(one), one.problem.loading.shape[1]
    found = condition(one.problem, one.bins, who, no_draw(who, BENCHMARKS, skills))
    return np.asarray(predictors(found, who, one.problem)).ravel()


@pytest.mark.parametrize("skills", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_log_density_is_that_of_one_big_normal(skills, seed):
    one = case(seed, skills)
    assert float(log_density(one.problem, one.bins)) == pytest.approx(dense_density(one), rel=EXACT)


def test_covariance_between_two_scores_is_the_formula():
    # Two models of one lineage and two families, on one benchmark of one skill.
    family, lineage, x = (
        np.array([0, 1, 1, 2]),
        np.array([0, 0, 0, 1]),
        np.array([1.0, 2.5, 0.5, 1.0]),
    )
    a, b, c, d, s, aj, bj, cj, dj, lam = np.random.default_rng(0).uniform(0.3, 1.5, 10)
    some = [jnp.asarray([value]) for value in (a, b, c, d, s)]
    own = [jnp.asarray([value]) for value in (aj, bj, cj, dj, 0.0)]
    cells = Cells(
        np.arange(4), family, lineage, np.zeros(4, int), np.asarray(walk_basis(jnp.asarray(x)))
    )
    found = dense_covariance(cells, np.array([[lam]]), Spread(*some), Spread(*own))
    for m in range(4):
        for n in range(4):
            w = min(x[m], x[n])
            kin, close, same = lineage[m] == lineage[n], family[m] == family[n], m == n
            on_skill = kin * (a**2 + b**2 * w + close * (c**2 + d**2 * w)) + same * s**2
            alone = kin * (aj**2 + bj**2 * w + close * (cj**2 + dj**2 * w))
            assert found[m, n] == pytest.approx(lam**2 * on_skill + alone, rel=1e-12)


def free_parts(one: Case):
    """The problem as a function of one vector, and the vector."""
    p, bins = one.problem, one.bins
    # Spreads of models on single benchmarks are 0 by definition.
    free = (p.residual, p.variance, p.loading, p.skill, p.benchmark[:4])
    flat, unravel = ravel_pytree(free)

    def density(at: jax.Array) -> jax.Array:
        residual, variance, loading, skill, benchmark = unravel(at)
        own = Spread(*benchmark, p.benchmark.model)
        return log_density(Problem(residual, variance, p.seen, loading, skill, own), bins)

    return density, flat


@pytest.mark.parametrize("skills", [1, 3])
def test_gradient_agrees_with_finite_differences(skills):
    one = case(5, skills, lineages=5)
    density, flat = free_parts(one)
    gradient, step = jax.grad(density)(flat), 1e-5
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


def test_inverses_and_determinants_are_those_of_lapack():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 6, 6))
    matrices = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(6)
    inverted, parts = inverse(jnp.asarray(matrices))
    np.testing.assert_allclose(inverted, np.linalg.inv(matrices), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(parts.sum(axis=1), np.linalg.slogdet(matrices)[1], rtol=1e-9)


def test_lineages_are_independent_of_one_another():
    one = case(7)
    found = lineage_densities(one.problem, one.bins, 7)
    assert float(found.sum()) == pytest.approx(float(log_density(one.problem, one.bins)), rel=EXACT)
    assert float(found[2]) == 0.0  # has no score
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
    gradient = jax.grad(lambda r: log_density(p._replace(residual=r), one.bins))(p.residual)
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


def test_single_precision_is_enough():
    """The density to 1e-5 of its size, its gradient to 1e-3 of its length."""
    one = case(11, 3)
    density, flat = free_parts(one)
    single = jax.tree.map(
        lambda a: a.astype(jnp.float32 if a.dtype == jnp.float64 else jnp.int32),
        (one.problem, one.bins),
    )
    with jax.enable_x64(False):
        value = log_density(*single)
        gradient = jax.grad(lambda r: log_density(single[0]._replace(residual=r), single[1]))(
            single[0].residual
        )
    assert value.dtype == gradient.dtype == jnp.float32
    assert float(value) == pytest.approx(float(density(flat)), rel=1e-5)
    exact = np.asarray(jax.grad(density)(flat))[: gradient.size]
    assert np.linalg.norm(np.ravel(gradient) - exact) < 1e-3 * np.linalg.norm(exact)


def test_a_walk_starts_at_the_smallest_size_and_goes_both_ways():
    knots = 0.5 * np.arange(-6, 19)
    ramps = np.asarray(walk_basis(jnp.asarray(knots)))
    np.testing.assert_array_equal(ramps[:, 0], 1.0)  # the level
    between = ramps[:, 1:] @ ramps[:, 1:].T
    beside = np.sign(knots)[:, None] == np.sign(knots)[None, :]
    smaller = np.minimum(np.abs(knots)[:, None], np.abs(knots)[None, :])
    np.testing.assert_allclose(between, np.where(beside, smaller, 0.0), atol=1e-12)
    # Straight between knots, and on beyond the last.
    for inside in ((0.5, 0.7, 0.9), (-1.0, -0.8, -0.6), (9.0, 14.0, 19.0), (-3.0, -5.0, -7.0)):
        low, middle, high = np.asarray(walk_basis(jnp.asarray(inside)))
        np.testing.assert_allclose(middle, (low + high) / 2, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_every_model_has_one_place_in_one_bin(seed):
    rng = np.random.default_rng(seed)
    lineage = rng.permutation(np.repeat(np.arange(12), rng.integers(1, 4 + 8 * (seed % 2), 12)))
    family = 2 * lineage + rng.integers(0, 2, lineage.size)
    bins = fill_bins(lineage, family, rng.uniform(0, 3, lineage.size))
    rows, of_model = [], {}
    for kind, some in enumerate(bins):
        real = np.asarray(some.real) > 0
        assert real.shape[1] % 2 == 0
        rows.append(np.asarray(some.rows)[real])
        for at, place in zip(*np.nonzero(real), strict=True):
            row = int(some.rows[at, place])
            assert int(some.lineage[at, place // 2]) == lineage[row]
            of_model[row] = (kind, at)
        inside = np.asarray(some.rows)
        both = real[:, :, None] & real[:, None, :]
        for name, label in (("same_lineage", lineage), ("same_family", family)):
            same = label[inside][:, :, None] == label[inside][:, None, :]
            np.testing.assert_array_equal(getattr(some, name), both & same)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(lineage.size))
    for at in range(12):
        assert len({of_model[row] for row in np.flatnonzero(lineage == at)}) == 1


@pytest.mark.parametrize("skills", [1, 3])
def test_expected_effects_are_those_of_the_dense_conditional(skills):
    one = case(12, skills)
    np.testing.assert_allclose(expected(one), dense_condition(one)[0], atol=1e-9)


def asked(one: Case) -> Case:
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
    both, models, draws = asked(one), one.family.size, 600
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
    nothing = no_draw(everyone, BENCHMARKS, skills)
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
        lineage_name=who.lineage_name[1:4],
        family_name=who.family_name[2:5],
        model_name=who.model_name[3:],
    )
    some = draw_normals(fewer, BENCHMARKS, 2, jax.random.key(1))
    np.testing.assert_array_equal(some.effects.lineage, whole.effects.lineage[1:4])
    np.testing.assert_array_equal(some.effects.family, whole.effects.family[2:5])
    np.testing.assert_array_equal(some.effects.model, whole.effects.model[3:])
    np.testing.assert_array_equal(some.again, whole.again[3:])
    np.testing.assert_array_equal(some.post_trained, whole.post_trained[2:5])
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
    told = covariance[np.ix_(at, at)] + np.diag(np.asarray(one.problem.variance)[new])
    surprise = np.asarray(one.problem.residual)[new] - mean[at]
    updated = mean + covariance[:, at] @ np.linalg.solve(told, surprise)
    np.testing.assert_allclose(expected(one), updated, atol=1e-9)
    # The density of all scores is that of the others, times that of these given them.
    more = log_density(one.problem, one.bins) - log_density(before.problem, before.bins)
    given = stats.multivariate_normal.logpdf(surprise, cov=told)
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
