"""The law against a naive loop, finite differences, and its invariances."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.optimize import brentq
from small import EXACT, random_links, random_params

from sloth_jax.law import forward
from sloth_jax.law.forward import Effects, Params
from sloth_jax.law.links import STEPS, Logistic, MonotoneNetwork, QuantileMixture

MODELS, SKILLS, BENCHMARKS = 7, 2, 4
LINKS = ("logistic", "quantiles", "network")

# One program each: a step at a time they would be dozens.
scores, skills = jax.jit(forward.scores), jax.jit(forward.skills)
linear_predictor = jax.jit(forward.linear_predictor)

# A quantile mixture's share is the result of two steps of Newton's method.
NEWTON = 1e-6


def inputs(seed: int) -> tuple[jax.Array, Effects]:
    keys = jax.random.split(jax.random.key(seed), 3)
    return jax.random.normal(keys[0], (MODELS, 4)), Effects(
        jax.random.normal(keys[1], (MODELS, SKILLS)),
        0.3 * jax.random.normal(keys[2], (MODELS, BENCHMARKS)),
    )


def params_with(link: str) -> Params:
    return random_params(1, SKILLS, BENCHMARKS, random_links(2, BENCHMARKS)[link])


def logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def naive_inverse(link: QuantileMixture, j: int, share: float) -> float:
    """The inverse of one benchmark's quantile mixture at one share."""
    usual = [4 / 13, 4 / 13, *(5 * [1 / 13])]
    raw = [w * math.exp(float(t)) for w, t in zip(usual, link.tilt[:, j], strict=True)]
    weight = [r / sum(raw) for r in raw]

    def started_log(s: float, slack: float) -> float:
        if s + slack > 0.3 * slack:
            return math.log(s + slack)
        return math.log(0.3 * slack) + (s + slack - 0.3 * slack) / (0.3 * slack)  # its tangent

    value = weight[0] * started_log(share, float(link.slack[j]))
    value -= weight[1] * started_log(1.0 - share, 0.02)
    for w, at in zip(weight[2:], STEPS, strict=True):
        value += w * 4.0 * logistic((share - at) / (0.06 + 0.1 * at))
    return (value - float(link.centre[j])) / float(link.spread[j])


def naive_link(link, j: int, eta: float) -> float:
    """One benchmark's link by the formulas of the docstrings, one number at a time."""
    if isinstance(link, Logistic):
        return logistic(eta)
    if isinstance(link, QuantileMixture):
        low, high = -0.15, 1.05
        if eta <= naive_inverse(link, j, low):
            return low
        if eta >= naive_inverse(link, j, high):
            return high
        return float(brentq(lambda s: naive_inverse(link, j, s) - eta, low, high, xtol=1e-12))  # pyright: ignore
    assert isinstance(link, MonotoneNetwork)
    hidden = link.input_weight.shape[1]
    first = [
        math.tanh(float(link.input_weight[j, h]) * math.tanh(eta) + float(link.input_bias[j, h]))
        for h in range(hidden)
    ]
    second = [
        math.tanh(
            sum(float(link.hidden_weight[j, k, h]) * first[h] for h in range(hidden))
            + float(link.hidden_bias[j, k])
        )
        for k in range(hidden)
    ]
    out = sum(float(link.output_weight[j, k]) * second[k] for k in range(hidden))
    return logistic(out + float(link.output_bias[j]))


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("apart", [False, True])
def test_scores_agree_with_a_double_loop(link, apart):
    params = params_with(link)
    design, effects = inputs(3)
    x, b, lam, bias, d, own, specific = (
        np.asarray(a).tolist()
        for a in (
            design,
            params.slope,
            params.loading,
            params.bias,
            params.specific_slope,
            *effects,
        )
    )
    expected = np.zeros((MODELS, BENCHMARKS))
    for m in range(MODELS):
        theta = [
            sum(x[m][c] * b[c][k] for c in range(4)) + apart * own[m][k] for k in range(SKILLS)
        ]
        for j in range(BENCHMARKS):
            eta = bias[j] + sum(lam[j][k] * theta[k] for k in range(SKILLS))
            eta += sum(x[m][c] * d[c][j] for c in range(4)) + apart * specific[m][j]
            c = float(params.floor[j])
            expected[m, j] = min(max(c + (1.0 - c) * naive_link(params.link, j, eta), 0.0), 1.0)
    found = scores(params, design, effects if apart else None)
    np.testing.assert_allclose(found, expected, atol=NEWTON if link == "quantiles" else EXACT)


