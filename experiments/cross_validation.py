"""The published comparison and its ablations: every method on the same folds.

Writes errors.csv.gz (absolute error of every method on every held-out score), summary.csv (means as
published, beside the published ones), differences.csv (with intervals, from a bootstrap over
families), size_ratio.csv (errors by how far a model extrapolates), run.json (settings, versions,
seconds), heatmap.png, curves/ (a figure of each fold), and ablation_*.png for every set of variants
that was run. Predictions of each method are kept in methods/, so that an interrupted run goes on
where it stopped, and more methods can be added to a finished one.

Run: python experiments/cross_validation.py --leaderboard v2 --n-train 1 --out out/v2_1
and with --methods links added, for an ablation in the same folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import check_same, command_line, drawing, execute, legend_below, save

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.baselines import Baseline
from sloth_jax.evaluation.crossval import Method, cross_validate, held_out_errors
from sloth_jax.evaluation.folds import Folds, make_folds, size_ratio
from sloth_jax.evaluation.held_out import names_at
from sloth_jax.evaluation.methods import (
    ABLATIONS,
    SMOKE_SETTINGS,
    FitMethod,
    all_methods,
    choose_methods,
)
from sloth_jax.evaluation.published import (
    leaderboard_benchmarks,
    published_errors,
    published_groups,
)
from sloth_jax.evaluation.scoring import (
    Difference,
    benchmark_means,
    bootstrap_difference,
    by_size_ratio,
    published_mean,
)
from sloth_jax.files import write_text
from sloth_jax.identifiability.rank_deficiency import rank_deficiencies
from sloth_jax.law.surface import LINEAR, fit_surface, log_flops
from sloth_jax.plotting.comparison import heatmap_size, plot_differences, plot_heatmap
from sloth_jax.plotting.scores import plot_curves

PLAIN = "logF_sigmoid_faminter"  # the plain baseline, to which all others are compared
CURVES = (PLAIN, "factor_sigmoid_faminter_d=3", "factor_trainlink_faminter_d=3", "fit")
RECORD = "run.json"


class Results:
    """A folder of results: what is in it and what belongs to it.

    Args:
        options: of the command line.
        table: what is predicted.

    Attributes:
        settings: what all of its methods share.
        finished: method -> its settings, seconds it took, and its training error.
        deficiencies: folds whose design does not determine the law.

    Raises:
        InputError: if the folder holds something else.
    """

    def __init__(self, options: argparse.Namespace, table: sj.Leaderboard) -> None:
        self.options, self.out = options, options.out
        names = ("leaderboard", "n_train", "protocol", "seed", "smoke")
        self.settings: dict[str, Any] = {name: getattr(options, name) for name in names}
        self.settings["table"] = hashlib.sha256(table.to_csv_text().encode()).hexdigest()[:16]
        self.finished: dict[str, dict[str, Any]] = {}
        self.deficiencies: list[dict[str, Any]] = []
        record = self.out / RECORD
        if record.exists():
            try:
                there = json.loads(record.read_text())
                settings, finished = there["settings"], there["methods"]
            except (ValueError, KeyError, TypeError):
                message = "not a record of this experiment; name another folder"
                raise sj.InputError(f"{record}: {message}") from None
            check_same(self.out, settings, self.settings)
            self.finished = {name: of for name, of in finished.items() if self.path(name).exists()}
        elif self.out.exists() and any(self.out.iterdir()):
            message = f"holds other files and no {RECORD}; name an empty or a new folder"
            raise sj.InputError(f"{self.out}: {message}")
        (self.out / "methods").mkdir(parents=True, exist_ok=True)

    def path(self, method: str) -> Path:
        """Where the predictions of a method are kept."""
        return self.out / "methods" / f"{method}.csv.gz"

    def add(self, method: str, predictions: pd.DataFrame, **entry: Any) -> None:
        """Keep the results of a method."""
        write_text(self.path(method), predictions.to_csv(index=False, float_format="%.7g"))
        self.finished[method] = entry
        self.save({})

    def save(self, tables: dict[str, pd.DataFrame]) -> None:
        """Write tables, and the record of all that is there."""
        seconds = round(sum(entry["seconds"] for entry in self.finished.values()), 1)
        save(
            self.options,
            tables,
            self.settings,
            record=RECORD,
            seconds=seconds,
            methods=self.finished,
            rank_deficient_folds=self.deficiencies,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is missing, then summarise and draw all that is there."""
    options = parse(arguments)
    table = sj.load_leaderboard(corrected=False)
    table = table.select_benchmarks(leaderboard_benchmarks(options.leaderboard))
    n_train, protocol = options.n_train, options.protocol
    methods = choose_methods(options.methods, n_train, options.numbers)
    groups = published_groups(options.leaderboard, n_train)
    folds = {
        complete: make_folds(table, groups, n_train=n_train, protocol=protocol, complete=complete)
        for complete in (True, False)
    }
    if options.smoke:
        folds = {complete: some.select([0, 1]) for complete, some in folds.items()}
        methods = {name: with_few_steps(method) for name, method in methods.items()}
    results = Results(options, table)
    for rows, some in folds.items():
        results.deficiencies += deficiencies(some, rows)
    for entry in results.deficiencies:
        tell(f"note: fold {entry['fold']}, {entry['benchmark']}: {entry['message']}")
    published = published_errors(options.leaderboard, n_train)
    missing = [name for name in methods if name not in results.finished]
    tell(
        f"{len(folds[True].test)} folds, {len(missing)} of {len(methods)} methods to fit, "
        f"{len(jax.devices())} devices"
    )
    for i, name in enumerate(missing, 1):
        began = time.perf_counter()
        method = methods[name]
        complete = getattr(method, "complete", True)
        validation = cross_validate(method, folds[complete], key=jax.random.key(options.seed))
        seconds = round(time.perf_counter() - began, 2)
        error = published_mean(held_out_errors(validation.predictions, name)).iloc[0]
        results.add(
            name,
            validation.predictions,
            seconds=seconds,
            training_error=round(validation.training_error, 6),
            settings=asdict(method),  # pyright: ignore - all of them are dataclasses
        )
        beside = f" (published {published[name]:.4f})" if name in published else ""
        tell(f"[{i}/{len(missing)}] {name}: {error:.4f}{beside}, {seconds:.1f} s")
    summarise(results, folds[True], published)


