"""What experiments share: command lines, settings, results, scores of held-out models, figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, show_progress
from sloth_jax.cli.process import on_interrupt, run_as_process
from sloth_jax.devices import use_cores
from sloth_jax.evaluation.held_out import score_rows
from sloth_jax.evaluation.methods import SMOKE_SETTINGS, FitMethod, FoldDraws
from sloth_jax.files import frame_csv, write_text
from sloth_jax.inference.settings import INFERENCES
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.scores import plot_intervals
from sloth_jax.provenance import versions

SAMPLED = tuple(name for name in INFERENCES if name != "mode")  # those that give intervals
SMOKE_MODELS = 24


def command_line(
    script: str, document: str | None, *, inference: Sequence[str] = INFERENCES, skills: bool = True
) -> Parser:
    """The options that experiments share: --seed, --out, --smoke; --inference and --skills of fits.

    Args:
        script: its ``__file__``.
        document: its docstring, whose first paragraph says what it does.
        inference: those to choose from; none if it does not fit the law.
        skills: whether it takes one number of skills.
    """
    parser = Parser(prog=Path(script).name, description=(document or "").split("\n\n")[0])
    parser.set_defaults(experiment=Path(script).stem, began=time.perf_counter())
    default = sj.FitSettings()
    if inference:
        parser.add_argument("--inference", choices=inference, default=default.inference)
    if skills:
        parser.add_argument(
            "--skills", type=number(1), default=default.skills, metavar="D", help="of the law"
        )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--smoke", action="store_true", help="a few models, hardly any draws; means nothing"
    )
    return parser


def execute(main: Callable[[], None], *, interrupted: str = "stopped; nothing was written") -> None:
    """Run a script as a process: devices, no windows, one-line errors and exit codes."""
    matplotlib.use("Agg")
    use_cores(16)
    on_interrupt(lambda: interrupted)
    run_as_process(lambda: run_and_exit(Path(sys.argv[0]).stem, main))


def settings_of(options: argparse.Namespace, base: sj.FitSettings | None = None) -> sj.FitSettings:
    """What the command line says to fit.

    Args:
        options: of :func:`command_line`.
        base: what it does not say; None for the defaults.
    """
    base = SMOKE_SETTINGS if options.smoke else base or sj.FitSettings()
    names = ("inference", "skills", "surface", "size")
    return replace(base, **{name: value for name, value in vars(options).items() if name in names})


def edition_2024() -> sj.Leaderboard:
    """The bundled table of 2024 without models of unknown tokens, as in the published folds."""
    table = sj.load_leaderboard(edition="2024")
    return table.subset(table.known)


def first_models(table: sj.Leaderboard, count: int = SMOKE_MODELS) -> sj.Leaderboard:
    """The first models of a table, for a smoke run."""
    return table.subset(np.arange(len(table.models)) < count)


def save(
    options: argparse.Namespace,
    tables: Mapping[str, pd.DataFrame],
    settings: sj.FitSettings | Mapping[str, Any] | None = None,
    *,
    record: str = "summary.json",
    **found: Any,
) -> dict[str, Any]:
    """Write tables as CSV, and a record of how they were made; figures come after that.

    Args:
        options: of :func:`command_line`.
        tables: name of the file, with or without ``.csv.gz`` -> rows.
        settings: of the fits, or of the run.
        record: name of the record's file.
        found: what the record says beside that.

    Returns:
        The record.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        path = options.out / (name if "." in name else f"{name}.csv")
        path.parent.mkdir(exist_ok=True)
        write_text(path, frame_csv(rows, "%.6g"))
    kept = {
        "experiment": options.experiment,
        "seed": getattr(options, "seed", None),
        "smoke": options.smoke,
        "seconds": round(time.perf_counter() - options.began, 1),
        **found,
        "versions": versions(),
        "devices": len(jax.devices()),
    }
    if settings is not None:
        named = isinstance(settings, Mapping)
        kept["settings"] = dict(settings) if named else asdict(settings)
    # JSON has no NaN, which says that there is none of a number.
    kept = json.loads(json.dumps(kept), parse_constant=lambda _: None)
    write_text(options.out / record, json.dumps(kept, indent=2) + "\n")
    return kept


