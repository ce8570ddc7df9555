"""Which benchmark next: conditionals and expected falls against slow, plain ones."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import KEY
from numpy.polynomial.hermite_e import hermegauss
from quick_fits import half_observed, quick_fit, read_query
from small import random_params

import sloth_jax as sj
from sloth_jax.effects.dense import Cells, dense_covariance
from sloth_jax.effects.walk import walk_basis
from sloth_jax.inference.observe import observe
from sloth_jax.law.forward import linear_predictor
from sloth_jax.law.hierarchical import effects_problem
from sloth_jax.law.links import Logistic
from sloth_jax.planning.expected_falls import coefficients, expected_falls, pick
from sloth_jax.planning.next_benchmark import benchmark_costs, expected_widths, next_benchmark
from sloth_jax.planning.one_model import ModelScores, model_scores
from sloth_jax.planning.outcomes import scores_of, thinned

SEED = np.array([0, 1], np.uint32)
DRAWS = 5


@pytest.fixture(scope="module")
def law():
    return thinned(quick_fit().law, DRAWS)


def partly_known() -> str:
    """A model with some scores known and at least two unknown."""
    data = half_observed()
    count = data.observed.sum(axis=1)
    return data.models[int(np.flatnonzero((count >= 1) & (count <= 2))[0])]


def dense(fit, law, model: str | None, query=None) -> tuple[np.ndarray, np.ndarray]:
    """The same conditional by one matrix of all scores of all models and those to come."""
    data = fit.table
    arrays = observe(data, fit.surface)
    problem, _ = jax.vmap(lambda one: effects_problem(one, arrays))(law)
    rows, columns = np.nonzero(data.observed)
    width = len(data.benchmarks)
    basis = np.asarray(arrays.members.basis)
    family, lineage = data.family, data.lineage_of_family[data.family]
    if model is None:
        x = fit.surface.of(query, query.post_trained)
        common = jax.vmap(lambda one: linear_predictor(one.params, x)[0])(law)
        place = np.asarray(walk_basis(fit.surface.from_smallest(query.params_b)))
        known = np.array([], int)
        at = len(data.models)
        basis = np.concatenate([basis, place])
        names = [*data.families, "?"]
        family = np.append(family, names.index(query.families[0]))
        lineages = [*data.lineages, "?"]
        lineage = np.append(lineage, lineages.index(query.lineages[0]))
    else:
        at = data.models.index(model)
        common = jax.vmap(lambda one: linear_predictor(one.params, arrays.design)[at])(law)
        known = np.flatnonzero(data.observed[at])
    new = np.setdiff1d(np.arange(width), known)
    index, column = np.append(rows, np.full(new.size, at)), np.append(columns, new)
    cells = Cells(index, family[index], lineage[index], column, basis[index])
    covariance = dense_covariance(cells, np.asarray(law.params.loading), law.skill, law.benchmark)
    noise = np.asarray(problem.variance)[:, rows, columns]
    noise = np.concatenate([noise, np.asarray(law.noise)[:, new] ** 2], axis=1)
    covariance[:, *np.diag_indices(index.size)] += noise
    old = rows.size
    cross = covariance[:, :old, old:]
    gain = np.linalg.solve(covariance[:, :old, :old], cross)
    residual = np.asarray(problem.residual)[:, rows, columns]
    mean = np.asarray(common)[:, new] + np.einsum("doi,do->di", gain, residual)
    return mean, covariance[:, old:, old:] - cross.transpose(0, 2, 1) @ gain


def test_scores_of_a_table_model_are_those_of_the_dense_conditional(law):
    name, fit = partly_known(), quick_fit()
    found = model_scores(fit, name, law, SEED)
    mean, covariance = dense(fit, law, name)
    new = np.flatnonzero(~found.known)
    assert 2 <= new.size < 4
    np.testing.assert_allclose(found.mean[:, new], mean, atol=1e-8)
    np.testing.assert_allclose(found.covariance[:, new[:, None], new], covariance, atol=1e-8)
    assert not found.covariance[:, found.known].any()


@pytest.mark.parametrize("family", ["family1", "stranger"])
def test_scores_of_a_query_are_those_of_the_dense_conditional(family, law):
    fit = quick_fit()
    text = "model,family,lineage,post_trained,params_b,tokens_t\n"
    lineage = "lineage0" if family == "family1" else "elsewhere"
    query = read_query(f"{text}one,{family},{lineage},{family == 'family1'},9,3\n", fit.table)
    asked = replace(query, families=("?",), lineages=("?",)) if family == "stranger" else query
    found = model_scores(fit, query, law, SEED)
    mean, covariance = dense(fit, law, None, asked)
    np.testing.assert_allclose(found.mean, mean, atol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-8)


def test_a_family_of_unknown_kind_is_base_in_some_draws_and_post_trained_in_others(law):
    fit = quick_fit()
    text = "model,family,params_b,tokens_t\none,alien,9,3\n"
    query = read_query(text, fit.table)
    found = model_scores(fit, query, law, SEED)
    kinds = [
        model_scores(fit, replace(query, post_trained=np.array([kind])), law, SEED)
        for kind in (0.0, 1.0)
    ]
    base, chat = (np.isclose(found.mean, kind.mean).all(axis=1) for kind in kinds)
    assert (base | chat).all()
    assert base.any()
    assert chat.any()


def test_expected_falls_are_those_of_double_quadrature(law):
    fit = quick_fit()
    query = read_query("model,family,params_b,tokens_t\none,family2,9,3\n", fit.table)
    scores = model_scores(fit, query, law, SEED)
    mean, covariance = scores.mean, scores.covariance
    fall, before = expected_falls(coefficients(scores, law.params), covariance, [1, 3])
    nodes, weights = hermegauss(60)
    weights = weights / weights.sum()

    def variance_of(j: int, given: int | None) -> float:
        """Expected variance of score j, given the score of another."""
        own, of_draw = covariance[:, j, j], []
        told = (
            0.0 * own
            if given is None
            else covariance[:, given, j] ** 2 / covariance[:, given, given]
        )
        for node in nodes if given is not None else [0.0]:
            centre = mean[:, j] + np.sqrt(told) * node
            at = np.repeat(mean[:, None], nodes.size, axis=1)
            at[:, :, j] = centre[:, None] + np.sqrt(own - told)[:, None] * nodes
            value = scores_of(law.params, at)[:, :, j]
            of_draw.append(value**2 @ weights - (value @ weights) ** 2)
        return float(np.average(of_draw, axis=0, weights=None if given is None else weights).mean())

    np.testing.assert_allclose(before[[1, 3]], [variance_of(j, None) for j in (1, 3)], rtol=1e-3)
    by_hand = [
        np.mean([variance_of(j, None) - variance_of(j, at) if j != at else 0.0 for j in (1, 3)])
        for at in range(4)
    ]
    np.testing.assert_allclose(fall, by_hand, rtol=0.02)
    assert (fall > 0).all()


def linear(correlation: np.ndarray) -> ModelScores:
    """Scores in the middle of a link's range, with given correlations of predictors."""
    size = len(correlation)
    return ModelScores(np.zeros((1, size)), 0.01 * correlation[None], np.zeros(size, bool))


