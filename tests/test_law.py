"""The law against a naive loop, finite differences, and its invariances."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import EXACT, random_links, random_params

from sloth_jax.law import Params, scores, skills
from sloth_jax.links import Logistic, Mixture, MonotoneNetwork

MODELS, FAMILIES, SKILLS, BENCHMARKS = 7, 3, 2, 4
LINKS = ("logistic", "mixture", "network")


def inputs(seed: int) -> tuple[jax.Array, jax.Array]:
    x = jax.random.normal(jax.random.key(seed), (MODELS, 3))
    return x, jnp.asarray([0, 1, 2, 0, 1, 2, 0])


def params_with(link: str) -> Params:
    return random_params(1, FAMILIES, SKILLS, BENCHMARKS, random_links(2, BENCHMARKS)[link])


def naive_link(link, j: int, eta: float) -> float:
    """One benchmark's link by the formulas of the docstrings, one number at a time."""

    def logistic(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z))

    if isinstance(link, Logistic):
        return logistic(eta)
    if isinstance(link, Mixture):
        base = [0.0693, 0.1960, 0.4694, 0.1960, 0.0693]
        raw = [b * math.exp(float(t)) for b, t in zip(base, link.tilt[:, j], strict=True)]
        weight = [r / sum(raw) for r in raw]
        centre = [-3.0, -1.5, 0.0, 1.5, 3.0]
        mean = sum(w * c for w, c in zip(weight, centre, strict=True))
        # variance of the mixture of logistic distributions of scale 1/2, over pi^2/3
        spread = sum(w * (c - mean) ** 2 for w, c in zip(weight, centre, strict=True))
        stretch = math.sqrt((spread + (math.pi**2 / 3) / 4) / (math.pi**2 / 3))
        at = mean + stretch * eta
        return sum(w * logistic(2.0 * (at - c)) for w, c in zip(weight, centre, strict=True))
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
def test_scores_agree_with_a_double_loop(link):
    params = params_with(link)
    x, family = inputs(3)
    expected = np.zeros((MODELS, BENCHMARKS))
    for m in range(MODELS):
        f = int(family[m])
        theta = [
            float(params.intercept[f, k] + params.growth[f, k] * x[m, 0])
            + sum(float(params.slope[c, k] * x[m, c]) for c in range(3))
            for k in range(SKILLS)
        ]
        for j in range(BENCHMARKS):
            eta = sum(float(params.loading[j, k]) * theta[k] for k in range(SKILLS))
            eta += float(
                params.bias[j] + params.specific[f, j] + params.specific_growth[f, j] * x[m, 0]
            )
            c = float(params.floor[j])
            expected[m, j] = c + (1.0 - c) * naive_link(params.link, j, eta)
    np.testing.assert_allclose(scores(params, x, family), expected, atol=EXACT)


def test_what_is_peculiar_to_a_model_adds_to_its_skills():
    params = params_with("logistic")
    x, family = inputs(3)
    own = jnp.asarray(np.random.default_rng(0).normal(size=(MODELS, SKILLS)))
    apart = params._replace(own=own)
    np.testing.assert_allclose(
        skills(apart, x, family), skills(params, x, family) + own, atol=EXACT
    )


def test_own_growth_counts_from_where_it_is_told_and_levels_off():
    params = params_with("logistic")
    start = jnp.asarray([0.5, -1.0, 0.0])
    x, family = inputs(3)
    centred = params._replace(growth_from=start)
    w = np.tanh(np.asarray(x[:, 0] - start[family]))[:, None]
    shared = skills(params._replace(growth=None), x, family)
    expected = np.asarray(shared) + np.asarray(params.growth)[np.asarray(family)] * w
    np.testing.assert_allclose(skills(centred, x, family), expected, atol=EXACT)
    far = x.at[:, 0].set(30.0)
    further = far.at[:, 0].set(60.0)
    step = skills(centred, further, family) - skills(centred, far, family)
    np.testing.assert_allclose(step, 30.0 * params.slope[:1].repeat(MODELS, axis=0), atol=1e-8)


@pytest.mark.parametrize("link", LINKS)
def test_gradients_agree_with_finite_differences(link):
    params = params_with(link)
    x, family = inputs(4)

    def total(params):
        # Weighted, so that errors of different entries cannot cancel.
        mu = scores(params, x, family)
        return jnp.sum(mu * jnp.arange(1.0, mu.size + 1).reshape(mu.shape))

    gradient = jax.grad(total)(params)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    flat_gradient, _ = jax.flatten_util.ravel_pytree(gradient)
    step = 1e-5
    shifted = jax.jit(jax.vmap(lambda e, s: total(unravel(flat + s * e)), in_axes=(0, None)))
    basis = jnp.eye(flat.size)
    differences = (shifted(basis, step) - shifted(basis, -step)) / (2 * step)
    # Central differences err by O(step^2) times third derivatives, plus rounding over step.
    np.testing.assert_allclose(flat_gradient, differences, atol=1e-6, rtol=1e-6)


def test_rotating_the_skills_changes_no_score():
    params = params_with("mixture")
    x, family = inputs(5)
    turn = jax.random.normal(jax.random.key(6), (SKILLS, SKILLS))
    back = jnp.linalg.inv(turn)
    turned = params._replace(
        intercept=params.intercept @ turn,
        slope=params.slope @ turn,
        growth=params.growth @ turn,
        loading=params.loading @ back.T,
    )
    np.testing.assert_allclose(scores(turned, x, family), scores(params, x, family), atol=EXACT)
    # ... although the skills themselves are others.
    assert np.abs(skills(turned, x, family) - skills(params, x, family)).max() > 0.1


def test_relabelling_families_changes_no_score():
    params = params_with("network")
    x, family = inputs(7)
    order = np.array([2, 0, 1])
    relabelled = params._replace(
        intercept=params.intercept[order],
        specific=params.specific[order],
        growth=params.growth[order],
        specific_growth=params.specific_growth[order],
    )
    renamed = jnp.asarray(np.argsort(order))[family]
    np.testing.assert_allclose(
        scores(relabelled, x, renamed), scores(params, x, family), atol=EXACT
    )


@pytest.mark.parametrize("link", LINKS)
def test_scores_stay_between_floor_and_one(link):
    params = params_with(link)._replace(bias=jnp.asarray([-900.0, 900.0, 0.0, 30.0]))
    x, family = inputs(8)
    mu = scores(params, x, family)
    assert np.isfinite(mu).all()
    assert (mu >= params.floor[None, :] - EXACT).all()
    assert (mu <= 1.0 + EXACT).all()


def test_float32_and_float64_agree():
    params = params_with("mixture")
    x, family = inputs(9)
    single = jax.tree.map(lambda a: a.astype(jnp.float32), (params, x))
    # Single precision carries 7 digits; a score is a short sum of numbers of order one.
    np.testing.assert_allclose(scores(*single, family), scores(params, x, family), atol=1e-5)
