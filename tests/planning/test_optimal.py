"""Plans against closed forms, grids and forecasts, requirements against forecasts, bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small import BENCHMARKS, random_params, table

from sloth_jax.cli.main import main
from sloth_jax.data.query import Query
from sloth_jax.errors import InputError
from sloth_jax.forecasting.extrapolation import beyond, beyond_in_words
from sloth_jax.forecasting.forecast import forecast, predictive_law
from sloth_jax.inference.fit import Fit, fit as fit_law
from sloth_jax.inference.storage import save_fit
from sloth_jax.law.effects import Spread
from sloth_jax.law.forward import scores, skills as skills_of
from sloth_jax.planning.experimental_design import next_measurement
from sloth_jax.planning.optimal import (
    Bounds,
    Family,
    compare,
    compute_optimal,
    elasticity,
    required,
)
from sloth_jax.skills.interpret import interpret_skills

KEY = jax.random.key(3)
UNIT = 6e21
NOBODY = Family("nobody", post_trained=False)
# The search ends with steps of 2e-6 of the range of log size, here 16; a top is flat.
PLACE, HEIGHT = 1e-4, 1e-6


@pytest.fixture(scope="module")
def data():
    return table()[0]


@pytest.fixture(scope="module")
def fit(data):
    return fit_law(data, key=jax.random.key(0), skills=1, steps=60, draws=200)


@pytest.fixture(scope="module")
def plain(data):
    """A fit whose place others take: two skills on a translog surface."""
    return fit_law(
        data, key=jax.random.key(0), skills=2, surface="translog", steps=2, inference="mode"
    )


def known(seed: int, plain: Fit, draws: int = 1) -> Fit:
    """Random laws in place of a fit, with families all alike and nearly no noise.

    The product of size and tokens goes on for ever, so that optima have a closed form.
    """
    count = len(BENCHMARKS)
    link = jax.tree.map(lambda a: a[0], plain.law.params.link)
    several = [random_params(seed + draw, 2, count, link) for draw in range(draws)]
    params = jax.tree.map(lambda *parts: jnp.stack(parts), *several)
    of_skill, of_benchmark = jnp.zeros((draws, 2)), jnp.zeros((draws, count))
    law = plain.law._replace(
        params=params,
        skill=Spread(*[of_skill] * 5),
        benchmark=Spread(*[of_benchmark] * 5),
        noise=of_benchmark + 1e-9,
        offset=jnp.zeros((draws, 1, count)),
    )
    surface = replace(plain.surface, low=(-50.0, -50.0), high=(50.0, 50.0))
    return replace(
        plain, law=law, surface=surface, settings=replace(plain.settings, inference="laplace")
    )


def law_at(fit: Fit, size, tokens) -> np.ndarray:
    """Expected scores of the average family, ``(draw, point, benchmark)``."""
    x = fit.surface.design(np.atleast_1d(size), np.atleast_1d(tokens), 0.0)
    return np.asarray(jax.vmap(lambda one: scores(one, x))(fit.law.params))


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
    rows = plan.frontier
    query = Family("family0").query(data, rows["params_b"].to_numpy(), rows["tokens_t"].to_numpy())
    drawn = forecast(fit, query, key=KEY).draws.mean(axis=2)
    np.testing.assert_allclose(rows["mean"], drawn.mean(axis=0), atol=1e-9)
    ends = np.quantile(drawn, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(rows[["lower", "upper"]].T, ends, atol=1e-9)


def test_a_skill_is_planned_for_too(fit, data):
    found = interpret_skills(fit, key=KEY)
    plan = compute_optimal(
        fit, [1e22, 1e23], family="family0", target="skill 1", skills=found,
        bounds=Bounds((0.01, 1e4), (0.01, 1e4)), key=KEY,
    )  # fmt: skip
    size, tokens = plan.frontier["params_b"].to_numpy(), plan.frontier["tokens_t"].to_numpy()
    law = predictive_law(fit, Family("family0").query(data, size, tokens), KEY)
    design, basis = law.design(fit, size, tokens)
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
    warm = compute_optimal(fit, 1e23, family="family0", key=KEY).frontier.iloc[0]
    wide = cold.frontier.iloc[0]
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


@pytest.mark.parametrize("given", [{"tokens_t": 2.0}, {"params_b": 16.0}, {}])
def test_require_inverts_the_forecast(given, fit, data):
    found = required(
        fit, "MMLU", 0.6, family="family0", probability=0.7, key=KEY, **given
    )  # fmt: skip
    assert found.reached
    query = Family("family0").query(data, np.array([found.params_b]), np.array([found.tokens_t]))
    share = (forecast(fit, query, key=KEY).draws[:, 0, 0] >= 0.6).mean()
    assert share == pytest.approx(found.probability, abs=1e-12)
    assert found.probability == pytest.approx(0.7, abs=0.02)
    assert found.flops == pytest.approx(UNIT * found.params_b * found.tokens_t)


def test_what_cannot_be_reached_is_said(fit):
    found = required(
        fit, "MMLU", 0.9, family="family0", probability=0.9, tokens_t=1.0, key=KEY,
        bounds=Bounds((0.1, 4.0)),
    )  # fmt: skip
    assert not found.reached
    assert found.probability < 0.9


def test_candidates_are_compared_draw_by_draw(fit, data):
    frame = pd.DataFrame(
        {"model": ["small", "large", "stranger"], "family": ["family0", "family0", "nobody"],
         "params_b": [1.0, 64.0, 8.0], "tokens_t": [1.0, 2.0, 2.0]}
    )  # fmt: skip
    query = Query.from_frame(frame, data)
    rows = compare(fit, query, target={"MMLU": 1, "ARC": 1}, key=KEY)
    total = rows.groupby("benchmark")["probability_best"].sum()
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    predicted = forecast(fit, query, key=KEY).draws
    overall = predicted[:, :, :2].mean(axis=2)
    shown = rows[rows["benchmark"].str.contains(r"\+", regex=True)].set_index("model")
    assert len(shown) == 3
    for m, name in enumerate(frame["model"]):
        assert shown.loc[name, "mean"] == pytest.approx(overall[:, m].mean())
        assert shown.loc[name, "probability_best"] == pytest.approx(
            (overall.argmax(axis=1) == m).mean()
        )
    assert list(shown["family_models"]) == [4, 4, 0]


def test_elasticity_is_the_change_of_the_law(fit, plain):
    of_law = known(2, plain)
    rows = elasticity(of_law, 8.0, 2.0, family=NOBODY, key=KEY)
    start = law_at(of_law, 8.0, 2.0)
    for more, at in (("params", (8.08, 2.0)), ("tokens", (8.0, 2.02))):
        shown = rows[rows["more"] == more]["median"]
        np.testing.assert_allclose(shown, (law_at(of_law, *at) - start)[0, 0], atol=1e-8)
    rows = elasticity(
        fit, 8.0, 2.0, family="family0", key=KEY, skills=interpret_skills(fit, key=KEY)
    )
    assert (rows["kind"] == "skill").sum() == 2
    assert (rows["lower"] < rows["upper"]).all()


def test_where_a_query_lies_outside_is_told(data):
    top = data.params_b.max()
    factors = beyond(data, np.array([top, 3.0 * top]), np.array([2.0, 2.0]))
    assert factors["params_b"].tolist() == pytest.approx([1.0, 3.0])
    words = beyond_in_words(data, np.array([4.0, 3.0 * top]), np.array([2.0, 2.0]))
    assert words[0] == ""
    assert "params_b 3 x the largest" in words[1]


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


@pytest.mark.parametrize("name", ["family0", "nobody"])
def test_expected_width_is_that_of_the_exact_conditional(name, fit, data):
    """One law, so that what all families share is known and everything inside links normal."""
    fixed = replace(fit, law=jax.tree.map(lambda a: jnp.repeat(a[:1], 4000, axis=0), fit.law))
    family, size = Family(name, post_trained=False), 6.0
    query = replace(
        family.query(data, np.array([size, 3.0 * size]), np.full(2, 2.0)), models=("small", "large")
    )
    drawn = forecast(fixed, query, key=jax.random.key(7)).draws
    link = jax.tree.map(lambda a: a[0], fit.law.params.link)
    floor = np.asarray(data.floors)
    z = np.asarray(link.inverse((drawn - floor) / (1.0 - floor))[0])
    inside = ((drawn > 1e-6) & (drawn < 1 - 1e-6)).all(axis=(1, 2))  # clipped scores tell less
    small = np.column_stack([np.ones(inside.sum()), z[inside, 0]])
    large = z[inside, 1, 0]
    found, *_ = np.linalg.lstsq(small, large, rcond=None)
    spread = (large - small @ found).std()
    centre = (small @ found)[:, None] + spread * 1.645 * np.array([[-1.0, 1.0]])
    ends = floor[0] + (1 - floor[0]) * np.asarray(
        link(np.repeat(centre.ravel()[:, None], len(floor), axis=1))
    )[:, 0].reshape(-1, 2)
    by_regression = np.diff(np.clip(ends, 0.0, 1.0), axis=1).mean()

    rows = next_measurement(
        fixed, family, 1e25, params_b=3.0 * size, tokens_t=2.0, key=KEY, target="MMLU",
        futures=200, draws=400, candidates=pd.DataFrame({"params_b": [size], "tokens_t": [2.0]}),
    )  # fmt: skip
    lower, upper = np.quantile(drawn[:, 1, 0], [0.05, 0.95])
    assert rows["before"][0] == pytest.approx(upper - lower, rel=0.1)
    assert rows["width"][0] == pytest.approx(by_regression, rel=0.1)
    assert rows["width"][0] < rows["before"][0]
    assert rows["effective_draws"][0] == pytest.approx(400, rel=1e-6)  # they are all the same


def test_seeing_a_sibling_narrows_and_nearer_ones_more(fit):
    size, tokens = 64.0, 2.0
    rows = next_measurement(
        fit, "family0", 1e24, params_b=size, tokens_t=tokens, key=KEY, target="MMLU",
        candidates=pd.DataFrame({"params_b": [16.0, size], "tokens_t": [tokens, tokens]}),
    )  # fmt: skip
    assert (rows["width"] < rows["before"]).all()
    assert rows["params_b"][0] == size
    chosen = next_measurement(
        fit, "nobody", 1e22, params_b=size, tokens_t=tokens, key=KEY, futures=10, draws=20
    )
    assert (chosen["flops"] <= 1e22 * 1.0001).all()
    assert chosen["width"].is_monotonic_increasing


ASKED = {"family": "family0", "key": KEY}
BAD = {
    "no budget": (lambda f: compute_optimal(f, 0.0, **ASKED), "budget 0 FLOPs"),
    "endless budget": (lambda f: compute_optimal(f, np.inf, **ASKED), "budget inf"),
    "small budget": (lambda f: compute_optimal(f, 1e10, **ASKED), "smallest model"),
    "crossed bounds": (lambda _: Bounds((10.0, 1.0)), "are crossed, 10 to 1"),
    "no bounds": (lambda _: Bounds((0.0, 1.0)), "positive numbers"),
    "no such target": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target="MMLUU"),
        "did you mean 'MMLU'?",
    ),
    "weights": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target={"MMLU": -1.0}),
        "positive numbers",
    ),
    "twice": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target={"MMLU": 1, "mmlu": 1}),
        "twice",
    ),
    "certain": (
        lambda f: required(f, "MMLU", 0.5, **ASKED, probability=1.0),
        "probability 1 is not between 0 and 1",
    ),
    "percent": (lambda f: required(f, "MMLU", 80.0, **ASKED), "score 80"),
    "both": (
        lambda f: required(f, "MMLU", 0.5, **ASKED, params_b=1.0, tokens_t=1.0),
        "nothing to solve for",
    ),
    "active": (lambda _: Family("family0", active_fraction=0.0), "active fraction 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_refused(case, fit):
    ask, says = BAD[case]
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        ask(fit)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return 0 if stop.value.code is None else int(stop.value.code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fit):
    at = tmp_path_factory.mktemp("planning")
    save_fit(fit, at / "fit.nc")
    (at / "candidates.csv").write_text(
        "model,family,params_b,tokens_t\nsmall,family0,2,15\nlarge,nobody,64,2\n"
    )
    return at


def test_plan_on_the_command_line(folder, capsys):
    ask = ("plan", "--fit", folder / "fit.nc", "--flops", 1e22, 1e24, "--budgets", 3)
    ask += ("--family", "family0", "--target", "MMLU=2,GSM8K=1")
    assert run(*ask, "--plot", folder / "plan.png", "--json", "--out", folder / "a.json") == 0
    assert run(*ask, "--json", "--out", folder / "b.json") == 0
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    found = json.loads((folder / "a.json").read_text())
    assert found["family_models"] == 4
    assert [row["flops"] for row in found["plans"]] == pytest.approx([1e22, 1e23, 1e24])
    assert {"params_b", "tokens_t", "mean", "lower", "upper", "outside"} <= set(found["plans"][0])
    assert (folder / "plan.png").stat().st_size > 1000
    assert run(*ask) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    skill = ("plan", "--fit", folder / "fit.nc", "--flops", 1e23, "--family", "family0")
    assert run(*skill, "--target", "skill 1", "--plot", folder / "one.png") == 0
    assert "sd of models" in capsys.readouterr().out


def test_require_on_the_command_line(folder, capsys):
    ask = ("require", "--fit", folder / "fit.nc", "--benchmark", "mmlu", "--family", "Family-0")
    ask += ("--tokens-t", 2, "--plot", folder / "require.png")
    assert run(*ask, "--score", 0.5, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["solved"] == "params_b"
    assert found["family_models"] == 0
    assert "did you mean 'family0'?" in captured.err
    assert run(*ask, "--score", 0.9, "--params-b-bounds", 0.1, 4) == 0
    assert "not reached within bounds" in capsys.readouterr().out


def test_compare_on_the_command_line(folder, capsys):
    ask = ("compare", folder / "candidates.csv", "--fit", folder / "fit.nc")
    assert run(*ask, "--out", folder / "compared.csv", "--plot", folder / "compared.png") == 0
    rows = pd.read_csv(folder / "compared.csv")
    assert len(rows) == 2 * (len(BENCHMARKS) + 1)
    assert rows["outside"].notna().any()  # a small model on 15 trillion tokens
    assert "lies outside the training table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "--flops", 0, "--family", "a"), "budget 0 FLOPs"),
        (("plan", "--flops", 1e23, "--family", "a", "--target", "MMLUU"), "did you mean"),
        (("plan", "--flops", 1e23, "--family", "a", "--target", "MMLU=x"), "'x' is not a number"),
        (("plan", "--flops", 1e23, "--family", "a", "--budgets", 5), "--budgets needs two"),
        (
            ("plan", "--flops", 1e23, "--family", "a", "--params-b-bounds", 9, 1),
            "bounds of params_b are crossed",
        ),
        (("plan", "--flops", 1e23, "--family", "a", "--plot", "plan.doc"), "ends in .png"),
        (("plan", "--flops", 1e23, "--family", "a", "--out", "/no/such/folder/x"), "no folder"),
        (("require", "--benchmark", "MMLU", "--score", 80, "--family", "a"), "not between 0 and 1"),
        (
            ("require", "--benchmark", "MMLU", "--score", 0.5, "--family", "a", "--probability", 1),
            "not between 0 and 1",
        ),
        (
            ("require", "--benchmark", "MMLU", "--score", 0.5, "--family", "a", "--tokens-t", -2),
            "--tokens-t -2 is not a positive number",
        ),
        (("require", "--benchmark", "Elo", "--score", 0.5, "--family", "a"), "no target 'Elo'"),
    ],
)
def test_bad_commands_are_one_line(arguments, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(*arguments, "--fit", folder / "fit.nc") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err.splitlines()[-1]
    assert sorted(folder.iterdir()) == before


def test_a_foreign_fit_is_refused(folder, capsys):
    (folder / "foreign.nc").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")  # a pickle
    ask = ("plan", "--flops", 1e23, "--family", "a", "--fit", folder / "foreign.nc")
    assert run(*ask) == 2
    assert "not a file of save_fit" in capsys.readouterr().err
    assert not (folder / "pwned").exists()
