"""Large lineages by families and coefficients, against one big normal and the plain program."""

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
    dense_density,
    expected,
    free_parts,
    lineage_log_densities,
    log_density,
    members,
    nested,
)

from sloth_jax.effects.bins import Bins, NestedBins
from sloth_jax.effects.conditioning import zero_normals
from sloth_jax.effects.density import Problem
from sloth_jax.effects.packing import covariate_priors_among, fill_bins, nested_bins
from sloth_jax.effects.spread import Spread

SIZES = np.array([-0.4, 0.0, 1.1, 1.2, 1.4, 3.7])  # between three of them a walk is straight


def few_sizes(seed: int, skills: int = 2) -> Case:
    """A case with six sizes, most models alone in their families, but one family of seven."""
    one = case(seed, skills, lineages=14)
    x = SIZES[np.random.default_rng(seed).integers(0, 6, one.x.size)]
    rank = np.array([(one.lineage[:at] == one.lineage[at]).sum() for at in range(x.size)])
    family = 7 * one.lineage + np.where(one.lineage % 2, rank % 4, rank)
    return one._replace(x=x, family=np.where(one.lineage == 6, 42, family))


@pytest.mark.parametrize("skills", [1, 3])
def test_density_and_gradient_are_those_of_the_plain_program(skills):
    one = few_sizes(0, skills)
    bins = nested(one)
    assert len(bins[0].families) == 2  # small families apart from large ones
    plain, flat = free_parts(one)
    apart, _ = free_parts(one, bins)
    # Side by side, as draws are: elsewhere on the second axis.
    positions = jnp.stack([flat, flat + 0.1])
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(apart)))(positions)
    assert float(value[0]) == pytest.approx(dense_density(one), rel=EXACT)
    exact, slope = jax.jit(jax.vmap(jax.value_and_grad(plain)))(positions)
    np.testing.assert_allclose(value, exact, rtol=EXACT)
    np.testing.assert_allclose(gradient, slope, atol=EXACT * np.abs(slope).max())
    assert np.abs(slope).max() > 1.0


def test_curvature_is_that_of_the_plain_program():
    one = few_sizes(1)
    plain, flat = free_parts(one)
    apart, _ = free_parts(one, nested(one))
    v = jax.random.normal(jax.random.key(0), flat.shape)
    found, exact = (
        jax.jit(lambda at, f=f: jax.jvp(jax.grad(f), (at,), (v,))[1])(flat) for f in (apart, plain)
    )
    np.testing.assert_allclose(found, exact, atol=EXACT * np.abs(exact).max())


def test_lineages_and_expected_effects_are_those_of_the_plain_program():
    one = few_sizes(2)
    bins = nested(one)
    found = lineage_log_densities(one.problem, bins, 14)
    exact = lineage_log_densities(one.problem, one.bins, 14)
    np.testing.assert_allclose(found, exact, rtol=EXACT, atol=EXACT)
    assert float(found[2]) == pytest.approx(0.0, abs=EXACT)  # has no score
    np.testing.assert_allclose(expected(one, bins), expected(one), atol=EXACT)


def test_labels_and_order_do_not_matter():
    one, rng = few_sizes(3), np.random.default_rng(1)
    density = float(log_density(one.problem, nested(one)))
    renamed = one._replace(family=rng.permutation(98)[one.family], lineage=13 - one.lineage)
    permuted = one.rows(rng.permutation(one.family.size))
    for other in (renamed, permuted):
        found = float(log_density(other.problem, nested(other)))
        assert found == pytest.approx(density, rel=EXACT)


def test_families_without_a_score_change_nothing():
    one = few_sizes(4)
    hidden = (one.family % 3 == 0)[:, None]
    p = one.problem
    p = p._replace(
        seen=p.seen * ~hidden,
        residual=jnp.where(hidden, 1e6, p.residual),
        variance=jnp.where(hidden, jnp.nan, p.variance),
    )
    one = one._replace(problem=p)
    scored = one.rows(one.seen.any(axis=1))
    bins = nested(one)
    density, slope = jax.jit(
        jax.value_and_grad(lambda r: log_density(p._replace(residual=r), bins))
    )(p.residual)
    assert float(density) == pytest.approx(dense_density(scored), rel=EXACT)
    assert np.isfinite(slope).all()
    assert (np.asarray(slope)[~one.seen] == 0.0).all()