def with_few_steps(method: Method) -> Method:
    """The same method with hardly any steps: to see that it runs."""
    if isinstance(method, Baseline):
        return replace(method, max_steps=SMOKE_SETTINGS.steps)
    if isinstance(method, FitMethod):
        few = {name: getattr(SMOKE_SETTINGS, name) for name in ("draws", "steps", "nuts")}
        return replace(method, settings=replace(method.settings, **few))
    return method


def deficiencies(folds: Folds, complete: bool) -> list[dict[str, Any]]:
    """Folds whose design leaves some prediction to chance, for two surfaces."""
    table = folds.table
    translog = np.asarray(fit_surface(table, kind="translog").linear(table))
    designs = {"translog": translog, "flops": log_flops(table)[:, None]}
    rows = "complete" if complete else "observed"
    return [
        {"surface": kind, "rows": rows, **found._asdict()}
        for kind, design in designs.items()
        for found in rank_deficiencies(folds, design, LINEAR[kind])
    ]


def summarise(results: Results, folds: Folds, published: dict[str, float]) -> None:
    """Write tables and figures of all finished methods, and print the summary."""
    order = [m for m in all_methods(folds.n_train) if m in results.finished]
    predictions = {name: pd.read_csv(results.path(name)) for name in order}
    errors = pd.concat([held_out_errors(p, name) for name, p in predictions.items()])
    means = benchmark_means(errors)
    means["average"] = published_mean(errors)
    summary = means.copy()
    summary["published"] = pd.Series(published)
    summary["training"] = [results.finished[name]["training_error"] for name in order]

    table, settings, out = folds.table, results.settings, results.out
    fold, row = np.nonzero(folds.test)
    ratios = pd.DataFrame({"fold": fold, "model": names_at(table.models, row)})
    ratios["size_ratio"] = size_ratio(folds)[fold, row]
    family_of = dict(zip(table.models, names_at(table.families, table.family), strict=True))

    def against(reference: str, others: list[str]) -> list[Difference]:
        seed = settings["seed"]
        return [bootstrap_difference(errors, o, reference, family_of, seed=seed) for o in others]

    tables = {
        "errors.csv.gz": errors,
        "summary": summary.reset_index(),
        "size_ratio": by_size_ratio(errors, ratios),
    }
    if PLAIN in order:
        differences = against(PLAIN, [name for name in order if name != PLAIN])
        tables["differences"] = pd.DataFrame([vars(d) for d in differences])
    results.save(tables)
    for question, names in ABLATIONS.items():
        present = [name for name in names if name in order]
        if present[:1] == list(names[:1]) and len(present) > 1:
            draw_ablation(question, against(present[0], present[1:]), means, out)
    models = "model" if settings["n_train"] == 1 else "models"
    title = (
        "Mean absolute error on held-out models\n"
        f"leaderboard {settings['leaderboard']}, {settings['n_train']} training {models} per "
        f"tested family, {settings['protocol']} protocol"
    )
    with drawing(out / "heatmap.png", figsize=heatmap_size(means)) as (_, ax):
        plot_heatmap(means, title=title, ax=ax)
    draw_curves(predictions, folds, out / "curves")
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(summary.round(4).to_string())
    seconds = sum(entry["seconds"] for entry in results.finished.values())
    print(
        f"\n{title}\nThese means have no intervals; their differences to {PLAIN} have, in "
        f"{out / 'differences.csv'}.\n{seconds:.0f} s for {len(order)} methods. Figures: {out}"
    )


