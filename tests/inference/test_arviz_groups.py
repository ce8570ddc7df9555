"""Fits as arviz objects: what arviz of either generation draws and sums up of them."""

from __future__ import annotations

from dataclasses import replace

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick_fits import quick_fit

from sloth_jax import InputError, to_arviz
from sloth_jax.inference.diagnostics import import_arviz

pytestmark = pytest.mark.filterwarnings("ignore")  # arviz warns of so few draws


@pytest.fixture(scope="module")
def tree():
    return to_arviz(quick_fit("nuts"))


def test_groups_have_named_dimensions(tree, data):
    assert {"posterior", "prior", "posterior_predictive", "prior_predictive"} < set(_groups(tree))
    posterior, prior = tree["posterior"], tree["prior"]
    assert set(posterior.data_vars) == set(prior.data_vars)
    assert "model" not in {dim for name in posterior.data_vars for dim in posterior[name].dims}
    assert posterior["loading"].dims == ("chain", "draw", "benchmark", "skill")
    assert posterior["loading"].shape[:2] == (2, 30)
    np.testing.assert_array_equal(tree["observed_data"]["score"], data.scores)
    for group, chains in (("posterior_predictive", 2), ("prior_predictive", 1)):
        score = tree[group]["score"]
        assert score.dims == ("chain", "draw", "model", "benchmark")
        assert score.sizes["chain"] == chains
        np.testing.assert_array_equal(np.isnan(score[0, 0]), np.isnan(data.scores))


def _groups(tree) -> list[str]:
    return list(tree.children) if hasattr(tree, "children") else list(tree.groups())


def test_predictions_know_the_scores_and_the_prior_does_not(tree, data):
    medians = {
        group: tree[group]["score"].median(("chain", "draw")).values
        for group in ("posterior_predictive", "prior_predictive")
    }
    error = {name: np.nanmean(np.abs(found - data.scores)) for name, found in medians.items()}
    assert error["posterior_predictive"] < 0.02
    assert error["prior_predictive"] > 0.05
    # As Prior has it: standard normal loadings, scaled, but for the pivots.
    fit = quick_fit("nuts")
    free = (np.asarray(fit.pivots.diagonal) + np.asarray(fit.pivots.above)) == 0.0
    drawn = tree["prior"]["loading"].values[0][:, free]
    assert drawn.std() == pytest.approx(fit.settings.prior.loading, rel=0.1)


def test_arviz_sums_up_and_leaves_lineages_out(tree, data):
    az = import_arviz()
    with jax.numpy_rank_promotion("allow"):
        loo = az.loo(tree)
    assert loo.n_data_points == len(data.lineages)
    summary = az.summary(tree, var_names=["noise"])
    assert list(summary.index) == [f"noise[{name}]" for name in data.benchmarks]


def test_arviz_draws_checks_by_benchmark(tree):
    az = import_arviz()
    with jax.numpy_rank_promotion("allow"):
        if hasattr(az, "plot_ppc"):
            az.plot_ppc(tree, flatten=["model"], num_pp_samples=5)
            az.plot_ppc(tree, group="prior", coords={"benchmark": ["MMLU"]}, num_pp_samples=5)
            az.plot_dist_comparison(tree, var_names=["noise"])
        else:  # their names since arviz 1
            az.plot_ppc_dist(tree, num_samples=5, backend="matplotlib")
            az.plot_prior_posterior(tree, var_names=["noise"], backend="matplotlib")
    plt.close("all")


def test_all_variables_or_some_are_chosen_by_name():
    mode = quick_fit("mode")
    everything = to_arviz(mode, var_names="all")["posterior"]
    assert everything["slope"].dims == ("chain", "draw", "column", "skill")
    assert "post_trained" in everything["slope"]["column"]
    assert {"link_tilt", "benchmark_family_walk", "offset"} < set(everything.data_vars)
    assert everything.sizes["draw"] == 1
    assert list(to_arviz(mode, var_names=["bias"])["prior"].data_vars) == ["bias"]
    with pytest.raises(InputError, match="no variable 'loadings' in a fit; did you mean 'loading'"):
        to_arviz(mode, var_names=["loadings"])


def test_the_same_fit_gives_the_same_predictions(tree):
    fit = quick_fit("nuts")
    same, other = (to_arviz(one)["prior_predictive"]["score"] for one in (fit, _reseeded(fit)))
    np.testing.assert_array_equal(same, tree["prior_predictive"]["score"])
    assert not np.array_equal(other, same, equal_nan=True)


def _reseeded(fit):
    return replace(fit, seed=(3, 4))
