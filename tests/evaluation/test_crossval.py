"""Cross-validation: folds are masks, on one device or several, alone or together."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import table

from sloth_jax import InputError
from sloth_jax.evaluation.crossval import (
    PREDICTION_COLUMNS,
    cross_validate,
    held_out_errors,
    map_folds,
)
from sloth_jax.evaluation.folds import lineage_groups, make_folds
from sloth_jax.evaluation.methods import (
    ABLATIONS,
    OURS,
    FitMethod,
    _Fold,
    all_methods,
    choose_methods,
)
from sloth_jax.inference.fit import fit
from sloth_jax.inference.settings import FitSettings, NutsSettings
from sloth_jax.law.predictive import predict_table

KEY = jax.random.key(3)
QUICK = FitSettings(
    skills=1, surface="translog", draws=20, steps=60, nuts=NutsSettings(2, 5, 5, max_tree_depth=2)
)
MODE = FitMethod(replace(QUICK, inference="mode"))
LAPLACE = FitMethod(replace(QUICK, inference="laplace"))
BOTH = pytest.mark.parametrize("method", [MODE, LAPLACE], ids=["mode", "laplace"])


@dataclass(frozen=True)
class Scaled:
    """A fit that returns what it was given, times what all folds share."""

    def __call__(self, fold, shared):
        return {"product": fold * shared, "sum": jnp.sum(fold)}


@pytest.mark.parametrize("block", [1, 2, 5, 8])
def test_map_folds_is_a_loop(block):
    folds = jnp.arange(15.0).reshape(5, 3)
    mapped = map_folds(Scaled(), folds, jnp.asarray(2.0), block=block)
    np.testing.assert_array_equal(mapped["product"], 2.0 * folds)
    np.testing.assert_array_equal(mapped["sum"], folds.sum(axis=1))


def small_folds(**settings):
    data, _ = table(noise=0.005)
    return make_folds(data, lineage_groups(data, 2), n_train=2, **settings)


@BOTH
def test_a_fold_alone_is_the_fold_among_others(method):
    folds = small_folds()
    together = method(folds.table, folds.train, KEY)
    alone = method(folds.table, folds.train[1:2], KEY)[0]
    np.testing.assert_allclose(together[1], alone, atol=1e-5)


@BOTH
def test_held_out_scores_are_never_seen(method):
    folds = small_folds()
    hidden = np.where(folds.test.any(axis=0)[:, None], 0.5, folds.table.scores)
    other = replace(folds.table, scores=hidden)
    fold = folds.select([0])
    seen = folds.test[0] | ~folds.test.any(axis=0)  # rows whose change this fold may not notice
    blind = replace(folds.table, scores=np.where(seen[:, None], other.scores, folds.table.scores))
    np.testing.assert_array_equal(
        method(folds.table, fold.train, KEY), method(blind, fold.train, KEY)
    )


def test_a_fold_is_a_fit_to_the_table_without_its_held_out_scores():
    folds = small_folds()
    draws = MODE.sample(folds.table, folds.train[:1], KEY).draws[0]
    hidden = folds.table.hide(folds.test[0])
    fit_key, draw_key = jax.random.split(KEY)
    alone = fit(hidden, key=fit_key, settings=MODE.settings)
    law = jax.tree.map(lambda a: a[0], alone.law)
    keys = jax.random.split(draw_key, QUICK.draws)
    expected = [predict_table(alone.observations, law, key) for key in keys[:3]]
    np.testing.assert_allclose(draws[:3], np.stack(expected), atol=1e-5)


def test_fits_predict_held_out_models_of_a_known_law():
    folds = small_folds()
    method = FitMethod(replace(MODE.settings, steps=200, draws=100))
    validation = cross_validate(method, folds, key=KEY)
    errors = held_out_errors(validation.predictions, "law")
    assert errors["abs_error"].mean() < 0.03
    assert validation.training_error < 0.01


def test_draws_of_a_good_approximation_are_weighed_and_those_of_a_bad_one_are_not(monkeypatch):
    folds = small_folds().select([0])
    one_draw, plain = np.eye(QUICK.draws)[7], LAPLACE.sample(folds.table, folds.train, KEY).draws

    def sample(k):
        monkeypatch.setattr(
            "sloth_jax.evaluation.methods.smooth_ratios", lambda ratio: (one_draw, k)
        )
        return LAPLACE.sample(folds.table, folds.train, KEY)

    good, bad = sample(0.3), sample(0.8)
    assert (good.pareto_k[0], bad.pareto_k[0]) == (0.3, 0.8)
    np.testing.assert_array_equal(bad.draws, plain)
    np.testing.assert_array_equal(good.draws[0], np.broadcast_to(bad.draws[0, 7], plain.shape[1:]))


def test_chains_in_folds_are_compared():
    folds = small_folds().select([0, 1])
    found = FitMethod(replace(QUICK, inference="nuts")).sample(folds.table, folds.train, KEY)
    assert found.draws.shape == (2, 10, *folds.table.scores.shape)
    assert np.ptp(found.draws, axis=1).min() > 0.0
    assert (found.max_rhat > 0.9).all()
    assert (found.min_ess > 0.0).all()
    assert np.isnan(found.pareto_k).all()


def test_predictions_name_what_they_predict():
    folds = small_folds()
    predictions = cross_validate(MODE, folds, key=KEY).predictions
    assert list(predictions) == list(PREDICTION_COLUMNS)
    assert len(predictions) == sum(
        np.isin(folds.table.family, [folds.table.families.index(f) for f in tested]).sum()
        for tested in folds.tested
    ) * len(folds.table.benchmarks)
    row = predictions.iloc[5]
    model = folds.table.models.index(row["model"])
    assert row["score"] == folds.table.scores[model, folds.table.benchmarks.index(row["benchmark"])]
    errors = held_out_errors(predictions, "m")
    assert len(errors) == folds.test.sum() * len(folds.table.benchmarks)
    first = predictions[predictions["held_out"]].iloc[0]
    assert errors["abs_error"].iloc[0] == abs(first["score"] - first["prediction"])


SCRIPT = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
sys.path[:0] = ["tests", "tests/evaluation"]
from test_crossval import KEY, MODE, Scaled, small_folds
from sloth_jax.evaluation.crossval import Mesh, _map_folds
from test_baselines import baseline
folds = small_folds()
methods = (MODE, baseline())
np.save(sys.argv[1], np.stack([m(folds.table, folds.train, KEY) for m in methods]))
print(len(jax.devices()))
# XLA kills a program whose devices wait for one of them for 40 seconds: they never meet.
mesh = Mesh(np.asarray(jax.devices()), ("fold",))
program = _map_folds.lower(Scaled(), mesh, 2, np.ones((5, 3)), np.asarray(2.0)).compile()
meetings = ("all-gather", "all-reduce", "collective", "all-to-all")
print([name for name in meetings if name in program.as_text()])
"""


@pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="only a CPU can be made to be four devices"
)
def test_four_devices_give_the_numbers_of_one_and_never_wait_for_each_other(tmp_path):
    root = Path(__file__).resolve().parents[2]
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "four.npy")],
        cwd=root,
        env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "[]"]
    from test_baselines import baseline

    folds = small_folds()
    assert len(folds.train) % 4  # devices without a fold of their own
    here = [m(folds.table, folds.train, KEY) for m in (MODE, baseline())]
    np.testing.assert_allclose(np.load(tmp_path / "four.npy"), np.stack(here), atol=1e-5)


def test_every_ablation_names_methods_that_exist():
    methods = all_methods(1)
    for names in ABLATIONS.values():
        assert set(names) <= set(methods)
    assert set(OURS) <= set(methods)
    settings = [m.settings for m in methods.values() if isinstance(m, FitMethod) and not m.complete]
    assert len(set(settings)) == len(settings)  # nothing is computed twice


def test_methods_are_chosen_by_name_set_and_skills():
    chosen = choose_methods(["surface", "pca_d=2"], 1)
    assert list(chosen) == ["pca_d=2", *ABLATIONS["surface"]]
    assert list(chosen)[1] == "fit"
    few = choose_methods(["published"], 1, skills=[2])
    assert "factor_sigmoid_d=2" in few
    assert "pca_d=2" in few
    assert "logF_sigmoid" in few
    assert "factor_sigmoid_d=3" not in few
    with pytest.raises(InputError, match="no method 'pca_d=9'; did you mean 'pca_d=4'"):
        choose_methods(["pca_d=9"], 1)
    with pytest.raises(InputError, match="leaves no method"):
        choose_methods(["pca_d=2"], 1, skills=[3])


@dataclass(frozen=True)
class Failing:
    """A fit that fails where nothing may be used."""

    settings: FitSettings

    def __call__(self, observations, key):
        value = jnp.where(jnp.any(observations.observed), observations.scores, jnp.nan)
        return _Fold(value[None], jnp.zeros(1))


def test_a_fit_that_diverges_names_its_fold(monkeypatch):
    folds = small_folds()
    train = np.stack([folds.table.observed, np.zeros_like(folds.table.observed)])
    monkeypatch.setattr("sloth_jax.evaluation.methods._FitFold", Failing)
    with pytest.raises(InputError, match="fold 1: every start of the fit diverged"):
        MODE(folds.table, train, KEY)
