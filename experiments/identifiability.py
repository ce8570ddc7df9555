"""Where skills are determined and where not: synthetic tables whose law is known.

Three questions. Does the error of recovered loadings fall as rows grow? Do 90 % intervals of the
posterior hold the true loadings of a table of 400 models on 12 benchmarks? And on tables that break
one assumption each, does the check name it, and does a fit show the ambiguity it predicts: equally
good fits from other starts that disagree about just that? Writes rows.csv, recovery.csv,
broken.csv, summary.json and recovery.png.

Run: python experiments/identifiability.py --out out/identifiability
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jax import Array

import sloth_jax as sj
from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.covariates import fit_scaling
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.law import Params
from sloth_jax.law import skills as skills_of
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.observations import observe
from sloth_jax.plots import BLUE, style
from sloth_jax.point import PointSettings, fit_observations
from sloth_jax.posterior import Posterior
from sloth_jax.provenance import versions
from sloth_jax.rotation import align, canonical_order, match_skills, rotate, whitening
from sloth_jax.skills import interpret_skills
from sloth_jax.synthetic import synthetic_table

D, BENCHMARKS = 3, 12


def true_loadings(table: Leaderboard, law: Params, key: Array) -> np.ndarray:
    """Loadings that drew a table, in the form and units of a posterior's.

    Args:
        table: from :func:`sloth_jax.synthetic.synthetic_table`.
        law: the law it came from.
        key: random key of the rotation's starts.

    Returns:
        ``(benchmark, skill)`` per standard deviation of a skill, in standard deviations of each
        benchmark's scores after the inverse of the true link, in which a posterior measures.
    """
    observations = observe(table, fit_scaling(table.params_b, table.tokens_t))
    theta = skills_of(law, observations.covariates, observations.family)
    share = (observations.scores - observations.floor[None, :]) / (
        1.0 - observations.floor[None, :]
    )
    assert isinstance(law.link, QuantileMixture)  # of every synthetic table
    reached, _ = law.link.inverse(share)
    loading = law.loading @ jnp.linalg.inv(whitening(theta)).T
    loading = loading / jnp.std(reached, axis=0)[:, None]
    turned = rotate(loading, key).loading
    return np.asarray(turned @ canonical_order(turned), dtype=float)


def recover(table: Leaderboard, law: Params, posterior: Posterior, key: Array) -> pd.DataFrame:
    """True loadings beside those of a posterior with 90 % intervals."""
    found = interpret_skills(posterior, key=key)
    truth = true_loadings(table, law, key)
    turn = np.asarray(align(jnp.asarray(truth)[None], jnp.asarray(found.loading.mean(axis=0)))[0])
    rows = found.loadings(0.9)
    rows["truth"] = (truth @ turn).ravel()
    rows["inside"] = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    alike, _ = match_skills(truth @ turn, np.median(found.loading, axis=0))
    rows["congruence"] = np.tile(alike, len(rows) // len(alike))
    return rows


def broken_tables() -> dict[str, tuple[Leaderboard, int, str]]:
    """Tables that break one assumption each: table, skills, cause that the check has to name."""
    good, _ = synthetic_table(0, families=12, benchmarks=6, skills=2, noise=0.03, own=0.0)
    twice = good.scores.copy()
    twice[:, 1] = twice[:, 0]
    one, _ = synthetic_table(0, families=12, benchmarks=6, skills=1, noise=0.03, own=0.0)
    return {
        "nothing": (good, 2, ""),
        "tokens constant inside families": (
            replace(good, tokens_t=np.exp(0.3 * np.sin(1.0 + good.family))), 2, "confounded",
        ),
        "tokens in proportion to size": (
            replace(good, tokens_t=0.1 * good.params_b), 2, "confounded",
        ),
        "one model per family": (
            good.subset(np.arange(len(good.models)) % 4 == 0), 1, "no_variation",
        ),
        "a benchmark twice": (replace(good, scores=twice), 2, "duplicate_benchmarks"),
        "more skills than there are": (one, 3, "too_many_skills"),
    }  # fmt: skip


_fit = jax.jit(fit_observations, static_argnames="settings")  # once for all tables of a shape


def disagreement(table: Leaderboard, skills: int, key: Array, steps: int) -> dict[str, float]:
    """How much equally good point fits from two starts disagree about slopes and about loadings.

    Args:
        table: a table.
        skills: number of skills.
        key: random key; each start gets its own.
        steps: optimiser steps.

    Returns:
        ``loss_ratio`` of the worse fit to the better; ``slopes``: largest relative difference of
        what the covariates add to predictors, which no rotation changes; ``loadings``: 1 less the
        smallest congruence of a skill.
    """
    observations = observe(table, fit_scaling(table.params_b, table.tokens_t))
    settings = PointSettings(skills=skills, link="logistic", starts=4, steps=steps)
    first, second = (_fit(observations, k, settings) for k in jax.random.split(key))

    def effects(params: Params) -> np.ndarray:
        return np.asarray(params.slope @ params.loading.T, dtype=float)

    def rotated(params: Params) -> np.ndarray:
        theta = skills_of(params, observations.covariates, observations.family)
        white = params.loading @ jnp.linalg.inv(whitening(theta)).T
        return np.asarray(rotate(white, key).loading)

    a, b = effects(first.params), effects(second.params)
    alike, _ = match_skills(rotated(first.params), rotated(second.params))
    losses = sorted([float(first.loss), float(second.loss)])
    return {
        "loss_ratio": losses[1] / max(losses[0], 1e-12),
        "slopes": float(np.abs(a - b).max() / np.abs(a).max()),
        "loadings": float(1.0 - np.nan_to_num(alike).min()),
    }


def run(options: argparse.Namespace) -> None:
    """Answer the three questions, save, draw."""
    began = time.perf_counter()
    growing = (5, 10, 20, 40, 80)  # families of five models
    tables, settings, steps = options.tables, sj.SamplerSettings(warmup=300, draws=250), 3000
    point = {"link": "mixture", "starts": 5, "steps": 3000}
    large = 80
    if options.smoke:
        growing, tables, large, steps = (8,), 1, 8, 30
        settings = replace(settings, warmup=10, draws=10, chains=2, max_tree_depth=3, starts=1,
                           start_steps=20)  # fmt: skip
        point = {"link": "logistic", "starts": 2, "steps": 30}
    keys = jax.random.split(jax.random.key(options.seed), 4)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)

    rows = []
    for families in growing:
        for seed in range(1 if options.smoke else 5):
            table, law = synthetic_table(
                seed, families=families, sizes=5, benchmarks=BENCHMARKS, skills=D
            )
            fit = sj.fit_point(table, key=keys[0], skills=D, **point)
            alike, _ = match_skills(
                true_loadings(table, law, keys[1]), interpret_skills(fit, key=keys[1]).loading[0]
            )
            rows.append({"models": 5 * families, "seed": seed, "error": 1.0 - float(alike.min())})
        tell(f"{5 * families} models: 1 - congruence {rows[-1]['error']:.4f}")
    growth = pd.DataFrame(rows)

    parts = []
    for seed in range(tables):
        table, law = synthetic_table(
            100 + seed, families=large, sizes=5, benchmarks=BENCHMARKS, skills=D
        )
        tell(f"posterior of {len(table.models)} models, table {seed + 1} of {tables} ...")
        posterior = sj.sample_posterior(
            table, key=keys[2], settings=replace(settings, skills=D), progress=not options.smoke
        )
        for problem in posterior.diagnostics.problems():
            tell(f"warning: {problem}")
        parts.append(recover(table, law, posterior, keys[1]).assign(table=seed))
    recovery = pd.concat(parts, ignore_index=True)

    broken = []
    for name, (table, skills, cause) in broken_tables().items():
        report = sj.check_identifiability(table, skills=skills)
        causes = [finding.cause for finding in report.findings if finding.kind == "fails"]
        broken.append(
            {"broken": name, "expected": cause, "found": " ".join(causes)}
            | disagreement(table, skills, keys[3], steps)
        )
    failures = pd.DataFrame(broken)

    summary: dict[str, Any] = {
        "seed": options.seed,
        "smoke": options.smoke,
        "models": 5 * large,
        "tables": tables,
        "least_congruence": round(float(recovery["congruence"].to_numpy().min()), 4),
        "coverage_90": round(float(recovery["inside"].to_numpy().mean()), 4),
        "loadings": len(recovery),
        "error_by_models": {
            str(n): round(float(np.median(growth["error"][growth["models"] == n])), 5)
            for n in sorted(set(growth["models"]))
        },
        "causes_named": sum(
            (cause in found.split()) if cause else not found
            for cause, found in zip(failures["expected"], failures["found"], strict=True)
        ),
        "causes": len(failures),
        "settings": asdict(settings),
        "versions": versions(),
        "seconds": round(time.perf_counter() - began, 1),
    }
    for name, frame in (("rows", growth), ("recovery", recovery), ("broken", failures)):
        write_text(out / f"{name}.csv", frame.to_csv(index=False, float_format="%.6g"))
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    draw(out / "recovery.png", growth, recovery, summary)
    print(failures.to_string(index=False, float_format="%.4f"))
    print(
        f"least congruence {summary['least_congruence']:.4f}, 90 % intervals hold "
        f"{summary['coverage_90']:.3f} of {len(recovery)} loadings"
    )
    tell(f"{summary['seconds']:.0f} s. Results: {out}")


def draw(path: Path, growth: pd.DataFrame, recovery: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Error against rows, and recovered against true loadings."""
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.6), layout="constrained")
        medians = growth.groupby("models")["error"].median()
        left.plot(growth["models"], growth["error"], "o", color=BLUE, alpha=0.4, markersize=4)
        left.plot(medians.index, medians, color=BLUE)
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_xticks(medians.index, [str(n) for n in medians.index])
        left.minorticks_off()
        left.set_title("Point fit: worst skill, five tables")
        left.set_xlabel("models")
        left.set_ylabel("1 - congruence with the truth")
        truth = recovery["truth"]
        lower, upper = recovery["lower"] - truth, recovery["upper"] - truth
        right.axhline(0.0, color="#7F7F7F", linewidth=1.0)
        right.vlines(truth, lower, upper, color=BLUE, linewidth=2, alpha=0.3)
        right.plot(truth, recovery["median"] - truth, "o", color=BLUE, markersize=3)
        right.set_title(
            f"Posterior, {summary['models']} models: {100 * summary['coverage_90']:.0f} % inside"
        )
        right.set_xlabel("true loading")
        right.set_ylabel("loading less the truth, 90 % interval")
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(
        prog="identifiability.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tables", type=number(1), default=3, help="to recover (default: 3)")
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="small tables, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit("identifiability", lambda: run(options), interrupted="nothing was written")


if __name__ == "__main__":
    main()
