"""Where skills are determined and where not: synthetic tables whose law is known.

Three questions. Does the error of recovered loadings fall as rows grow? Do 90 % intervals of the
posterior hold the true loadings of a table of 400 models on 12 benchmarks? And on tables that break
one assumption each, does the check name it, and does a fit show it: is the posterior wide in just
what is not determined? Writes rows.csv, recovery.csv, broken.csv, summary.json and recovery.png.

Run: python experiments/identifiability.py --out out/identifiability
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from _runner import SAMPLED, command_line, drawing, execute, save, settings_of
from jax import Array

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.synthetic import Truth, synthetic_table
from sloth_jax.inference.observe import observe
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.law.links import QuantileMixture, standardise
from sloth_jax.law.observations import shares
from sloth_jax.law.surface import LINEAR
from sloth_jax.plotting.figure_style import BLUE, GREY
from sloth_jax.skills.alignment import align, canonical_order, match_skills, whitening
from sloth_jax.skills.gradient_projection import rotate_loading
from sloth_jax.skills.interpret import interpret_skills
from sloth_jax.skills.rotation import rotate

BENCHMARKS = 12
LEVEL = 0.9
SMOKE_PROGRAM = (2, 48)  # skills and models


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
    of_fit = standardise(link, shares(observations), observations.observed)
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
    constant = replace(good, tokens_t=np.exp(0.3 * np.sin(1.0 + good.family)))
    in_proportion = replace(good, tokens_t=0.1 * good.params_b)
    single = good.subset(np.arange(len(good.models)) % 4 == 0)
    return {
        "nothing": (good, 2, ""),
        "tokens constant inside families": (constant, 2, "confounded"),
        "tokens in proportion to size": (in_proportion, 2, "confounded"),
        "one model per family": (single, 1, "no_variation"),
        "a benchmark twice": (replace(good, scores=twice), 2, "duplicate_benchmarks"),
        "more skills than there are": (one, 3, "too_many_skills"),
    }


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


Made = Callable[[int, int], tuple[Leaderboard, Truth]]  # from a seed and a number of families


def recovery_by_size(
    made: Made, families: Sequence[int], seeds: int, settings: sj.FitSettings, keys: Array
) -> pd.DataFrame:
    """Error of the mode's loadings on tables of several sizes: ``models``, ``seed``, ``error``."""
    rows = []
    for count in families:
        for seed in range(seeds):
            table, truth = made(seed, count)
            fit = sj.fit(table, key=keys[0], settings=settings, inference="mode")
            found = interpret_skills(fit, key=keys[1]).loading[0]
            alike, _ = match_skills(true_loadings(table, truth, keys[1]), found)
            error = 1.0 - float(alike.min())
            rows.append({"models": len(table.models), "seed": seed, "error": error})
        tell(f"{rows[-1]['models']} models: 1 - congruence {rows[-1]['error']:.4f}")
    return pd.DataFrame(rows)


def recovered_intervals(
    made: Made, families: int, tables: int, settings: sj.FitSettings, keys: Array
) -> pd.DataFrame:
    """Rows of :func:`recover` of several large tables."""
    parts = []
    for seed in range(tables):
        table, truth = made(100 + seed, families)
        tell(f"{len(table.models)} models, table {seed + 1} of {tables} ...")
        fit = sj.fit(table, key=keys[2], settings=settings, progress=sj.show_progress)
        for problem in fit.diagnostics.problems():
            tell(f"warning: {problem}")
        parts.append(recover(table, truth, fit, keys[1]).assign(table=seed))
    return pd.concat(parts, ignore_index=True)


