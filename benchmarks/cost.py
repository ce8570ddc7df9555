"""What the law costs: modes, Laplace's approximation, NUTS and forecasts, alone and on busy cores.

Two parts. The law's density with its gradient, against the number of models (in small lineages, or
all in one), benchmarks and skills, relative to the smallest table. And what a user waits for on the
bundled table, side by side: one mode, twelve folds, Laplace's approximation, transitions of NUTS,
forecasts; per second, and relative to one mode. All of it is timed twice, alone and while one
process per core does nothing but count: on shared cores a program gets half of each, so that up to
twice the time is fair. Times are medians of several calls after compilation; ratios are what to
compare between machines. Writes cost.csv, cost.json and cost.png.

Run: python benchmarks/cost.py --out out/cost
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.cli.process import run_as_process
from sloth_jax.evaluation.methods import SMOKE_SETTINGS, FitMethod
from sloth_jax.files import write_text
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.inference.observe import observe
from sloth_jax.law.hierarchical import zero_raw_params
from sloth_jax.law.pivots import choose_pivots
from sloth_jax.law.target import target_of
from sloth_jax.plotting.figure_style import BLUE, GREEN, GREY, ORANGE, style
from sloth_jax.provenance import versions

MODELS, BENCHMARKS, SKILLS = 96, 12, 1
SIZES = 4  # models of a family
FACTORS = (1, 2, 4, 8, 16, 32)
MOST_SKILLS = 8
FOLDS, QUERIES = 12, 64

# Counts on one core for as long as the process that started it lives.
_COUNT = """
import os, sys
parent, core = int(sys.argv[1]), int(sys.argv[2])
if core >= 0:
    os.sched_setaffinity(0, {core})
while os.getppid() == parent:
    sum(range(1_000_000))
