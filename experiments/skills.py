"""The skills of a table with intervals: loadings, correlations, base against chat, level curves.

Fits the law with 2, 3 and 4 skills, brings each to one form (oblique geomin) and writes, for each
d, its tables (loadings, correlations, models, families, base_to_chat, growth, level_curves,
contraction) and figures. Beside them stability.csv and stability.png (halves of the lineages, other
d) and published.csv: the published loadings against every local optimum of the rotation of the
published law, fitted to the same rows. Last summary.json.

Run: python experiments/skills.py --out out/skills
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from _runner import (
    SAMPLED,
    SMOKE_MODELS,
    command_line,
    drawing,
    edition_2024,
    execute,
    first_models,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.baselines import published_skills
from sloth_jax.plotting.skill_figures import skill_figures
from sloth_jax.plotting.skills import plot_congruence
from sloth_jax.skills.alignment import match_skills, whitening
from sloth_jax.skills.contraction import contraction
from sloth_jax.skills.gradient_projection import geomin, rotate_loading
from sloth_jax.skills.labels import propose_labels
from sloth_jax.skills.rotation import local_optima
from sloth_jax.skills.stability import stability
from sloth_jax.skills.tables import skill_tables

LEVEL = 0.9
SIZES_B = np.geomspace(0.3, 200.0, 25)
TOKENS_T = np.geomspace(0.2, 20.0, 25)
# Loadings on reasoning, knowledge and instruction following: Maia Polo et al., arXiv 2412.06540,
# section 5 (d = 3, basic law, complete rows of both leaderboards, oblique geomin).
PUBLISHED = {
    "GSM8K": (3.43, -0.51, 0.03),
    "MATH Lvl 5": (3.42, -0.60, -0.02),
    "GPQA": (2.30, 0.06, -0.22),
    "MMLU": (1.71, 0.11, -0.01),
    "MMLU-PRO": (1.78, 0.07, 0.00),
    "BBH": (1.65, 0.15, 0.03),
    "MUSR": (0.86, 0.06, -0.02),
    "TruthfulQA": (0.60, 0.00, 0.33),
    "ARC": (0.65, 0.44, 0.07),
    "HellaSwag": (0.51, 0.55, 0.05),
    "Winogrande": (0.66, 0.56, -0.01),
    "IFEval": (0.05, 0.04, 0.63),
}
SKILL_NAMES = ("reasoning", "knowledge", "instruction following")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, interpret, save, then draw."""
    parser = command_line(__file__, __doc__, inference=SAMPLED, skills=False)
    numbers = {"nargs": "+", "type": number(2), "default": [2, 3, 4], "metavar": "D"}
    parser.add_argument("--skills", dest="numbers", **numbers)
    options = parser.parse_args(arguments)
    table, settings = edition_2024(), settings_of(options)
    again, published = {"halves": 30, "others": (2, 4)}, {"starts": 20}
    optima = {"starts": 100, "steps": 8000}
    if options.smoke:
        table = first_models(table, 2 * SMOKE_MODELS)
        again, published = {"halves": 1, "others": ()}, {"starts": 1, "max_steps": 20}
        optima = {"starts": 3, "steps": 50}
    fit_key, turn_key, again_key, published_key = jax.random.split(jax.random.key(options.seed), 4)
    tables: dict[str, pd.DataFrame] = {}
    found: dict[str, Any] = {}
    interpreted: dict[int, dict[str, pd.DataFrame]] = {}
    for d in options.numbers:
        tell(f"{d} skills ...")
        fit = sj.fit(table, key=fit_key, settings=replace(settings, skills=d))
        interpreted[d], found[f"d = {d}"] = interpret(fit, turn_key)
        tables |= {f"d{d}/{name}": rows for name, rows in interpreted[d].items()}
    tell("other lineages, other numbers of skills ...")
    repeated = stability(table, key=again_key, settings=settings, **again)
    medians = repeated.groupby(["reason", "skill"])["congruence"].median()
    print(medians.unstack().round(3).to_string())
    tell("the published loadings ...")
    beside, error = against_published(published, published_key, **optima)
    print(beside.to_string(index=False, float_format="%.3f"))
    tables |= {"stability": repeated, "published": beside}
    found["published"] = published | optima | {"training_error": error}
    save(options, tables, settings, level=LEVEL, **found)
    for d, of_number in interpreted.items():
        draw(options.out / f"d{d}", of_number)
    draw_stability(options.out / "stability.png", repeated)
    tell(f"Results: {options.out}")


