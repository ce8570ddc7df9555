"""The published comparison and its ablations: every method on the same folds.

Writes errors.csv.gz (absolute error of every method on every held-out score), summary.csv (means as
published, beside the published ones), differences.csv (with intervals, from a bootstrap over
families), size_ratio.csv (errors by how far a model extrapolates), run.json (settings, versions,
seconds), heatmap.png, one figure of curves per fold, and ablation_*.png where a set of variants was
asked for. Predictions of each method are kept in methods/, so that an interrupted run goes on where
it stopped, and more methods can be added to a finished one.

Run: python experiments/cross_validation.py --leaderboard v2 --n-train 1 --out out/v2_1
and with --methods links added, for an ablation in the same folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.evaluation.baselines import Baseline
from sloth_jax.evaluation.crossval import Method, cross_validate, held_out_errors
from sloth_jax.evaluation.folds import Folds, make_folds, size_ratio
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
from sloth_jax.evaluation.rank_deficiency import rank_deficiencies
from sloth_jax.evaluation.scoring import (
    Difference,
    benchmark_means,
    bootstrap_difference,
    by_size_ratio,
    published_mean,
)
from sloth_jax.files import write_text
from sloth_jax.inference.devices import use_cores
from sloth_jax.law.surface import LINEAR, fit_surface, log_flops
from sloth_jax.plotting.comparison import heatmap_size, plot_differences, plot_heatmap
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.scores import plot_curves
from sloth_jax.provenance import versions

PLAIN = "logF_sigmoid_faminter"  # the plain baseline, to which all others are compared
CURVES = (
    PLAIN,
    "factor_sigmoid_faminter_d=3",
    "factor_trainlink_faminter_d=3",
    "fit",
)


@dataclass
class Run:
    """A folder of results: what is in it and what belongs to it.

    Attributes:
        out: the folder.
        settings: what all of its methods share.
        finished: method -> its settings, seconds it took, and its training error.
        deficiencies: folds whose design does not determine the law.
    """

    out: Path
    settings: dict[str, Any]
    finished: dict[str, dict[str, Any]] = field(default_factory=dict)
    deficiencies: list[dict[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        """Take up the results of the same settings that are there already.

        Raises:
            InputError: if the folder holds something else.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        record = self.out / "run.json"
        if not record.exists():
            if any(self.out.iterdir()):
                raise sj.InputError(
                    f"{self.out}: holds other files and no run.json; name an empty or a new folder"
                )
            (self.out / "methods").mkdir()
            self.save()
            return
        try:
            there = json.loads(record.read_text())
            settings, finished = there["settings"], there["methods"]
        except (ValueError, KeyError, TypeError):
            raise sj.InputError(
                f"{record}: not a record of this experiment; name another folder"
            ) from None
        differing = [name for name in self.settings if settings.get(name) != self.settings[name]]
        if differing:
            name = differing[0]
            raise sj.InputError(
                f"{self.out}: holds results with {name} {settings.get(name)}, not "
                f"{self.settings[name]}; name another folder"
            )
        self.finished = {
            name: entry for name, entry in finished.items() if self.path(name).exists()
        }

    def path(self, method: str) -> Path:
        """Where the predictions of a method are kept."""
        return self.out / "methods" / f"{method}.csv.gz"

    def add(self, method: str, predictions: pd.DataFrame, **entry: Any) -> None:
        """Keep the results of a method."""
        write_text(self.path(method), predictions.to_csv(index=False, float_format="%.7g"))
        self.finished[method] = entry
        self.save()

    def predictions(self, method: str) -> pd.DataFrame:
        """Predictions of a finished method."""
        return pd.read_csv(self.path(method))

    def save(self) -> None:
        """Write run.json."""
        record = {
            "experiment": "cross_validation",
            "settings": self.settings,
            "seconds": round(sum(entry["seconds"] for entry in self.finished.values()), 1),
            "methods": self.finished,
            "rank_deficient_folds": self.deficiencies,
            "versions": versions(),
            "devices": len(jax.devices()),
        }
        write_text(self.out / "run.json", json.dumps(record, indent=2) + "\n")