"""

Case = tuple[str, Callable[[], Any], int]  # name, what to time, how many things one call gives


@contextmanager
def busy_cores() -> Iterator[int]:
    """One process that counts on each core, while this lasts; how many there are."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    else:
        cores = [-1] * (os.cpu_count() or 1)
    counting = [
        subprocess.Popen([sys.executable, "-c", _COUNT, str(os.getpid()), str(core)])
        for core in cores
    ]
    try:
        yield len(counting)
    finally:
        for process in counting:
            process.kill()
            process.wait()


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def density(
    models: int, benchmarks: int, skills: int, one_lineage: bool = False
) -> Callable[[], Any]:
    """The law's density with its gradient, on a synthetic table of small lineages or of one."""
    families = max(2, models // SIZES)
    table, truth = synthetic_table(
        0, families=families, sizes=SIZES, benchmarks=benchmarks, skills=skills
    )
    if one_lineage:
        table = replace(
            table,
            lineages=table.lineages[:1],
            lineage_of_family=np.zeros_like(table.lineage_of_family),
        )
    observations = observe(table, truth.surface)
    loading = jax.random.normal(jax.random.key(0), (benchmarks, skills))
    _, pivots = choose_pivots(loading)

    @jax.jit
    def gradient(position: jax.Array) -> tuple[jax.Array, jax.Array]:
        target = target_of(observations, sj.Prior(), pivots, skills)
        return jax.value_and_grad(target.potential)(position)

    blank, _ = ravel_pytree(zero_raw_params(observations, skills, sj.Prior()))
    return lambda: gradient(blank)


def size_cases(largest: int) -> list[tuple[dict[str, Any], Callable[[], Any]]]:
    """Facts and call of each size."""
    base = {"models": MODELS, "benchmarks": BENCHMARKS, "skills": SKILLS}
    found = []
    for factor in (f for f in FACTORS if f <= largest):
        size = base | {"models": MODELS * factor}
        facts = {"axis": "models of one lineage", "factor": factor, **size}
        found.append((facts, density(**size, one_lineage=True)))
    for axis in base:
        most = min(largest, MOST_SKILLS) if axis == "skills" else largest
        for factor in (f for f in FACTORS if f <= most):
            size = base | {axis: base[axis] * factor}
            found.append(({"axis": axis, "factor": factor, **size}, density(**size)))
    return found


def user_cases(table: sj.Leaderboard, settings: sj.FitSettings) -> list[Case]:
    """What a user waits for on a table."""
    key = jax.random.key(0)
    fitted = sj.fit(table, key=key, settings=settings)
    seen = np.flatnonzero(table.observed.any(axis=1))
    asked = table.to_frame().iloc[np.resize(seen, QUERIES)]
    names = [f"asked {at}" for at in range(QUERIES)]
    asked = asked[["family", "lineage", "params_b", "tokens_t"]].assign(model=names)
    query = sj.load_query(asked, table)
    lineage = table.lineage_of_family[table.family]
    train = np.stack([table.observed & (lineage % FOLDS != f)[:, None] for f in range(FOLDS)])
    mode = FitMethod(replace(settings, inference="mode"))
    nuts = settings.nuts

    def fit(inference: str) -> Callable[[], Any]:
        return lambda: sj.fit(table, key=key, settings=settings, inference=inference).law

    return [
        ("mode", fit("mode"), 1),
        (f"modes of {FOLDS} folds, one program", lambda: mode.sample(table, train, key), FOLDS),
        ("Laplace", fit("laplace"), 1),
        ("NUTS transitions", fit("nuts"), nuts.chains * (nuts.warmup + nuts.draws)),
        ("forecasts of models", lambda: sj.forecast(fitted, query, key=key).draws, QUERIES),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Time everything alone and on busy cores, save, draw and print."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repeats", type=number(1), default=30, help="calls per median; fits: /10")
    parser.add_argument("--largest", type=number(1), default=32, help="largest factor")
    parser.add_argument(
        "--smoke", action="store_true", help="one size, a few models, hardly any draws"
    )
    options = parser.parse_args(arguments)
    table = sj.load_leaderboard(edition="2024")
    table = table.subset(table.known)
    if options.smoke:
        settings = replace(SMOKE_SETTINGS, skills=1, surface="smooth")
        table = table.subset(np.cumsum(table.observed.all(axis=1)) <= 20)
    else:
        settings = sj.FitSettings(nuts=sj.NutsSettings(warmup=50, draws=50))
    few = max(1, options.repeats // 10)
    rows = []
    for facts, call in size_cases(1 if options.smoke else options.largest):
        rows.append(timed({"what": "density with gradient", **facts}, call, 1, options.repeats))
    for name, call, count in user_cases(table, settings):
        rows.append(timed({"what": name, "axis": "", "factor": 1}, call, count, few))
    found = pd.DataFrame(rows)
    smallest = found.groupby(["what", "axis"])["seconds"].transform("first")
    mode = found.loc[found["what"] == "mode", "seconds"].iloc[0]
    of_user = found["axis"] == ""
    found["ratio"] = found["seconds"] / np.where(of_user, mode, smallest)
    found["busy_ratio"] = found["busy_seconds"] / found["seconds"]
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "cost.csv", found.to_csv(index=False, float_format="%.6g"))
    record = {
        "repeats": options.repeats,
        "smoke": options.smoke,
        "devices": len(jax.devices()),
        "cores": os.cpu_count(),
        "worst_busy_ratio": float(found["busy_ratio"].max()),
        "versions": versions(),
    }
    write_text(out / "cost.json", json.dumps(record, indent=2) + "\n")
    draw(found, out / "cost.png")
    print(found.to_string(index=False, float_format="%.4g", na_rep=""))


def timed(
    facts: dict[str, Any], call: Callable[[], Any], count: int, repeats: int
) -> dict[str, Any]:
    """Times of one case, alone and beside processes that count, as a row."""
    first = seconds(call, 1)
    alone = seconds(call, repeats)
    with busy_cores() as busy:
        beside = seconds(call, repeats)
    where = f", {facts['axis']} x {facts['factor']}" if facts["axis"] else ""
    tell(f"{facts['what']}{where}: {alone:.4g} s, beside {busy} busy processes {beside:.4g} s")
    return {
        **facts,
        "seconds": alone,
        "per_second": count / alone,
        "first_seconds": first,  # compilation included
        "busy_processes": busy,
        "busy_seconds": beside,
    }


def draw(found: pd.DataFrame, path: Path) -> None:
    """Cost of the density against size, and what busy cores do to every case."""
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
        axes = ("models", "benchmarks", "skills", "models of one lineage")
        for axis, colour, marker in zip(axes, (BLUE, ORANGE, GREEN, GREY), "os^D", strict=True):
            part = found[found["axis"] == axis]
            left.plot(part["factor"], part["ratio"], color=colour, marker=marker, label=axis)
        left.plot(FACTORS, FACTORS, color=GREY, linestyle=":", label="in proportion")
        left.set_xscale("log", base=2)
        left.set_yscale("log", base=2)
        left.set_xlabel(f"times {MODELS} models, {BENCHMARKS} benchmarks or {SKILLS} skill")
        left.set_ylabel("time, relative")
        left.set_title("Density with gradient: cost against size")
        left.legend()
        of_user = found[found["axis"] == ""]
        place = np.arange(len(of_user))[::-1]
        right.axvline(2.0, color=GREY, linestyle=":")
        right.plot(of_user["busy_ratio"], place, "o", color=BLUE)
        right.set_yticks(place, of_user["what"])
        right.set_xlim(left=0.0)
        right.set_xlabel("times as long on busy cores (dotted: fair)")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    matplotlib.use("Agg")  # a script writes files and needs no window
    run_as_process(lambda: run_and_exit("cost", main))
