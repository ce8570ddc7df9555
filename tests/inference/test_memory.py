"""What memory a fit needs, foreseen, against what XLA counts for the compiled program."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from quick_fits import KEY, QUICK, half_observed

from sloth_jax import FitSettings, InputError, fit, forecast, machine_memory
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.inference import memory
from sloth_jax.inference.draws import fit_observations
from sloth_jax.inference.observe import observe
from sloth_jax.law.surface import fit_surface

WITHIN = 1.5


def observations(families, sizes, benchmarks, one_lineage=False):
    made, _ = synthetic_table(0, families=families, sizes=sizes, benchmarks=benchmarks, skills=1)
    hidden = np.random.default_rng(1).random(made.scores.shape) < 0.6
    made = replace(made, scores=np.where(hidden, np.nan, made.scores))
    if one_lineage:
        nothing = np.zeros_like(made.lineage_of_family)
        made = replace(made, lineages=made.lineages[:1], lineage_of_family=nothing)
    return observe(made, fit_surface(made))


@pytest.mark.parametrize(
    ("shape", "skills", "inference"),
    [
        ((120, 4, 12), 3, "laplace"),
        ((60, 8, 20), 3, "laplace"),
        ((60, 8, 20), 1, "laplace"),
        ((200, 6, 12), 2, "mode"),
        ((100, 3, 6, True), 2, "laplace"),
    ],
)
def test_the_estimate_is_near_what_the_compiled_fit_needs(shape, skills, inference):
    made = observations(*shape)
    settings = FitSettings(skills=skills, inference=inference)
    program = jax.jit(fit_observations, static_argnames="settings")
    counted = program.lower(made, KEY, settings=settings).compile().memory_analysis()
    needed = counted.temp_size_in_bytes + counted.output_size_in_bytes
    needed += counted.argument_size_in_bytes
    assert 1.0 / WITHIN < memory.fit_bytes(made, settings, None) / needed < WITHIN


def test_a_fit_or_forecast_that_will_not_fit_is_refused_before_the_work(monkeypatch, fitted, query):
    monkeypatch.setattr(machine_memory, "machine_bytes", lambda: 1e6)
    with pytest.raises(InputError, match=r"the fit needs about .* GB of memory, and 0.001 GB are"):
        fit(half_observed(), key=KEY, settings=QUICK)
    with pytest.raises(InputError, match="--inference mode"):
        fit(half_observed(), key=KEY, settings=QUICK, inference="nuts")
    monkeypatch.setattr(machine_memory, "machine_bytes", lambda: 1e3)
    with pytest.raises(InputError, match="fewer models in a query or fewer draws"):
        forecast(fitted, query, key=KEY)


def test_memory_is_what_the_machine_and_its_container_leave(tmp_path):
    assert machine_memory.machine_bytes(tmp_path) == float("inf")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    8 kB\n")
    assert machine_memory.machine_bytes(tmp_path) == 8 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert machine_memory.machine_bytes(tmp_path) == 8 * 1024
    (group / "memory.max").write_text("5000\n")
    assert machine_memory.machine_bytes(tmp_path) == 4000.0
    assert machine_memory.available_bytes() > 0.0
