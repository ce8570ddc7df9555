"""Skills in one form: equivalent draws look the same, and every table says what it claims."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sloth_jax import InputError
from sloth_jax.covariates import covariate_matrix, fit_scaling
from sloth_jax.identifiability import check_identifiability
from sloth_jax.law import scores
from sloth_jax.law import skills as skills_of
from sloth_jax.point import PointFit, PointSettings
from sloth_jax.posterior import Posterior
from sloth_jax.rotation import match_skills, rotate_params
from sloth_jax.sampler import SamplerSettings
from sloth_jax.skills import interpret_skills, propose_labels
from sloth_jax.synthetic import synthetic_table

SKILLS, DRAWS = 3, 40
TABLE, LAW = synthetic_table(0, families=12, benchmarks=9, skills=SKILLS)
SCALING = fit_scaling(TABLE.params_b, TABLE.tokens_t)
X = covariate_matrix(SCALING, TABLE.params_b, TABLE.tokens_t)
REPORT = check_identifiability(TABLE, skills=SKILLS)


def point_fit(params) -> PointFit:
    return PointFit(
        params, TABLE, SCALING, "translog", PointSettings(skills=SKILLS), 0.0, jnp.zeros(1), True,
        0.0, REPORT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def truth():
    return interpret_skills(point_fit(LAW), key=jax.random.key(0))


@pytest.fixture(scope="module")
def draws():
    """The same law forty times, in other skills each time, with a little scatter."""
    rng = np.random.default_rng(0)

    def turned(_: int):
        loading = LAW.loading + 0.01 * rng.normal(size=LAW.loading.shape)
        turn = rng.normal(size=(SKILLS, SKILLS)) + 2.0 * np.eye(SKILLS)
        return rotate_params(LAW._replace(loading=loading), jnp.asarray(turn))

    stacked = jax.tree.map(lambda *a: jnp.stack(a), *(turned(k) for k in range(DRAWS)))
    chains = jax.tree.map(lambda a: a.reshape(2, DRAWS // 2, *a.shape[1:]), stacked)
    settings = SamplerSettings(skills=SKILLS)
    return Posterior(chains, None, None, TABLE, SCALING, "translog", (), None, settings, REPORT)


@pytest.fixture(scope="module")
def found(draws):
    return interpret_skills(draws, key=jax.random.key(0))


def test_equivalent_draws_have_the_same_loadings(found, truth):
    assert found.settled == 1.0
    assert found.agreeing > 0.5
    # What is left is the scatter that was put in, enlarged by the rotation.
    assert found.loading.std(axis=0).max() < 0.05
    mean = found.loading.mean(axis=0)
    assert match_skills(mean, truth.loading[0])[0].min() > 0.999
    # Simple but for small loadings of no pattern, which geomin cannot know to leave alone.
    assert match_skills(mean, np.asarray(LAW.loading))[0].min() > 0.95


def test_skills_have_mean_zero_and_unit_variance_in_every_draw(found):
    np.testing.assert_allclose(found.theta.mean(axis=1), 0.0, atol=1e-8)
    np.testing.assert_allclose(found.theta.std(axis=1), 1.0, atol=1e-8)
    for draw in (0, 7):
        np.testing.assert_allclose(
            np.corrcoef(found.theta[draw].T), found.correlation[draw], atol=1e-8
        )


def test_no_prediction_changes(found, draws):
    family = jnp.asarray(TABLE.family)
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), draws.params)
    before = jax.vmap(lambda p: scores(p, X, family))(flat)
    after = jax.vmap(lambda p: scores(p, X, family))(found.params)
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_the_form_is_reached_in_one_go(found):
    again = Posterior(
        jax.tree.map(lambda a: a[None], found.params), None, None, TABLE, SCALING, "translog", (),
        None, SamplerSettings(skills=SKILLS), REPORT,
    )  # fmt: skip
    twice = interpret_skills(again, key=jax.random.key(1))
    np.testing.assert_allclose(twice.loading, found.loading, atol=2e-3)


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
    assert truth.loadings()[["lower", "upper"]].isna().all().all()  # a point has no intervals
    assert len(found.correlations()) == SKILLS * (SKILLS - 1) // 2


def test_efficiencies_growth_and_curves_are_the_laws_own(truth):
    law = jax.tree.map(lambda a: a[0], truth.params)._replace(own=None)
    count = len(TABLE.families)
    x = covariate_matrix(SCALING, np.full(count, 3.0), np.full(count, 1.5))
    expected = np.asarray(skills_of(law, x, jnp.arange(count)))
    rows = truth.families(params_b=3.0, tokens_t=1.5)
    np.testing.assert_allclose(rows["median"], expected.ravel(), atol=1e-10)

    sizes, tokens = np.array([1.0, 10.0]), np.array([2.0])
    curves = truth.level_curves(sizes, tokens)
    growth = truth.growth(params_b=1.0, tokens_t=2.0).set_index("more").loc["params"]
    by_size = curves.set_index(["params_b", "skill"])["median"].unstack()
    np.testing.assert_allclose(
        by_size.loc[10.0, list(growth["skill"])] - by_size.loc[1.0, list(growth["skill"])],
        growth["median"], atol=1e-10,
    )  # fmt: skip


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


def test_labels_are_proposed_and_yours_to_choose(truth):
    proposed = propose_labels(truth, top=1)
    main = np.abs(truth.loading[0]).argmax(axis=0)
    assert {f"benchmark{j + 1}" for j in main} == set(proposed)
    named = truth.named(["a", "b", "c"])
    assert set(named.loadings()["skill"]) == {"a", "b", "c"}
    with pytest.raises(InputError, match="2 names, 2 different ones, for 3 skills"):
        truth.named(["a", "b"])


def test_skills_that_are_no_skills_are_refused():
    flat = LAW._replace(
        intercept=LAW.intercept.at[:, 0].set(0.0), slope=LAW.slope.at[:, 0].set(0.0),
        own=LAW.own.at[:, 0].set(0.0),
    )  # fmt: skip
    with pytest.raises(InputError, match="ask for fewer skills"):
        interpret_skills(point_fit(flat), key=jax.random.key(0))


def test_a_base_without_a_chat_family_is_said(truth):
    alone = replace(truth, table=replace(TABLE, post_trained_of_family=np.zeros(12)))
    with pytest.raises(InputError, match="no lineage has a base and a post-trained family"):
        alone.base_to_chat()


def test_a_single_skill_needs_no_rotation():
    table, law = synthetic_table(1, skills=1)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    report = check_identifiability(table, skills=1)
    fit = PointFit(
        rotate_params(law, -2.0 * jnp.eye(1)), table, scaling, "translog", PointSettings(skills=1),
        0.0, jnp.zeros(1), True, 0.0, report,
    )  # fmt: skip
    found = interpret_skills(fit, key=jax.random.key(0))
    alike, _ = match_skills(found.loading[0], np.asarray(law.loading))
    np.testing.assert_allclose(alike, 1.0)
    assert (found.loading[0] > 0.0).all()  # signs are such that skills help
    assert found.correlations().empty
