"""The prior against its formulas written out, and the gauge against what it replaces."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import expit
from small import table

from sloth_jax.covariates import fit_scaling
from sloth_jax.law import linear_predictor
from sloth_jax.links import STEPS
from sloth_jax.observations import Observations, observe
from sloth_jax.prior import (
    Gauge,
    GaugedLoadings,
    Scales,
    choose_gauge,
    draw_family_effects,
    expected_family_effects,
    hierarchical_law,
)

SKILLS = 2
T_NOISE = Scales(noise_df=4.0)


def observations(*, dirty: bool = False) -> tuple[Observations, int]:
    """Arrays of a table; a dirty one has standard errors, and scores of two sources."""
    data, _ = table()
    measured = data.scores.copy()
    measured[:4, 1] = np.nan  # family0 has no score on ARC
    measured[6, :2] = np.nan
    measured[7, 0] = 0.2  # below chance
    data = replace(data, scores=measured)
    if dirty:
        errors = np.full(measured.shape, np.nan)
        errors[::2, 2] = 0.02
        errors[3] = 0.1
        source = np.zeros(measured.shape, int)
        source[10:12] = 1
        data = replace(data, standard_errors=errors, source=source, sources=("board", "ours"))
    return observe(data, fit_scaling(data.params_b, data.tokens_t)), len(data.lineages)


def sites(seed: int, scales: Scales = Scales(), *, dirty: bool = False) -> dict[str, jax.Array]:
    arrays, lineages = observations(dirty=dirty)
    joint = numpyro.handlers.seed(hierarchical_law, seed)
    trace = numpyro.handlers.trace(joint).get_trace(
        arrays, skills=SKILLS, lineages=lineages, scales=scales
    )
    return {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] == "sample" and not site["is_observed"]
    }


def state_at(values: dict[str, jax.Array], scales: Scales = Scales()):
    arrays, lineages = observations()
    joint = numpyro.handlers.substitute(hierarchical_law, values)
    return joint(arrays, skills=SKILLS, lineages=lineages, scales=scales)


def inverse_link(v: dict[str, np.ndarray], share: np.ndarray, j: int) -> tuple:
    """H and H' of one benchmark by the formula of the docstring."""
    base = np.array([4, 4, 1, 1, 1, 1, 1]) / 13
    weight = base * np.exp(v["link_tilt"][:, j])
    weight /= weight.sum()

    def started_log(s, slack):
        end = 0.3 * slack
        inside = np.maximum(s + slack, end)
        return np.log(inside) + np.minimum(s + slack - end, 0) / end, 1 / inside

    low, low_rate = started_log(share, v["link_slack"][j])
    high, high_rate = started_log(1 - share, 0.02)
    value, rate = weight[0] * low - weight[1] * high, weight[0] * low_rate + weight[1] * high_rate
    for k, at in enumerate(STEPS):
        width = 0.06 + 0.1 * at
        step = expit((share - at) / width)
        value += weight[2 + k] * 4 * step
        rate += weight[2 + k] * 4 * step * (1 - step) / width
    return value, rate


