"""Whole figures of skills, a panel for each: what a command or an experiment writes to files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sloth_jax.plotting.figure_style import ORANGE, style
from sloth_jax.plotting.skills import (
    SHADES,
    plot_best_models,
    plot_growth,
    plot_level_curves,
    plot_loadings,
    plot_pairs,
    plot_progress,
    plot_shifts,
)

_MODELS = 20  # of each skill, in the figure of models


def skill_figures(
    tables: Mapping[str, pd.DataFrame], *, level: float = 0.9, note: str = ""
) -> Iterator[tuple[str, Figure]]:
    """Figures of skills, one after the other; each is closed when the next is asked for.

    Args:
        tables: from :func:`sloth_jax.skills.tables.skill_tables`.
        level: probability inside the intervals, for titles.
        note: a warning that stands above each figure.

    Yields:
        Name and figure, in the project's style: ``loadings``, ``models``, ``level_curves``,
        ``growth``; ``yearly_progress`` and ``base_to_chat`` where there are such tables,
        ``correlations`` where there are two skills or more.
    """
    labels = list(dict.fromkeys(tables["loadings"]["skill"]))
    few = len(labels)
    certain = _has_intervals(tables)
    intervals = f"{100 * level:g} % intervals" if certain else "a mode without intervals"
    with style():
        benchmarks = _by_strongest_skill(tables["loadings"], labels)
        title = f"Loadings per standard deviation of the skill, {intervals}"
        size = (1.2 + 2.5 * few, 1.2 + 0.2 * len(benchmarks))
        loadings = partial(plot_loadings, tables["loadings"], benchmarks=benchmarks)
        yield from _finished("loadings", _panels(loadings, labels, size, title), note)

        models = partial(plot_best_models, tables["models"], most=_MODELS)
        count = min(_MODELS, tables["models"]["model"].nunique())
        title = f"The {count} models with most of each skill, {intervals}"
        size = (0.4 + 3.6 * few, 1.0 + 0.18 * count)
        yield from _finished("models", _panels(models, labels, size, title, False), note)

        title = "Skill of the average family (sd of models)"
        widths = ", ".join(f"{width:g}" for width in SHADES)
        shades = f"; darker where its {100 * level:g} % interval is wider than {widths}"
        title += shades if certain else ""
        curves = partial(plot_level_curves, tables["level_curves"])
        figure = _panels(curves, labels, (0.6 + 3.0 * few, 3.2), title)
        yield from _finished("level_curves", figure, note)

        figure, ax = plt.subplots(figsize=(6.0, 1.6 + 0.4 * few), layout="constrained")
        plot_growth(tables["growth"], ax=ax)
        title = f"What ten times more adds to the average family's skills, {intervals}"
        figure.suptitle(title, x=0.01, ha="left")
        yield from _finished("growth", figure, note)
        if "yearly_progress" in tables:
            parts = tables["efficiency_by_date"], tables["yearly_progress"]
            title = f"Base families by their release, {intervals}: at one size and number of tokens"
            figure = _panels(partial(plot_progress, *parts), labels, (1.0 + 2.9 * few, 3.4), title)
            yield from _finished("yearly_progress", figure, note)
        if "base_to_chat" in tables:
            shifts = tables["base_to_chat"]
            title = f"Post-trained minus base families, {intervals}"
            size = (1.8 + 2.3 * few, 1.0 + 0.17 * len(shifts) / few)
            figure = _panels(partial(plot_shifts, shifts), labels, size, title)
            yield from _finished("base_to_chat", figure, note)
        if few > 1:
            pairs = tables["correlations"]
            size = (6.0, 1.2 + 0.3 * len(pairs))
            figure, ax = plt.subplots(figsize=size, layout="constrained")
            plot_pairs(pairs, ax=ax)
            figure.suptitle(f"Correlations of skills, {intervals}", x=0.01, ha="left")
            yield from _finished("correlations", figure, note)


def _has_intervals(tables: Mapping[str, pd.DataFrame]) -> bool:
    return bool(tables["loadings"]["lower"].notna().all())


def _by_strongest_skill(loadings: pd.DataFrame, labels: list[str]) -> list[str]:
    """Benchmarks, those of the first skill first."""
    median = loadings.pivot(index="benchmark", columns="skill", values="median")[labels]
    strongest = median.to_numpy().argmax(axis=1)
    return list(median.index[np.argsort(strongest, kind="stable")])


def _panels(
    plot: Callable[..., Axes],
    labels: list[str],
    size: tuple[float, float],
    title: str,
    same_rows: bool = True,
) -> Figure:
    """A panel for each skill; ``same_rows`` says that all have the same axis on the left."""
    figure, axes = plt.subplots(
        1, len(labels), figsize=size, sharey=same_rows, squeeze=False, layout="constrained"
    )
    for label, ax in zip(labels, axes[0], strict=True):
        plot(skill=label, ax=ax)
        if same_rows:
            ax.label_outer()
        else:
            ax.tick_params(axis="y", labelsize=7)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _finished(name: str, figure: Figure, note: str) -> Iterator[tuple[str, Figure]]:
    """A figure with its warning, closed after use."""
    if note:
        figure.text(0.0, 1.0, note, color=ORANGE, weight="bold", va="bottom")
    try:
        yield name, figure
    finally:
        plt.close(figure)
