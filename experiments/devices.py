"""The same fit in single and double precision, on every kind of device: seconds, and agreement.

Each combination is a process of its own, with an empty compilation cache: it fits the table twice
(compilation included, and without it), forecasts models up to the far corner of size and tokens,
and keeps the quantiles. They are compared with the first: double precision on the CPU. A key gives
other draws in another precision, so part of a difference is Monte Carlo error: how large that is
shows the third row, which is the first again with another seed.

Writes devices.csv: seconds; the mean and the greatest difference of medians, in scores (fractions);
the median and the 5 % and 95 % quantiles, over models and benchmarks, of the width of the 90 %
interval relative to the first.

Run: python experiments/devices.py --out out/devices
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, first_models, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.devices import use_cores
from sloth_jax.evaluation.methods import SMOKE_SETTINGS

EDITION = "2024"
FAMILIES = ("meta-llama-3", "qwen2", "pythia", "a new family")
SIZES = (1.0, 8.0, 70.0, 400.0)  # billions of parameters
TOKENS = (1.0, 15.0)  # trillions
LEVELS = (0.05, 0.5, 0.95)


def one_run(device: str, double: bool, seed: int, smoke: bool, out: str) -> None:
    """Fit and forecast in this process; seconds and quantiles into ``out``, an NPZ."""
    use_cores(1)
    jax.config.update("jax_platforms", device)
    jax.config.update("jax_enable_x64", double)
    table, settings = sj.load_leaderboard(edition=EDITION), sj.FitSettings()
    if smoke:
        table, settings = first_models(table), replace(SMOKE_SETTINGS, skills=1, surface="smooth")
    rows = [
        {"model": f"{family} {size:g}B {tokens:g}T", "family": family}
        | {"params_b": size, "tokens_t": tokens}
        for family, size, tokens in product(FAMILIES, SIZES, TOKENS)
    ]
    query = sj.load_query(pd.DataFrame(rows), table)
    fit_key, forecast_key = jax.random.split(jax.random.key(seed))
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        fit = sj.fit(table, key=fit_key, settings=settings)
        draws = np.asarray(sj.forecast(fit, query, key=forecast_key).draws)
        taken.append(time.perf_counter() - began)
    quantiles = np.quantile(draws, LEVELS, axis=0)  # (level, model, benchmark)
    np.savez(out, seconds=taken, quantiles=quantiles)


def compared(quantiles: np.ndarray, first: np.ndarray) -> dict[str, float]:
    """How quantiles ``(level, model, benchmark)`` differ from those of the first run."""
    shift = np.abs(quantiles[1] - first[1])
    width = (quantiles[2] - quantiles[0]) / (first[2] - first[0])
    low, middle, high = np.quantile(width, LEVELS)
    return {
        "median_shift_mean": float(shift.mean()),
        "median_shift_most": float(shift.max()),
        "width_ratio": float(middle),
        "width_ratio_low": float(low),
        "width_ratio_high": float(high),
    }


def measure(devices: Sequence[str], seed: int, smoke: bool) -> pd.DataFrame:
    """A row per device, precision and seed; the first is what the others are compared with."""
    rows, first = [], None
    runs = [(devices[0], True, seed), (devices[0], False, seed), (devices[0], True, seed + 1)]
    runs += [(device, double, seed) for device in devices[1:] for double in (True, False)]
    with tempfile.TemporaryDirectory() as made:
        for at, (device, double, own_seed) in enumerate(runs):
            out = Path(made) / f"{at}.npz"
            facts = {"device": device, "bits": 64 if double else 32, "seed": own_seed}
            call = f"one_run{(device, double, own_seed, smoke, str(out))!r}"
            code = f"import devices; devices.{call}"
            environment = os.environ | {"PYTHONPATH": _path(), "JAX_ENABLE_COMPILATION_CACHE": "0"}
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True
            )
            if done.returncode:
                raise sj.InputError(f"{facts}: {done.stderr.strip()[-2000:]}")
            with np.load(out) as kept:
                cold, warm = kept["seconds"]
                quantiles = kept["quantiles"]
            first = quantiles if first is None else first
            rows.append(facts | {"cold": cold, "warm": warm} | compared(quantiles, first))
            tell(f"{', '.join(map(str, facts.values()))}: {cold:.1f} s, then {warm:.2f} s")
    return pd.DataFrame(rows)


def _path() -> str:
    """Where a child process finds this file and what this process imported."""
    return os.pathsep.join([str(Path(__file__).parent), *(entry for entry in sys.path if entry)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, save, print."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument(
        "--devices",
        nargs="+",
        metavar="NAME",
        help="JAX's names of platforms: cpu, cuda, tpu (default: cpu and what JAX finds)",
    )
    options = parser.parse_args(arguments)
    found = "cuda" if jax.default_backend() == "gpu" else jax.default_backend()
    devices = options.devices or list(dict.fromkeys(["cpu", found]))
    table = measure(devices, options.seed, options.smoke)
    save(
        options,
        {"devices": table},
        settings_of(options),
        edition=EDITION,
        cores=os.cpu_count(),
        rows=table.to_dict("records"),
    )
    print(table.to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    execute(main)
