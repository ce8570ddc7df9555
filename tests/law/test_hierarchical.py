"""The hierarchical law against its formulas written out, and the pivots against what it
replaces."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import expit
from small import table

from sloth_jax.effects.conditioning import zero_normals
from sloth_jax.inference.observe import observe
from sloth_jax.law import hierarchical
from sloth_jax.law.forward import Effects, linear_predictor
from sloth_jax.law.hierarchical import (
    Density,
    RawParams,
    SharedLaw,
    zero_raw_params,
)
from sloth_jax.law.links import STEPS
from sloth_jax.law.observations import Observations
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots, TriangularLoadings, choose_pivots
from sloth_jax.law.predictive import effects_of_table, noisy_scores
from sloth_jax.law.surface import fit_surface

SKILLS = 2
GAUGE = Pivots(
    jnp.zeros((4, SKILLS)).at[2, 0].set(1.0).at[1, 1].set(1.0),
    jnp.zeros((4, SKILLS)).at[2, 1].set(1.0),
)
PRIOR = Prior()
# One program each: a step at a time they would be hundreds.
log_likelihood = jax.jit(hierarchical.log_likelihood)
effects_problem = jax.jit(hierarchical.effects_problem)


@jax.jit
def potential(arrays: Observations, pivots: Pivots | None, at: RawParams) -> jax.Array:
    """Minus the log density."""
    return Density(arrays, PRIOR, pivots).potential(at)


@jax.jit
def law_of(arrays: Observations, at: RawParams) -> SharedLaw:
    return Density(arrays, PRIOR).law(at)


def observations(*, dirty: bool = False, families: int = 6) -> Observations:
    """Arrays of a table; a dirty one has standard errors, and scores of two sources."""
    data, _ = table(families=families)
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
    return observe(data, fit_surface(data, kind="translog"))


def numbers(arrays: Observations, seed: int = 0, skills: int = SKILLS) -> RawParams:
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda blank: jnp.asarray(0.7 * rng.normal(size=blank.shape)),
        zero_raw_params(arrays, skills, PRIOR),
    )


def inverse_link(tilt: np.ndarray, slack: float, share: np.ndarray) -> tuple:
    """H and H' of one benchmark by the formula of the docstring."""
    weight = np.array([4, 4, 1, 1, 1, 1, 1]) / 13 * np.exp(tilt)
    weight /= weight.sum()

    def started_log(s, slack):
        end = 0.3 * slack
        inside = np.maximum(s + slack, end)
        return np.log(inside) + np.minimum(s + slack - end, 0) / end, 1 / inside

    low, low_rate = started_log(share, slack)
    high, high_rate = started_log(1 - share, 0.02)
    value, rate = weight[0] * low - weight[1] * high, weight[0] * low_rate + weight[1] * high_rate
    for k, at in enumerate(STEPS):
        width = 0.06 + 0.1 * at
        step = expit((share - at) / width)
        value += weight[2 + k] * 4 * step
        rate += weight[2 + k] * 4 * step * (1 - step) / width
    return value, rate


