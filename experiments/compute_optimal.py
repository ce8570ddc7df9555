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

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _runner import command_line, execute, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.planning.budget import FLOPS_UNIT
from sloth_jax.planning.targets import MEAN
from sloth_jax.plotting.figure_style import BLUE, GREEN, GREY, ORANGE, style

LEVEL = 0.9
FAMILIES = ("meta-llama-3", "qwen2", "pythia")
COLOURS = (BLUE, ORANGE, GREEN)


def bounds_of(table: sj.Leaderboard) -> sj.Bounds:
    """Sizes and tokens of the table's scored models: no split beyond what was ever seen."""
    scored = table.observed.any(axis=1)
    size, tokens = table.params_b[scored], table.tokens_t[scored]
    return sj.Bounds((size.min(), size.max()), (tokens.min(), tokens.max()))


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
            plan = sj.compute_optimal(
                fit, budgets, family=family, target=target, level=LEVEL, key=key,
                skills=skills, bounds=bounds_of(fit.table),
            )  # fmt: skip
            part = plan.frontier.assign(family=family, target=target)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


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
    bounds = bounds_of(table)
    plan = sj.compute_optimal(
        small, flops, family=family, target=MEAN, level=LEVEL, key=key, bounds=bounds
    ).frontier.iloc[0]
    ideal = sj.compute_optimal(
        referee, flops, family=family, target=MEAN, level=LEVEL, key=key, bounds=bounds
    ).frontier.iloc[0]
    # All of one name, so that the three splits share the luck of one model.
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


def run(options: argparse.Namespace) -> None:
    """Fit, plan, test, save, draw."""
    table = sj.load_leaderboard()
    settings = settings_of(options)
    small = replace(settings, inference="laplace")
    families = candidates(table, options.seen)
    budgets = np.geomspace(1e21, 1e25, 25)
    key = jax.random.key(options.seed)
    if options.smoke:
        names = np.asarray(table.families, dtype=object)[table.family]
        table = table.subset(np.isin(names, FAMILIES))
        families, budgets = ["qwen2"], budgets[::12]
    if options.fit:
        fit = sj.load_fit(options.fit)
    else:
        tell("fitting the whole table ...")
        fit = sj.fit(table, key=key, settings=settings, progress=sj.show_progress)
    for problem in fit.diagnostics.problems():
        tell(f"warning: {problem}")
    rows = frontier(fit, budgets, key, 2 if options.smoke else None)
    tests = []
    for family in families:
        tell(f"back-test: {family} ...")
        tests.append(back_test(fit, family, options.seen, small, key))
    tested = pd.DataFrame(tests)
    # Families stand for each other here: the error of the mean is that over them.
    means, errors = tested[["loss", "regret"]].mean(), tested[["loss", "regret"]].sem()
    save(
        options,
        {"frontier": rows, "backtest": tested},
        fit.settings,
        families=len(tested),
        seen=options.seen,
        loss=means["loss"],
        loss_se=errors["loss"],
        possible=tested["possible"].mean(),
        regret=means["regret"],
        regret_se=errors["regret"],
        problems=fit.diagnostics.problems(),
        backtest_settings=asdict(small),
    )
    draw_frontier(rows, options.out / "frontier.png")
    draw_back_test(tested, options.out / "backtest.png")
    print(tested.to_string(index=False, float_format="%.4g"))
    print(
        f"loss against the released split {means['loss']:.4f} (standard error over families "
        f"{errors['loss']:.4f}), against the best split {means['regret']:.4f} "
        f"({errors['regret']:.4f})"
    )


def draw_frontier(rows: pd.DataFrame, path: Path) -> None:
    """Best size against the budget, a panel per target, a band per family."""
    targets = list(dict.fromkeys(rows["target"]))
    width = 5
    with style():
        height = -(-len(targets) // width)
        figure, axes = plt.subplots(
            height, width, figsize=(2.5 * width, 2.1 * height), layout="constrained",
            sharex=True, sharey=True, squeeze=False,
        )  # fmt: skip
        for ax in axes.ravel()[len(targets) :]:
            ax.set_visible(False)
        for ax, target in zip(axes.ravel(), targets, strict=False):
            for family, colour in zip(FAMILIES, COLOURS, strict=True):
                shown = rows[(rows["target"] == target) & (rows["family"] == family)]
                ax.fill_between(
                    shown["flops"], shown["params_b_lower"], shown["params_b_upper"],
                    color=colour, alpha=0.2, linewidth=0,
                )  # fmt: skip
                ax.plot(shown["flops"], shown["params_b"], color=colour, label=family)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_title(target)
        axes[0, 0].legend(fontsize=7)
        figure.supxlabel("training FLOPs", fontsize=9)
        figure.supylabel("best size (billions of parameters)", fontsize=9)
        figure.savefig(path)
        plt.close(figure)


def draw_back_test(rows: pd.DataFrame, path: Path) -> None:
    """Sizes released and recommended, and what the recommendation would have lost."""
    with style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9.0, 0.6 + 0.32 * len(rows)), layout="constrained", sharey=True
        )
        place = np.arange(len(rows))[::-1]
        left.hlines(
            place, rows["recommended_params_b_lower"], rows["recommended_params_b_upper"],
            color=BLUE, linewidth=4, alpha=0.3, label=f"{100 * LEVEL:g} % interval of the optimum",
        )  # fmt: skip
        left.plot(rows["recommended_params_b"], place, "o", color=BLUE, label="recommended")
        left.plot(rows["params_b"], place, "D", color=ORANGE, label="released")
        left.set_xscale("log")
        left.set_xlabel("parameters (billions)")
        left.set_yticks(place, rows["family"])
        left.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
        right.axvline(0.0, color=GREY, linewidth=1.0)
        right.hlines(place, rows["lower"], rows["upper"], color=BLUE, linewidth=4, alpha=0.3)
        right.plot(rows["loss"], place, "o", color=BLUE)
        right.set_xlabel("mean score lost against the released split (fraction)")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    parser = command_line(__doc__)
    parser.add_argument("--fit", type=Path, metavar="FIT", help="a saved fit of the bundled table")
    parser.add_argument(
        "--seen", type=number(1), default=2, help="sizes of a family that the test sees"
    )
    execute(run, parser)