def draw_ablation(
    question: str, differences: list[Difference], means: pd.DataFrame, out: Path
) -> None:
    """Differences of variants to their reference."""
    size = (6.4, 1.0 + 0.36 * len(differences))
    with drawing(out / f"ablation_{question}.png", figsize=size) as (_, ax):
        plot_differences(differences, ax=ax)
        reference = differences[0].second
        error = 100.0 * float(means["average"][reference])
        ax.set_title(f"Other {question} than in {reference}, whose error is {error:.2f} points")


def draw_curves(predictions: dict[str, pd.DataFrame], folds: Folds, folder: Path) -> None:
    """One figure per fold: tested families by benchmarks."""
    shown = [name for name in CURVES if name in predictions] or list(predictions)[:5]
    sizes = dict(zip(folds.table.models, folds.table.params_b, strict=True))
    frames = {}
    for name in shown:
        # Rows that only methods on incomplete rows have would make their curves longer.
        frame = pd.DataFrame(predictions[name].query("model in @sizes"))
        frame["params_b"] = [sizes[model] for model in frame["model"]]
        frames[name] = frame.sort_values("params_b")
    for fold, families in enumerate(folds.tested):
        of_fold = {name: frame[frame["fold"] == fold] for name, frame in frames.items()}
        path = folder / f"{fold:02d}_{families[0].replace('/', '_')}.png"
        draw_fold(of_fold, families, folds.table, path)


def draw_fold(
    frames: dict[str, pd.DataFrame], families: Sequence[str], table: sj.Leaderboard, path: Path
) -> None:
    """Curves of methods in one fold, a row of panels per tested family."""
    shape = (len(families), len(table.benchmarks))
    size = (2.1 * shape[1], 0.8 + 1.9 * shape[0])
    with drawing(path, *shape, figsize=size, squeeze=False, dpi=90) as (figure, axes):
        for (i, j), ax in np.ndenumerate(axes):
            family, benchmark = families[i], table.benchmarks[j]
            rows = {
                name: frame[(frame["family"] == family) & (frame["benchmark"] == benchmark)]
                for name, frame in frames.items()
            }
            scores = next(iter(rows.values()))[["params_b", "score", "held_out"]]
            curves = {
                name: (of["params_b"].to_numpy(), of["prediction"].to_numpy())
                for name, of in rows.items()
            }
            plot_curves(scores, curves, ax=ax, floor=float(table.floors[j]))
            ax.set_title(benchmark if i == 0 else "")
            ax.set_ylabel("" if j else family)
            if i < len(families) - 1:
                ax.set_xlabel("")
        legend_below(figure, axes[0, 0], 4)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--leaderboard", required=True, metavar="{v1,v2,both}")
    parser.add_argument("--n-train", type=number(1), required=True, metavar="{1,2}")
    parser.add_argument("--protocol", default="published", metavar="{published,strict}")
    sets = ", ".join(("published", "ours", "all", *ABLATIONS))
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["published", "ours"],
        metavar="NAME",
        help=f"methods, or sets of them: {sets} (default: published ours)",
    )
    parser.add_argument(
        "--skills", nargs="+", type=number(1), metavar="D", dest="numbers", help="only these d"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    execute(main, interrupted="finished methods are kept; the same command goes on")