def joint_by_hand(arrays: Observations, n: RawParams, pivots: Pivots | None) -> float:
    """Log density of numbers and scores, from the docstrings and scipy."""
    p, seen = PRIOR, np.asarray(arrays.observed)
    parts = {name: np.asarray(value) for name, value in n._asdict().items() if value is not None}
    loading = p.loading * parts["loading"]
    found = sum(
        stats.norm.logpdf(value).sum() for name, value in parts.items() if name != "loading"
    )
    if pivots is None:
        found += stats.norm.logpdf(parts["loading"]).sum()
    else:  # of GAUGE
        loading = parts["loading"].copy()
        found += stats.norm.logpdf(loading[2, 1])  # stands in
        usual = np.delete(loading.ravel(), [2 * 2, 2 * 2 + 1, 2 * 1 + 1])
        found += stats.norm.logpdf(usual, 0.0, p.loading).sum()
        for at, df in (((2, 0), 2), ((1, 1), 1)):
            log_x = loading[at]
            # density of the logarithm: that of x, times x
            found += stats.chi.logpdf(np.exp(log_x), df, scale=p.loading) + log_x
            loading[at] = np.exp(log_x)
        loading[2, 1] = 0.0

    def level(median: float, at: float) -> float:
        return median * np.exp(p.level * at)

    medians = (p.lineage, p.lineage_walk, p.family, p.family_walk, p.model)
    on_skill = [level(m, at) ** 2 for m, at in zip(medians, parts["skill_spread"], strict=True)]
    medians = (
        p.specific_lineage,
        p.specific_lineage_walk,
        p.specific_family,
        p.specific_family_walk,
    )
    alone = [
        (level(m, at) * np.exp(p.between * each)) ** 2
        for m, at, each in zip(medians, parts["spread_level"], parts["spread"], strict=True)
    ]
    noise = level(p.noise, parts["noise_level"]) * np.exp(p.between * parts["noise"])

    x = np.asarray(arrays.design)
    slope, specific = p.slope * parts["slope"], p.specific_slope * parts["specific_slope"]
    slope[-1] = p.post_training * parts["slope"][-1]
    specific[-1] = p.specific_post_training * parts["specific_slope"][-1]
    z, sampling = np.zeros(seen.shape), np.zeros(seen.shape)
    for j in range(seen.shape[1]):
        c, on = float(arrays.floor[j]), seen[:, j]
        share = (np.asarray(arrays.scores)[:, j] - c) / (1 - c)
        shape = (p.link * parts["link"][:-1, j], 0.02 * np.exp(p.slack * parts["link"][-1, j]))
        value, rate = inverse_link(*shape, share)
        # one more model, with scores spread evenly
        even, _ = inverse_link(*shape, np.linspace(0, 1, 21))
        count = on.sum()
        centre = (value[on].sum() + even.mean()) / (count + 1)
        square = ((value[on] - centre) ** 2).sum() + ((even - centre) ** 2).mean()
        spread = np.sqrt(square / (count + 1))
        z[:, j] = (value - centre) / spread
        found += np.log(rate[on] / spread / (1 - c)).sum()
        sampling[:, j] = rate / spread / (1 - c) * np.asarray(arrays.standard_error)[:, j]
    family, lineage = np.asarray(arrays.members.family), np.asarray(arrays.members.lineage)
    walk = np.asarray(arrays.members.basis)[:, 1:]
    entries = [(m, j) for m in range(len(x)) for j in range(seen.shape[1]) if seen[m, j]]
    mean, covariance = np.zeros(len(entries)), np.zeros((len(entries), len(entries)))
    for a, (m, j) in enumerate(entries):
        mean[a] = p.bias * parts["bias"][j] + loading[j] @ (x[m] @ slope) + x[m] @ specific[:, j]
        if int(arrays.source[m, j]) == 1:
            mean[a] += level(p.offset, parts["offset_scale"]) * parts["offset"][1, j]
        for b, (k, i) in enumerate(entries):
            w, close = walk[m] @ walk[k], family[m] == family[k]
            both, same = loading[j] @ loading[i], m == k
            if lineage[m] == lineage[k]:
                of = on_skill
                covariance[a, b] += both * (of[0] + of[1] * w + close * (of[2] + of[3] * w))
                if i == j:
                    of = [part[j] for part in alone]
                    covariance[a, b] += of[0] + of[1] * w + close * (of[2] + of[3] * w)
            covariance[a, b] += same * both * on_skill[4]
        covariance[a, a] += noise[j] ** 2 + sampling[m, j] ** 2
    measured = np.array([z[m, j] for m, j in entries])
    return float(found + stats.multivariate_normal.logpdf(measured, mean, covariance))


@pytest.mark.parametrize("pivots", [None, GAUGE], ids=["free", "pivots"])
@pytest.mark.parametrize("dirty", [False, True], ids=["plain", "errors and sources"])
def test_the_joint_density_is_the_one_written_out_and_numpyros(pivots, dirty):
    arrays = observations(dirty=dirty, families=4)
    at = numbers(arrays, 3)
    found = -float(potential(arrays, pivots, at))
    assert found == pytest.approx(joint_by_hand(arrays, at, pivots), rel=1e-9)

    @jax.jit
    def density_of_numpyro(arrays: Observations, at: RawParams) -> jax.Array:
        sites = {name: value for name, value in at._asdict().items() if value is not None}
        return log_density(Density(arrays, PRIOR, pivots).model, (SKILLS,), {}, sites)[0]

    theirs = density_of_numpyro(arrays, at)
    assert found == pytest.approx(float(theirs), rel=1e-12)


def test_the_gradient_agrees_with_finite_differences():
    arrays = observations(dirty=True)
    flat, unravel = ravel_pytree(numbers(arrays, 4))

    def minus_density(at: jax.Array) -> jax.Array:
        return potential(arrays, GAUGE, unravel(at))

    gradient, step = jax.jit(jax.grad(minus_density))(flat), 1e-5
    for seed in range(10):
        v = jax.random.normal(jax.random.key(seed), flat.shape)
        ahead, behind = (minus_density(flat + sign * step * v) for sign in (1.0, -1.0))
        difference = (ahead - behind) / (2 * step)
        assert float(gradient @ v) == pytest.approx(float(difference), rel=1e-6, abs=1e-4)


