"""Benchmarks in groups: the prior covariance, the rotation, names and order of benchmarks."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats
from small import table

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.inference.observe import observe
from sloth_jax.law.groups import group_root, pivots_first
from sloth_jax.law.hierarchical import Density, zero_raw_params
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots, TriangularLoadings, choose_pivots
from sloth_jax.law.surface import fit_surface
from sloth_jax.law.target import target_of

GROUP = np.array([0, 1, 0, 0, 4, 1, 0])
RHO = 0.6
SKILLS = 2
PRIOR = Prior(group_correlation=RHO)


def correlation(group: np.ndarray) -> np.ndarray:
    same = group[:, None] == group[None, :]
    return np.where(np.eye(group.size) > 0, 1.0, RHO * same)


def grouped() -> Leaderboard:
    found, _ = table()
    return replace(found, group_of_benchmark=("S", "", "S", "S"))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.95])
def test_the_root_is_that_of_the_correlation_and_triangular_in_the_order_asked_for(rho):
    rank = np.random.default_rng(0).permutation(GROUP.size)
    root, inverse = group_root(jnp.asarray(GROUP), rho, jnp.asarray(rank))
    same = GROUP[:, None] == GROUP[None, :]
    expected = (1.0 - rho) * np.eye(GROUP.size) + rho * same
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-12)
    np.testing.assert_allclose(root @ inverse, np.eye(GROUP.size), atol=1e-12)
    order = np.argsort(rank)
    ordered = np.asarray(root)[np.ix_(order, order)]
    np.testing.assert_allclose(ordered, np.linalg.cholesky(expected[np.ix_(order, order)]))


def test_everything_believed_of_each_benchmark_has_that_correlation_and_its_old_spread():
    arrays = observe(grouped(), fit_surface(grouped(), kind="translog"))
    blank = zero_raw_params(arrays, SKILLS, PRIOR)
    assert arrays.group is not None
    expected = correlation(np.asarray(arrays.group))

    def drawn(key: jax.Array) -> dict[str, jax.Array]:
        keys = iter(jax.random.split(key, len(jax.tree.leaves(blank))))
        raw = jax.tree.map(lambda a: jax.random.normal(next(keys), a.shape), blank)
        law = Density(arrays, PRIOR).law(raw._replace(spread_level=blank.spread_level))
        assert law.params.specific_slope is not None
        return {
            "loading": law.params.loading[:, 1] / PRIOR.loading,
            "bias": law.params.bias / PRIOR.bias,
            "slope": law.params.specific_slope[0] / PRIOR.specific_slope,
            "spread": jnp.log(law.benchmark.family / PRIOR.specific_family) / PRIOR.between,
            "noise": jnp.log(law.noise / PRIOR.noise) - PRIOR.level * raw.noise_level,
        }

    found = jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(0), 20_000))
    for name, draws in found.items():
        scale = PRIOR.between if name == "noise" else 1.0
        # a product of two of them has a standard deviation of at most sqrt 2
        at_most = 5.0 * np.sqrt(2.0 / 20_000)
        covariance = np.cov((np.asarray(draws) / scale).T)
        np.testing.assert_allclose(covariance, expected, atol=at_most, err_msg=name)


def test_triangular_loadings_are_free_ones_up_to_a_rotation():
    _, pivots = choose_pivots(jnp.asarray(np.random.default_rng(3).normal(size=(7, SKILLS))))
    gauged = TriangularLoadings(0.7, pivots)
    root, _ = group_root(jnp.asarray(GROUP), RHO, pivots_first(pivots))
    triangles = jax.vmap(gauged.loading)(gauged.sample(jax.random.key(0), (50_000,)))
    ours = np.einsum("ij,njk->nik", root, triangles)
    own = np.argmax(np.asarray(pivots.diagonal), axis=0)
    top = ours[:, own]
    np.testing.assert_allclose(top, np.tril(top), atol=1e-12)
    assert (np.einsum("nkk->nk", top) > 0.0).all()
    normal = 0.7 * np.random.default_rng(1).normal(size=(50_000, 7, SKILLS))
    theirs = np.einsum("ij,njk->nik", np.linalg.cholesky(correlation(GROUP)), normal)
    for a, b in ((0, 0), (0, 2), (0, 1), (2, 3), (own[0], own[1]), (own[1], 6)):
        one, other = (np.einsum("nk,nk->n", x[:, a], x[:, b]) for x in (ours, theirs))
        _, p = tuple(stats.ks_2samp(one, other))
        assert p > 1e-3, (a, b)


def test_without_groups_or_correlation_nothing_changes():
    plain, found = table()[0], []
    alone = replace(plain, group_of_benchmark=("S", "T", "", ""))
    for one, prior in (
        (plain, PRIOR),
        (alone, PRIOR),
        (grouped(), Prior(group_correlation=0.0)),
        (grouped(), PRIOR),
    ):
        arrays = observe(one, fit_surface(one, kind="translog"))
        blank = zero_raw_params(arrays, SKILLS, prior)
        rng = np.random.default_rng(4)
        raw = jax.tree.map(lambda a, rng=rng: jnp.asarray(rng.normal(size=a.shape)), blank)
        found.append(float(Density(arrays, prior).potential(raw)))
    assert found[0] == found[1] == found[2]
    assert found[3] != found[0]


def test_the_density_of_a_law_does_not_depend_on_names_or_order_of_benchmarks():
    one = grouped()
    order = [2, 1, 3, 0]
    moved = one.select_benchmarks([one.benchmarks[j] for j in order])
    moved = replace(
        moved, group_of_benchmark=tuple("new" if g else "" for g in moved.group_of_benchmark)
    )
    pivots = Pivots(
        jnp.zeros((4, SKILLS)).at[2, 0].set(1.0).at[1, 1].set(1.0),
        jnp.zeros((4, SKILLS)).at[2, 1].set(1.0),
    )
    densities = []
    rng = np.random.default_rng(5)
    arrays = observe(one, fit_surface(one, kind="translog"))
    blank = zero_raw_params(arrays, SKILLS, PRIOR)
    raw = jax.tree.map(lambda a: jnp.asarray(0.5 * rng.normal(size=a.shape)), blank)
    raw = raw._replace(loading=raw.loading * (1.0 - pivots.above))
    densities.append(float(Density(arrays, PRIOR, pivots).potential(raw)))
    # The raw parameters that stand for the same law, benchmarks being in another order.
    turned = Pivots(*(part[jnp.asarray(order)] for part in pivots))
    there = observe(moved, fit_surface(moved, kind="translog"))
    assert arrays.group is not None
    assert there.group is not None
    root, _ = group_root(arrays.group, RHO, pivots_first(pivots))
    _, inverse = group_root(there.group, RHO, pivots_first(turned))
    # the determinant of either root is that of the correlation, so densities agree as they stand
    names = ("specific_slope", "bias", "link", "spread", "noise")
    each = {
        name: (getattr(raw, name) @ root.T)[..., jnp.asarray(order)] @ inverse.T for name in names
    }
    gauged = TriangularLoadings(PRIOR.loading, pivots), TriangularLoadings(PRIOR.loading, turned)
    loading = (root @ gauged[0].loading(raw.loading))[jnp.asarray(order)]
    each["loading"] = gauged[1].raw(inverse @ loading)
    densities.append(float(Density(there, PRIOR, turned).potential(raw._replace(**each))))
    assert densities[0] == pytest.approx(densities[1], rel=1e-9)


def test_the_search_for_the_mode_begins_at_the_same_loadings():
    from sloth_jax.inference.mode import _principal_start

    one = grouped()
    arrays = observe(one, fit_surface(one, kind="translog"))
    raw, pivots = _principal_start(arrays, SKILLS, PRIOR)
    free, _ = _principal_start(arrays._replace(group=None), SKILLS, PRIOR)
    here = Density(arrays, PRIOR, pivots).law(raw).params.loading
    there = Density(arrays._replace(group=None), PRIOR, pivots).law(free).params.loading
    np.testing.assert_allclose(here, there, atol=1e-10)
    assert np.isfinite(
        jax.grad(target_of(arrays, PRIOR, pivots, SKILLS).potential)(ravel_pytree(raw)[0])
    ).all()


@pytest.mark.parametrize("value", [-0.1, 1.0, True, float("nan")])
def test_a_correlation_that_cannot_be_is_refused(value):
    with pytest.raises(InputError, match="group_correlation"):
        Prior(group_correlation=value)