def try_broken_tables(settings: sj.FitSettings, key: Array, smoke: bool) -> pd.DataFrame:
    """Causes expected and found, and widths, of every table of :func:`broken_tables`.

    A smoke run has no widths where they would take another program than those of the first table.
    """
    rows = []
    for name, (table, skills, cause) in broken_tables().items():
        report = sj.check_identifiability(table, skills=skills)
        causes = [finding.cause for finding in report.findings if finding.kind == "fails"]
        named = cause in causes if cause else not causes
        row = {"broken": name, "expected": cause, "found": " ".join(causes), "named": named}
        if not smoke or (skills, len(table.models)) == SMOKE_PROGRAM:
            row |= widths(table, replace(settings, skills=skills), key)
        rows.append(row)
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the three questions, save, draw."""
    parser = command_line(__file__, __doc__, inference=SAMPLED)
    parser.add_argument("--tables", type=number(1), default=3, help="to recover (default: 3)")
    options = parser.parse_args(arguments)
    settings, skills = settings_of(options), options.skills
    growing, seeds, tables, large = (5, 10, 20, 40, 80), 5, options.tables, 80
    shape = {"sizes": 5, "benchmarks": BENCHMARKS}
    if options.smoke:  # tables of the shape of the broken ones
        growing, seeds, tables, large, skills = (12,), 1, 1, 12, 2
        shape = {"sizes": 4, "benchmarks": 6}
        settings = replace(settings, skills=skills)
    keys = jax.random.split(jax.random.key(options.seed), 4)

    def made(seed: int, families: int) -> tuple[Leaderboard, Truth]:
        """A table of families of several models."""
        return synthetic_table(seed, families=families, skills=skills, **shape)

    growth = recovery_by_size(made, growing, seeds, settings, keys)
    recovery = recovered_intervals(made, large, tables, settings, keys)
    broken = try_broken_tables(settings, keys[3], options.smoke)
    medians = growth.groupby("models")["error"].median()
    record = save(
        options,
        {"rows": growth, "recovery": recovery, "broken": broken},
        settings,
        models=int(shape["sizes"] * large),
        recovered=tables,
        least_congruence=round(float(recovery["congruence"].to_numpy().min()), 4),
        coverage_90=round(float(recovery["inside"].to_numpy().mean()), 4),
        loadings=len(recovery),
        error_by_models={str(n): round(float(error), 5) for n, error in medians.items()},
        causes_named=int(broken["named"].sum()),
        causes=len(broken),
    )
    draw(options.out / "recovery.png", growth, recovery, record)
    print(broken.to_string(index=False, float_format="%.4f"))
    print(
        f"least congruence {record['least_congruence']:.4f}, 90 % intervals hold "
        f"{record['coverage_90']:.3f} of {len(recovery)} loadings"
    )
    tell(f"{record['seconds']:.0f} s. Results: {options.out}")


def draw(path: Path, growth: pd.DataFrame, recovery: pd.DataFrame, record: dict[str, Any]) -> None:
    """Error against rows, and recovered against true loadings."""
    with drawing(path, 1, 2, figsize=(8.0, 3.6)) as (_, (left, right)):
        medians = growth.groupby("models")["error"].median()
        left.plot(growth["models"], growth["error"], "o", color=BLUE, alpha=0.4, markersize=4)
        left.plot(medians.index, medians, color=BLUE)
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_xticks(medians.index, [str(n) for n in medians.index])
        left.minorticks_off()
        left.set_title(f"Mode: worst skill, {growth['seed'].nunique()} tables of each size")
        left.set_xlabel("models")
        left.set_ylabel("1 - congruence with the truth")
        truth = recovery["truth"]
        lower, upper = recovery["lower"] - truth, recovery["upper"] - truth
        right.axhline(0.0, color=GREY, linewidth=1.0)
        right.vlines(truth, lower, upper, color=BLUE, linewidth=2, alpha=0.3)
        right.plot(truth, recovery["median"] - truth, "o", color=BLUE, markersize=3)
        right.set_title(f"{record['models']} models: {100 * record['coverage_90']:.0f} % inside")
        right.set_xlabel("true loading")
        right.set_ylabel("loading less the truth, 90 % interval")


if __name__ == "__main__":
    execute(main)
