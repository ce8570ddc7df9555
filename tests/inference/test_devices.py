"""One fit on many devices, and on the devices of several processes: the same numbers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("many_devices.py")
# Sums over lineages in another order, in double precision, through sixty steps of the search; what
# was seen is a hundredth of it.
ROUNDING = 1e-9


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error[-3000:]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Densities, positions and quantiles of forecasts, by number of devices."""
    out = tmp_path_factory.mktemp("devices") / "found.npz"
    finish(start(out, *(f"density:{n}" for n in (1, 2, 4, 8)), "laplace:1", "laplace:8"))
    return dict(np.load(out))


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_densities_are_the_same_on_many_devices(found, devices):
    for name in ("gradient", "lineages", "moved"):
        one, many = found[f"density1 {name}"], found[f"density{devices} {name}"]
        assert np.abs(one).max() > 1e-3
        np.testing.assert_allclose(many, one, atol=ROUNDING, rtol=0.0)


def test_a_fit_on_many_devices_is_the_fit_on_one(found):
    for name in ("position", "quantiles"):
        one, many = found[f"laplace1 {name}"], found[f"laplace8 {name}"]
        assert np.isfinite(one).all()
        np.testing.assert_allclose(many, one, atol=ROUNDING, rtol=0.0)


def test_a_fit_of_two_processes_is_that_of_one(found, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    outs = [tmp_path / f"{at}.npz" for at in range(2)]
    runs = [start(out, "--process", at, 2, address, "laplace") for at, out in enumerate(outs)]
    for process in runs:
        finish(process)
    for name in ("position", "quantiles"):
        one, other = (np.load(out)[f"laplace {name}"] for out in outs)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, found[f"laplace1 {name}"], atol=ROUNDING, rtol=0.0)
