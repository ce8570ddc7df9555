"""Skills in one form: equivalent draws look the same, and every table says what it claims."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sloth_jax import Diagnostics, Fit, FitSettings, InputError
from sloth_jax.forecasting.table_effects import family_effects, table_effects
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.law.forward import Effects, skills as skills_of
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.pivots import choose_pivots
from sloth_jax.skills.alignment import match_skills
from sloth_jax.skills.gradient_projection import rotate_loading
from sloth_jax.skills.interpret import interpret_skills

SKILLS, DRAWS = 3, 40
TABLE, TRUTH = synthetic_table(0, families=12, benchmarks=9, skills=SKILLS, own=0.0)
KEY = jax.random.key(0)
NO_REPORT: Any = None  # nothing here looks at it


def of_laws(*laws: SharedLaw, inference: str = "laplace", table=TABLE, surface=TRUTH.surface):
    """A fit whose draws are known laws."""
    loading = laws[0].params.loading
    return Fit(
        law=jax.tree.map(lambda *a: jnp.stack(a), *laws),
        position=jnp.zeros((len(laws), 1)),
        chains=1,
        table=table,
        surface=surface,
        pivots=choose_pivots(loading)[1],
        settings=FitSettings(inference=inference, skills=loading.shape[1]),
        diagnostics=Diagnostics(inference, len(laws), 0.0),
        report=NO_REPORT,
        seed=(),
    )


def turned(law: SharedLaw, turn) -> SharedLaw:
    """The same law in other skills: all skills have one spread, so orthogonal turns are nothing."""
    slope, loading = law.params.slope @ turn, rotate_loading(law.params.loading, jnp.asarray(turn))
    return law._replace(params=law.params._replace(slope=slope, loading=loading))


def orthogonal(rng) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(SKILLS, SKILLS)))[0]


@pytest.fixture(scope="module")
def truth():
    return interpret_skills(of_laws(TRUTH.law, inference="mode"), key=KEY)


@pytest.fixture(scope="module")
def draws():
    """The same law forty times, in other skills each time."""
    rng = np.random.default_rng(0)
    return of_laws(*(turned(TRUTH.law, orthogonal(rng)) for _ in range(DRAWS)))


@pytest.fixture(scope="module")
def found(draws):
    return interpret_skills(draws, key=KEY)


def test_equivalent_draws_have_the_same_loadings(found, truth):
    assert found.settled == 1.0
    assert found.agreeing > 0.5
    # What is left is the uncertainty of the models' skills.
    assert found.loading.std(axis=0).max() < 0.05
    mean = found.loading.mean(axis=0)
    assert match_skills(mean, truth.loading[0])[0].min() > 0.999
    # Simple but for small loadings of no pattern, which geomin cannot know to leave alone.
    assert match_skills(mean, np.asarray(TRUTH.law.params.loading))[0].min() > 0.95


def test_true_skills_are_found(found):
    x = TRUTH.surface.of(TABLE, TABLE.post_trained_of_family[TABLE.family])
    own = np.asarray(skills_of(TRUTH.law.params, x, TRUTH.effects))
    partner = match_skills(found.loading.mean(axis=0), np.asarray(TRUTH.law.params.loading))[1]
    for k, at in enumerate(partner):
        assert abs(np.corrcoef(found.theta.mean(axis=0)[:, k], own[:, at])[0, 1]) > 0.9


def test_skills_have_mean_zero_and_unit_variance_in_every_draw(found):
    np.testing.assert_allclose(found.theta.mean(axis=1), 0.0, atol=1e-8)
    np.testing.assert_allclose(found.theta.std(axis=1), 1.0, atol=1e-8)
    for draw in (0, 7):
        np.testing.assert_allclose(
            np.corrcoef(found.theta[draw].T), found.correlation[draw], atol=1e-8
        )


def test_no_prediction_changes(found, draws):
    effects = table_effects(draws, key=found.key).skill
    params, x = draws.law.params, draws.observations.design
    own = jax.vmap(lambda p, e: skills_of(p, x, Effects(e)))(params, effects)
    before = own @ jnp.swapaxes(params.loading, 1, 2)
    # The mean over models moves to the benchmarks' biases.
    mean = np.einsum("djk,dk->dj", params.loading, found.centre)
    after = found.theta @ np.swapaxes(found.loading, 1, 2) + mean[:, None]
    np.testing.assert_allclose(after, before, atol=1e-8)


def test_turned_skills_are_brought_to_the_same_form(truth):
    turn = orthogonal(np.random.default_rng(1))
    again = interpret_skills(of_laws(turned(TRUTH.law, turn), inference="mode"), key=KEY)
    np.testing.assert_allclose(again.loading, truth.loading, atol=2e-3)
    np.testing.assert_allclose(again.theta, truth.theta, atol=1e-2)


def test_intervals_of_loadings_and_models(found, truth):
    rows = found.loadings()
    assert list(rows.columns) == ["benchmark", "skill", "median", "lower", "upper"]
    assert len(rows) == 9 * SKILLS
    assert (rows["lower"] <= rows["median"]).all()
    assert (rows["median"] <= rows["upper"]).all()
    models = found.models()
    first = models[models["model"] == TABLE.models[5]].set_index("skill")
    assert set(first["family"]) == {"family01"}
    expected = np.median(found.theta[:, 5], axis=0)
    np.testing.assert_allclose(first["median"], expected)
    assert truth.loadings()[["lower", "upper"]].isna().all().all()  # a mode has no intervals
    assert len(found.correlations()) == SKILLS * (SKILLS - 1) // 2


def test_a_family_at_the_size_of_its_model_has_the_models_skills(found, truth):
    # This law's models do not depart from their families, so draw by draw.
    for skills in (found, truth):
        for model in (0, 6, 25):
            at = skills.efficiency(TABLE.params_b[model], TABLE.tokens_t[model])
            np.testing.assert_allclose(
                at[:, TABLE.family[model]], skills.theta[:, model], atol=1e-7
            )


def test_effects_of_families_are_those_of_their_models(draws):
    effects = table_effects(draws, key=KEY).skill
    for model in (3, 18):
        at = family_effects(draws, TABLE.params_b[model], key=KEY)
        np.testing.assert_allclose(at[:, TABLE.family[model]], effects[:, model], atol=1e-8)


def test_growth_and_curves_are_the_laws_own(truth):
    sizes, tokens = np.array([1.0, 10.0]), np.array([2.0])
    curves = truth.level_curves(sizes, tokens)
    growth = truth.growth(params_b=1.0, tokens_t=2.0).set_index("more").loc["params"]
    by_size = curves.set_index(["params_b", "skill"])["median"].unstack()
    np.testing.assert_allclose(
        by_size.loc[10.0, list(growth["skill"])] - by_size.loc[1.0, list(growth["skill"])],
        growth["median"],
        atol=1e-10,
    )
    x = TRUTH.surface.design(sizes, np.full(2, 2.0), 0.5)  # every second family is post-trained
    expected = truth.of(np.asarray(skills_of(TRUTH.law.params, x))[None])[0]
    np.testing.assert_allclose(by_size[list(truth.labels)], expected, atol=1e-10)


def test_base_to_chat_compares_families_of_a_lineage(truth):
    rows = truth.base_to_chat()
    pairs = rows[["base", "chat"]].drop_duplicates()
    assert len(pairs) == 1 + 6
    assert tuple(pairs.iloc[0]) == ("all", "all")
    assert tuple(pairs.iloc[1]) == ("family00", "family01")
    at = truth.families().set_index(["family", "skill"])["median"]
    one = rows[rows["chat"] == "family01"].set_index("skill")["median"]
    np.testing.assert_allclose(one, at["family01"] - at["family00"])
    rest = rows[rows["base"] != "all"].groupby("skill")["median"].mean()
    np.testing.assert_allclose(rows[rows["base"] == "all"].set_index("skill")["median"], rest)


def test_skills_that_are_no_skills_are_refused():
    law = TRUTH.law
    params = law.params._replace(slope=law.params.slope.at[:, 0].set(0.0))
    spread = jax.tree.map(lambda part: part.at[0].set(0.0), law.skill)
    flat = of_laws(law._replace(params=params, skill=spread), inference="mode")
    with pytest.raises(InputError, match="ask for fewer skills"):
        interpret_skills(flat, key=KEY)


def test_a_base_without_a_chat_family_is_said(truth):
    table = replace(TABLE, post_trained_of_family=np.zeros(12))
    alone = replace(truth, fit=replace(truth.fit, table=table))
    with pytest.raises(InputError, match="no lineage has a base and a post-trained family"):
        alone.base_to_chat()


def test_a_single_skill_needs_no_rotation():
    table, made = synthetic_table(1, skills=1)
    fit = of_laws(
        turned(made.law, -jnp.eye(1)), inference="mode", table=table, surface=made.surface
    )
    found = interpret_skills(fit, key=KEY)
    alike, _ = match_skills(found.loading[0], np.asarray(made.law.params.loading))
    np.testing.assert_allclose(alike, 1.0)
    assert (found.loading[0] > 0.0).all()  # signs are such that skills help
    assert found.correlations().empty
