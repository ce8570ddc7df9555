"""The skills of a table with intervals: loadings, correlations, base against chat, level curves.

Samples the posterior with 2, 3 and 4 skills, brings each to one form (oblique geomin) and writes,
for each d, its tables (loadings, correlations, models, families, base_to_chat, growth, slopes,
level_curves, contraction) and figures. Beside them stability.csv and stability.png (other starts,
other families, other d) and published.csv: the published loadings against every local optimum of
the rotation of our own point fit of the same rows.

Run: python experiments/skills.py --out out/skills
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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj
from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.contraction import contraction
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.plots import style
from sloth_jax.point import PointSettings
from sloth_jax.provenance import versions
from sloth_jax.rotation import geomin, local_optima, match_skills
from sloth_jax.skill_plots import (
    plot_congruence,
    plot_growth,
    plot_level_curves,
    plot_loadings,
    plot_pairs,
    plot_shifts,
)
from sloth_jax.skills import Skills, interpret_skills, propose_labels
from sloth_jax.stability import stability

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


def run(options: argparse.Namespace) -> None:
    """Fit, interpret, save, then draw."""
    table = sj.load_leaderboard()
    settings, point = sj.SamplerSettings(), PointSettings()
    published = PointSettings(link="logistic", starts=20, steps=4000)
    repetitions = {"seeds": 10, "bootstraps": 30, "others": (2, 4)}
    optima = {"starts": 100, "steps": 8000}
    if options.smoke:
        settings = replace(
            settings, warmup=10, draws=10, max_tree_depth=3, starts=1, start_steps=20
        )
        point, published = (
            replace(point, steps=20, starts=1),
            replace(published, steps=20, starts=1),
        )
        repetitions = {"seeds": 1, "bootstraps": 1, "others": ()}
        optima = {"starts": 3, "steps": 50}
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    fit_key, turn_key, again_key, published_key = jax.random.split(jax.random.key(options.seed), 4)
    record: dict[str, Any] = {
        "seed": options.seed,
        "smoke": options.smoke,
        "level": LEVEL,
        "settings": asdict(settings),
        "versions": versions(),
    }
    for d in options.skills:
        began = time.perf_counter()
        tell(f"{d} skills ...")
        posterior = sj.sample_posterior(
            table, key=fit_key, settings=replace(settings, skills=d), progress=not options.smoke
        )
        skills = interpret_skills(posterior, key=turn_key)
        proposed = propose_labels(skills)
        record[f"d = {d}"] = {
            "proposed_labels": proposed,
            "rotation_starts_agreeing": skills.agreeing,
            "draws_settled": skills.settled,
            "problems": posterior.diagnostics.problems() + posterior.report.warnings(),
            "seconds": round(time.perf_counter() - began, 1),
        }
        if len(set(proposed)) == d:
            skills = skills.named(proposed)
        save(out / f"d{d}", skills)
        decided = contraction(posterior)
        write(out / f"d{d}" / "contraction.csv", decided)
        draw(out / f"d{d}", skills)
        for problem in record[f"d = {d}"]["problems"]:
            tell(f"warning: {problem}")
        told = int(decided["prior_decides"].to_numpy().sum())
        print(f"d = {d}: {', '.join(proposed)}; the prior decides {told} of {len(decided)} numbers")

    tell("other starts, other families ...")
    again = stability(table, key=again_key, settings=point, **repetitions)
    write(out / "stability.csv", again)
    draw_stability(out / "stability.png", again)
    medians = again.groupby(["reason", "skill"])["congruence"].median()
    print(medians.unstack().round(3).to_string())

    tell("the published loadings ...")
    found, loss = against_published(published, published_key, **optima)
    write(out / "published.csv", found)
    record["published"] = {"settings": asdict(published), "loss": loss}
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    print(found.to_string(index=False, float_format="%.3f"))
    tell(f"Results: {out}")


def against_published(
    settings: PointSettings, key: jax.Array, *, starts: int, steps: int
) -> tuple[pd.DataFrame, float]:
    """Every local optimum of the rotation of our point fit, against the published loadings.

    Args:
        settings: of the point fit, to the complete rows of the uncorrected table.
        key: random key.
        starts: of the rotation.
        steps: most steps of the rotation from each.

    Returns:
        One row per optimum: its criterion, the share of starts that end there, congruence with each
        published skill; and the loss of the fit.
    """
    table = sj.load_leaderboard(corrected=False)
    table = table.subset(np.asarray(table.observed.all(axis=1)))
    fit_key, turn_key = jax.random.split(key)
    fit = sj.fit_point(
        table, key=fit_key, skills=3, link=settings.link, starts=settings.starts,
        steps=settings.steps,
    )  # fmt: skip
    ours = interpret_skills(fit, key=turn_key, oblique=False, criterion="varimax")
    theirs = np.array([PUBLISHED[benchmark] for benchmark in table.benchmarks])
    rows, names = [], ("reasoning", "knowledge", "instruction following")
    # In single precision the shallower minima cannot be told from slopes.
    with jax.enable_x64(True):
        # Varimax skills are uncorrelated with unit variances: what a rotation starts from.
        white = jax.numpy.asarray(ours.loading[0])
        optima = local_optima(white, turn_key, starts=starts, steps=steps)
        for one in optima:
            alike, _ = match_skills(theirs, np.asarray(one.loading))
            rows.append(
                {"criterion": float(one.value), "starts": float(one.agreeing)}
                | dict(zip(names, alike.tolist(), strict=True))
            )
        rows.append({"criterion": float(geomin(jax.numpy.asarray(theirs))), "starts": np.nan})
    found = pd.DataFrame(rows)
    found.insert(0, "loadings", [*(f"optimum {k + 1}" for k in range(len(optima))), "published"])
    return found, fit.loss


def write(path: Path, rows: pd.DataFrame) -> None:
    """Write a table as CSV."""
    write_text(path, rows.to_csv(index=False, float_format="%.6g"))


def save(folder: Path, skills: Skills) -> None:
    """Write all tables of one number of skills."""
    folder.mkdir(exist_ok=True)
    write(folder / "loadings.csv", skills.loadings(LEVEL))
    write(folder / "correlations.csv", skills.correlations(LEVEL))
    write(folder / "models.csv", skills.models(LEVEL))
    write(folder / "families.csv", skills.families(LEVEL))
    write(folder / "base_to_chat.csv", skills.base_to_chat(LEVEL))
    write(folder / "growth.csv", skills.growth(LEVEL))
    write(folder / "slopes.csv", skills.slopes(LEVEL))
    write(folder / "level_curves.csv", skills.level_curves(SIZES_B, TOKENS_T, LEVEL))


def draw(folder: Path, skills: Skills) -> None:
    """Draw all figures of one number of skills; bars are 90 % intervals."""
    d, loadings = len(skills.labels), skills.loadings(LEVEL)
    order = pd.DataFrame(loadings.pivot(index="benchmark", columns="skill", values="median"))
    strongest = order[list(skills.labels)].to_numpy().argmax(axis=1)
    benchmarks = list(order.index[np.argsort(strongest, kind="stable")])
    with style():
        figure, axes = plt.subplots(
            1, d, figsize=(1.2 + 2.5 * d, 3.6), sharey=True, squeeze=False, layout="constrained"
        )
        for label, ax in zip(skills.labels, axes[0], strict=True):
            plot_loadings(loadings, label, benchmarks, ax=ax)
        figure.suptitle("Loadings with 90 % intervals (per standard deviation of the skill)")
        figure.savefig(folder / "loadings.png")
        plt.close(figure)

        figure, ax = plt.subplots(figsize=(6.0, 1.2 + 0.3 * d * (d - 1) / 2), layout="constrained")
        plot_pairs(skills.correlations(LEVEL), ax=ax)
        figure.savefig(folder / "correlations.png")
        plt.close(figure)

        shifts = skills.base_to_chat(LEVEL)
        pairs = len(shifts) // d
        figure, axes = plt.subplots(
            1, d, figsize=(1.8 + 2.3 * d, 1.0 + 0.17 * pairs), sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for label, ax in zip(skills.labels, axes[0], strict=True):
            plot_shifts(shifts, label, ax=ax)
            ax.tick_params(axis="y", labelsize=7)
        figure.suptitle("Post-trained minus base families, 90 % intervals")
        figure.savefig(folder / "base_to_chat.png")
        plt.close(figure)

        figure, ax = plt.subplots(figsize=(6.0, 1.6 + 0.4 * d), layout="constrained")
        plot_growth(skills.growth(LEVEL), ax=ax)
        figure.savefig(folder / "growth.png")
        plt.close(figure)

        curves = skills.level_curves(SIZES_B, TOKENS_T, LEVEL)
        figure, axes = plt.subplots(
            1, d, figsize=(0.6 + 3.0 * d, 3.2), sharey=True, squeeze=False, layout="constrained"
        )
        for label, ax in zip(skills.labels, axes[0], strict=True):
            plot_level_curves(curves, label, ax=ax)
        for ax in axes[0, 1:]:
            ax.set_ylabel("")
        figure.suptitle("Skill of the average family (sd of models); darker: wider 90 % interval")
        figure.savefig(folder / "level_curves.png")
        plt.close(figure)


def draw_stability(path: Path, again: pd.DataFrame) -> None:
    """Congruence with the reference fit, by reason."""
    reasons = {"start": "another start", "families": "other families"}
    named = again.assign(
        reason=[str(reasons.get(r, r)) for r in again["reason"]],
        skill=[f"skill {k}" for k in again["skill"]],
    )
    with style():
        figure, ax = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
        plot_congruence(named, ax=ax)
        ax.set_title("Do the skills of the point fit come out again? (dashed: similar, equal)")
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(
        prog="skills.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--skills", nargs="+", type=number(2), default=[2, 3, 4], metavar="D")
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit("skills", lambda: run(options), interrupted=f"see {options.out} for what is done")


if __name__ == "__main__":
    main()