def check_same(out: Path, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with results of other settings.

    Args:
        out: folder of the results.
        kept: their settings.
        wanted: settings of this call, which may be nested.

    Raises:
        InputError: at the first that differs.
    """
    for name, value in json.loads(json.dumps(dict(wanted))).items():
        if isinstance(value, dict) and isinstance(kept.get(name), dict):
            check_same(out, kept[name], value)
        elif kept.get(name) != value:
            raise sj.InputError(
                f"{out}: holds results with {name} {kept.get(name)}, not {value}; "
                "name another folder"
            )


class HeldOut(NamedTuple):
    """Predictive draws of the held-out scores of every fold.

    Attributes:
        fold: of each entry, ``(entry,)``; ``model`` and ``benchmark`` are its positions.
        model: see above.
        benchmark: see above.
        draws: fractions, ``(draw, entry)``.
        fitted: all draws, and whether to trust them.
    """

    fold: np.ndarray
    model: np.ndarray
    benchmark: np.ndarray
    draws: np.ndarray
    fitted: FoldDraws


def draw_held_out(
    table: sj.Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    settings: sj.FitSettings,
    key: jax.Array,
) -> HeldOut:
    """Fit every fold and draw the scores of its held-out models.

    Args:
        table: models and scores.
        train: scores that may be used, ``(fold, model, benchmark)``, bool.
        test: models to be predicted, ``(fold, model)``, bool.
        settings: of the fits.
        key: random key.
    """
    with show_progress("fitting every fold"):
        fitted = FitMethod(settings).sample(table, train, key)
    fold, model, benchmark = np.nonzero(test[:, :, None] & table.observed[None])
    draws = fitted.draws.transpose(1, 0, 2, 3)[:, fold, model, benchmark].astype(np.float64)
    return HeldOut(fold, model, benchmark, draws, fitted)


def predict_held_out(
    table: sj.Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    settings: sj.FitSettings,
    key: jax.Array,
) -> pd.DataFrame:
    """Predict the held-out models of every fold; arguments as for :func:`draw_held_out`.

    Returns:
        A row per held-out score: ``fold``, the columns of
        :func:`sloth_jax.evaluation.held_out.score_rows`, and ``pareto_k`` and ``max_rhat`` of the
        fold's fit.
    """
    fold, model, benchmark, draws, fitted = draw_held_out(table, train, test, settings, key)
    rows = score_rows(table, model, benchmark, draws)
    rows.insert(0, "fold", fold)
    return rows.assign(pareto_k=fitted.pareto_k[fold], max_rhat=fitted.max_rhat[fold])


@contextmanager
def drawing(
    path: Path, rows: int = 1, columns: int = 1, *, dpi: float | None = None, **options: Any
) -> Iterator[Any]:
    """A figure in the project's style, written to a file once it is drawn.

    Args:
        path: of the file; its folder is made.
        rows: of panels.
        columns: of panels.
        dpi: dots per inch; None for the style's.
        options: of :func:`matplotlib.pyplot.subplots`.

    Yields:
        The figure, and its axes as ``subplots`` gives them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure, axes = plt.subplots(rows, columns, layout="constrained", **options)
        try:
            yield figure, axes
            figure.savefig(path, dpi=dpi)
        finally:
            plt.close(figure)


@contextmanager
def drawing_grid(
    path: Path, count: int, columns: int, panel: tuple[float, float], **options: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """As :func:`drawing`: so many panels in rows of ``columns``, which share their axes.

    Args:
        path: of the file.
        count: of panels.
        columns: of panels, at most.
        panel: size of each, inches.
        options: of :func:`matplotlib.pyplot.subplots`.

    Yields:
        The figure, and the axes of the panels, row by row.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (panel[0] * columns, panel[1] * rows)
    shared = {"sharex": True, "sharey": True, "squeeze": False} | options
    with drawing(path, rows, columns, figsize=size, **shared) as (figure, axes):
        for ax in axes.flat[count:]:
            ax.set_visible(False)
        yield figure, list(axes.flat[:count])


def legend_below(figure: Figure, ax: Axes, columns: int) -> None:
    """The legend of a panel, below the whole figure."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def draw_intervals(
    path: Path,
    panels: Mapping[str, tuple[sj.Forecast, int, np.ndarray]],
    *,
    title: str,
    floors: np.ndarray,
    level: float,
) -> None:
    """Predicted medians and intervals beside the measured scores.

    Args:
        path: of the figure.
        panels: title of each panel -> forecast, position of the model in it, measured scores
            ``(benchmark,)``.
        title: of the figure.
        floors: chance floors, ``(benchmark,)``.
        level: probability inside the intervals.
    """
    size = (4.2 * len(panels), 3.8)
    with drawing(path, 1, len(panels), figsize=size, sharey=True) as (figure, axes):
        figure.get_layout_engine().set(wspace=0.08)  # "100%" and "0%" meet
        for (name, (forecast, at, truth)), ax in zip(panels.items(), axes, strict=True):
            lower, upper = (end[at] for end in forecast.interval(level))
            median, shown = np.median(forecast.draws, axis=0)[at], forecast.benchmarks
            given = {"truth": truth, "floors": floors, "level": level}
            plot_intervals(median, lower, upper, shown, **given, ax=ax)
            ax.set_title(name)
        figure.suptitle(title, x=0.01, ha="left")
        legend_below(figure, axes[0], 4)