@pytest.mark.parametrize(
    ("scales", "dirty"),
    [(Scales(), False), (T_NOISE, False), (Scales(), True)],
    ids=["normal", "student", "standard errors and sources"],
)
def test_joint_density_is_the_one_written_out(scales, dirty):
    arrays, lineages = observations(dirty=dirty)
    values = sites(3, scales, dirty=dirty)
    found, _ = log_density(
        hierarchical_law,
        (arrays,),
        {"skills": SKILLS, "lineages": lineages, "scales": scales},
        values,
    )
    v = {name: np.asarray(value) for name, value in values.items()}

    def normal(name, scale):
        return stats.norm.logpdf(v[name], 0.0, scale).sum()

    def learnt(name, median):
        return stats.lognorm.logpdf(v[name], scales.spread, scale=median).sum()

    expected = normal("slope", scales.slope) + normal("loading", scales.loading)
    expected += normal("bias", scales.bias) + normal("link_tilt", scales.link)
    expected += learnt("link_slack", 0.02) + learnt("lineage_scale", scales.lineage)
    expected += normal("post_training", scales.post_training)
    expected += learnt("specific_scale", scales.specific) + learnt("growth_scale", scales.growth)
    expected += learnt("specific_growth_scale", scales.specific_growth)
    expected += learnt("noise", scales.noise) + normal("own", 1.0)
    if dirty:
        expected += normal("offset", 1.0) + learnt("offset_scale", scales.offset)
    weight = np.ones(arrays.scores.shape)
    if scales.noise_df is not None:
        weight = v["score_weight"]
        expected += stats.gamma.logpdf(weight, 2.0, scale=0.5).sum()

    seen, x = np.asarray(arrays.observed), np.asarray(arrays.covariates)
    family, lineage = np.asarray(arrays.family), np.asarray(arrays.lineage)
    z, sampling = np.zeros(seen.shape), np.zeros(seen.shape)
    for j in range(seen.shape[1]):
        c = float(arrays.floor[j])
        share = (np.asarray(arrays.scores)[:, j] - c) / (1 - c)
        value, rate = inverse_link(v, share, j)
        on = seen[:, j]
        # one more model, with scores spread evenly
        even, _ = inverse_link(v, np.linspace(0, 1, 21), j)
        count = on.sum()
        centre = (value[on].sum() + even.mean()) / (count + 1)
        square = ((value[on] - centre) ** 2).sum() + ((even - centre) ** 2).mean()
        spread = np.sqrt(square / (count + 1))
        z[:, j] = (value - centre) / spread
        expected += np.log(rate[on] / spread / (1 - c)).sum()
        sampling[:, j] = rate / spread / (1 - c) * np.asarray(arrays.standard_error)[:, j]
    start = np.asarray(arrays.family_covariates)[family, 0]
    w = np.tanh(x[:, 0] - start)
    entries = [(m, j) for m in range(len(x)) for j in range(seen.shape[1]) if seen[m, j]]
    mean, covariance = np.zeros(len(entries)), np.zeros((len(entries), len(entries)))
    for a, (m, j) in enumerate(entries):
        shift = np.asarray(arrays.post_trained)[family[m]] * v["post_training"]
        own = scales.model * v["own"][m]
        mean[a] = v["bias"][j] + v["loading"][j] @ (shift + x[m] @ v["slope"] + own)
        if dirty and m in (10, 11):
            mean[a] += v["offset_scale"] * v["offset"][1, j]
        for b, (n, i) in enumerate(entries):
            both = v["loading"][j] @ v["loading"][i]
            if lineage[family[m]] == lineage[family[n]]:
                covariance[a, b] += both * v["lineage_scale"] ** 2
            if family[m] == family[n]:
                covariance[a, b] += both * (1 + v["growth_scale"] ** 2 * w[m] * w[n])
                if i == j:
                    covariance[a, b] += v["specific_scale"][j] ** 2
                    covariance[a, b] += v["specific_growth_scale"][j] ** 2 * w[m] * w[n]
        covariance[a, a] += v["noise"][j] ** 2 / weight[m, j] + sampling[m, j] ** 2
    measured = np.array([z[m, j] for m, j in entries])
    expected += stats.multivariate_normal.logpdf(measured, mean, covariance)
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_hidden_scores_do_not_enter_the_density():
    arrays, lineages = observations()
    values = sites(4)
    other = arrays._replace(scores=jnp.where(arrays.observed, arrays.scores, 0.7))
    kwargs = {"skills": SKILLS, "lineages": lineages}
    a, _ = log_density(hierarchical_law, (arrays,), kwargs, values)
    b, _ = log_density(hierarchical_law, (other,), kwargs, values)
    assert a == b


@pytest.mark.parametrize("case", ["constant column", "zero", "one", "single score"])
def test_odd_scores_have_a_finite_density_and_gradient(case):
    arrays, lineages = observations()
    measured = arrays.scores
    if case == "constant column":
        measured = measured.at[:, 2].set(0.5)
    elif case == "single score":
        arrays = arrays._replace(observed=arrays.observed.at[1:, 2].set(False))
    else:
        measured = measured.at[3].set(0.0 if case == "zero" else 1.0)
    arrays = arrays._replace(scores=measured)
    kwargs = {"skills": SKILLS, "lineages": lineages}
    value, gradient = jax.value_and_grad(
        lambda values: log_density(hierarchical_law, (arrays,), kwargs, values)[0]
    )(sites(5))
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_the_gauge_only_fixes_the_rotation():
    loading = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    rotation, gauge = choose_gauge(loading)
    turned = loading @ rotation
    np.testing.assert_allclose(turned @ turned.T, loading @ loading.T, atol=1e-12)
    top = turned[np.argmax(gauge.diagonal, axis=0)]
    np.testing.assert_allclose(top, np.tril(top), atol=1e-12)
    assert (np.diag(top) > 0).all()
    assert np.abs(np.asarray(turned)[np.asarray(gauge.above) > 0]).max() < 1e-12
    gauged = GaugedLoadings(0.4, gauge)
    np.testing.assert_allclose(gauged.loading(gauged.numbers(turned)), turned, atol=1e-12)