def run(options: argparse.Namespace) -> None:
    """Fit what is missing, then summarise and draw all that is there."""
    table = sj.load_leaderboard(corrected=False)
    table = table.select_benchmarks(leaderboard_benchmarks(options.leaderboard))
    methods = choose_methods(options.methods, options.n_train, options.skills)
    groups = published_groups(options.leaderboard, options.n_train)
    folds = {
        complete: make_folds(
            table, groups, n_train=options.n_train, protocol=options.protocol, complete=complete
        )
        for complete in (True, False)
    }
    if options.smoke:
        folds = {complete: some.select([0, 1]) for complete, some in folds.items()}
        methods = {name: _smoke(method) for name, method in methods.items()}
    results = Run(
        options.out,
        {
            "leaderboard": options.leaderboard,
            "n_train": options.n_train,
            "protocol": options.protocol,
            "seed": options.seed,
            "smoke": options.smoke,
            "table": hashlib.sha256(table.to_csv_text().encode()).hexdigest()[:16],
        },
    )
    results.open()
    for rows, some in folds.items():
        results.deficiencies += _deficiencies(some, rows)
    for entry in results.deficiencies:
        tell(f"note: fold {entry['fold']}, {entry['benchmark']}: {entry['message']}")

    published = published_errors(options.leaderboard, options.n_train)
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


def _smoke(method: Method) -> Method:
    """The same method with hardly any steps: to see that it runs."""
    if isinstance(method, Baseline):
        return replace(method, max_steps=SMOKE_SETTINGS.steps)
    if isinstance(method, FitMethod):
        few = {name: getattr(SMOKE_SETTINGS, name) for name in ("draws", "steps", "nuts")}
        return replace(method, settings=replace(method.settings, **few))
    return method


def _deficiencies(folds: Folds, complete: bool) -> list[dict[str, Any]]:
    """Folds whose design leaves some prediction to chance, for two surfaces."""
    table = folds.table
    translog = np.asarray(fit_surface(table, kind="translog").linear(table))
    designs = {"translog": translog, "flops": log_flops(table)[:, None]}
    return [
        {
            "fold": found.fold,
            "surface": kind,
            "rows": "complete" if complete else "observed",
            "benchmark": found.benchmark,
            "families": list(found.families),
            "message": found.message,
        }
        for kind, design in designs.items()
        for found in rank_deficiencies(folds, design, LINEAR[kind])
    ]


def summarise(results: Run, folds: Folds, published: dict[str, float]) -> None:
    """Write tables and figures of all finished methods, and print the summary."""
    order = [m for m in all_methods(folds.n_train) if m in results.finished]
    predictions = {name: results.predictions(name) for name in order}
    errors = pd.concat([held_out_errors(p, name) for name, p in predictions.items()])
    out = results.out
    write_text(out / "errors.csv.gz", errors.to_csv(index=False, float_format="%.6f"))

    means = benchmark_means(errors)
    means["average"] = published_mean(errors)
    summary = means.copy()
    summary["published"] = pd.Series(published)
    summary["training"] = [results.finished[name]["training_error"] for name in order]
    write_text(out / "summary.csv", summary.to_csv(float_format="%.6f"))

    ratios = _ratios(folds)
    by_ratio = by_size_ratio(errors, ratios)
    write_text(out / "size_ratio.csv", by_ratio.to_csv(index=False, float_format="%.6f"))

    families = dict(zip(folds.table.models, _families(folds), strict=True))
    seed = results.settings["seed"]

    def against(reference: str, others: list[str]) -> list[Difference]:
        return [bootstrap_difference(errors, o, reference, families, seed=seed) for o in others]

    if PLAIN in order:
        differences = against(PLAIN, [name for name in order if name != PLAIN])
        table = pd.DataFrame([vars(d) for d in differences])
        write_text(out / "differences.csv", table.to_csv(index=False, float_format="%.6f"))
    for question, names in ABLATIONS.items():
        present = [name for name in names if name in order]
        if present[:1] == list(names[:1]) and len(present) > 1:
            _draw_ablation(question, against(present[0], present[1:]), means, out)

    settings = results.settings
    models = "model" if settings["n_train"] == 1 else "models"
    title = (
        "Mean absolute error on held-out models\n"
        f"leaderboard {settings['leaderboard']}, {settings['n_train']} training {models} per "
        f"tested family, {settings['protocol']} protocol"
    )
    _draw_heatmap(means, title, out)
    _draw_curves(predictions, folds, out)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(summary.round(4).to_string())
    seconds = sum(entry["seconds"] for entry in results.finished.values())
    print(
        f"\n{title}\nThese means have no intervals; their differences to {PLAIN} have, in "
        f"{out / 'differences.csv'}.\n{seconds:.0f} s for {len(order)} methods. Figures: {out}"
    )


