"""Lineages left out: densities that add up, importance sampling and refits."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from small import table

from sloth_jax.errors import InputError
from sloth_jax.evaluation.leave_lineage_out import cross_validate_lineages
from sloth_jax.evaluation.splits import split_by_lineage
from sloth_jax.inference.arviz_groups import lineage_log_likelihoods
from sloth_jax.inference.fit import fit
from sloth_jax.inference.leave_lineage_out import LineageElpd, lineage_elpd
from sloth_jax.inference.settings import FitSettings
from sloth_jax.law.hierarchical import log_likelihood

KEY = jax.random.key(0)
QUICK = FitSettings(skills=1, surface="translog", draws=40, steps=60)


@pytest.fixture(scope="module")
def data():
    return table()[0]


@pytest.fixture(scope="module")
def fitted(data):
    return fit(data, key=KEY, settings=QUICK)


def test_densities_of_lineages_add_up_to_that_of_the_table(fitted):
    found = np.asarray(lineage_log_likelihoods(fitted))
    assert found.shape == (40, 3)
    for draw in (0, 17):
        law = jax.tree.map(lambda a, draw=draw: a[draw], fitted.law)
        whole = float(log_likelihood(law, fitted.observations))
        assert found[draw].sum() == pytest.approx(whole, rel=1e-8)


def test_lineages_can_be_left_out(fitted, data):
    left = lineage_elpd(fitted)
    assert left.lineages == data.lineages
    # What was left out is predicted worse than what was there.
    density = np.asarray(lineage_log_likelihoods(fitted))
    assert (left.elpd < logsumexp(density, axis=0) - np.log(len(density))).all()
    # No better than plain importance sampling's worst draw: log of the mean of 1 / p, negated.
    assert (left.elpd > density.min(axis=0)).all()
    assert left.elpd_difference(left) == (0.0, 0.0)


def test_another_result_is_better_by_its_sum_and_the_scatter_of_its_parts():
    one = LineageElpd(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    other = LineageElpd(one.lineages, np.array([2.0, 4.0, 3.0]), np.zeros(3))
    difference, error = one.elpd_difference(other)
    assert difference == other.total - one.total == 3.0
    assert error == pytest.approx(np.sqrt(3.0))  # of 1, 2, 0: sqrt(3) times a deviation of 1


def test_what_cannot_be_left_out_is_refused(fitted, data):
    one = np.where((data.lineage_of_family[data.family] == 0)[:, None], data.scores, np.nan)
    with pytest.raises(InputError, match="two lineages"):
        lineage_elpd(replace(fitted, table=replace(data, scores=one)))
    with pytest.raises(InputError, match="needs draws"):
        lineage_elpd(replace(fitted, settings=replace(QUICK, inference="mode")))


def test_lineages_are_dealt_evenly_and_never_split(data):
    of_model = data.lineage_of_family[data.family]
    held = split_by_lineage(data, 0, folds=2).test
    assert (held.sum(axis=0) == 1).all()
    assert held.sum(axis=1).max() / held.sum(axis=1).min() < 3.0
    assert all(len(set(held[:, of_model == one].argmax(axis=0))) == 1 for one in range(3))
    empty = data.hide(of_model == 0)
    assert not split_by_lineage(empty, 0, folds=2).test[:, of_model == 0].any()
    with pytest.raises(InputError, match="4 groups of lineages need as many lineages"):
        cross_validate_lineages(data, key=KEY, settings=QUICK, groups=4)


def test_refits_predict_lineages_they_never_saw(data):
    found = cross_validate_lineages(data, key=KEY, settings=QUICK, groups=3)
    assert found.lineages == data.lineages
    assert found.scores.sum() == data.observed.sum()
    assert 0.01 < found.mean < 0.3  # the noise is 0.01; a new family's effect is unobserved
    assert np.isfinite(found.max_pareto_k)
    assert np.isnan(found.max_rhat)
    worse = replace(found, crps=found.crps + np.array([0.1, 0.2, 0.3]))
    behind, error = worse.crps_difference(found)
    assert behind * found.scores.sum() == pytest.approx(0.6)
    assert error * found.scores.sum() == pytest.approx(np.sqrt(3) * 0.1)
