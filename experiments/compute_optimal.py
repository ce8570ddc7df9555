"""What to train for a budget: the best splits for every skill and benchmark, and a back-test.

The frontier: for each family, target and budget, the size and tokens that are best, with where the
optimum may lie. The back-test: for each family with enough sizes, the law is fitted without its
larger models (and without those of its lineage), asked how to spend what the best of the family's
released models cost, and its split is judged by the law that has seen everything, beside the split
that was released. Writes frontier.csv, backtest.csv, summary.json, frontier.png and backtest.png.

Run: python experiments/compute_optimal.py --out out/compute_optimal
and with --fit FIT.nc to begin from what `sloth-jax fit` has kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import (
    command_line,
    drawing,
    drawing_grid,
    edition_2024,
    execute,
    legend_below,
    save,
    settings_of,
)
from matplotlib.ticker import FuncFormatter

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import names_at
from sloth_jax.planning.budget import FLOPS_UNIT
from sloth_jax.planning.targets import MEAN
from sloth_jax.plotting.figure_style import BLUE, GREEN, GREY, ORANGE, plain_number

LEVEL = 0.9
FAMILIES = ("meta-llama-3", "qwen2", "pythia")
LOOKS = ((BLUE, "-"), (ORANGE, (0, (5, 1.5))), (GREEN, (0, (5, 1.5, 1, 1.5))))  # of families


def frontier(
    fit: sj.Fit, budgets: np.ndarray, key: jax.Array, most: int | None = None
) -> pd.DataFrame:
    """The best splits of budgets, for every family of :data:`FAMILIES`, skill and benchmark.

    ``most`` keeps so many families, and targets, only.
    """
    skills = sj.interpret_skills(fit, key=key)
    parts = []
    for family in FAMILIES[:most]:
        for target in (*skills.labels, *fit.table.benchmarks)[:most]:
            aim = {"target": target, "skills": skills}
            plan = plan_for(fit, fit.table, family, budgets, key, **aim)
            parts.append(plan.assign(family=family, target=target))
    return pd.concat(parts, ignore_index=True)


def plan_for(
    fit: sj.Fit,
    table: sj.Leaderboard,
    family: str,
    budgets: np.ndarray | float,
    key: jax.Array,
    target: str = MEAN,
    skills: sj.Skills | None = None,
) -> pd.DataFrame:
    """The best splits of budgets for a family, within sizes and tokens of scored models."""
    scored = table.observed.any(axis=1)
    size, tokens = table.params_b[scored], table.tokens_t[scored]
    bounds = sj.Bounds((size.min(), size.max()), (tokens.min(), tokens.max()))
    given = {"target": target, "level": LEVEL, "skills": skills, "bounds": bounds}
    return sj.compute_optimal(fit, budgets, family=family, key=key, **given).frontier


def candidates(table: sj.Leaderboard, seen: int) -> list[str]:
    """Base families with more sizes than will be seen, which could have been planned."""
    found = []
    for at, family in enumerate(table.families):
        sizes = table.params_b[(table.family == at) & table.observed.any(axis=1)]
        if table.post_trained_of_family[at] < 0.5 and len(np.unique(sizes)) > seen:
            found.append(family)
    return found


def back_test(
    referee: sj.Fit, family: str, seen: int, settings: sj.FitSettings, key: jax.Array
) -> dict[str, Any]:
    """Plan a family's best model from its small ones; judge the plan by what came out.

    Returns:
        A row: the budget, the released split and the recommended one; ``loss``, the expected mean
        score of the released split less that of the recommended one by the law that saw everything,
        with ``lower`` and ``upper`` over its draws; ``possible``, the same for the split that this
        law itself recommends, the least loss there could have been.
    """
    table = referee.table
    at = table.families.index(family)
    scored = table.observed.any(axis=1)
    mine = np.flatnonzero((table.family == at) & scored)
    means = np.nanmean(np.where(table.observed, table.scores, np.nan)[mine], axis=1)
    full = table.observed[mine].sum(axis=1)
    # Means over different benchmarks cannot be compared: the best is among the most evaluated.
    best = mine[np.argmax(np.where(full == full.max(), means, -np.inf))]
    flops = FLOPS_UNIT * table.params_b[best] * table.tokens_t[best]
    limit = np.unique(table.params_b[mine])[seen - 1]
    related = table.lineage_of_family[table.family] == table.lineage_of_family[at]
    hidden = related & ((table.family != at) | (table.params_b > limit))
    small = sj.fit(table.hide(hidden), key=key, settings=settings)
    plan = plan_for(small, table, family, flops, key).iloc[0]
    ideal = plan_for(referee, table, family, flops, key).iloc[0]
    # All of one name, so that the three splits share the noise of one model.
    query = sj.Family(family).query(
        table,
        np.array([table.params_b[best], plan["params_b"], ideal["params_b"]]),
        np.array([table.tokens_t[best], plan["tokens_t"], ideal["tokens_t"]]),
    )
    drawn = sj.forecast(referee, query, key=key).draws.mean(axis=2)
    loss = drawn[:, 0] - drawn[:, 1]
    lower, upper = np.quantile(loss, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return {
        "family": family,
        "seen": int((scored & (table.family == at) & ~hidden).sum()),
        "best": table.models[best],
        "flops": flops,
        "params_b": table.params_b[best],
        "tokens_t": table.tokens_t[best],
        "recommended_params_b": plan["params_b"],
        "recommended_params_b_lower": plan["params_b_lower"],
        "recommended_params_b_upper": plan["params_b_upper"],
        "recommended_tokens_t": plan["tokens_t"],
        "as_good_least": plan["params_b_least"],
        "as_good_most": plan["params_b_most"],
        "loss": loss.mean(),
        "lower": lower,
        "upper": upper,
        "possible": (drawn[:, 0] - drawn[:, 2]).mean(),
        "regret": (drawn[:, 2] - drawn[:, 1]).mean(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, plan, test, save, draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--fit", type=Path, metavar="FIT", help="a saved fit of the bundled table")
    parser.add_argument(
        "--seen", type=number(1), default=2, help="sizes of a family that the test sees"
    )
    options = parser.parse_args(arguments)
    table = edition_2024()
    settings = settings_of(options)
    small = replace(settings, inference="laplace")
    families = candidates(table, options.seen)
    budgets = np.geomspace(1e21, 1e25, 25)
    key = jax.random.key(options.seed)
    if options.smoke:
        table = table.subset(np.isin(names_at(table.families, table.family), FAMILIES))
        families, budgets = ["qwen2"], budgets[::12]
    if options.fit:
        fit = sj.load_fit(options.fit)
    else:
        tell("fitting the whole table ...")
        fit = sj.fit(table, key=key, settings=settings, progress=sj.show_progress)
    problems = fit.diagnostics.problems()
    for problem in problems:
        tell(f"warning: {problem}")
    rows = frontier(fit, budgets, key, 2 if options.smoke else None)
    tests = []
    for family in families:
        tell(f"back-test: {family} ...")
        tests.append(back_test(fit, family, options.seen, small, key))
    tested = pd.DataFrame(tests)
    means = tested[["loss", "regret", "possible"]].mean()
    # Families stand for each other here: the error of a mean is that over them.
    errors = tested[["loss", "regret"]].sem().add_suffix("_se")
    both = pd.concat([means, errors])
    found: dict[str, Any] = {str(name): value for name, value in both.items()}
    counts = {"families": len(tested), "seen": options.seen, "problems": problems}
    tables = {"frontier": rows, "backtest": tested}
    save(options, tables, fit.settings, **counts, **found, backtest_settings=asdict(small))
    draw_frontier(rows, options.out / "frontier.png")
    draw_back_test(tested, options.out / "backtest.png")
    print(tested.to_string(index=False, float_format="%.4g"))
    print(
        f"loss against the released split {found['loss']:.4f} (standard error over families "
        f"{found['loss_se']:.4f}), against the best split {found['regret']:.4f} "
        f"({found['regret_se']:.4f})"
    )


def draw_frontier(rows: pd.DataFrame, path: Path) -> None:
    """Best size against the budget, a panel per target; the band is of the first family alone."""
    targets = list(dict.fromkeys(rows["target"]))
    sizes, tokens = rows["params_b"], rows["tokens_t"]
    flops = np.geomspace(rows["flops"].min(), rows["flops"].max(), 50)
    first = rows[rows["family"] == FAMILIES[0]]
    factor = (first["params_b_upper"] / first["params_b_lower"]).median()
    with drawing_grid(path, len(targets), 5, (2.5, 2.1)) as (figure, axes):
        for ax, target in zip(axes, targets, strict=True):
            mine = first[first["target"] == target]
            ends = [mine[f"params_b_{end}"] for end in ("lower", "upper")]
            label = f"{FAMILIES[0]}, {100 * LEVEL:g} % interval"
            ax.fill_between(mine["flops"], *ends, color=BLUE, alpha=0.2, lw=0, label=label)
            for family, (colour, dashes) in zip(FAMILIES, LOOKS, strict=True):
                shown = rows[(rows["target"] == target) & (rows["family"] == family)]
                ax.plot(shown["flops"], shown["params_b"], color=colour, ls=dashes, label=family)
            # All of the budget buys this size where tokens meet the most or the least of the table.
            for bound, label in (
                (tokens.min(), "fewest and most tokens of the table"),
                (tokens.max(), ""),
            ):
                edge = flops / (FLOPS_UNIT * bound)
                ax.plot(flops, edge, color=GREY, linestyle=":", linewidth=1.0, label=label)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_ylim(0.7 * sizes.min(), 1.5 * sizes.max())
            ax.yaxis.set_major_formatter(FuncFormatter(plain_number))
            ax.set_title(target)
            ax.set_xlabel("training FLOPs")
            ax.label_outer()
        legend_below(figure, axes[0], 5)
        figure.suptitle(
            f"The law leaves the best size open: the band of {FAMILIES[0]} spans a factor of "
            f"{factor:.2g} (median over budgets and panels)",
            x=0.01,
            ha="left",
        )
        figure.supylabel("best size (billions of parameters)", fontsize=9)


def draw_back_test(rows: pd.DataFrame, path: Path) -> None:
    """Sizes released and recommended, and what the recommendation would have lost."""
    size, bar = (9.0, 1.2 + 0.25 * len(rows)), {"color": BLUE, "linewidth": 4, "alpha": 0.3}
    with drawing(path, 1, 2, figsize=size, sharey=True) as (figure, (left, right)):
        place = np.arange(len(rows))[::-1]
        ends = [rows[f"recommended_params_b_{end}"] for end in ("lower", "upper")]
        left.hlines(place, *ends, label=f"{100 * LEVEL:g} % interval", **bar)
        left.plot(rows["recommended_params_b"], place, "o", color=BLUE, label="recommended")
        left.plot(rows["params_b"], place, "D", color=ORANGE, label="released")
        left.set_xscale("log")
        left.set_xlabel("parameters (billions)")
        left.set_yticks(place, rows["family"])
        left.xaxis.set_major_formatter(FuncFormatter(plain_number))
        gain, error = -100.0 * rows["loss"], 100.0 * rows[["loss"]].sem().to_numpy(float)[0]
        right.axvline(0.0, color=GREY, linewidth=1.0)
        right.hlines(place, -100.0 * rows["upper"], -100.0 * rows["lower"], **bar)
        right.plot(gain, place, "o", color=BLUE)
        right.set_xlabel("gain of the recommended split (percentage points)")
        legend_below(figure, left, 3)
        figure.suptitle(
            f"Recommended instead of released: {gain.mean():+.2g} points on average, standard "
            f"error {error:.1g}, by the law that has seen all",
            x=0.01,
            ha="left",
        )


if __name__ == "__main__":
    execute(main)
