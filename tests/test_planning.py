"""Plans against closed forms and grids, requirements against forecasts, and their bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from small import BENCHMARKS, leaderboard, random_params, table

from sloth_jax import (
    InputError,
    SamplerSettings,
    forecast,
    interpret_skills,
    sample_posterior,
    save_posterior,
)
from sloth_jax.cli import main
from sloth_jax.covariates import covariate_matrix, fit_scaling
from sloth_jax.extrapolation import beyond, beyond_in_words
from sloth_jax.identifiability import check_identifiability
from sloth_jax.law import linear_predictor, scores, skills
from sloth_jax.links import Logistic
from sloth_jax.measurement import next_measurement
from sloth_jax.planning import Bounds, Family, compare, compute_optimal, elasticity, required
from sloth_jax.point import PointFit, PointSettings
from sloth_jax.query import Query

TINY = SamplerSettings(
    skills=1, warmup=20, draws=60, chains=2, max_tree_depth=4, starts=1, start_steps=150
)
KEY = jax.random.key(3)
UNIT = 6e21
# The optimum of a flat-topped target, in double precision.
PLACE, HEIGHT = 1e-6, 1e-6


@pytest.fixture(scope="module")
def data():
    return table()[0]


@pytest.fixture(scope="module")
def posterior(data):
    return sample_posterior(data, key=jax.random.key(0), settings=TINY)


def law(seed: int, data, skills: int = 2) -> PointFit:
    """A point "fit" whose law is random: what is planned with it has a known answer."""
    params = random_params(seed, len(data.families), skills, len(data.benchmarks), Logistic())
    params = params._replace(growth=None, specific_growth=None, specific=None)
    return PointFit(
        params=params,
        table=data,
        scaling=fit_scaling(data.params_b, data.tokens_t),
        covariates="translog",
        settings=PointSettings(skills=skills),
        loss=0.0,
        losses=np.zeros(1),
        converged=True,
        mean_absolute_error=0.0,
        report=check_identifiability(data, skills=skills),
    )


def vertex(fit: PointFit, direction: np.ndarray, flops: float) -> tuple[float, float]:
    """Where direction'(B'x) turns along 6 s t = C, as log s, and its curvature there.

    With z1 = (log s - m1) / d1 and z2 = (log t - m2) / d2 the skill a z1 + b z2 + c z1 z2 has the
    derivative a / d1 - b / d2 + c (K - m2 + m1 - 2 log s) / (d1 d2) along log s + log t = K.
    """
    m1, d1, m2, d2 = fit.scaling
    a, b, c = np.asarray(fit.params.slope) @ direction
    budget = np.log(flops / UNIT)
    return 0.5 * (budget - m2 + m1 + (a * d2 - b * d1) / c), -2.0 * c / (d1 * d2)


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_of_the_interaction_is_its_closed_form(seed, data):
    fit = law(seed, data)
    wide = Bounds((1e-6, 1e9), (1e-6, 1e9))
    interior = 0
    for j, name in enumerate(BENCHMARKS):
        for flops in (1e21, 3e23):
            at, curvature = vertex(fit, np.asarray(fit.params.loading)[j], flops)
            plan = compute_optimal(fit, flops, family="family0", target=name, bounds=wide)
            found = plan.frontier.iloc[0]
            assert found["spent"] == pytest.approx(flops, rel=1e-9)
            if curvature < 0 and np.log(1e-6) < at < np.log(flops / UNIT / 1e-6):
                interior += 1
                assert np.log(found["params_b"]) == pytest.approx(at, abs=PLACE)
            else:  # the ends of the line are best
                assert min(found["params_b"], found["tokens_t"]) == pytest.approx(1e-6, rel=1e-6)
    assert interior or seed  # the first seed has some


@pytest.mark.parametrize("spend_all", [True, False])
@pytest.mark.parametrize("target", ["GSM8K", "mean", {"MMLU": 1.0, "GSM8K": 3.0}])
@pytest.mark.parametrize("seed", range(4))
def test_no_grid_finds_a_better_split(seed, target, spend_all, data):
    fit, bounds, flops = law(seed, data), Bounds((0.5, 200.0), (0.1, 20.0)), 5e22
    plan = compute_optimal(
        fit, flops, family="family1", target=target, bounds=bounds, spend_all=spend_all
    )
    weights = np.zeros(len(BENCHMARKS))
    weights[list(plan.target.benchmarks)] = plan.target.weights
    assert plan.frontier["spent"][0] <= flops * (1 + 1e-9)

    def value(s, t):
        x = covariate_matrix(fit.scaling, s, t)
        return np.asarray(scores(fit.params, x, np.full(len(x), 1))) @ weights

    size = np.exp(np.linspace(*np.log(bounds.params_b), 800))
    most = np.minimum(bounds.tokens_t[1], flops / UNIT / size)
    size, most = size[most >= bounds.tokens_t[0]], most[most >= bounds.tokens_t[0]]
    share = np.linspace(0.0, 1.0, 40)[:, None] if not spend_all else np.ones((1, 1))
    least = bounds.tokens_t[0]
    tokens = least * (most[None] / least) ** share
    sizes = np.broadcast_to(size, tokens.shape)
    best = value(sizes.ravel(), tokens.ravel()).max()
    row = plan.frontier.iloc[0]
    reached = value(np.array([row["params_b"]]), np.array([row["tokens_t"]]))[0]
    assert row["mean"] == pytest.approx(reached, abs=1e-9)
    assert best <= reached + HEIGHT


def test_a_skill_is_planned_for_too(data):
    fit = law(0, data)
    found = interpret_skills(fit, key=KEY)
    plan = compute_optimal(
        fit, [1e22, 1e23], family="family0", target="skill 2", skills=found,
        bounds=Bounds((0.01, 1e4), (0.01, 1e4)),
    )  # fmt: skip
    for row in plan.frontier.to_dict("records"):
        s, t = np.array([row["params_b"]]), np.array([row["tokens_t"]])
        x = covariate_matrix(fit.scaling, s, t)
        one = jax.tree.map(lambda a: a[0], found.params)
        wanted = np.asarray(skills(one, x, np.zeros(1, int)))[0, 1]
        assert row["mean"] == pytest.approx(wanted, abs=1e-8)
    assert plan.frontier["mean"].is_monotonic_increasing


def test_a_plan_from_a_posterior_carries_its_uncertainty(posterior):
    plan = compute_optimal(posterior, np.geomspace(1e22, 1e24, 3), family="family0", key=KEY)
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
    cold = compute_optimal(posterior, 1e23, family="nobody", key=KEY)
    assert cold.family_models == 0
    warm = compute_optimal(posterior, 1e23, family="family0", key=KEY).frontier.iloc[0]
    wide = cold.frontier.iloc[0]
    assert wide["upper"] - wide["lower"] > warm["upper"] - warm["lower"]


def test_a_point_plan_claims_no_interval(data):
    plan = compute_optimal(law(1, data), 1e23, family="family0")
    ends = plan.frontier.filter(regex="lower|upper|least|most|median")
    assert ends.isna().all().all()
    assert plan.splits[["lower", "upper", "as_good"]].isna().all().all()


@pytest.mark.parametrize("given", [{"tokens_t": 2.0}, {"params_b": 16.0}, {}])
def test_require_inverts_the_forecast(given, posterior, data):
    found = required(
        posterior, "MMLU", 0.6, family="family0", probability=0.7, key=KEY, **given
    )  # fmt: skip
    assert found.reached
    frame = pd.DataFrame(
        {"model": [f"{i}" for i in range(12)], "family": "family0",
         "params_b": found.params_b, "tokens_t": found.tokens_t}
    )  # fmt: skip
    predicted = forecast(posterior, Query.from_frame(frame, data), key=jax.random.key(9))
    share = (predicted.draws[:, :, 0] >= 0.6).mean()
    assert abs(share - 0.7) < 4.0 * found.standard_error
    assert found.probability == pytest.approx(0.7, abs=0.02)
    assert found.flops == pytest.approx(UNIT * found.params_b * found.tokens_t)


def test_what_cannot_be_reached_is_said(posterior, data):
    found = required(
        posterior, "MMLU", 0.9, family="family0", probability=0.9, tokens_t=1.0, key=KEY,
        bounds=Bounds((0.1, 4.0)),
    )  # fmt: skip
    assert not found.reached
    assert found.probability < 0.9
    # Of a point there is no probability: the score is reached where it is predicted.
    fit = law(0, data)
    x = covariate_matrix(fit.scaling, np.array([20.0]), np.array([1.0]))
    wanted = float(scores(fit.params, x, np.zeros(1, int))[0, 0])
    answer = required(fit, "MMLU", min(max(wanted, 0.01), 0.99), family="family0", tokens_t=1.0)
    assert np.isnan(answer.asked)
    assert np.isnan(answer.standard_error)


def test_candidates_are_compared_draw_by_draw(posterior, data):
    frame = pd.DataFrame(
        {"model": ["small", "large", "stranger"], "family": ["family0", "family0", "nobody"],
         "params_b": [1.0, 64.0, 8.0], "tokens_t": [1.0, 2.0, 2.0]}
    )  # fmt: skip
    query = Query.from_frame(frame, data)
    rows = compare(posterior, query, target={"MMLU": 1, "ARC": 1}, key=KEY)
    total = rows.groupby("benchmark")["probability_best"].sum()
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    predicted = forecast(posterior, query, key=KEY).draws
    overall = predicted[:, :, :2].mean(axis=2)
    shown = rows[rows["benchmark"].str.contains(r"\+", regex=True)].set_index("model")
    assert len(shown) == 3
    for m, name in enumerate(frame["model"]):
        assert shown.loc[name, "mean"] == pytest.approx(overall[:, m].mean())
        assert shown.loc[name, "probability_best"] == pytest.approx(
            (overall.argmax(axis=1) == m).mean()
        )
    assert list(shown["family_models"]) == [4, 4, 0]


def test_elasticity_is_the_slope_of_the_law(data):
    fit = law(2, data)
    found = interpret_skills(fit, key=KEY)
    rows = elasticity(fit, 8.0, 2.0, family="family0", more=1e-6, skills=found)

    def value(s, t):
        x = covariate_matrix(fit.scaling, np.array([s]), np.array([t]))
        return np.asarray(linear_predictor(fit.params, x, np.zeros(1, int)))[0]

    h = 1e-4
    slope = (value(8.0 * np.exp(h), 2.0) - value(8.0 * np.exp(-h), 2.0)) / (2 * h)
    share = 1.0 / (1.0 + np.exp(-value(8.0, 2.0)))
    by_hand = (1.0 - np.asarray(fit.params.floor)) * share * (1.0 - share) * slope
    shown = rows[(rows["kind"] == "benchmark") & (rows["more"] == "params")]
    np.testing.assert_allclose(shown["median"] / 1e-6, by_hand, rtol=1e-3)
    assert (rows["kind"] == "skill").sum() == 4
    assert rows[["lower", "upper"]].isna().all().all()


def test_where_a_query_lies_outside_is_told(data):
    top = data.params_b.max()
    factors = beyond(data, np.array([top, 3.0 * top]), np.array([2.0, 2.0]))
    assert factors["params_b"].tolist() == pytest.approx([1.0, 3.0])
    words = beyond_in_words(data, np.array([4.0, 3.0 * top]), np.array([2.0, 2.0]))
    assert words[0] == ""
    assert "params_b 3 x the largest" in words[1]


def test_a_mixture_of_experts_pays_for_active_parameters(data):
    fit = law(0, data)
    sparse = compute_optimal(
        fit, 1e23, family=Family("family0", active_fraction=0.25), target="MMLU"
    ).frontier.iloc[0]
    dense = compute_optimal(fit, 4e23, family="family0", target="MMLU").frontier.iloc[0]
    # All parameters count as size, so that the budget buys four times as much.
    assert sparse["params_b"] == pytest.approx(dense["params_b"], rel=1e-6)
    assert sparse["spent"] == pytest.approx(1e23)
    by_active = replace(fit, covariates="active")
    alike = compute_optimal(
        by_active, 1e23, family=Family("family0", active_fraction=0.25), target="MMLU",
        bounds=Bounds((0.4, 4000.0), (0.05, 50.0)),
    ).frontier.iloc[0]  # fmt: skip
    plain = compute_optimal(fit, 1e23, family="family0", target="MMLU").frontier.iloc[0]
    assert alike["mean"] == pytest.approx(plain["mean"], abs=1e-9)


def test_expected_width_is_that_of_the_exact_conditional(posterior, data):
    """One draw, so that what all families share is known and everything inside links normal."""
    draws = 4000
    single = jax.tree.map(lambda a: np.repeat(a[:1, :1], draws, axis=1), posterior.params)
    people = jax.tree.map(lambda a: np.repeat(a[:1, :1], draws, axis=1), posterior.population)
    fixed = replace(posterior, params=single, population=people)
    # A small model of mean size, from which an unseen family's growth counts anyway.
    size = float(np.exp(posterior.scaling.log_params_mean))
    frame = pd.DataFrame(
        {"model": ["small", "large"], "family": "nobody", "post_trained": False,
         "params_b": [size, 3.0 * size], "tokens_t": 2.0}
    )  # fmt: skip
    drawn = forecast(fixed, Query.from_frame(frame, data), key=jax.random.key(7)).draws
    link = jax.tree.map(lambda a: a[0, 0], single.link)
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
    by_regression = (ends[:, 1] - ends[:, 0]).mean()

    rows = next_measurement(
        fixed, Family("nobody", post_trained=False), 1e25, params_b=3.0 * size, tokens_t=2.0,
        key=KEY, target="MMLU", futures=200, draws=400,
        candidates=pd.DataFrame({"params_b": [size], "tokens_t": [2.0]}),
    )  # fmt: skip
    lower, upper = np.quantile(drawn[:, 1, 0], [0.05, 0.95])
    assert rows["before"][0] == pytest.approx(upper - lower, rel=0.1)
    assert rows["width"][0] == pytest.approx(by_regression, rel=0.1)
    assert rows["width"][0] < rows["before"][0]
    assert rows["effective_draws"][0] == pytest.approx(400, rel=1e-6)  # they are all the same


def test_seeing_a_sibling_narrows_and_nearer_ones_more(posterior):
    size, tokens = 64.0, 2.0
    rows = next_measurement(
        posterior, "family0", 1e24, params_b=size, tokens_t=tokens, key=KEY, target="MMLU",
        candidates=pd.DataFrame({"params_b": [16.0, size], "tokens_t": [tokens, tokens]}),
    )  # fmt: skip
    assert (rows["width"] < rows["before"] + 3 * rows["error"]).all()
    chosen = next_measurement(
        posterior, "nobody", 1e22, params_b=size, tokens_t=tokens, key=KEY, futures=10, draws=20
    )
    assert (chosen["flops"] <= 1e22 * 1.0001).all()
    assert chosen["width"].is_monotonic_increasing


BAD = {
    "no budget": (lambda f: compute_optimal(f, 0.0, family="family0"), "budget 0 FLOPs"),
    "endless budget": (lambda f: compute_optimal(f, np.inf, family="family0"), "budget inf"),
    "small budget": (lambda f: compute_optimal(f, 1e10, family="family0"), "smallest model"),
    "crossed bounds": (lambda _: Bounds((10.0, 1.0)), "are crossed, 10 to 1"),
    "no bounds": (lambda _: Bounds((0.0, 1.0)), "positive numbers"),
    "no such target": (
        lambda f: compute_optimal(f, 1e23, family="family0", target="MMLUU"),
        "did you mean 'MMLU'?",
    ),
    "weights": (
        lambda f: compute_optimal(f, 1e23, family="family0", target={"MMLU": -1.0}),
        "positive numbers",
    ),
    "twice": (
        lambda f: compute_optimal(f, 1e23, family="family0", target={"MMLU": 1, "mmlu": 1}),
        "twice",
    ),
    "certain": (
        lambda f: required(f, "MMLU", 0.5, family="family0", probability=1.0),
        "probability 1 is not between 0 and 1",
    ),
    "percent": (lambda f: required(f, "MMLU", 80.0, family="family0"), "score 80"),
    "both": (
        lambda f: required(f, "MMLU", 0.5, family="family0", params_b=1.0, tokens_t=1.0),
        "nothing to solve for",
    ),
    "active": (lambda _: Family("family0", active_fraction=0.0), "active fraction 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_refused(case, data):
    ask, says = BAD[case]
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        ask(law(0, data))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return 0 if stop.value.code is None else int(stop.value.code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, posterior):
    at = tmp_path_factory.mktemp("planning")
    save_posterior(posterior, at / "fit.nc")
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
    assert "not a file of save_posterior" in capsys.readouterr().err
    assert not (folder / "pwned").exists()


def test_active_and_total_parameters_are_told_apart():
    frame = pd.DataFrame(
        {"model": ["a", "b"], "family": "f", "lineage": "f", "post_trained": False,
         "params_b": [8.0, 8.0], "tokens_t": [1.0, 1.0]}
    )  # fmt: skip
    made = replace(leaderboard(frame, np.full((2, 4), 0.5)), active_params_b=np.array([np.nan, 2]))
    scaling = fit_scaling(made.params_b, made.tokens_t)
    by = {
        kind: np.asarray(
            covariate_matrix(
                scaling, made.params_b, made.tokens_t, kind=kind,
                active_params_b=made.active_params_b,
            )
        )
        for kind in ("translog", "active", "total_and_active", "flops")
    }  # fmt: skip
    np.testing.assert_allclose(by["translog"][0], by["translog"][1])
    assert by["active"][1, 0] - by["active"][0, 0] == pytest.approx(-np.log(4.0))
    np.testing.assert_allclose(by["total_and_active"][:, 3], [0.0, np.log(4.0)])
    assert by["flops"][1, 0] < by["flops"][0, 0]