def test_rotating_skills_changes_no_likelihood():
    arrays = observations()
    law = law_of(arrays, numbers(arrays, 5))
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(SKILLS, SKILLS)))
    params = law.params._replace(slope=law.params.slope @ turn, loading=law.params.loading @ turn)
    before, after = (log_likelihood(one, arrays) for one in (law, law._replace(params=params)))
    assert float(after) == pytest.approx(float(before), rel=1e-10)
    # A matrix that is no rotation changes what spreads of skills mean.
    stretched = law.params._replace(slope=2.0 * law.params.slope, loading=law.params.loading / 2.0)
    other = log_likelihood(law._replace(params=stretched), arrays)
    assert abs(float(other - before)) > 1e-3


def test_the_gauge_only_fixes_the_rotation():
    loading = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    rotation, pivots = choose_pivots(loading)
    turned = loading @ rotation
    np.testing.assert_allclose(turned @ turned.T, loading @ loading.T, atol=1e-12)
    top = turned[np.argmax(pivots.diagonal, axis=0)]
    np.testing.assert_allclose(top, np.tril(top), atol=1e-12)
    assert (np.diag(top) > 0).all()
    assert np.abs(np.asarray(turned)[np.asarray(pivots.above) > 0]).max() < 1e-12
    gauged = TriangularLoadings(0.4, pivots)
    np.testing.assert_allclose(gauged.loading(gauged.raw(turned)), turned, atol=1e-12)


def test_gauged_loadings_are_triangles_of_normal_matrices():
    # In law: loadings times their transpose do not depend on the rotation.
    gauged = TriangularLoadings(0.7, GAUGE)
    draws = jax.vmap(gauged.loading)(gauged.sample(jax.random.key(0), (4000,)))
    free = 0.7 * np.random.default_rng(1).normal(size=(4000, 4, 2))
    for a, b in ((0, 2), (1, 2), (2, 2), (1, 1)):
        ours = np.einsum("nk,nk->n", draws[:, a], draws[:, b])
        theirs = np.einsum("nk,nk->n", free[:, a], free[:, b])
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


def test_gauged_loadings_have_the_density_they_are_drawn_with():
    pivots = Pivots(GAUGE.diagonal[:3], GAUGE.above[:3])
    gauged = TriangularLoadings(0.7, pivots)
    value = gauged.sample(jax.random.key(3))
    expected = stats.norm.logpdf(value[2, 1])  # stands in
    expected += stats.norm.logpdf(np.append(value[0], value[1, 0]), 0.0, 0.7).sum()
    for df, log_x in ((2, value[2, 0]), (1, value[1, 1])):
        # density of the logarithm: that of x, times x
        expected += stats.chi.logpdf(np.exp(log_x), df, scale=0.7) + log_x
    assert float(gauged.log_prob(value)) == pytest.approx(float(expected), rel=1e-12)


def test_labels_and_order_do_not_matter():
    data, _ = table()
    rng = np.random.default_rng(2)
    order, names = rng.permutation(len(data.models)), rng.permutation(len(data.families))
    by_model = ("params_b", "active_params_b", "tokens_t", "scores", "standard_errors", "source")
    moved = {name: getattr(data, name)[order] for name in by_model}
    renamed = replace(
        data,
        **moved,
        models=tuple(data.models[m] for m in order),
        released=tuple(data.released[m] for m in order),
        family=np.argsort(names)[data.family][order],
        families=tuple(data.families[f] for f in names),
        lineage_of_family=data.lineage_of_family[names],
        post_trained_of_family=data.post_trained_of_family[names],
    )
    found = []
    for one in (data, renamed):
        arrays = observe(one, fit_surface(one, kind="translog"))
        found.append(float(potential(arrays, None, numbers(arrays, 6))))
    assert found[0] == pytest.approx(found[1], rel=1e-10)


@pytest.mark.parametrize("error", [0.003, 0.01])
def test_a_standard_error_is_as_if_the_score_were_measured_with_it(error):
    # Laplace's approximation of the integral over the predictor; a score in the middle of the
    # range, and an error small beside the width of the link's steps.
    arrays = observations()
    only = jnp.zeros_like(arrays.observed).at[9, 3].set(True)
    arrays = arrays._replace(
        observed=only,
        standard_error=jnp.where(only, error, 0.0),
        scores=arrays.scores.at[9, 3].set(0.5),
    )
    law = law_of(arrays, numbers(arrays, 7))
    exact = arrays._replace(standard_error=jnp.zeros_like(arrays.standard_error))
    problem, _ = effects_problem(law, exact)
    centre = float(linear_predictor(law.params, arrays.design)[9, 3])
    # Everything else about the score: its density without an error is normal in the predictor.
    residual = float(problem.residual[9, 3])
    value, change = float(log_likelihood(law, exact)), float(effects_problem(law, exact)[1][9, 3])
    deviation = jnp.exp(jnp.linspace(-3.0, 3.0, 4001))
    at_normal = stats.norm.logpdf(residual, 0.0, np.asarray(deviation))
    sd = float(
        deviation[
            np.argmin(np.abs(at_normal - (value - change)) + (deviation < abs(residual)) * 1e9)
        ]
    )
    # p(score) = int N(eta; centre, sd^2) N(score; mu(eta), error^2) d eta
    eta = np.linspace(centre + residual - 2.0, centre + residual + 2.0, 200_001)
    blank = np.zeros((eta.size, 4))
    blank[:, 3] = eta
    share = np.asarray(law.params.link(jnp.asarray(blank)))[:, 3]
    floor = float(arrays.floor[3])
    given = stats.norm.pdf(0.5, floor + (1 - floor) * share, error)
    integral = np.sum(given * stats.norm.pdf(eta, centre, sd)) * (eta[1] - eta[0])
    assert float(log_likelihood(law, arrays)) == pytest.approx(float(np.log(integral)), abs=0.02)