def test_parts_that_are_none_count_as_zero():
    params = params_with("logistic")
    design, effects = inputs(3)
    bare = params._replace(specific_slope=None)
    zero = params._replace(specific_slope=jnp.zeros((4, BENCHMARKS)))
    np.testing.assert_array_equal(scores(bare, design), scores(zero, design))
    nothing = Effects(effects.skill, jnp.zeros((MODELS, BENCHMARKS)))
    np.testing.assert_array_equal(
        scores(params, design, Effects(effects.skill)), scores(params, design, nothing)
    )


@pytest.mark.parametrize("link", LINKS)
def test_gradients_agree_with_finite_differences(link):
    params = params_with(link)
    design, effects = inputs(4)

    def total(inputs):
        # Weighted, so that errors of different entries cannot cancel.
        mu = scores(inputs[0], design, inputs[1])
        return jnp.sum(mu * jnp.arange(1.0, mu.size + 1).reshape(mu.shape))

    flat, unravel = ravel_pytree((params, effects))
    gradient = jax.jit(jax.grad(lambda at: total(unravel(at))))(flat)
    step = 1e-5
    shifted = jax.jit(jax.vmap(lambda e, s: total(unravel(flat + s * e)), in_axes=(0, None)))
    basis = jnp.eye(flat.size)
    differences = (shifted(basis, step) - shifted(basis, -step)) / (2 * step)
    # Central differences err by O(step^2) times third derivatives, plus rounding over step.
    np.testing.assert_allclose(gradient, differences, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("link", LINKS)
def test_an_invertible_change_of_skills_changes_no_score(link):
    params = params_with(link)
    design, effects = inputs(5)
    turn = jax.random.normal(jax.random.key(6), (SKILLS, SKILLS))
    turned = params._replace(
        slope=params.slope @ turn, loading=params.loading @ jnp.linalg.inv(turn).T
    )
    moved = effects._replace(skill=effects.skill @ turn)
    np.testing.assert_allclose(
        scores(turned, design, moved), scores(params, design, effects), atol=EXACT
    )
    # ... although the skills themselves are others.
    assert np.abs(skills(turned, design, moved) - skills(params, design, effects)).max() > 0.1


def test_models_are_predicted_one_by_one():
    params = params_with("quantiles")
    design, effects = inputs(7)
    order = np.random.default_rng(0).permutation(MODELS)
    permuted = jax.tree.map(lambda a: a[order], (design, effects))
    np.testing.assert_allclose(
        scores(params, *permuted), scores(params, design, effects)[order], atol=EXACT
    )


@pytest.mark.parametrize("link", LINKS)
def test_scores_are_fractions_however_far_predictors_go(link):
    params = params_with(link)._replace(bias=jnp.asarray([-900.0, 900.0, 0.0, 30.0]))
    design, effects = inputs(8)
    mu = scores(params, design, effects)
    assert np.isfinite(mu).all()
    assert ((mu >= 0.0) & (mu <= 1.0)).all()
    if link != "quantiles":  # whose scores may lie a little below chance, as measured ones do
        assert (mu >= params.floor[None, :] - EXACT).all()


def test_predictors_are_affine_in_effects():
    params = params_with("logistic")
    design, effects = inputs(9)
    twice = jax.tree.map(lambda a: 2.0 * a, effects)
    none, one, two = (linear_predictor(params, design, e) for e in (None, effects, twice))
    np.testing.assert_allclose(two - one, one - none, atol=EXACT)


def test_float32_and_float64_agree():
    params = params_with("quantiles")
    arguments = (params, *inputs(9))
    single = jax.tree.map(lambda a: a.astype(jnp.float32), arguments)
    # Single precision carries 7 digits; a score is a short sum of numbers of order one.
    np.testing.assert_allclose(scores(*single), scores(*arguments), atol=2e-5)