def _families(folds: Folds) -> np.ndarray:
    """Name of each model's family."""
    return np.asarray(folds.table.families, dtype=object)[folds.table.family]


def _ratios(folds: Folds) -> pd.DataFrame:
    ratio = size_ratio(folds)
    fold, row = np.nonzero(folds.test)
    models = np.asarray(folds.table.models, dtype=object)
    return pd.DataFrame({"fold": fold, "model": models[row], "size_ratio": ratio[fold, row]})


def _draw_heatmap(means: pd.DataFrame, title: str, out: Path) -> None:
    with style():
        figure, ax = plt.subplots(figsize=heatmap_size(means), layout="constrained")
        plot_heatmap(means, title=title, ax=ax)
        figure.savefig(out / "heatmap.png")
        plt.close(figure)


def _draw_ablation(
    question: str, differences: list[Difference], means: pd.DataFrame, out: Path
) -> None:
    with style():
        figure, ax = plt.subplots(
            figsize=(6.4, 1.0 + 0.36 * len(differences)), layout="constrained"
        )
        plot_differences(differences, ax=ax)
        reference = differences[0].second
        ax.set_title(f"{question}: {reference} has error {means.loc[reference, 'average']:.4f}")
        figure.savefig(out / f"ablation_{question}.png")
        plt.close(figure)


def _draw_curves(predictions: dict[str, pd.DataFrame], folds: Folds, out: Path) -> None:
    """One figure per fold: tested families by benchmarks."""
    shown = [name for name in CURVES if name in predictions] or list(predictions)[:5]
    sizes = dict(zip(folds.table.models, folds.table.params_b, strict=True))
    floors = dict(zip(folds.table.benchmarks, folds.table.floors, strict=True))
    (out / "curves").mkdir(exist_ok=True)
    frames = {}
    for name in shown:
        # Rows that only methods on incomplete rows have would make their curves longer.
        frame = pd.DataFrame(predictions[name].query("model in @sizes"))
        frame["params_b"] = [sizes[model] for model in frame["model"]]
        frames[name] = frame.sort_values("params_b")
    for fold, families in enumerate(folds.tested):
        benchmarks = folds.table.benchmarks
        shape = (len(families), len(benchmarks))
        with style():
            figure, axes = plt.subplots(
                *shape,
                figsize=(2.1 * shape[1], 0.8 + 1.9 * shape[0]),
                squeeze=False,
                layout="constrained",
            )
            for i, family in enumerate(families):
                panel = {
                    name: frame[(frame["fold"] == fold) & (frame["family"] == family)]
                    for name, frame in frames.items()
                }
                for j, benchmark in enumerate(benchmarks):
                    rows = {n: p[p["benchmark"] == benchmark] for n, p in panel.items()}
                    first = next(iter(rows.values()))
                    plot_curves(
                        first[["params_b", "score", "held_out"]],
                        {
                            name: (p["params_b"].to_numpy(), p["prediction"].to_numpy())
                            for name, p in rows.items()
                        },
                        ax=axes[i, j],
                        floor=floors[benchmark],
                    )
                    if i == 0:
                        axes[i, j].set_title(benchmark)
                    if i < len(families) - 1:
                        axes[i, j].set_xlabel("")
                    if j:
                        axes[i, j].set_ylabel("")
                axes[i, 0].set_ylabel(family)
            handles, labels = axes[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=4)
            name = "_".join(families[0].split("/"))
            figure.savefig(out / "curves" / f"{fold:02d}_{name}.png", dpi=90)
            plt.close(figure)


def main() -> None:
    """Read the command line and run."""
    parser = Parser(
        prog="cross_validation.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--leaderboard", required=True, metavar="{v1,v2,both}")
    parser.add_argument("--n-train", type=number(1), required=True, metavar="{1,2}")
    parser.add_argument("--protocol", default="published", metavar="{published,strict}")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["published", "ours"],
        metavar="NAME",
        help="methods, or sets of them: published, ours, all, "
        + ", ".join(ABLATIONS)
        + " (default: published ours)",
    )
    parser.add_argument("--skills", nargs="+", type=number(1), metavar="D", help="only these d")
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="seconds, not minutes; means nothing")
    options = parser.parse_args()
    use_cores(20)
    run_and_exit(
        "cross_validation",
        lambda: run(options),
        interrupted=f"finished methods are kept in {options.out}; run again to go on",
    )


if __name__ == "__main__":
    main()
