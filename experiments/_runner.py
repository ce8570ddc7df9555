"""What experiments share: command lines, settings, results, scores of held-out models, figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
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
from sloth_jax.cli.console import Parser, number, run_and_exit, show_progress
from sloth_jax.evaluation.methods import SMOKE_SETTINGS, FitMethod
from sloth_jax.evaluation.scoring_rules import central_interval, covered, crps
from sloth_jax.files import frame_csv, write_text
from sloth_jax.inference.devices import use_cores
from sloth_jax.inference.settings import INFERENCES
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.scores import plot_intervals
from sloth_jax.provenance import versions


def command_line(document: str | None, *, fits: bool = True) -> Parser:
    """The options that experiments share: --seed, --out, --smoke; --inference and --skills of fits.

    Args:
        document: the script's own, whose first paragraph says what it does.
        fits: whether it fits the law.
    """
    parser = Parser(description=(document or "").split("\n\n")[0])
    if fits:
        default = sj.FitSettings()
        parser.add_argument("--inference", choices=INFERENCES, default=default.inference)
        parser.add_argument(
            "--skills", type=number(1), default=default.skills, metavar="D", help="of the law"
        )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--smoke", action="store_true", help="a few models, hardly any draws; means nothing"
    )
    return parser


def execute(
    run: Callable[[argparse.Namespace], None],
    parser: Parser,
    *,
    interrupted: str = "stopped; nothing was written",
) -> None:
    """Read the command line, run, and exit with the code of what happened."""
    options = parser.parse_args()
    options.experiment = Path(sys.argv[0]).stem
    options.began = time.perf_counter()
    use_cores(16)
    run_and_exit(options.experiment, lambda: run(options), interrupted=interrupted)


def settings_of(options: argparse.Namespace, base: sj.FitSettings | None = None) -> sj.FitSettings:
    """What the command line asks to fit.

    Args:
        options: of :func:`command_line`.
        base: what it does not say; None for the defaults.
    """
    base = SMOKE_SETTINGS if options.smoke else base or sj.FitSettings()
    return replace(base, inference=options.inference, skills=options.skills)


def save(
    options: argparse.Namespace,
    tables: Mapping[str, pd.DataFrame],
    settings: sj.FitSettings | None = None,
    **found: Any,
) -> dict[str, Any]:
    """Write tables as CSV, and summary.json with how they were made; figures come after that.

    Args:
        options: of :func:`command_line`.
        tables: name of the file -> rows.
        settings: of the fits.
        found: what the summary says beside that.

    Returns:
        The summary.
    """
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        write_text(out / f"{name}.csv", frame_csv(rows, "%.6g"))
    record = {
        "experiment": options.experiment,
        "seed": options.seed,
        "smoke": options.smoke,
        **found,
        "seconds": round(time.perf_counter() - options.began, 1),
        "versions": versions(),
    }
    if settings is not None:
        record["settings"] = asdict(settings)
    # JSON has no NaN, which says that there is none of a number.
    record = json.loads(json.dumps(record), parse_constant=lambda _: None)
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    return record


def predict_held_out(
    table: sj.Leaderboard,
    train: np.ndarray,
    test: np.ndarray,
    settings: sj.FitSettings,
    key: jax.Array,
) -> pd.DataFrame:
    """Fit every fold and predict its held-out models.

    Args:
        table: models and scores.
        train: scores that may be used, ``(fold, model, benchmark)``, bool.
        test: models to be predicted, ``(fold, model)``, bool.
        settings: of the fits.
        key: random key.

    Returns:
        A row per held-out score: ``fold``, the columns of :func:`score_rows`, and ``pareto_k`` and
        ``max_rhat`` of the fold's fit.
    """
    with show_progress("fitting every fold"):
        fitted = FitMethod(settings).sample(table, train, key)
    fold, model, benchmark = np.nonzero(test[:, :, None] & table.observed[None])
    draws = fitted.draws.transpose(1, 0, 2, 3)[:, fold, model, benchmark].astype(np.float64)
    rows = score_rows(table, model, benchmark, draws)
    rows.insert(0, "fold", fold)
    return rows.assign(pareto_k=fitted.pareto_k[fold], max_rhat=fitted.max_rhat[fold])


def score_rows(
    table: sj.Leaderboard, model: np.ndarray, benchmark: np.ndarray, draws: np.ndarray
) -> pd.DataFrame:
    """Predictive draws of measured scores, judged; see :mod:`sloth_jax.evaluation.scoring_rules`.

    Args:
        table: models and scores.
        model: position of each entry's model, ``(entry,)``.
        benchmark: of its benchmark, ``(entry,)``.
        draws: fractions, ``(draw, entry)``.
    """
    truth = table.scores[model, benchmark]
    median, (lower, upper) = np.median(draws, axis=0), central_interval(draws, 0.9)
    family = table.family[model]

    def names(known: tuple[str, ...], at: np.ndarray) -> np.ndarray:
        return np.asarray(known, object)[at]

    return pd.DataFrame(
        {
            "model": names(table.models, model),
            "family": names(table.families, family),
            "lineage": names(table.lineages, table.lineage_of_family[family]),
            "benchmark": names(table.benchmarks, benchmark),
            "score": truth,
            "median": median,
            "lower_90": lower,
            "upper_90": upper,
            "error": np.abs(median - truth),
            "crps": crps(draws, truth),
            "covered_50": covered(draws, truth, 0.5),
            "covered_90": (lower <= truth) & (truth <= upper),
            "width_90": upper - lower,
        }
    )


def mean_and_error(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Mean of values, and its standard error where those of a group vary together.

    Args:
        values: ``(entry,)``.
        group: of each entry, a lineage for instance, ``(entry,)``.

    Returns:
        Both; the error of a single group is NaN. Source: Liang and Zeger 1986.
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    _, of_entry = np.unique(group, return_inverse=True)
    # sqrt( G/(G-1) sum_g ( sum_i in g (x_i - mean) )^2 ) / N
    total = np.bincount(of_entry, values - mean)
    if len(total) == 1:
        return mean, float("nan")
    return mean, float(np.sqrt(len(total) / (len(total) - 1) * (total**2).sum()) / len(values))


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
    with style():
        figure, axes = plt.subplots(
            1, len(panels), figsize=(4.2 * len(panels), 3.8), sharey=True, layout="constrained"
        )
        figure.get_layout_engine().set(wspace=0.08)  # pyright: ignore - "100%" and "0%" meet
        for (name, (forecast, at, truth)), ax in zip(panels.items(), axes, strict=True):
            lower, upper = forecast.interval(level)
            plot_intervals(
                np.median(forecast.draws, axis=0)[at], lower[at], upper[at], forecast.benchmarks,
                truth=truth, floors=floors, level=level, ax=ax,
            )  # fmt: skip
            ax.set_title(name)
        figure.suptitle(title, x=0.01, ha="left")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.savefig(path)
        plt.close(figure)
