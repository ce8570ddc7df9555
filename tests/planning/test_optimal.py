"""Splits of budgets against closed forms, grids and forecasts."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from laws import KEY, NOBODY, UNIT, known, law_at
from small import BENCHMARKS

from sloth_jax.forecasting.forecast import forecast
from sloth_jax.forecasting.predictive_law import predictive_law
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.planning.budget import Bounds
from sloth_jax.planning.experimental_design import next_measurement
from sloth_jax.planning.family import Family
from sloth_jax.planning.optimal import compute_optimal
from sloth_jax.skills.interpret import interpret_skills

# The search ends with a bracket of 1e-6 of the range of log size, here 16; a top is flat.
PLACE, HEIGHT = 1e-4, 1e-6


def vertex(fit: Fit, benchmark: int, flops: float) -> tuple[float, float]:
    """Where a benchmark's predictor turns along 6 s t = C, as log s, and its curvature there.

    With z1 = (log s - m1) / d1 and z2 = (log t - m2) / d2 the predictor a z1 + b z2 + c z1 z2 has
    the derivative a / d1 - b / d2 + c (K - m2 + m1 - 2 log s) / (d1 d2) along log s + log t = K.
    """
    (m1, m2), (d1, d2) = fit.surface.centre, fit.surface.spread
    params = jax.tree.map(lambda a: np.asarray(a)[0], fit.law.params)
    a, b, c, _ = params.slope @ params.loading[benchmark] + params.specific_slope[:, benchmark]
    budget = np.log(flops / UNIT)
    return 0.5 * (budget - m2 + m1 + (a * d2 - b * d1) / c), -2.0 * c / (d1 * d2)


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_of_the_interaction_is_its_closed_form(seed, plain):
    fit, budgets = known(seed, plain), np.array([1e21, 3e23])
    wide = Bounds((1e-3, 1e6), (1e-3, 1e6))
    low, interior = np.log(1e-3), 0
    for j, name in enumerate(BENCHMARKS):
        plan = compute_optimal(fit, budgets, family=NOBODY, target=name, bounds=wide, key=KEY)
        for found in plan.frontier.to_dict("records"):
            high = np.log(found["flops"] / UNIT / 1e-3)
            size, tokens = found["params_b_median"], found["tokens_t_median"]
            assert UNIT * size * tokens == pytest.approx(found["flops"], rel=1e-9)
            at, curvature = vertex(fit, j, found["flops"])
            if curvature < 0 and low < at < high:
                interior += 1
                assert np.log(size) == pytest.approx(at, abs=PLACE)
            else:  # the ends of the line are best
                assert min(size, tokens) == pytest.approx(1e-3, rel=1e-6)
    assert interior or seed  # the first seed has some


@pytest.mark.parametrize(
    ("target", "spend_all"),
    [("GSM8K", True), ({"MMLU": 1.0, "GSM8K": 3.0}, True), ({"MMLU": 1.0, "GSM8K": 3.0}, False)],
)
def test_no_grid_finds_a_better_split(target, spend_all, plain):
    fit, bounds, flops = known(5, plain, draws=3), Bounds((0.5, 200.0), (0.1, 20.0)), 5e22
    plan = compute_optimal(
        fit, flops, family=NOBODY, target=target, bounds=bounds, spend_all=spend_all, key=KEY
    )
    weights = np.zeros(len(BENCHMARKS))
    weights[list(plan.target.benchmarks)] = plan.target.weights
    assert plan.frontier["spent"][0] <= flops * (1 + 1e-9)

    def value(s, t):
        return law_at(fit, s, t).mean(axis=0) @ weights

    size = np.geomspace(*bounds.params_b, 800)
    most = np.minimum(bounds.tokens_t[1], flops / UNIT / size)
    size, most = size[most >= bounds.tokens_t[0]], most[most >= bounds.tokens_t[0]]
    share = np.linspace(0.0, 1.0, 40)[:, None] if not spend_all else np.ones((1, 1))
    least = bounds.tokens_t[0]
    tokens = least * (most[None] / least) ** share
    sizes = np.broadcast_to(size, tokens.shape)
    best = value(sizes.ravel(), tokens.ravel()).max()
    row = plan.frontier.iloc[0]
    reached = value(row["params_b"], row["tokens_t"])[0]
    assert row["mean"] == pytest.approx(reached, abs=1e-7)
    assert best <= reached + HEIGHT


@pytest.fixture(scope="module")
def plan(fit):
    return compute_optimal(fit, np.geomspace(1e22, 1e24, 3), family="family0", key=KEY)


def test_a_plan_promises_what_is_forecast(fit, plan, data):
    assert "of family0, by laplace: 3 budgets of 1e+22 to 1e+24 FLOPs" in repr(plan)
    rows = plan.frontier
    query = Family("family0").query(data, rows["params_b"].to_numpy(), rows["tokens_t"].to_numpy())
    drawn = forecast(fit, query, key=KEY).draws.mean(axis=2)
    np.testing.assert_allclose(rows["mean"], drawn.mean(axis=0), atol=1e-9)
    ends = np.quantile(drawn, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(rows[["lower", "upper"]].T, ends, atol=1e-9)


def test_a_skill_is_planned_for_too(fit, data):
    found = interpret_skills(fit, key=KEY)
    plan = compute_optimal(
        fit,
        [1e22, 1e23],
        family="family0",
        target="skill 1",
        skills=found,
        bounds=Bounds((0.01, 1e4), (0.01, 1e4)),
        key=KEY,
    )
    size, tokens = plan.frontier["params_b"].to_numpy(), plan.frontier["tokens_t"].to_numpy()
    law = predictive_law(fit, Family("family0").query(data, size, tokens), KEY)
    design, basis = law.design(fit.surface, size, tokens)
    theta = jax.vmap(lambda one, x: skills_of(one.shared.params, x, one.effects(basis)))(
        law, design
    )
    wanted = found.of(np.asarray(theta))[:, :, 0].mean(axis=0)
    np.testing.assert_allclose(plan.frontier["mean"], wanted, atol=1e-8)
    assert plan.frontier["mean"].is_monotonic_increasing


def test_a_plan_carries_its_uncertainty(fit, plan):
    rows = plan.frontier
    assert (rows["lower"] < rows["mean"]).all()
    assert (rows["mean"] < rows["upper"]).all()
    assert (rows["params_b_lower"] <= rows["params_b_upper"]).all()
    assert (rows["params_b_least"] <= rows["params_b"]).all()
    assert (rows["params_b"] <= rows["params_b_most"]).all()
    assert plan.family_models == 4
    splits = plan.splits
    assert splits["as_good"].between(0, 1).all()
    assert (splits["loss"] > -1e-3).all()  # nothing is expected to beat the recommended split
    cold = compute_optimal(fit, 1e23, family="nobody", key=KEY)
    assert cold.family_models == 0
    warm = rows.iloc[1]
    assert warm["flops"] == pytest.approx(1e23)
    wide = cold.frontier.iloc[0]
    assert f"({wide['lower']:.3g} to {wide['upper']:.3g}, 90% interval)" in repr(cold)
    assert wide["upper"] - wide["lower"] > warm["upper"] - warm["lower"]


def test_a_mode_has_intervals_too(plain):
    plan = compute_optimal(plain, 1e23, family="family0", target="MMLU", key=KEY, draws=50)
    row = plan.frontier.iloc[0]
    assert row["lower"] < row["mean"] < row["upper"]
    assert plan.inference == "mode"
    rows = next_measurement(
        plain, "family0", 1e22, params_b=64.0, tokens_t=2.0, key=KEY, futures=10, draws=200
    )
    assert (rows["effective_draws"].round() == 200).all()  # all have the one law


def test_a_mixture_of_experts_pays_for_active_parameters(plain):
    by_active = known(0, plain)
    by_total = replace(by_active, surface=replace(by_active.surface, size="total"))
    sparse = replace(NOBODY, active_fraction=0.25)

    def best(fit, flops, family, least=0.1):
        bounds = Bounds((least, 1e4 * least), (0.05, 1e5))
        plan = compute_optimal(fit, flops, family=family, target="MMLU", key=KEY, bounds=bounds)
        return plan.frontier.iloc[0]

    # All parameters count as size, so that the budget buys four times as much.
    cheap, dear = best(by_total, 1e23, sparse), best(by_total, 4e23, NOBODY)
    assert cheap["params_b_median"] == pytest.approx(dear["params_b_median"], rel=1e-6)
    spent = 0.25 * UNIT * cheap["params_b_median"] * cheap["tokens_t_median"]
    assert spent == pytest.approx(1e23)
    alike, dense = best(by_active, 1e23, sparse, 0.4), best(by_active, 1e23, NOBODY)
    assert alike["mean"] == pytest.approx(dense["mean"], abs=1e-9)