def test_picks_go_on_from_what_is_picked_already():
    # All benchmarks alike.
    params = random_params(0, 1, 4, Logistic())._replace(floor=jnp.zeros(4))
    params = jax.tree.map(lambda a: a[None], params)
    # 0 tells of 1, which is nearly the same, and of 2; 3 tells of nothing.
    correlation = np.array(
        [[1.0, 0.95, 0.7, 0.0], [0.95, 1.0, 0.6, 0.0], [0.7, 0.6, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    scores, cost = linear(correlation), np.ones(4)
    first, _ = pick(scores, params, [0, 1, 2, 3], cost, 1)
    assert first == [0]
    dear = np.array([100.0, 1.0, 100.0, 1.0])
    assert pick(scores, params, [0, 1, 2, 3], dear, 1)[0] == [1]
    # What is wanted decides: of 2, 0 says most; and it ends where nothing wanted is left.
    assert pick(scores, params, [2], cost, 1)[0] == [0]
    every, falls = pick(scores, params, [0, 1, 2, 3], cost, 9)
    assert len(every) == 3
    assert min(falls) >= 0.0
    known = scores._replace(known=np.array([True, False, False, False]))
    assert 0 not in pick(known, params, [1, 2, 3], cost, 3)[0]


def test_widths_are_those_of_the_exact_conditional(law):
    """One law in all draws, so that scores tell nothing of the law."""
    fit = quick_fit()
    query = read_query("model,family,params_b,tokens_t\none,family2,9,3\n", fit.table)
    scores = model_scores(fit, query, law, SEED)
    (mean, covariance), params = scores[:2], jax.tree.map(lambda a: a[:1], law.params)
    often = ModelScores(
        np.repeat(mean[:1], 400, axis=0), np.repeat(covariance[:1], 400, axis=0), scores.known
    )
    repeated = jax.tree.map(lambda a: jnp.repeat(a, 400, axis=0), params)
    (before, after), effective = expected_widths(often, repeated, [3], [0.05, 0.95], 200, SEED)
    own, told = covariance[0, 0, 0], covariance[0, 0, 3] ** 2 / covariance[0, 3, 3]
    nodes, weights = hermegauss(40)
    ends = 1.6448536 * np.array([-1.0, 1.0])

    def width(spread: float, centres: np.ndarray) -> np.ndarray:
        at = np.repeat(mean[:1, None], 2 * centres.size, axis=1)
        at[0, :, 0] = (centres[:, None] + spread * ends).ravel()
        return np.diff(scores_of(params, at)[0, :, 0].reshape(-1, 2), axis=1).ravel()

    exactly = width(np.sqrt(own), mean[0, :1])[0]
    assert before[:, 0] == pytest.approx(np.full(200, exactly), rel=0.06)
    exactly = np.average(
        width(np.sqrt(own - told), mean[0, 0] + np.sqrt(told) * nodes), weights=weights
    )
    assert after[:, 0].mean() == pytest.approx(exactly, rel=0.06)
    assert np.abs(after[:, 3]).max() < 1e-9  # what is measured is known
    assert effective == pytest.approx([400], rel=1e-6)


def test_widths_before_are_those_of_the_forecast():
    fit = quick_fit()
    query = read_query("model,family,params_b,tokens_t\none,family2,9,3\n", fit.table)
    rows = next_benchmark(fit, query, key=KEY, steps=3)
    assert rows["step"].tolist() == [1, 2, 3]
    assert rows["width"][0] < rows["before"][0]
    assert (rows["width"] < rows["before"] + 2 * rows["error"]).all()
    assert (rows["lower"] <= rows["width"]).all()
    assert (rows["width"] <= rows["upper"]).all()
    assert (rows["fall"] > 0).all()
    often = replace(fit, law=jax.tree.map(lambda a: jnp.repeat(a, 30, axis=0), fit.law))
    lower, upper = sj.forecast(often, query, key=KEY).interval(0.9)
    others = [j for j, name in enumerate(fit.table.benchmarks) if name != rows["benchmark"][0]]
    assert rows["before"][0] == pytest.approx((upper - lower)[0, others].mean(), rel=0.1)


def test_costs_are_items_and_where_they_are_unknown_the_median():
    data = half_observed()
    assert benchmark_costs(data)["MMLU"] == 14042
    other = replace(data, benchmarks=("MMLU", "ARC", "Mine", "GSM8K"))
    assert benchmark_costs(other)["Mine"] == 1319
    alone = replace(data, benchmarks=("a", "b", "c", "d"))
    assert set(benchmark_costs(alone).values()) == {1.0}


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("family0-9", {}, "no model 'family0-9' in the training table; did you mean"),
        ("family0-1", {}, "family0-1: 0 of 4 benchmarks unknown; a choice needs"),
        (None, {"wanted": ["MMLUU"]}, "wanted 'MMLUU': no such benchmark"),
        (None, {"wanted": ["MMLU", "mmlu"]}, "named twice"),
        (None, {"costs": {"MMLU": 0.0}}, "cost 0 of MMLU is not a positive number"),
        (None, {"costs": {"Elo": 1.0}}, "cost of 'Elo': no such benchmark"),
        (None, {"steps": 0}, "0 steps: ask for 1 or more"),
    ],
)
def test_what_cannot_be_answered_is_one_line(model, options, says):
    with pytest.raises(sj.InputError) as found:
        next_benchmark(quick_fit(), model or partly_known(), key=KEY, **options)
    assert says in str(found.value)
    assert "\n" not in str(found.value)


def test_known_scores_and_several_models_are_refused():
    fit, name = quick_fit(), partly_known()
    row = fit.table.models.index(name)
    seen = fit.table.benchmarks[int(np.flatnonzero(fit.table.observed[row])[0])]
    with pytest.raises(sj.InputError, match="is known already"):
        next_benchmark(fit, name, key=KEY, wanted=[seen])
    text = "model,family,params_b,tokens_t\none,family2,9,3\ntwo,family2,9,3\n"
    with pytest.raises(sj.InputError, match="2 models are queried"):
        next_benchmark(fit, read_query(text, fit.table), key=KEY)
