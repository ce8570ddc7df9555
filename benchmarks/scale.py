"""What tables of thousands of models cost: seconds and memory against their size, with exponents.

Tables are drawn from a law, with known truth, in families of seven and lineages of two families, a
share of the scores missing. Each case runs in a process of its own, which tells its peak memory:
the check of identifiability, the fit by the default inference and a forecast of two models, each
with compilation, and the density with its gradient after it. Exponents are slopes of log seconds
against log observed scores. Beside it: the same density as one dense normal (scipy), and a plain
NumPyro law that samples every effect. Writes scale.csv and scale.json.

Run: python benchmarks/scale.py --out out/scale
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.cli.process import run_as_process
from sloth_jax.devices import use_cores
from sloth_jax.effects.dense import Cells, dense_covariance
from sloth_jax.files import write_text
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.inference.observe import observe
from sloth_jax.law.hierarchical import effects_problem, zero_raw_params
from sloth_jax.law.pivots import choose_pivots
from sloth_jax.law.surface import fit_surface
from sloth_jax.law.target import target_of
from sloth_jax.provenance import versions

SIZES = 7  # models of a family
BASE = {"families": 24, "benchmarks": 100, "skills": 3, "missing": 0.7, "devices": 1, "lineage": 0}
LARGEST = 64  # times as many families: 10,752 models


def table_of(case: dict[str, Any]) -> sj.Leaderboard:
    """The table of a case; ``lineage`` families, of two models each, are of one lineage."""
    families, sizes = (case["lineage"], 2) if case["lineage"] else (case["families"], SIZES)
    table, _ = synthetic_table(
        0,
        families=families,
        sizes=sizes,
        benchmarks=case["benchmarks"],
        skills=case["skills"],
        specific=0.5,
    )
    if case["lineage"]:
        whole = np.zeros_like(table.lineage_of_family)
        table = replace(table, lineages=table.lineages[:1], lineage_of_family=whole)
    gone = np.random.default_rng(1).random(table.scores.shape) < case["missing"]
    return replace(table, scores=np.where(gone, np.nan, table.scores))


def seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


def peak_gb() -> float:
    """Peak memory of this process so far, GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def gradient_of(table: sj.Leaderboard, skills: int) -> Callable[[], Any]:
    """The density of the law with its gradient, compiled."""
    observations = observe(table, fit_surface(table))
    _, pivots = choose_pivots(jax.random.normal(jax.random.key(0), (len(table.benchmarks), skills)))

    @jax.jit
    def gradient(observations: Any, position: jax.Array) -> Any:
        target = target_of(observations, sj.Prior(), pivots, skills)
        return jax.value_and_grad(target.potential)(position)

    blank, _ = ravel_pytree(zero_raw_params(observations, skills, sj.Prior()))
    return lambda: gradient(observations, blank)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Seconds and peak memory of one case, in this process."""
    use_cores(case["devices"])
    table, key = table_of(case), jax.random.key(0)
    found: dict[str, Any] = {
        **case,
        "models": len(table.models),
        "observed": int(table.observed.sum()),
    }
    gradient = gradient_of(table, case["skills"])
    gradient()
    found["gradient"] = float(np.median([seconds(gradient) for _ in range(3)]))
    found["check"] = seconds(lambda: sj.check_identifiability(table, skills=case["skills"]))
    found["check_gb"] = peak_gb()
    fits = []
    found["fit"] = seconds(
        lambda: fits.append(sj.fit(table, key=key, settings=sj.FitSettings(skills=case["skills"])))
    )
    found["fit_gb"] = peak_gb()
    rows = {
        "model": ["asked 1", "asked 2"],
        "family": [table.families[0], "stranger"],
        "lineage": [table.lineages[0], "strangers"],
        "params_b": [100.0, 20.0],
        "tokens_t": [3.0, 2.0],
    }
    query = sj.load_query(pd.DataFrame(rows), table)
    found["predict"] = seconds(lambda: sj.forecast(fits[0], query, key=key).draws)
    found["gradient_length"] = float(fits[0].diagnostics.gradient)
    return found


def beside(families: int = 12) -> list[dict[str, Any]]:
    """One density and gradient, by this law, by a dense normal, and with all effects sampled."""
    case = BASE | {"families": families, "benchmarks": 12, "missing": 0.3}
    table, skills = table_of(case), case["skills"]
    gradient = gradient_of(table, skills)
    gradient()
    rows = [("effects integrated out", np.median([seconds(gradient) for _ in range(20)]))]
    rows.append(("dense normal, density alone", seconds(dense_density(table, skills))))
    sampled = all_sampled(table, skills)
    sampled()
    rows.append(("all effects sampled", np.median([seconds(sampled) for _ in range(20)])))
    first = float(rows[0][1])
    return [{"what": name, "seconds": float(at), "ratio": float(at) / first} for name, at in rows]


def dense_density(table: sj.Leaderboard, skills: int) -> Callable[[], Any]:
    """The density of the scores as one normal with a dense covariance."""
    from scipy import stats

    observations = observe(table, fit_surface(table))
    rng = np.random.default_rng(0)
    blank = zero_raw_params(observations, skills, sj.Prior())
    blank = blank._replace(loading=jnp.asarray(rng.normal(size=blank.loading.shape)))
    flat, _ = ravel_pytree(blank)
    _, pivots = choose_pivots(blank.loading)
    law = target_of(observations, sj.Prior(), pivots, skills).law(flat)
    problem, _ = effects_problem(law, observations)
    model, benchmark = np.nonzero(table.observed)
    lineage = table.lineage_of_family[table.family]
    basis = np.asarray(observations.members.basis, float)[model]
    cells = Cells(model, table.family[model], lineage[model], benchmark, basis)

    def density() -> Any:
        covariance = dense_covariance(
            cells, np.asarray(problem.loading, float), problem.skill, problem.benchmark
        )
        covariance[np.diag_indices(len(model))] += np.asarray(problem.variance)[model, benchmark]
        residual = np.asarray(problem.residual, float)[model, benchmark]
        return stats.multivariate_normal(cov=covariance).logpdf(residual)

    return density


def all_sampled(table: sj.Leaderboard, skills: int) -> Callable[[], Any]:
    """A gradient of a plain NumPyro law with a site for every effect."""
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.util import initialize_model

    observations = observe(table, fit_surface(table))
    _, pivots = choose_pivots(jax.random.normal(jax.random.key(0), (len(table.benchmarks), skills)))
    members, width = observations.members, skills + len(table.benchmarks)
    shapes = {
        "lineage": (len(table.lineages), members.basis.shape[1], width),
        "family": (len(table.families), members.basis.shape[1], width),
        "own": (len(table.models), skills),
    }
    blank, _ = ravel_pytree(zero_raw_params(observations, skills, sj.Prior()))

    def model() -> None:
        raw = numpyro.sample("raw", dist.Normal(0.0, 1.0).expand(blank.shape).to_event(1))
        law = target_of(observations, sj.Prior(), pivots, skills).law(jnp.asarray(raw))
        problem, change = effects_problem(law, observations)
        unit = {
            name: jnp.asarray(
                numpyro.sample(name, dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))
            )
            for name, shape in shapes.items()
        }
        spread = [jnp.concatenate(p) for p in zip(problem.skill, problem.benchmark, strict=True)]
        effect = jnp.zeros((len(table.models), width))
        for level, walk, name in ((*spread[:2], "lineage"), (*spread[2:4], "family")):
            scale = jnp.concatenate([level[None], jnp.repeat(walk[None], 24, axis=0)])
            of_model = (scale[None] * unit[name])[getattr(members, name)]
            effect += jnp.einsum("mq,mqu->mu", members.basis, of_model)
        on_skills = effect[:, :skills] + problem.skill.model[None] * unit["own"]
        expected = on_skills @ problem.loading.T + effect[:, skills:]
        normal = dist.Normal(expected, jnp.sqrt(problem.variance))
        terms = jnp.where(observations.observed, normal.log_prob(problem.residual), 0.0)
        numpyro.factor("scores", jnp.sum(terms) + jnp.sum(change))

    info = initialize_model(jax.random.key(0), model)
    gradient = jax.jit(jax.value_and_grad(info.potential_fn))
    return lambda: gradient(info.param_info.z)


def cases(largest: int, smoke: bool) -> list[dict[str, Any]]:
    """All cases with the axis along which they lie."""
    base = BASE | ({"families": 4, "benchmarks": 5, "skills": 1} if smoke else {})
    found = [{"axis": "models", **base}]
    if smoke:
        return found
    factor = 4
    while factor <= largest:
        found.append({"axis": "models", **base, "families": BASE["families"] * factor})
        factor *= 4
    middle = base | {"families": BASE["families"] * min(largest, 8)}
    found += [{"axis": "benchmarks", **middle, "benchmarks": count} for count in (12, 50)]
    found += [{"axis": "skills", **middle, "benchmarks": 25, "skills": k} for k in (1, 4)]
    found += [{"axis": "devices", **middle, "devices": count} for count in (1, 2)]
    found.append({"axis": "one lineage", **base, "lineage": 1000, "benchmarks": 6, "missing": 0.3})
    return found


def exponent(found: pd.DataFrame, axis: str, what: str) -> float:
    """Slope of log seconds against log observed scores along an axis."""
    part = found[found["axis"] == axis]
    if len(part) < 2:
        return float("nan")
    return float(np.polyfit(np.log(part["observed"]), np.log(part[what]), 1)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every case in a process of its own, save and print."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--largest", type=number(1), default=LARGEST, help="largest factor")
    parser.add_argument("--smoke", action="store_true", help="one small table")
    parser.add_argument("--case", metavar="JSON", help="measure this one, and print it")
    options = parser.parse_args(arguments)
    if options.case:
        print(json.dumps(measure(json.loads(options.case))))
        return
    if options.out is None:
        parser.error("the following arguments are required: --out")
    rows = []
    for case in cases(options.largest, options.smoke):
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        row = rows[-1]
        tell(
            f"{case['axis']}: {row['models']} x {row['benchmarks']}, {row['observed']} scores: "
            f"check {row['check']:.0f} s, fit {row['fit']:.0f} s, predict {row['predict']:.0f} s, "
            f"{row['fit_gb']:.1f} GB, gradient {row['gradient']:.3f} s"
        )
    found = pd.DataFrame(rows)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "scale.csv", found.to_csv(index=False, float_format="%.6g"))
    steps = ("gradient", "check", "fit", "predict")
    record = {
        "exponents": {
            axis: {what: exponent(found, axis, what) for what in steps}
            for axis in ("models", "benchmarks")
        },
        "beside": beside(4 if options.smoke else 12),
        "smoke": options.smoke,
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    write_text(out / "scale.json", json.dumps(record, indent=2) + "\n")
    print(found.to_string(index=False, float_format="%.4g"))
    print(json.dumps(record["exponents"]), json.dumps(record["beside"]))


if __name__ == "__main__":
    run_as_process(lambda: run_and_exit("scale", main))
