"""NUTS: interrupted and resumed, on one device and on several."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from quick_fits import KEY, QUICK, quick_fit, same

from sloth_jax import InputError, fit


def test_an_interrupted_run_goes_on_to_the_same_draws(data, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sloth_jax")
    module = importlib.import_module("sloth_jax.inference.checkpoint")
    monkeypatch.setattr(module, "_EVERY", 0.0)
    kept = tmp_path / "fit.unfinished"
    nuts = replace(QUICK, inference="nuts")
    save, times = module.Checkpoint.save, []

    def killed(self, done, state, trace):
        save(self, done, state, trace)
        times.append(done)
        if len(times) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(data, key=KEY, settings=nuts, checkpoint=kept)
        before = kept.read_bytes()
        done = list(times)
        resumed = fit(data, key=KEY, settings=nuts, checkpoint=kept)
    assert times[len(done)] > done[-1]  # what was done is not done again
    same(resumed.position, quick_fit("nuts").position)
    assert caplog.messages == [f"Going on from transition {done[-1]} of 60 ({kept})"]
    # Refused before anything is compiled.
    module = importlib.import_module("sloth_jax.inference.fit")
    monkeypatch.setattr(module, "_sample", None)
    longer = replace(nuts, skills=2, nuts=replace(nuts.nuts, warmup=31))
    with pytest.raises(InputError, match=r"another run \(skills 1, now 2; warmup 30, now 31\)"):
        fit(data, key=KEY, settings=longer, checkpoint=kept)
    with pytest.raises(InputError, match=r"another run \(seed .*, now .*\): repeat that one"):
        fit(data, key=jax.random.key(1), settings=nuts, checkpoint=kept)
    with pytest.raises(InputError, match=r"another run \(table .*, now .*\)"):
        fit(data.subset(np.arange(len(data.models)) > 0), key=KEY, settings=nuts, checkpoint=kept)
    kept.write_bytes(before[:1000])
    with pytest.raises(InputError, match="no checkpoint of sampling: remove it"):
        fit(data, key=KEY, settings=nuts, checkpoint=kept)


FOUR_CHAINS = """
from small import table
from sloth_jax import FitSettings, NutsSettings, fit
nuts = NutsSettings(chains=4, warmup=4, draws=4, max_tree_depth=2)
settings = FitSettings(inference="nuts", skills=1, steps=20, nuts=nuts)
found = fit(table()[0], key=jax.random.key(0), settings=settings)
"""
ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import jax
jax.config.update("jax_enable_x64", True)
exec(sys.argv[2])
print(json.dumps([jax.device_count(), found.position.tolist()]))
"""


@pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="only a CPU can be made to be four devices"
)
def test_chains_are_the_same_on_one_device_and_on_four():
    here: dict = {"jax": jax}
    exec(FOUR_CHAINS, here)
    assert jax.device_count() == 1
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(Path(__file__).parents[1]), FOUR_CHAINS],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=True,
    )
    devices, position = json.loads(done.stdout)
    assert devices == 4
    one = np.asarray(here["found"].position)
    assert one.shape[0] == 16
    # Rounding in another order, which a few trajectories amplify.
    np.testing.assert_allclose(one, np.array(position), atol=1e-6)