def test_unknown_covariates_of_families_are_those_of_the_present_path():
    one, rng = few_sizes(6), np.random.default_rng(6)
    unknown = rng.random(one.family.size) < 0.5
    priors = {}
    for at in (0, 3, 5):
        rows = np.flatnonzero(one.lineage == at)
        root = rng.normal(size=(rows.size, rows.size))
        same = (one.family[rows, None] == one.family[rows]) & unknown[rows, None] & unknown[rows]
        block = np.where(same, root @ root.T, 0.0) + np.eye(rows.size)
        priors[at] = (rows, block[None])
    unknown &= np.isin(one.lineage, list(priors))
    slope = rng.normal(size=(1, *one.seen.shape)) * unknown[:, None]
    p = one.problem._replace(slope=jnp.asarray(slope))
    table = (one.lineage, one.family, one.x, one.seen, priors)
    plain = fill_bins(*table, unknown_size=np.ones(unknown.shape, bool))
    apart = (nested_bins(np.unique(one.lineage), *table),)
    free = (p.residual, p.loading, p.slope, p.skill, p.benchmark[:4])

    def of(bins):
        def density(residual, loading, slope, skill, benchmark):
            own = Spread(*benchmark, p.benchmark.model)
            made = Problem(residual, p.variance, p.seen, loading, skill, own, slope)
            return log_density(made, bins)

        found = jax.jit(jax.value_and_grad(density, argnums=range(5)))(*free)
        who = members(one)
        return found, condition(p, bins, who, zero_normals(who, BENCHMARKS, p.loading.shape[1]))

    for exact, found in zip(jax.tree.leaves(of(plain)), jax.tree.leaves(of(apart)), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-8)
    rows = np.flatnonzero(np.isin(one.lineage, (3, 5)))
    found = covariate_priors_among(apart, rows, one.lineage[rows])
    for at in (3, 5):
        own, block = found[at]
        order = np.argsort(own)
        np.testing.assert_allclose(block[:, order][:, :, order], priors[at][1])


def shaped(sizes: list[int], copies: int) -> tuple[Bins | NestedBins, ...]:
    """Bins of so many lineages, each with families of these sizes, and of 40 lone models."""
    each = np.repeat(np.arange(len(sizes)), sizes)
    family = np.concatenate([each + len(sizes) * at for at in range(copies)])
    lineage = np.repeat(np.arange(copies), len(each))
    lone = np.arange(40)
    family = np.append(family, family.max() + 1 + lone)
    lineage = np.append(lineage, copies + lone)
    seen = np.ones((len(family), 2), bool)
    return fill_bins(lineage, family, np.resize([0.0, 1.0, 2.0], len(family)), seen)


def test_lineages_are_taken_apart_where_that_pays():
    # As large as the largest of the bundled tables, and a hundred times the work of one of them.
    assert all(isinstance(kind, Bins) for kind in shaped([4] * 9, 3))
    # Many models of one family are as many places as before.
    assert all(isinstance(kind, Bins) for kind in shaped([150], 2))
    *plain, apart = shaped([1] * 120 + [4] * 20, 2)
    assert len(plain) == 1
    assert plain[0].rows.shape == (40, 2)
    assert isinstance(apart, NestedBins)
    np.testing.assert_array_equal(apart.lineage, [0, 1])
    rows = np.concatenate([np.asarray(k.rows)[np.asarray(k.mask) > 0] for k in apart.families])
    np.testing.assert_array_equal(np.sort(rows), np.arange(400))


def test_functions_make_up_level_and_walk():
    one = few_sizes(5)
    chosen = np.unique(one.lineage)
    (bins,) = nested(one)
    level = np.asarray(bins.level_share)
    functions = np.zeros((one.x.size, level.shape[1]))
    for kind, basis in zip(bins.families, bins.basis, strict=True):
        mask = np.asarray(kind.mask) > 0
        functions[np.asarray(kind.rows)[mask]] = np.asarray(basis).reshape(*mask.shape, -1)[mask]
    for at, lineage in enumerate(chosen):
        rows = one.lineage == lineage
        t, share = functions[rows], level[at]
        walk = one.basis[rows, 1:] @ one.basis[rows, 1:].T
        np.testing.assert_allclose((t * share) @ t.T, np.ones_like(walk), atol=EXACT)
        np.testing.assert_allclose((t * (1.0 - share)) @ t.T, walk, atol=EXACT)
    six = nested_bins(np.array([0]), np.zeros(6, int), np.arange(6), SIZES, np.ones((6, 1), bool))
    assert six.level_share.shape == (1, 5)
