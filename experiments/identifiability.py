"""Where skills are determined and where not: synthetic tables whose law is known.

Three questions. Does the error of recovered loadings fall as rows grow? Do 90 % intervals of the
posterior hold the true loadings of a table of 400 models on 12 benchmarks? And on tables that break
one assumption each, does the check name it, and does a fit show it: is the posterior wide in just
what is not determined? Writes rows.csv, recovery.csv, broken.csv, summary.json and recovery.png.

Run: python experiments/identifiability.py --out out/identifiability
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _runner import command_line, execute, save, settings_of
from jax import Array

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.evaluation.synthetic import Truth, synthetic_table
from sloth_jax.inference.observe import observe
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.law.hierarchical import shares, standardised_link
from sloth_jax.law.links import QuantileMixture
from sloth_jax.law.surface import LINEAR
from sloth_jax.plotting.figure_style import BLUE, style
from sloth_jax.skills.alignment import align, canonical_order, match_skills, whitening
from sloth_jax.skills.gradient_projection import rotate_loading
from sloth_jax.skills.interpret import interpret_skills
from sloth_jax.skills.rotation import rotate

BENCHMARKS = 12
LEVEL = 0.9


def true_loadings(table: Leaderboard, truth: Truth, key: Array) -> np.ndarray:
    """Loadings that drew a table, in the form and units of a fit's.

    Args:
        table: from :func:`sloth_jax.synthetic.synthetic_table`.
        truth: what it was drawn from.
        key: random key of the rotation's starts.

    Returns:
        ``(benchmark, skill)`` per standard deviation of a skill, in the predictor units of a fit:
        standard deviations of each benchmark's scores after the inverse of the link.
    """
    observations, params = observe(table, truth.surface), truth.law.params
    theta = skills_of(params, observations.design, truth.effects)
    link = params.link
    assert isinstance(link, QuantileMixture)  # of every synthetic table
    of_fit = standardised_link(link.tilt, link.slack, shares(observations), observations.observed)
    loading = params.loading * (link.spread / of_fit.spread)[:, None]
    turned = rotate(rotate_loading(loading, whitening(theta)), key).loading
    return np.asarray(turned @ canonical_order(turned), dtype=float)


def recover(table: Leaderboard, truth: Truth, fit: sj.Fit, key: Array) -> pd.DataFrame:
    """True loadings beside those of a fit with 90 % intervals."""
    found = interpret_skills(fit, key=key)
    loading = true_loadings(table, truth, key)
    turn = align(jnp.asarray(loading)[None], jnp.asarray(found.loading.mean(axis=0)))[0]
    loading = loading @ np.asarray(turn, dtype=float)
    rows = found.loadings(LEVEL)
    rows["truth"] = loading.ravel()
    rows["inside"] = rows["truth"].between(rows["lower"], rows["upper"])
    alike, _ = match_skills(loading, np.median(found.loading, axis=0))
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


def widths(table: Leaderboard, settings: sj.FitSettings, key: Array) -> dict[str, float]:
    """How wide the posterior of a table is in slopes and in loadings.

    Args:
        table: a table.
        settings: what is fitted and how, with draws.
        key: random key.

    Returns:
        ``slopes``: the largest posterior standard deviation of what a standard deviation of log
        size, log tokens or their product adds to a benchmark's predictor, which no rotation
        changes; ``loadings``: 1 less the congruence of a draw with the median draw, of the skill
        that is least alike, median over draws.
    """
    fit = sj.fit(table, key=key, settings=settings)
    params = fit.law.params
    # B lambda' + d
    slope = jnp.einsum("sck,sjk->scj", params.slope, params.loading, precision="highest")
    if params.specific_slope is not None:
        slope += params.specific_slope
    slope = np.asarray(slope, dtype=float)[:, : len(LINEAR[settings.kind])]
    loading = interpret_skills(fit, key=key).loading
    median = np.median(loading, axis=0)
    lengths = np.linalg.norm(loading, axis=1) * np.linalg.norm(median, axis=0)
    alike = np.einsum("sjk,jk->sk", loading, median) / lengths
    return {
        "slopes": float(slope.std(axis=0).max()),
        "loadings": float(1.0 - np.median(alike, axis=0).min()),
    }


def run(options: argparse.Namespace) -> None:
    """Answer the three questions, save, draw."""
    if options.inference == "mode":
        raise sj.InputError("a mode has no intervals to look at: choose another --inference")
    settings, skills = settings_of(options), options.skills
    growing, seeds, tables, large = (5, 10, 20, 40, 80), 5, options.tables, 80
    if options.smoke:
        growing, seeds, tables, large = (8,), 1, 1, 8
    keys = jax.random.split(jax.random.key(options.seed), 4)

    def made(seed: int, families: int) -> tuple[Leaderboard, Truth]:
        """A table of families of five models."""
        return synthetic_table(
            seed, families=families, sizes=5, benchmarks=BENCHMARKS, skills=skills
        )

    rows = []
    for families in growing:
        for seed in range(seeds):
            table, truth = made(seed, families)
            fit = sj.fit(table, key=keys[0], settings=settings, inference="mode")
            alike, _ = match_skills(
                true_loadings(table, truth, keys[1]), interpret_skills(fit, key=keys[1]).loading[0]
            )
            rows.append({"models": 5 * families, "seed": seed, "error": 1.0 - float(alike.min())})
        tell(f"{5 * families} models: 1 - congruence {rows[-1]['error']:.4f}")
    growth = pd.DataFrame(rows)

    parts = []
    for seed in range(tables):
        table, truth = made(100 + seed, large)
        tell(f"{len(table.models)} models, table {seed + 1} of {tables} ...")
        fit = sj.fit(table, key=keys[2], settings=settings, progress=sj.show_progress)
        for problem in fit.diagnostics.problems():
            tell(f"warning: {problem}")
        parts.append(recover(table, truth, fit, keys[1]).assign(table=seed))
    recovery = pd.concat(parts, ignore_index=True)

    broken = []
    for name, (table, asked, cause) in broken_tables().items():
        report = sj.check_identifiability(table, skills=asked)
        causes = [finding.cause for finding in report.findings if finding.kind == "fails"]
        broken.append(
            {"broken": name, "expected": cause, "found": " ".join(causes)}
            | widths(table, replace(settings, skills=asked), keys[3])
        )
    failures = pd.DataFrame(broken)

    record = save(
        options,
        {"rows": growth, "recovery": recovery, "broken": failures},
        settings,
        models=5 * large,
        recovered=tables,
        least_congruence=round(float(recovery["congruence"].to_numpy().min()), 4),
        coverage_90=round(float(recovery["inside"].to_numpy().mean()), 4),
        loadings=len(recovery),
        error_by_models={
            str(n): round(float(np.median(growth["error"][growth["models"] == n])), 5)
            for n in sorted(set(growth["models"]))
        },
        causes_named=sum(
            (cause in found.split()) if cause else not found
            for cause, found in zip(failures["expected"], failures["found"], strict=True)
        ),
        causes=len(failures),
    )
    draw(options.out / "recovery.png", growth, recovery, record)
    print(failures.to_string(index=False, float_format="%.4f"))
    print(
        f"least congruence {record['least_congruence']:.4f}, 90 % intervals hold "
        f"{record['coverage_90']:.3f} of {len(recovery)} loadings"
    )
    tell(f"{record['seconds']:.0f} s. Results: {options.out}")


def draw(path: Path, growth: pd.DataFrame, recovery: pd.DataFrame, record: dict[str, Any]) -> None:
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
        left.set_title("Mode: worst skill, five tables")
        left.set_xlabel("models")
        left.set_ylabel("1 - congruence with the truth")
        truth = recovery["truth"]
        lower, upper = recovery["lower"] - truth, recovery["upper"] - truth
        right.axhline(0.0, color="#7F7F7F", linewidth=1.0)
        right.vlines(truth, lower, upper, color=BLUE, linewidth=2, alpha=0.3)
        right.plot(truth, recovery["median"] - truth, "o", color=BLUE, markersize=3)
        right.set_title(f"{record['models']} models: {100 * record['coverage_90']:.0f} % inside")
        right.set_xlabel("true loading")
        right.set_ylabel("loading less the truth, 90 % interval")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    parser = command_line(__doc__)
    parser.add_argument("--tables", type=number(1), default=3, help="to recover (default: 3)")
    execute(run, parser)
