"""Few prompts: the law's derivatives, recovery, what names and gaps do, sampling, bad input."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import sloth_jax as sj
from sloth_jax.repeats import prompt_law as law
from sloth_jax.repeats.prompts import posterior_draws

KEY = jax.random.key(0)
TEMPLATES, ITEMS = 12, 30


def simulate(templates: int = TEMPLATES, items: int = ITEMS, scale: float = 0.7, seed: int = 0):
    rng = np.random.default_rng(seed)
    theta = 0.5 + scale * rng.normal(size=templates)
    p = 1.0 / (1.0 + np.exp(rng.normal(size=items)[None] - theta[:, None]))
    return rng.random((templates, items)) < p


def asked(right: np.ndarray, cells: pd.DataFrame) -> pd.DataFrame:
    at = [cells[name].str.split().str[1].astype(int) - 1 for name in ("template", "item")]
    return cells.assign(correct=right[at[0], at[1]].astype(int))


def with_extremes() -> np.ndarray:
    right = simulate()
    right[:, 0], right[:, 1] = True, False  # all get one item right, and none the other
    return right


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    return asked(with_extremes(), sj.repeats.balanced_cells(TEMPLATES, ITEMS, 3 * ITEMS, KEY))


NAMES = {
    "templates": [f"template {t + 1}" for t in range(TEMPLATES)],
    "items": [f"item {i + 1}" for i in range(ITEMS)],
}


def tiny():
    rng = np.random.default_rng(1)
    template, item = np.nonzero(rng.random((4, 6)) < 0.6)
    right = jnp.asarray(rng.random(len(item)) < 0.6, float)
    cells = law.Cells(jnp.asarray(template), jnp.asarray(item), right)
    columns = np.column_stack([np.ones(4), rng.normal(size=(4, 2))])
    design = law.Design(jnp.asarray(columns), jnp.asarray([1.0, 1.0, 0.5]))
    prior = law.template_prior(design, jnp.asarray(0.6), jnp.asarray(0.8))
    theta, b = jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=6))
    return cells, design, prior, theta, b, jnp.asarray(1.3)


def test_the_prior_is_the_normal_of_its_covariance():
    _, design, prior, theta, _, _ = tiny()
    x, spread = np.asarray(design.columns), np.array([law.INTERCEPT, 0.8, 0.4])
    covariance = x @ np.diag(spread**2) @ x.T + 0.6**2 * np.eye(4)
    np.testing.assert_allclose(prior.precision(), np.linalg.inv(covariance), rtol=1e-8)
    by_hand = -0.5 * theta @ np.linalg.solve(covariance, np.asarray(theta))
    by_hand -= 0.5 * np.linalg.slogdet(covariance)[1]
    assert float(prior.log_density(theta)) == pytest.approx(float(by_hand), rel=1e-9)


def test_eliminating_items_solves_the_whole_hessian():
    cells, _, prior, theta, b, s_b = tiny()
    hessian = jax.hessian(law.log_joint, (0, 1))(theta, b, cells, prior, s_b)
    dense = -np.block([[np.asarray(part) for part in row] for row in hessian])
    gradient = jax.grad(law.log_joint, (0, 1))(theta, b, cells, prior, s_b)
    found = law.information(theta, b, cells, prior, s_b).solve(*gradient)
    expected = np.linalg.solve(dense, np.concatenate(gradient))
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-8)


def test_the_hessian_without_difficulties_is_that_of_autodiff():
    cells, _, prior, theta, b, s_b = tiny()
    points = law.quadrature(b, law.information(theta, b, cells, prior, s_b), s_b)
    dense = -jax.hessian(law.log_marginal)(theta, cells, prior, points)
    found = law.marginal_information(theta, cells, prior, points)
    np.testing.assert_allclose(found, dense, rtol=1e-8, atol=1e-10)


def test_quadrature_is_the_integral_over_difficulty():
    cells, _, prior, theta, _, s_b = tiny()
    mode = law.joint_mode((theta, jnp.zeros(6)), cells, prior, s_b)
    points = law.quadrature(mode[1], law.information(*mode, cells, prior, s_b), s_b)
    found, _ = law.item_posterior(theta, cells, points)
    b = np.linspace(-12.0, 12.0, 4001)
    for item in range(6):
        density = np.exp(-0.5 * (b / 1.3) ** 2) / (1.3 * np.sqrt(2 * np.pi))
        for cell in np.flatnonzero(cells.item == item):
            p = 1.0 / (1.0 + np.exp(b - float(theta[cells.template[cell]])))
            density = density * (p if cells.right[cell] else 1.0 - p)
        assert float(found[item]) == pytest.approx(np.log(np.trapezoid(density, b)), abs=1e-4)


def test_answers_to_all_cells_are_told_back():
    right = simulate()
    whole = asked(right, sj.repeats.balanced_cells(TEMPLATES, ITEMS, TEMPLATES * ITEMS, KEY))
    found = sj.repeats.prompt_performance(whole, key=KEY, **NAMES)
    assert found.converged
    np.testing.assert_allclose(found.draws, np.tile(right.mean(axis=1), (500, 1)))


def test_performance_is_recovered_from_few_answers(few):
    found = sj.repeats.prompt_performance(few, key=KEY, **NAMES)
    assert found.converged
    assert np.isfinite(found.draws).all()
    assert ((found.draws >= 0) & (found.draws <= 1)).all()
    frame = found.summary()
    truth = with_extremes().mean(axis=1)
    assert np.corrcoef(frame["median"], truth)[0, 1] > 0.7
    assert frame["lower"].le(truth).mean() + frame["upper"].ge(truth).mean() > 1.7  # both ends
    at = found.quantiles((0.0, 0.5, 1.0))
    assert (at["lower"] < at["median"]).all()
    assert at["median"].is_monotonic_increasing


def test_names_and_order_do_not_matter(few):
    one = sj.repeats.prompt_performance(few, key=KEY, **NAMES).summary()
    other = sj.repeats.prompt_performance(
        few.sample(frac=1.0, random_state=1),
        key=KEY,
        templates=NAMES["templates"][::-1],
        items=NAMES["items"][::-1],
    ).summary()
    merged = one.merge(other, on="template")
    assert (merged["answers_x"] == merged["answers_y"]).all()
    np.testing.assert_allclose(merged["median_x"], merged["median_y"], atol=0.05)  # other draws


def test_a_template_without_an_answer_is_wide(few):
    left = few[few["template"] != "template 3"]
    found = sj.repeats.prompt_performance(left, key=KEY, **NAMES)
    assert found.unseen == ("template 3",)
    frame = found.summary().set_index("template")
    width = frame["upper"] - frame["lower"]
    assert width["template 3"] > 1.2 * width.drop("template 3").median()


def test_covariates_tell_of_templates_without_answers(few):
    at = np.arange(TEMPLATES) % 2
    right = np.where(at[:, None] == 1, simulate() | (np.arange(ITEMS) % 4 > 0), simulate())
    cells = sj.repeats.balanced_cells(TEMPLATES, ITEMS, 9 * ITEMS, KEY)
    seen = asked(right, cells).query("template not in ['template 3', 'template 4']")
    covariates = pd.DataFrame({"kind": at, "same": 1.0}, index=NAMES["templates"])
    found = sj.repeats.prompt_performance(seen, key=KEY, covariates=covariates, **NAMES)
    frame = found.summary().set_index("template")
    assert frame.loc["template 4", "median"] > frame.loc["template 3", "median"] + 0.1
    assert np.quantile(found.effects[:, 0], 0.05) > 0.0
    assert np.isfinite(found.effects).all()


def test_parts_are_recovered_and_unseen_subsets_predicted():
    rng = np.random.default_rng(3)
    held = (np.arange(8)[:, None] >> np.arange(3)) & 1
    theta = held @ np.array([1.5, -1.2, 0.0])
    p = 1.0 / (1.0 + np.exp(rng.normal(size=100)[None] - theta[:, None]))
    right = rng.random(p.shape) < p
    names = [f"template {n + 1}" for n in range(8)]
    parts = pd.DataFrame(held, columns=["role", "hint", "greeting"], index=names)
    frame = asked(right, sj.repeats.balanced_cells(8, 100, 800, KEY))
    kept = frame[~frame["template"].isin(["template 2", "template 7"])]  # without the best
    found = sj.repeats.prompt_parts(kept, parts, key=KEY)
    assert found.converged
    assert found.evaluated.sum() == 6
    effects = found.effects()
    assert effects["with"].ne("").sum() == 3
    alone = effects[effects["with"] == ""].set_index("part")
    assert alone.loc["role", "lower"] > 0.0
    assert alone.loc["hint", "upper"] < 0.0
    truth = pd.Series([1.5, -1.2, 0.0], alone.index)
    assert truth.between(alone["log_odds_lower"], alone["log_odds_upper"]).sum() >= 2
    best = found.best()
    assert best["probability"].sum() == pytest.approx(1.0)
    assert best.loc[0, "parts"] in ("role", "role + greeting")
    width = best.groupby("evaluated").apply(lambda rows: (rows["upper"] - rows["lower"]).mean())
    assert width[False] > width[True]


@pytest.mark.parametrize(("templates", "items"), [(4, 6), (5, 7), (1, 3), (6, 4), (10, 10)])
def test_balanced_cells_are_balanced(templates, items):
    for budget in range(1, templates * items + 1):
        cells = sj.repeats.balanced_cells(templates, items, budget, jax.random.key(budget))
        assert len(cells) == len(cells.drop_duplicates()) == budget
        for name, count in (("template", templates), ("item", items)):
            per = cells[name].value_counts().reindex([f"{name} {n + 1}" for n in range(count)])
            assert per.fillna(0).max() - per.fillna(0).min() <= 1
    cells = sj.repeats.random_cells(templates, items, templates * items, KEY)
    assert len(cells.drop_duplicates()) == templates * items


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"correct": [1, 2]}, "row 3, column 'correct', value '2': not 0 or 1"),
        ({"item": ["a", "a"], "template": ["x", "x"]}, "stand in row 2 too: keep one answer"),
        ({"item": ["a", None]}, "row 3, column 'item', value '': no item: name it"),
        ({"correct": [None, None]}, "no answer in column 'correct'"),
        ({"template": ["x", "z"]}, "not one of the 2 templates given"),
    ],
)
def test_bad_answers_get_one_line(change, line):
    good = {"template": ["x", "y"], "item": ["a", "a"], "correct": [1, 0]}
    with pytest.raises(sj.InputError, match=r"^answers: [^\n]*$") as found:
        sj.repeats.read_prompt_answers(pd.DataFrame(good | change), templates=["x", "y"])
    assert line in str(found.value)


def test_bad_requests_get_one_line():
    answers = pd.DataFrame({"template": ["x", "y"], "item": ["a", "a"], "correct": [1, 0]})
    with pytest.raises(sj.InputError, match="no column 'correct'"):
        sj.repeats.read_prompt_answers(answers.drop(columns="correct"))
    with pytest.raises(sj.InputError, match="item 'a' is given twice"):
        sj.repeats.read_prompt_answers(answers, items=["a", "a"])
    with pytest.raises(sj.InputError, match="covariates: no row for template 'y'"):
        sj.repeats.prompt_performance(
            answers, key=KEY, covariates=pd.DataFrame({"long": [1]}, index=["x"])
        )
    parts = pd.DataFrame({"hint": [1, 1]}, index=["x", "y"])
    with pytest.raises(sj.InputError, match="'x' and 'y' hold the same parts"):
        sj.repeats.prompt_parts(answers, parts, key=KEY)
    with pytest.raises(sj.InputError, match=r"part 'hint': 2 is not 0 or 1"):
        sj.repeats.prompt_parts(answers, parts + 1, key=KEY)
    with pytest.raises(sj.InputError, match="a budget of 7 cells: there are 6 cells"):
        sj.repeats.balanced_cells(2, 3, 7, KEY)


def test_what_was_not_evaluated_is_no_answer(few):
    gaps = few.assign(correct=few["correct"].astype(float))
    gaps.loc[gaps.index[:5], "correct"] = np.nan
    found = sj.repeats.read_prompt_answers(gaps, **NAMES)
    assert len(found.correct) == len(few) - 5
    assert found.naive()[0] == pytest.approx(
        gaps.query("template == 'template 1'")["correct"].mean()
    )


def test_the_scale_of_templates_is_found():
    right = simulate(30, 60, 0.8, seed=5)
    cells = asked(right, sj.repeats.balanced_cells(30, 60, 600, KEY))
    answers = sj.repeats.read_prompt_answers(cells)
    _, _, drawn = posterior_draws(answers, np.ones((30, 1)), np.ones(1), KEY, 400)
    lower, upper = np.quantile(drawn.scale, [0.05, 0.95])
    assert lower < 0.8 < upper
    assert upper < 1.6
