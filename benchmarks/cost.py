"""What the law costs: one gradient, one fit, twelve folds, and how that grows with the table.

Writes cost.csv, cost.json and cost.png. Times are medians of several calls after compilation, and
everything is also given as a ratio to the smallest case of the same run, which is what to compare
between machines.

Run: python benchmarks/cost.py --out out/cost
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.crossval import map_folds
from sloth_jax.files import write_text
from sloth_jax.law import Params
from sloth_jax.methods import FitPoint
from sloth_jax.observations import Observations, nothing_said, with_mask
from sloth_jax.plots import BLUE, GREEN, ORANGE, style
from sloth_jax.point import PointSettings, fit_observations, mean_loss, random_params
from sloth_jax.provenance import versions

ROWS, BENCHMARKS, SKILLS = 100, 6, 2
FACTORS = (1, 2, 4, 8, 16, 32, 64)
FOLDS = 12


def synthetic(key: jax.Array, rows: int, benchmarks: int) -> Observations:
    """Arrays of a random table: ten models a family, every fifth score missing."""
    keys = jax.random.split(key, 3)
    families = max(1, rows // 10)
    blank = Observations(
        scores=jax.random.uniform(keys[0], (rows, benchmarks), minval=0.2, maxval=0.8),
        observed=jax.random.bernoulli(keys[1], 0.8, (rows, benchmarks)),
        covariates=jax.random.normal(keys[2], (rows, 3)),
        family=jnp.arange(rows) % families,
        lineage=jnp.arange(families),
        post_trained=jnp.zeros(families),
        floor=jnp.full(benchmarks, 0.2),
        family_covariates=jnp.zeros(()),
        family_observed=jnp.zeros(()),
        **nothing_said(rows, benchmarks),
    )
    return with_mask(blank, blank.observed)


def seconds(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median seconds of a call after the first, and seconds of the first, compilation included."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    first = time.perf_counter() - began
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)), first


def gradient_cost(rows: int, benchmarks: int, skills: int, repeats: int) -> tuple[float, float]:
    """Seconds of the mean loss of the law with its gradient; the mixture link."""
    observations = synthetic(jax.random.key(0), rows, benchmarks)
    params = random_params(jax.random.key(1), observations, skills=skills, link="mixture")

    @jax.jit
    def gradient(params: Params, observations: Observations) -> tuple[jax.Array, Params]:
        return jax.value_and_grad(mean_loss)(params, observations)

    return seconds(lambda: gradient(params, observations), repeats)


def fit_costs(steps: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds of one fit from one start, and of twelve folds alone and together."""
    settings = PointSettings(skills=SKILLS, starts=1, steps=steps)
    observations = synthetic(jax.random.key(0), ROWS, BENCHMARKS)
    key = jax.random.key(2)
    one = jax.jit(partial(fit_observations, settings=settings))
    masks = jnp.stack(
        [observations.observed & (observations.family != f)[:, None] for f in range(10)]
    )
    masks = jnp.concatenate([masks, masks[: FOLDS - 10]])
    fit = FitPoint(settings)
    cases = {
        "one fit": lambda: one(observations, key),
        f"{FOLDS} folds, one program": lambda: map_folds(fit, masks, (observations, key)),
        f"{FOLDS} folds, one after the other": lambda: [
            one(with_mask(observations, mask), key) for mask in masks
        ],
    }
    rows = []
    for name, call in cases.items():
        taken, first = seconds(call, repeats)
        rows.append({"what": name, "axis": "", "factor": 1, "seconds": taken, "first": first})
        tell(f"{name}, {steps} steps: {taken:.3f} s, with compilation {first:.1f} s")
    return rows


def run(out: Path, *, repeats: int, largest: int, steps: int) -> None:
    """Time everything, save, draw and print."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    base = {"rows": ROWS, "benchmarks": BENCHMARKS, "skills": SKILLS}
    for axis in base:
        for factor in (f for f in FACTORS if f <= largest):
            size = base | {axis: base[axis] * factor}
            taken, first = gradient_cost(**size, repeats=repeats)
            rows.append(
                {"what": "law + gradient", "axis": axis, "factor": factor, **size,
                 "seconds": taken, "first": first}
            )  # fmt: skip
            tell(f"law + gradient, {axis} x {factor}: {1e3 * taken:.3f} ms")
    rows += fit_costs(steps, max(1, repeats // 10))
    table = pd.DataFrame(rows)
    smallest = table.groupby(["what", "axis"])["seconds"].transform("first")
    one_fit = table.loc[table["what"] == "one fit", "seconds"].iloc[0]
    table["ratio"] = np.where(
        table["axis"] == "", table["seconds"] / one_fit, table["seconds"] / smallest
    )
    write_text(out / "cost.csv", table.to_csv(index=False, float_format="%.6g"))
    record = {
        "repeats": repeats,
        "steps": steps,
        "devices": len(jax.devices()),
        "versions": versions(),
    }
    write_text(out / "cost.json", json.dumps(record, indent=2) + "\n")

    with style():
        figure, ax = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
        for axis, colour, marker in zip(base, (BLUE, ORANGE, GREEN), "os^", strict=True):
            part = table[table["axis"] == axis]
            ax.plot(part["factor"], part["ratio"], color=colour, marker=marker, label=axis)
        ax.plot(FACTORS, FACTORS, color="#7F7F7F", linestyle=":", label="in proportion")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set_xlabel(f"times {ROWS} rows, {BENCHMARKS} benchmarks or {SKILLS} skills")
        ax.set_ylabel("time, relative")
        ax.set_title("Law with gradient: cost against size")
        ax.legend()
        figure.savefig(out / "cost.png")
        plt.close(figure)
    print(table.to_string(index=False, float_format="%.4g", na_rep=""))


def main() -> None:
    """Read the command line and run."""
    parser = Parser(
        prog="cost.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--repeats", type=number(1), default=50, help="calls per median")
    parser.add_argument("--largest", type=number(1), default=64, help="largest factor")
    parser.add_argument("--steps", type=number(1), default=1000, help="optimiser steps of a fit")
    options = parser.parse_args()
    run_and_exit(
        "cost",
        lambda: run(
            options.out, repeats=options.repeats, largest=options.largest, steps=options.steps
        ),
        interrupted="nothing was written",
    )


if __name__ == "__main__":
    main()