def interpret(fit: sj.Fit, key: jax.Array) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Tables of the skills of a fit, and what the summary says of them."""
    began = time.perf_counter()
    skills = sj.interpret_skills(fit, key=key)
    proposed = propose_labels(skills)
    skills = skills.named(proposed)
    problems = [*fit.diagnostics.problems(), *fit.report.warnings()]
    for problem in problems:
        tell(f"warning: {problem}")
    tables = skill_tables(skills, LEVEL, params_b=SIZES_B, tokens_t=TOKENS_T)
    tables |= {"contraction": contraction(fit)}
    decides = tables["contraction"]["prior_decides"].to_numpy()
    print(
        f"d = {len(proposed)}: {', '.join(proposed)}; the prior decides {decides.sum()} of "
        f"{len(decides)} numbers"
    )
    found = {
        "proposed_labels": proposed,
        "rotation_starts_agreeing": skills.agreeing,
        "draws_settled": skills.settled,
        "problems": problems,
        "seconds": round(time.perf_counter() - began, 1),
    }
    return tables, found


def against_published(
    settings: dict[str, int], key: jax.Array, *, starts: int, steps: int
) -> tuple[pd.DataFrame, float]:
    """Every local optimum of the rotation of the published law's fit, and the published loadings.

    Args:
        settings: of :func:`sloth_jax.evaluation.baselines.published_skills`, on the complete rows
            of the uncorrected table.
        key: random key.
        starts: of the rotation.
        steps: most steps of the rotation from each.

    Returns:
        One row per optimum: its criterion, the share of starts that end there, congruence with each
        published skill; and the mean absolute training error of the fit.
    """
    table = sj.load_leaderboard(corrected=False)
    table = table.subset(table.known)
    table = table.subset(np.asarray(table.observed.all(axis=1)))
    ours = published_skills(table, skills=3, **settings)
    theirs = np.array([PUBLISHED[benchmark] for benchmark in table.benchmarks])
    # In single precision the shallower minima cannot be told from slopes.
    with jax.enable_x64(True):
        white = rotate_loading(jnp.asarray(ours.loading), whitening(jnp.asarray(ours.theta)))
        optima = local_optima(white, key, starts=starts, steps=steps)
        rows = []
        for at, one in enumerate(optima, start=1):
            alike, _ = match_skills(theirs, np.asarray(one.loading))
            row = {"loadings": f"optimum {at}", "criterion": float(one.value)}
            row["starts"] = float(one.agreeing)
            rows.append(row | dict(zip(SKILL_NAMES, alike.tolist(), strict=True)))
        rows.append({"loadings": "published", "criterion": float(geomin(jnp.asarray(theirs)))})
    return pd.DataFrame(rows), ours.error


def draw(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Draw all figures of one number of skills; bars are 90 % intervals."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in skill_figures(tables, level=LEVEL):
        figure.savefig(folder / f"{name}.png")


def draw_stability(path: Path, again: pd.DataFrame) -> None:
    """Congruence with the reference fit, by reason."""
    named = again.assign(skill=[f"skill {k}" for k in again["skill"]])
    with drawing(path, figsize=(6.0, 3.2)) as (_, ax):
        plot_congruence(named, ax=ax)
        ax.set_title("Do the skills of the mode come out again?")


if __name__ == "__main__":
    execute(main)
