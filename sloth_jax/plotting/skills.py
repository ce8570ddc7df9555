"""Figures of skills. Every function draws into the axes it is given and returns them.

All take what a method of :class:`sloth_jax.skills.interpret.Skills` returns: medians with the ends
of central intervals, which are not drawn where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sloth_jax.plotting.figure_style import BLUE, COLOURS, GREY, ORANGE, plain_number

SHADES = (0.5, 1.0, 2.0, 4.0)
"""Widths of intervals, in standard deviations of models, from which level curves are darker."""


def _points(
    rows: pd.DataFrame, place: np.ndarray, colour: str, ax: Axes, marker: str = "o"
) -> None:
    """Medians with intervals on horizontal lines."""
    ax.hlines(place, rows["lower"], rows["upper"], color=colour, linewidth=4, alpha=0.3)
    ax.plot(rows["median"], place, marker, color=colour, markersize=4)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def plot_loadings(rows: pd.DataFrame, skill: str, benchmarks: Sequence[str], *, ax: Axes) -> Axes:
    """Loadings of one skill on every benchmark, the first benchmark on top.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.loadings`.
        skill: which skill.
        benchmarks: which benchmarks, in order.
        ax: axes to draw into.
    """
    shown = rows[rows["skill"] == skill].set_index("benchmark").loc[list(benchmarks)]
    place = np.arange(len(shown))[::-1]
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    _points(shown, place, BLUE, ax)
    ax.set_yticks(place, benchmarks)
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.set_title(skill)
    ax.set_xlabel("loading")
    return ax


def plot_pairs(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """Correlations of skills, a line per pair.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.correlations`.
        ax: axes to draw into.
    """
    place = np.arange(len(rows))[::-1]
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    _points(rows, place, BLUE, ax)
    names = [f"{a}, {b}" for a, b in zip(rows["skill"], rows["other"], strict=True)]
    ax.set_yticks(place, names)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(-1.0, 1.0)
    ax.set_xlabel("correlation over models")
    return ax


def plot_shifts(rows: pd.DataFrame, skill: str, *, ax: Axes) -> Axes:
    """What post-training changes in one skill, the mean over pairs on top.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.base_to_chat`.
        skill: which skill.
        ax: axes to draw into.
    """
    shown = rows[rows["skill"] == skill]
    place = np.arange(len(shown))[::-1]
    mean = (shown["base"] == "all").to_numpy()
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    _points(pd.DataFrame(shown[~mean]), place[~mean], BLUE, ax)
    _points(pd.DataFrame(shown[mean]), place[mean], ORANGE, ax)
    names = ["mean of all" if one else chat for one, chat in zip(mean, shown["chat"], strict=True)]
    ax.set_yticks(place, names)
    ax.set_ylim(-0.8, len(shown) - 0.2)
    ax.set_title(skill)
    ax.set_xlabel("change (sd of models)")
    return ax


def plot_best_models(rows: pd.DataFrame, skill: str, *, ax: Axes, most: int = 20) -> Axes:
    """The models with the highest median of one skill, the best on top.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.models`.
        skill: which skill.
        ax: axes to draw into.
        most: how many models.
    """
    shown = rows[rows["skill"] == skill].nlargest(most, "median")
    place = np.arange(len(shown))[::-1]
    _points(shown, place, BLUE, ax)
    ax.set_yticks(place, shown["model"])
    ax.set_ylim(-0.8, len(shown) - 0.2)
    ax.set_title(skill)
    ax.set_xlabel("skill (sd of models)")
    return ax


def plot_growth(rows: pd.DataFrame, *, ax: Axes) -> Axes:
    """What ten times the parameters and ten times the tokens add to each skill.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.growth`.
        ax: axes to draw into.
    """
    skills = list(dict.fromkeys(rows["skill"]))
    place = np.arange(len(skills))[::-1].astype(float)
    ax.axvline(0.0, color=GREY, linewidth=1.0)
    names = {"params": "10 x parameters", "tokens": "10 x tokens"}
    looks = (("params", 0.14, BLUE, "o"), ("tokens", -0.14, ORANGE, "D"))
    for more, shift, colour, marker in looks:
        shown = rows[rows["more"] == more].set_index("skill").loc[skills]
        _points(shown, place + shift, colour, ax, marker)
        ax.plot([], [], marker, color=colour, markersize=4, label=names[more])
    ax.set_yticks(place, skills)
    ax.set_ylim(-0.6, len(skills) - 0.4)
    ax.set_xlabel("growth of the skill (sd of models)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    return ax


def plot_progress(by_date: pd.DataFrame, yearly: pd.DataFrame, skill: str, *, ax: Axes) -> Axes:
    """Skills of lineages at one size and number of tokens by their first release, and the line.

    Args:
        by_date: from :func:`sloth_jax.skills.progress.efficiency_by_date`.
        yearly: from :func:`sloth_jax.skills.progress.yearly_progress`.
        skill: which skill.
        ax: axes to draw into.
    """
    rows = by_date[by_date["skill"] == skill]
    year, median = rows["year"].to_numpy(), rows["median"].to_numpy()
    if rows["lower"].notna().all():
        ax.vlines(year, rows["lower"], rows["upper"], color=GREY, linewidth=0.8, alpha=0.6)
    ax.plot(year, median, "o", color=BLUE, markersize=3)
    slope = yearly[(yearly["kind"] == "per year") & (yearly["skill"] == skill)].iloc[0]
    ends = np.array([year.min(), year.max()])
    ax.plot(ends, median.mean() + slope["median"] * (ends - year.mean()), color=ORANGE)
    certain = f" ({slope['lower']:+.2f} to {slope['upper']:+.2f})" if slope.notna().all() else ""
    ax.set_title(f"{skill}\n{slope['median']:+.2f}{certain} a year", loc="left")
    ax.set_xlabel("first release")
    ax.set_ylabel("skill at 7 billion parameters,\n2 trillion tokens (sd of models)")
    return ax


def plot_level_curves(rows: pd.DataFrame, skill: str, *, ax: Axes) -> Axes:
    """Sizes and tokens that give the average family the same skill; shaded where it is uncertain.

    Args:
        rows: from :meth:`sloth_jax.skills.interpret.Skills.level_curves`.
        skill: which skill.
        ax: axes to draw into.

    Returns:
        The same axes. Lines are medians, labelled in standard deviations of models; where intervals
        are wider than the next of :data:`SHADES`, it is darker.
    """
    shown = rows[rows["skill"] == skill]
    grid = shown.pivot(index="tokens_t", columns="params_b")
    sizes, tokens = grid["median"].columns.to_numpy(), grid.index.to_numpy()
    width = (grid["upper"] - grid["lower"]).to_numpy()
    ax.set_xscale("log")  # before lines are interrupted for their labels
    ax.set_yscale("log")
    if np.isfinite(width).all():
        for level in SHADES:
            # Filled regions of one colour lie on top of each other, so more width is darker.
            ax.contourf(sizes, tokens, width, levels=(level, 1e9), colors=GREY, alpha=0.15)
    curves = ax.contour(
        sizes,
        tokens,
        grid["median"].to_numpy(),
        levels=np.arange(-3.0, 3.1, 0.5),
        colors=BLUE,
        linewidths=1.2,
    )
    _label_inside(curves, ax)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(plain_number))
        axis.set_minor_formatter(NullFormatter())
    ax.set_title(skill)
    ax.set_xlabel("parameters (billions)")
    ax.set_ylabel("tokens (trillions)")
    return ax


def _label_inside(curves: QuadContourSet, ax: Axes) -> None:
    """Label curves, but not so near an edge that it would cut the label."""
    labels = ax.clabel(curves, fmt="%.1f", fontsize=7, inline=False)
    for label in labels:
        x, y = ax.transAxes.inverted().transform(ax.transData.transform(label.get_position()))
        if min(x, 1.0 - x, y, 1.0 - y) < 0.06:
            label.set_visible(False)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85})


def plot_congruence(values: pd.DataFrame, *, ax: Axes) -> Axes:
    """How well each skill is found again, a column of points per kind of change.

    Args:
        values: congruence with the reference, columns ``reason``, ``skill``, ``congruence``.
        ax: axes to draw into.
    """
    reasons = list(dict.fromkeys(values["reason"]))
    skills = list(dict.fromkeys(values["skill"]))
    for limit, meaning in ((0.85, "similar"), (0.95, "equal")):  # Lorenzo-Seva, ten Berge (2006)
        ax.axhline(limit, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
        right = {"xycoords": ("axes fraction", "data"), "va": "center", "color": GREY}
        ax.annotate(f" {meaning}", (1.0, limit), annotation_clip=False, **right)
    for k, skill in enumerate(skills):
        for r, reason in enumerate(reasons):
            some = values[(values["skill"] == skill) & (values["reason"] == reason)]["congruence"]
            at = r + 0.22 * (k - (len(skills) - 1) / 2)
            jitter = 0.07 * (np.arange(len(some)) / max(len(some) - 1, 1) - 0.5)
            colour = COLOURS[k % len(COLOURS)]
            ax.plot(at + jitter, some, "o", color=colour, markersize=3, alpha=0.5)
            if reason == reasons[0]:
                ax.plot([], [], "o", color=colour, label=skill)
    ax.set_xticks(np.arange(len(reasons)), reasons)
    ax.set_ylim(min(0.0, float(values["congruence"].to_numpy().min())), 1.02)
    ax.set_ylabel("congruence with the reference")
    ax.legend(loc="lower left")
    return ax