def test_gauged_loadings_are_triangles_of_normal_matrices():
    # In law: loadings times their transpose do not depend on the rotation.
    diagonal = jnp.zeros((4, 2)).at[2, 0].set(1.0).at[1, 1].set(1.0)
    gauged = GaugedLoadings(0.7, Gauge(diagonal, jnp.zeros((4, 2)).at[2, 1].set(1.0)))
    draws = jax.vmap(gauged.loading)(gauged.sample(jax.random.key(0), (4000,)))
    free = 0.7 * np.random.default_rng(1).normal(size=(4000, 4, 2))
    for a, b in ((0, 2), (1, 2), (2, 2), (1, 1)):
        ours = np.einsum("nk,nk->n", draws[:, a], draws[:, b])
        theirs = np.einsum("nk,nk->n", free[:, a], free[:, b])
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


def test_gauged_loadings_have_the_density_they_are_drawn_with():
    diagonal = jnp.zeros((3, 2)).at[2, 0].set(1.0).at[1, 1].set(1.0)
    gauged = GaugedLoadings(0.7, Gauge(diagonal, jnp.zeros((3, 2)).at[2, 1].set(1.0)))
    value = gauged.sample(jax.random.key(3))
    expected = stats.norm.logpdf(value[2, 1])  # stands in
    expected += stats.norm.logpdf(np.append(value[0], value[1, 0]), 0.0, 0.7).sum()
    for df, log_x in ((2, value[2, 0]), (1, value[1, 1])):
        # density of the logarithm: that of x, times x
        expected += stats.chi.logpdf(np.exp(log_x), df, scale=0.7) + log_x
    assert float(gauged.log_prob(value)) == pytest.approx(float(expected), rel=1e-12)


def test_effects_bring_expected_predictors_to_the_measured_ones():
    # With next to no noise the law with its effects goes through every score.
    values = sites(7) | {"noise": jnp.full(4, 1e-4), "specific_scale": jnp.full(4, 3.0)}
    values |= {"specific_growth_scale": jnp.full(4, 30.0)}
    arrays, _ = observations()
    one_each = arrays.observed & (jnp.arange(24) % 4 == 0)[:, None]  # one model per family
    arrays = arrays._replace(observed=one_each)
    joint = numpyro.handlers.substitute(hierarchical_law, values)
    state = joint(arrays, skills=SKILLS, lineages=3)
    params, _ = expected_family_effects(state)
    floor = arrays.floor[None]
    share = (arrays.scores - floor) / (1 - floor)
    measured, _ = state.params.link.inverse(share)
    found = linear_predictor(params, arrays.covariates, arrays.family)
    np.testing.assert_allclose(found[one_each], measured[one_each], atol=1e-4)


def test_drawn_effects_scatter_around_the_expected_ones():
    state = state_at(sites(8))
    keys = jax.random.split(jax.random.key(0), 3000)
    drawn, population = jax.jit(jax.vmap(lambda key: draw_family_effects(state, key)))(keys)
    expected, _ = expected_family_effects(state)
    for name in ("intercept", "growth", "specific", "specific_growth"):
        sample = np.asarray(getattr(drawn, name))
        error = sample.std(axis=0) / np.sqrt(len(keys))
        assert (np.abs(sample.mean(axis=0) - getattr(expected, name)) < 4.5 * error).all(), name
    assert population.lineage.shape == (3000, 3, SKILLS)


def test_scores_drawn_from_the_prior_look_like_scores():
    arrays, lineages = observations()

    def simulate(seed: int) -> np.ndarray:
        model = numpyro.handlers.seed(hierarchical_law, seed)
        # Nothing observed: effects come from their prior. The link is that of the table.
        link = model(arrays, skills=SKILLS, lineages=lineages).params.link
        hidden = arrays._replace(observed=jnp.zeros_like(arrays.observed))
        state = model(hidden, skills=SKILLS, lineages=lineages)
        params, _ = draw_family_effects(state, jax.random.key(seed))
        eta = linear_predictor(params, arrays.covariates, arrays.family)
        return np.asarray(link.share(eta))

    share = np.array([simulate(seed) for seed in range(40)])
    assert np.isfinite(share).all()
    # Neither all at chance or perfect, nor all in the middle.
    assert 0.05 < np.mean(share < 0.02) + np.mean(share > 0.98) < 0.7
    assert np.mean((share > 0.1) & (share < 0.9)) > 0.25
