"""Figures of decisions. Every function draws into the axes it is given and returns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from sloth_jax.planning.budget import FLOPS_UNIT
from sloth_jax.planning.optimal import Plan
from sloth_jax.planning.requirement import Requirement
from sloth_jax.plotting.figure_style import BLUE, COLOURS, GREY, ORANGE, percent, plain_number

_NEAR = 1.005  # a choice that is so close to a bound was stopped by it
_BOUND = {"color": GREY, "linestyle": ":", "linewidth": 1.0}
_LETTERS = {"params_b": "B", "tokens_t": "T"}
_UNITS = {"params_b": "parameters (billions)", "tokens_t": "tokens (trillions)"}


def _logarithmic(ax: Axes, name: str) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(plain_number))
    ax.set_xlabel(_UNITS[name])


def _as_score(plan: Plan, ax: Axes) -> None:
    if plan.target.skill is None:
        ax.yaxis.set_major_formatter(FuncFormatter(percent))
        ax.set_ylabel(plan.target.label if len(plan.target.label) < 40 else "target")
    else:
        ax.set_ylabel(f"{plan.target.label} (sd of models)")


def _bounds_met(plan: Plan, name: str, values: Any) -> list[tuple[float, str]]:
    """Bounds of ``name`` that stopped one of the values, with what to call them."""
    found = []
    for bound, what in zip(getattr(plan.bounds, name), ("least", "most"), strict=True):
        away = np.abs(np.log(np.asarray(values, float) / bound))
        if (away < np.log(_NEAR)).any():
            found.append((bound, f"{what} allowed: {bound:g} {_LETTERS[name]}"))
    return found


def plot_splits(plan: Plan, flops: float, *, ax: Axes) -> Axes:
    """The target by the law along one budget, and the sizes that are as good as the best.

    The recommended split has the intervals that ``sloth-jax plan`` prints: across, of where the
    optimum lies; upwards, of the target as it would be measured. The band lacks the noise of one
    model's scores. Dotted lines are bounds at which a curve ends.

    Args:
        plan: from :func:`sloth_jax.planning.optimal.compute_optimal`.
        flops: which of its budgets.
        ax: axes to draw into.
    """
    rows = plan.splits[plan.splits["flops"] == flops]
    best = plan.frontier[plan.frontier["flops"] == flops].iloc[0]
    ax.axvspan(
        best["params_b_least"],
        best["params_b_most"],
        color=GREY,
        alpha=0.15,
        linewidth=0,
        label="as good within the uncertainty",
    )
    ax.fill_between(
        rows["params_b"],
        rows["lower"],
        rows["upper"],
        color=BLUE,
        alpha=0.25,
        linewidth=0,
        label=f"{100 * plan.level:g} % interval of the law",
    )
    ax.plot(rows["params_b"], rows["mean"], color=BLUE, label="expected")
    ax.hlines(best["mean"], best["params_b_lower"], best["params_b_upper"], color=ORANGE)
    ax.vlines(best["params_b"], best["lower"], best["upper"], color=ORANGE)
    ax.plot(
        best["params_b"],
        best["mean"],
        "o",
        color=ORANGE,
        label=f"recommended: {best['params_b']:.3g} B on {best['tokens_t']:.3g} T, "
        f"{100 * plan.level:g} % intervals",
    )
    for name in ("params_b", "tokens_t"):
        for bound, label in _bounds_met(plan, name, rows[name]):
            at = rows["params_b"].iloc[(rows[name] - bound).abs().argmin()]
            ax.axvline(at, label=label, **_BOUND)
    _logarithmic(ax, "params_b")
    _as_score(plan, ax)
    ax.set_title(f"{plan.family.name}, {flops:.3g} FLOPs")
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.0, -0.18))
    return ax


def plot_frontier(plan: Plan, name: str, *, ax: Axes) -> Axes:
    """Recommended sizes or tokens against the budget, with where the optimum may lie.

    Args:
        plan: from :func:`sloth_jax.planning.optimal.compute_optimal`, of several budgets.
        name: ``params_b`` or ``tokens_t``.
        ax: axes to draw into.
    """
    rows = plan.frontier
    ax.fill_between(
        rows["flops"],
        rows[f"{name}_lower"],
        rows[f"{name}_upper"],
        color=BLUE,
        alpha=0.25,
        linewidth=0,
        label=f"{100 * plan.level:g} % interval of the optimum",
    )
    ax.plot(rows["flops"], rows[name], color=BLUE, label="recommended")
    outside = rows[rows["outside"] != ""]
    ax.plot(
        outside["flops"],
        outside[name],
        "x",
        color=ORANGE,
        markersize=5,
        label="outside the training table",
    )
    for bound, label in _bounds_met(plan, name, rows[name]):
        ax.axhline(bound, label=label, **_BOUND)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(plain_number))
    ax.set_xlabel("training FLOPs")
    ax.set_ylabel(_UNITS[name])
    ax.set_title(f"{plan.family.name}: best for {plan.target.label}")
    ax.legend(fontsize=7)
    return ax


def plot_reached(plan: Plan, *, ax: Axes) -> Axes:
    """The target at the recommended splits against the budget, as it would be measured."""
    rows = plan.frontier
    ax.fill_between(
        rows["flops"],
        rows["lower"],
        rows["upper"],
        color=BLUE,
        alpha=0.25,
        linewidth=0,
        label=f"{100 * plan.level:g} % interval",
    )
    ax.plot(rows["flops"], rows["mean"], color=BLUE, label="expected")
    ax.set_xscale("log")
    ax.set_xlabel("training FLOPs")
    _as_score(plan, ax)
    ax.legend(fontsize=7)
    return ax


def plot_requirement(found: Requirement, *, ax: Axes) -> Axes:
    """Probability of reaching the score along what was solved for."""
    name = found.solved
    if name == "flops":
        x = FLOPS_UNIT * found.curve["params_b"] * found.curve["tokens_t"] * _share(found)
        ax.set_xscale("log")
        ax.set_xlabel("training FLOPs")
    else:
        x = found.curve[name]
        _logarithmic(ax, name)
    ax.plot(x, found.curve["probability"], color=BLUE)
    if found.reached:
        ax.plot(getattr(found, name), found.probability, "o", color=ORANGE)
    ax.axhline(found.asked, color=GREY, linewidth=1.0, linestyle="--")
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("probability")
    goal = f"{found.score:g} sd" if found.is_skill else f"{100 * found.score:g} %"
    ax.set_title(f"{found.family}: {found.benchmark} at least {goal}")
    return ax


def _share(found: Requirement) -> float:
    """Active over all parameters, as the FLOPs of the answer have it."""
    return found.flops / (FLOPS_UNIT * found.params_b * found.tokens_t)


def plot_candidates(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """Candidates side by side on every benchmark, overall on top.

    Args:
        rows: from :func:`sloth_jax.planning.comparison.compare`.
        ax: axes to draw into.
    """
    benchmarks = list(dict.fromkeys(rows["benchmark"]))
    benchmarks = [benchmarks[-1], *benchmarks[:-1]]
    models = list(dict.fromkeys(rows["model"]))
    step = 0.8 / len(models)
    for at, model in enumerate(models):
        shown = rows[rows["model"] == model].set_index("benchmark").loc[benchmarks]
        place = np.arange(len(benchmarks))[::-1] + 0.4 - step * (at + 0.5)
        colour = COLOURS[at % len(COLOURS)]
        ax.hlines(place, shown["lower"], shown["upper"], color=colour, linewidth=3, alpha=0.3)
        ax.plot(shown["median"], place, "o", color=colour, markersize=3.5, label=model)
    ax.set_yticks(np.arange(len(benchmarks))[::-1], benchmarks)
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel(f"score, {100 * rows['level'].iloc[0]:g} % intervals")
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plan_panels(plan: Plan) -> list[Callable[[Axes], Axes]]:
    """What draws each panel of a plan: of one budget its splits, of several where they lead."""
    budgets = plan.frontier["flops"]
    if len(budgets) == 1:
        return [lambda ax: plot_splits(plan, budgets.iloc[0], ax=ax)]
    return [
        lambda ax: plot_frontier(plan, "params_b", ax=ax),
        lambda ax: plot_frontier(plan, "tokens_t", ax=ax),
        lambda ax: plot_reached(plan, ax=ax),
    ]