def test_hidden_scores_do_not_enter_the_density():
    arrays = observations()
    other = arrays._replace(scores=jnp.where(arrays.observed, arrays.scores, 0.7))
    a, b = (potential(one, None, numbers(arrays, 8)) for one in (arrays, other))
    assert float(a) == float(b)


potential_and_gradient = jax.jit(jax.value_and_grad(potential, argnums=2))


@pytest.mark.parametrize("case", ["constant column", "zero", "one", "single score"])
def test_odd_scores_have_a_finite_density_and_gradient(case):
    arrays = observations()
    measured = arrays.scores
    if case == "constant column":
        measured = measured.at[:, 2].set(0.5)
    elif case == "single score":
        arrays = arrays._replace(observed=arrays.observed.at[1:, 2].set(False))
    else:
        measured = measured.at[3].set(0.0 if case == "zero" else 1.0)
    arrays = arrays._replace(scores=measured)
    value, gradient = potential_and_gradient(arrays, None, numbers(arrays, 9))
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_effects_bring_expected_predictors_to_the_measured_ones():
    # With next to no noise the law with its effects goes through every score.
    arrays = observations()
    arrays = arrays._replace(observed=arrays.observed & (jnp.arange(24) % 4 == 0)[:, None])
    law = law_of(arrays, numbers(arrays, 10))
    law = law._replace(
        noise=jnp.full(4, 1e-4), benchmark=law.benchmark._replace(family=jnp.full(4, 3.0))
    )
    effects, _ = jax.jit(effects_of_table)(arrays, law)
    share = (arrays.scores - arrays.floor[None]) / (1 - arrays.floor[None])
    measured, _ = law.params.link.inverse(share)  # pyright: ignore
    found = linear_predictor(law.params, arrays.design, effects)
    on = np.asarray(arrays.observed)
    np.testing.assert_allclose(found[on], measured[on], atol=1e-4)


def test_scores_drawn_from_the_prior_look_like_scores():
    arrays = observations()
    nothing = arrays._replace(observed=jnp.zeros_like(arrays.observed))
    prior = replace(PRIOR, link_from_scores=False)

    @jax.jit
    @jax.vmap
    def simulate(key: jax.Array) -> jax.Array:
        blank = numbers(arrays)
        flat, unravel = ravel_pytree(blank)
        law_key, effects_key = jax.random.split(key)
        law = Density(nothing, prior).law(unravel(jax.random.normal(law_key, flat.shape)))
        effects, normals = effects_of_table(nothing, law, effects_key)
        return noisy_scores(
            law, arrays.design, effects, normals.replicate_noise, normals.item_noise, arrays.items
        )

    made = np.asarray(simulate(jax.random.split(jax.random.key(0), 40)))
    assert np.isfinite(made).all()
    share = (made - np.asarray(arrays.floor)) / (1 - np.asarray(arrays.floor))
    # Neither all at chance or perfect, nor all in the middle.
    assert 0.05 < np.mean(share < 0.02) + np.mean(share > 0.98) < 0.7
    assert np.mean((share > 0.1) & (share < 0.9)) > 0.25


def test_scores_measured_on_few_items_scatter_by_them():
    # Expected scores and noise inside the link aside, sqrt(p (1 - p) / n) is left.
    arrays = observations()
    law = law_of(arrays, numbers(arrays, 11))
    nothing = zero_normals(arrays.members, 4, SKILLS)
    effects = Effects(jnp.zeros((24, SKILLS)), jnp.zeros((24, 4)))
    luck = jnp.ones((24, 4))
    few, many = (
        noisy_scores(law, arrays.design, effects, nothing.replicate_noise, luck, jnp.full(4, n))
        for n in (100.0, jnp.inf)
    )
    p = np.asarray(many)
    np.testing.assert_allclose(few, np.clip(p + np.sqrt(p * (1 - p) / 100.0), 0, 1), atol=1e-12)
