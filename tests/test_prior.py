"""The prior against its formulas written out, and its devices against what they replace."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.infer.util import log_density
from scipy import stats
from small import table

from sloth_jax.covariates import fit_scaling
from sloth_jax.law import scores
from sloth_jax.observations import Observations, observe
from sloth_jax.prior import (
    FamilyLevels,
    Scales,
    choose_pivots,
    draw_family_effects,
    hierarchical_law,
    rotation_to_pivots,
    split_loading,
)

SKILLS = 2


def observations() -> tuple[Observations, int]:
    data, _ = table()
    measured = data.scores.copy()
    measured[:4, 1] = np.nan  # family0 has no score on ARC
    measured[6, :2] = np.nan
    data = type(data)(**{**vars(data), "scores": measured})
    return observe(data, fit_scaling(data.params_b, data.tokens_t)), len(data.lineages)


def sites(seed: int, pivots: tuple[int, ...] | None = None) -> dict[str, jax.Array]:
    arrays, lineages = observations()
    joint = numpyro.handlers.seed(hierarchical_law, seed)
    trace = numpyro.handlers.trace(joint).get_trace(
        arrays, skills=SKILLS, lineages=lineages, pivots=pivots
    )
    return {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] == "sample" and not site["is_observed"]
    }


@pytest.mark.parametrize("skills", [1, 2, 3])
def test_family_levels_have_the_density_of_a_multivariate_normal(skills):
    keys = jax.random.split(jax.random.key(skills), 4)
    loc, value = jax.random.normal(keys[0], (3, 5)), jax.random.normal(keys[1], (3, 5))
    loading = jax.random.normal(keys[2], (5, skills))
    scale = jnp.exp(0.5 * jax.random.normal(keys[3], (5,)))
    seen = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], dtype=bool)
    found = FamilyLevels(loc, loading, scale, jnp.asarray(seen)).log_prob(value)
    covariance = np.asarray(loading @ loading.T) + np.diag(np.asarray(scale) ** 2)
    for f in range(3):
        on, off = np.flatnonzero(seen[f]), np.flatnonzero(~seen[f])
        expected = stats.norm.logpdf(value[f, off]).sum()  # stand-ins
        if on.size:
            expected += stats.multivariate_normal.logpdf(
                value[f, on], loc[f, on], covariance[np.ix_(on, on)]
            )
        assert found[f] == pytest.approx(expected)


def test_family_levels_are_drawn_with_their_covariance():
    loading, scale = jnp.asarray([[1.0], [0.5], [-0.7]]), jnp.asarray([0.3, 0.2, 0.5])
    levels = FamilyLevels(jnp.ones((1, 3)), loading, scale, jnp.ones((1, 3), bool))
    draws = np.asarray(levels.sample(jax.random.key(0), (40_000,)))[:, 0]
    expected = np.asarray(loading @ loading.T) + np.diag(np.asarray(scale) ** 2)
    # Standard error of a covariance of normals: sqrt((s_ii s_jj + s_ij^2) / n).
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / len(draws))
    assert (np.abs(np.cov(draws.T) - expected) < 4 * error).all()
    assert (np.abs(draws.mean(axis=0) - 1.0) < 4 * np.sqrt(variances / len(draws))).all()


def test_joint_density_is_the_one_written_out():
    arrays, lineages = observations()
    values = sites(3)
    scales = Scales()
    found, _ = log_density(
        hierarchical_law, (arrays,), {"skills": SKILLS, "lineages": lineages}, values
    )
    v = {name: np.asarray(value) for name, value in values.items()}

    def normal(value, scale):
        return stats.norm.logpdf(value, 0.0, scale).sum()

    def learnt(value, median):
        return stats.lognorm.logpdf(value, scales.spread, scale=median).sum()

    expected = normal(v["slope"], scales.slope) + normal(v["loading"], scales.loading)
    expected += normal(v["bias"], scales.bias) + normal(v["link_tilt"], scales.link)
    expected += learnt(v["lineage_scale"], scales.lineage) + normal(v["lineage_unit"], 1.0)
    expected += normal(v["post_training"], scales.post_training)
    expected += learnt(v["specific_scale"], scales.specific)
    expected += learnt(v["growth_scale"], scales.growth) + normal(v["growth_unit"], 1.0)
    expected += learnt(v["specific_growth_scale"], scales.growth)
    expected += normal(v["specific_growth_unit"], 1.0)
    expected += learnt(v["noise"], scales.noise)
    covariance = v["loading"] @ v["loading"].T + np.diag(v["specific_scale"] ** 2)
    lineage = v["lineage_scale"] * v["lineage_unit"]
    growth = v["growth_scale"] * v["growth_unit"] @ v["loading"].T
    growth = growth + v["specific_growth_scale"] * v["specific_growth_unit"]
    x = np.asarray(arrays.covariates)
    from sloth_jax.links import Mixture

    link = Mixture(values["link_tilt"])
    for f in range(len(arrays.lineage)):
        alpha = lineage[arrays.lineage[f]] + arrays.post_trained[f] * v["post_training"]
        mean = v["bias"] + v["loading"] @ (alpha + arrays.family_covariates[f] @ v["slope"])
        seen = np.asarray(arrays.family_observed[f])
        on, off = np.flatnonzero(seen), np.flatnonzero(~seen)
        expected += stats.multivariate_normal.logpdf(
            v["level"][f, on], mean[on], covariance[np.ix_(on, on)]
        )
        expected += stats.norm.logpdf(v["level"][f, off]).sum()
        for m in np.flatnonzero(np.asarray(arrays.family) == f):
            away = x[m] - np.asarray(arrays.family_covariates[f])
            eta = v["level"][f] + v["loading"] @ (away @ v["slope"]) + growth[f] * away[0]
            c = np.asarray(arrays.floor)
            mu = c + (1 - c) * np.asarray(link(jnp.asarray(eta)))
            density = stats.t.logpdf(
                np.asarray(arrays.scores[m]), scales.noise_df, loc=mu, scale=v["noise"]
            )
            expected += density[np.asarray(arrays.observed[m])].sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-10)


def test_hidden_scores_do_not_enter_the_density():
    arrays, lineages = observations()
    values = sites(4)
    other = arrays._replace(scores=jnp.where(arrays.observed, arrays.scores, 0.7))
    kwargs = {"skills": SKILLS, "lineages": lineages}
    a, _ = log_density(hierarchical_law, (arrays,), kwargs, values)
    b, _ = log_density(hierarchical_law, (other,), kwargs, values)
    assert a == b


def test_pivots_only_fix_the_rotation():
    rng = np.random.default_rng(0)
    loading = rng.normal(size=(5, 3))
    pivots = choose_pivots(loading)
    turned = loading @ rotation_to_pivots(loading, pivots)
    np.testing.assert_allclose(turned @ turned.T, loading @ loading.T, atol=1e-12)
    top = turned[list(pivots)]
    np.testing.assert_allclose(top, np.tril(top), atol=1e-12)
    assert (np.diag(top) > 0).all()


def test_pinned_loadings_have_the_density_of_a_triangle_of_a_normal_matrix():
    # The diagonal of such a triangle is chi-distributed with skills, skills - 1, ... 1 degrees.
    arrays, lineages = observations()
    pivots = (2, 0)
    values = sites(5, pivots)
    kwargs = {"skills": SKILLS, "lineages": lineages, "pivots": pivots}

    def log_prior(diagonal):
        state = {**values, "loading_diagonal": jnp.asarray(diagonal)}
        joint, trace = log_density(hierarchical_law, (arrays,), kwargs, state)
        # Leave only what depends on the loadings alone.
        dependent = sum(
            jnp.sum(trace[name]["fn"].log_prob(trace[name]["value"]) * mask)
            for name, mask in (("level", 1.0), ("scores", arrays.observed))
        )
        return float(joint - dependent)

    a, b = [0.4, 1.1], [1.3, 0.2]
    chi = [stats.chi(df, scale=Scales().loading) for df in (2, 1)]
    expected = sum(c.logpdf(p) - c.logpdf(q) for c, p, q in zip(chi, a, b, strict=True))
    assert log_prior(a) - log_prior(b) == pytest.approx(expected)


def test_split_loading_is_undone_by_the_prior():
    arrays, lineages = observations()
    rng = np.random.default_rng(1)
    loading = rng.normal(size=(4, SKILLS))
    pivots = choose_pivots(loading)
    loading = loading @ rotation_to_pivots(loading, pivots)
    values = {**sites(6, pivots), **split_loading(loading, pivots)}
    joint = numpyro.handlers.substitute(hierarchical_law, values)
    state = joint(arrays, skills=SKILLS, lineages=lineages, pivots=pivots)
    np.testing.assert_allclose(state.params.loading, loading, atol=1e-12)


def test_drawn_family_effects_change_no_observed_score_and_follow_their_conditional():
    arrays, lineages = observations()
    joint = numpyro.handlers.substitute(hierarchical_law, sites(7))
    state = joint(arrays, skills=SKILLS, lineages=lineages)
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = jax.vmap(lambda key: draw_family_effects(state, arrays, key))(keys)
    before = scores(state.params, arrays.covariates, arrays.family)
    after = scores(jax.tree.map(lambda a: a[0], drawn), arrays.covariates, arrays.family)
    seen = np.asarray(arrays.family_observed[arrays.family])
    np.testing.assert_allclose(after[seen], before[seen], atol=1e-9)

    # Conditional of effect given level, by the textbook formula for joint normals.
    params, scale = state.params, np.asarray(state.population.specific_scale)
    loading = np.asarray(params.loading)
    effect = np.asarray(drawn.intercept) - np.asarray(params.intercept)
    for f in range(2):  # family 0 lacks a benchmark, family 1 has all
        on = np.flatnonzero(arrays.family_observed[f])
        mean_x = arrays.family_covariates[f]
        theta = params.intercept[f] + params.growth[f] * mean_x[0] + mean_x @ params.slope
        residual = np.asarray(state.level[f] - params.bias - params.loading @ theta)[on]
        marginal = loading[on] @ loading[on].T + np.diag(scale[on] ** 2)
        gain = loading[on].T @ np.linalg.inv(marginal)
        mean, covariance = gain @ residual, np.eye(SKILLS) - gain @ loading[on]
        error = np.sqrt(np.diag(covariance) / len(keys))
        assert (np.abs(effect[:, f].mean(axis=0) - mean) < 4 * error).all()
        spread = effect[:, f].var(axis=0)
        assert np.allclose(spread, np.diag(covariance), rtol=4 * np.sqrt(2 / len(keys)))
