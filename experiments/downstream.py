"""Tasks that few models were measured on, predicted for models that are held out.

Parts, of which --parts chooses:

* llama3: every Llama-3 model above 8B is hidden, its 12 benchmark scores too; HumanEval and
  EQ-Bench of the 70B pair are predicted;
* families: HumanEval with one family left out at a time, in three settings: nothing known of the
  family, its smallest model known, or all its benchmark scores known;
* emergent, prompting, agents: tasks of Ruan et al. in their split: models up to a training compute
  are known, larger ones predicted, with their benchmark scores known (as in their paper) or not.

Beside the law, with the task as one more benchmark, stand the regression of the task on the skills
of a fit that never saw it (two steps), their law on principal components of the scores, and laws
of FLOPs with and without families. Writes predictions.csv, errors.csv, summary.json and figures.

Run: python experiments/downstream.py --out out/downstream
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _runner import command_line, execute, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import show_progress, tell
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod
from sloth_jax.evaluation.scoring_rules import central_interval, crps
from sloth_jax.forecasting.tasks import LEAST, bundled_tasks
from sloth_jax.law.surface import log_flops
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.tasks import (
    plot_family_errors,
    plot_task_curve,
    plot_task_loadings,
    plot_task_panel,
)
from sloth_jax.skills.downstream import (
    compute_features,
    fit_task,
    principal_components,
    without_families,
)
from sloth_jax.skills.interpret import propose_labels

LEVEL = 0.9
JOINT, NO_FAMILIES = "law, jointly", "law, jointly, no families"
TWO_STEPS, TWO_STEPS_MODE = "law, two steps", "law, two steps, mode"
COMPONENTS, FLOPS, FLOPS_FAMILIES = "PCA law", "FLOPs law", "FLOPs law, families"
KNOWN, UNKNOWN, SMALLEST = "scores known", "from compute", "smallest known"
LLAMA3 = ("meta-llama-3-70b", "meta-llama-3-70b-instruct")
# Largest compute of a model to learn from, FLOPs: Llama-2-7B's, as published for base models; of
# the chat models that agents are made of, half are larger, so a 13B one's.
CUTS = {"emergent": 8.4e22, "prompting": 8.4e22, "agents": 1.6e23}
# Benchmarks that a kind of task is not predicted from, being the same questions.
LEFT_OUT = {"emergent": (), "prompting": ("GSM8K",), "agents": ()}
ONLY_CHAT = ("MT-Bench grade", "Chatbot Arena")


class Run:
    """What all parts share: settings, the rows they add, where figures go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.smoke = options.smoke
        self.settings = settings_of(options)
        self.of_fold = settings_of(options, FOLD_SETTINGS)
        self.key = jax.random.key(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.rows: list[pd.DataFrame] = []
        self.problems: dict[str, Sequence[str]] = {}
        self.figures: list[tuple[str, Callable[[Path], None]]] = []

    def fit(self, table: sj.Leaderboard, what: str) -> sj.Fit:
        """Fit the law to a table."""
        tell(f"{what} ...")
        fit = sj.fit(table, key=self.key, settings=self.settings)
        self.problems[what] = fit.diagnostics.problems()
        return fit

    def add(
        self,
        part: str,
        setting: str,
        method: str,
        task: sj.Task,
        table: sj.Leaderboard,
        asked: np.ndarray,
        predicted: np.ndarray,
    ) -> None:
        """Add predictions of some rows, ``(model,)``, or their draws, ``(draw, model)``."""
        truth = task.on(table)[asked]
        drawn = np.atleast_2d(predicted)
        rows = pd.DataFrame(
            {
                "part": part,
                "setting": setting,
                "method": method,
                "task": task.name,
                "model": np.asarray(table.models, object)[asked],
                "family": np.asarray(table.families, object)[table.family[asked]],
                "predicted": np.median(drawn, axis=0),
                "lower": np.nan,
                "upper": np.nan,
                "truth": truth,
                "crps": crps(drawn, truth),
            }
        )
        if predicted.ndim == 2:
            rows["lower"], rows["upper"] = central_interval(drawn, LEVEL)
        self.rows.append(rows)


def llama3(run: Run) -> None:
    """HumanEval and EQ-Bench of the 70B pair, from what is known of 8B and of other families."""
    tasks = [sj.load_task("HumanEval"), sj.load_task("EQ-Bench")]
    plain = sj.load_leaderboard()
    full = sj.with_tasks(plain, *tasks)
    of_lineage = np.asarray(full.lineages)[full.lineage_of_family[full.family]] == "meta-llama-3"
    hidden = of_lineage & (full.params_b > 8.0)
    if run.smoke:
        kept = np.isfinite(full.scores[:, -1]) | hidden
        full, plain, hidden = full.subset(kept), plain.subset(kept), hidden[kept]
    joint = run.fit(full.hide(hidden), "llama3, jointly")
    alone = run.fit(plain.hide(hidden), "llama3, two steps")
    mode = sj.fit(plain.hide(hidden), key=run.key, settings=run.settings, inference="mode")
    draws = sj.forecast_table(joint, key=run.key).draws
    of_joint = sj.interpret_skills(joint, key=run.key)
    labels = [f"{at + 1}: {label}" for at, label in enumerate(propose_labels(of_joint))]
    of_joint = of_joint.named(labels)
    of_alone = sj.interpret_skills(alone, key=run.key)
    of_mode = sj.interpret_skills(mode, key=run.key)
    for at, task in enumerate(tasks):
        known = task.without(full.models, hidden)
        asked = np.isin(full.models, LLAMA3) & np.isfinite(task.on(full))
        column = draws[:, asked, len(plain.benchmarks) + at]
        run.add("llama3", UNKNOWN, JOINT, task, full, asked, column)
        second = sj.fit_task_on_skills(of_alone, known)
        drawn = second.draw(of_alone.theta, run.rng)
        run.add("llama3", UNKNOWN, TWO_STEPS, task, full, asked, drawn[:, asked])
        expected = sj.fit_task_on_skills(of_mode, known).predict(of_mode.theta[0])
        run.add("llama3", UNKNOWN, TWO_STEPS_MODE, task, full, asked, expected[asked])

        def draw(path: Path, task: sj.Task = task, asked: np.ndarray = asked,
                 column: np.ndarray = column, second: Any = second) -> None:  # fmt: skip
            rows = of_joint.loadings(LEVEL)
            with style():
                figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
                plot_task_loadings(rows[rows["benchmark"] == task.name], ax=axes[0])
                plot_task_curve(
                    second, of_alone.theta.mean(axis=0), task.on(full), full.models, asked,
                    central_interval(column, LEVEL), ax=axes[1],
                )  # fmt: skip
                figure.suptitle(f"{task.name}, Llama 3 above 8B held out", x=0.01, ha="left")
                figure.savefig(path)
                plt.close(figure)

        run.figures.append((f"llama3_{task.name}", draw))


def families(run: Run) -> None:
    """HumanEval, one family left out at a time."""
    task = sj.load_task("HumanEval")
    full = sj.with_tasks(sj.load_leaderboard(), task)
    if run.smoke:
        scored = np.isfinite(full.scores[:, -1])
        full = full.subset(scored & (np.cumsum(scored) <= 24))
    scored = np.isfinite(full.scores[:, -1])
    tested = np.unique(full.family[scored])[: 2 if run.smoke else None]
    folds = []  # setting, asked models, training scores
    for family in tested:
        rows = full.family == family
        asked = rows & scored
        smallest = asked & (full.params_b == full.params_b[asked].min())
        larger = rows & (full.params_b > full.params_b[smallest].max())
        train = full.observed.copy()
        train[rows, -1] = False
        folds.append((KNOWN, asked, train))
        folds.append((UNKNOWN, asked, full.observed & ~rows[:, None]))
        if (larger & scored).any():
            folds.append((SMALLEST, larger & scored, full.observed & ~larger[:, None]))
    if run.smoke:
        folds = folds[:2]
    tell(f"families: {len(folds)} folds ...")
    train = np.stack([train for _, _, train in folds])
    with show_progress("fitting every fold"):
        fitted = FitMethod(run.of_fold).sample(full, train, run.key)
    worst = {"Pareto k": fitted.pareto_k, "R-hat": fitted.max_rhat}
    run.problems["families"] = [
        f"largest {name} {values.max():.3f}"
        for name, values in worst.items()
        if np.isfinite(values).any()
    ]
    for (setting, asked, train), draws in zip(folds, fitted.draws, strict=True):
        run.add("families", setting, JOINT, task, full, asked, draws[:, asked, -1])
        _beside(run, "families", setting, task, full, asked, train[:, -1], train[:, :-1])
    run.figures.append(("families", lambda path: draw_families(pd.concat(run.rows), path)))


def draw_families(rows: pd.DataFrame, path: Path) -> None:
    """Errors by family, of the joint law and of the law of FLOPs with families."""
    rows = rows[(rows["part"] == "families") & rows["method"].isin([JOINT, FLOPS_FAMILIES])]
    settings = list(dict.fromkeys(rows["setting"]))
    with style():
        figure, axes = plt.subplots(
            1, len(settings), figsize=(3.4 * len(settings), 5.0), squeeze=False, sharex=True,
            layout="constrained",
        )  # fmt: skip
        for setting, ax in zip(settings, axes[0], strict=True):
            plot_family_errors(rows[rows["setting"] == setting], ax=ax)
            ax.set_title(setting)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        figure.savefig(path)
        plt.close(figure)


def _beside(
    run: Run,
    part: str,
    setting: str,
    task: sj.Task,
    table: sj.Leaderboard,
    asked: np.ndarray,
    train: np.ndarray,
    known: np.ndarray,
) -> None:
    """The other laws, on the same rows.

    Args:
        run: where to add them.
        part: of the experiment.
        setting: of the part.
        task: what is predicted.
        table: models, and benchmarks with the tasks after them.
        asked: models to predict, ``(model,)``.
        train: models whose task score may be used, ``(model,)``.
        known: benchmark scores that may be used, ``(model, benchmark)``.
    """
    scores = np.where(train, task.on(table), np.nan)
    for method, families in ((FLOPS, None), (FLOPS_FAMILIES, train)):
        features, _ = compute_features(table, families)
        # As published: least squares. Priors this wide only keep a family's intercept finite.
        fit = fit_task(features, scores, name=task.name, floor=task.floor, slope=10.0, bias=10.0)
        run.add(part, setting, method, task, table, asked, fit.predict(features[asked]))
    if setting != KNOWN:
        return
    benchmarks = np.where(known, table.scores[:, : known.shape[1]], np.nan)
    benchmarks = benchmarks[:, np.isfinite(benchmarks[train]).sum(axis=0) >= LEAST]
    count = min(3, benchmarks.shape[1])
    usable = np.isfinite(benchmarks).sum(axis=1) >= count
    learnt = train & usable
    if (asked & ~usable).any():
        return
    components = principal_components(benchmarks[learnt], count)
    features = np.full((len(table.models), count), np.nan)
    features[usable] = components.of(benchmarks[usable])
    scores = np.where(learnt, scores, np.nan)
    fit = fit_task(
        features[usable], scores[usable], name=task.name, floor=task.floor, slope=10.0, bias=10.0
    )
    run.add(part, setting, COMPONENTS, task, table, asked, fit.predict(features[asked]))


def of_ruan(run: Run, kind: str) -> None:
    """One kind of task of Ruan et al. in their split."""
    full = sj.load_observational()
    left_out = (*LEFT_OUT[kind], *(() if kind == "agents" else ONLY_CHAT))
    full = full.select_benchmarks([name for name in full.benchmarks if name not in left_out])
    small = 1e21 * np.exp(log_flops(full)) <= CUTS[kind] * 1.001
    tasks = [task for task in bundled_tasks().values() if task.kind == kind]
    if run.smoke:
        tasks = tasks[:1]
        kept = np.isfinite(tasks[0].on(full))
        full, small = full.subset(kept), small[kept]
    # Of tasks with too few scores below the cut there is nothing to learn.
    tasks = [task for task in tasks if np.isfinite(task.on(full)[small]).sum() >= 6]
    full = sj.with_tasks(full, *tasks)
    first = len(full.benchmarks) - len(tasks)
    unknown = full.hide(~small)
    known = replace(full, scores=np.concatenate(
        [full.scores[:, :first], unknown.scores[:, first:]], axis=1
    ))  # fmt: skip
    fits = {(KNOWN, JOINT): known, (UNKNOWN, JOINT): unknown}
    if kind == "emergent":
        fits[UNKNOWN, NO_FAMILIES] = without_families(unknown)
    draws = {}
    for (setting, method), table in fits.items():
        fit = run.fit(table, f"{kind}, {setting}, {method}")
        draws[setting, method] = sj.forecast_table(fit, key=run.key).draws
    for at, task in enumerate(tasks, start=first):
        asked = ~small & np.isfinite(task.on(full))
        if not asked.any():
            continue
        for (setting, method), drawn in draws.items():
            run.add(kind, setting, method, task, full, asked, drawn[:, asked, at])
        for setting, table in ((KNOWN, known), (UNKNOWN, unknown)):
            train = np.isfinite(table.scores[:, at])
            _beside(run, kind, setting, task, full, asked, train, table.observed[:, :first])
    run.figures.append((kind, lambda path: draw_kind(pd.concat(run.rows), kind, path)))


def draw_kind(rows: pd.DataFrame, kind: str, path: Path) -> None:
    """Scores of each task against compute: known below the cut, predicted above it."""
    rows = rows[(rows["part"] == kind) & (rows["setting"] == KNOWN)]
    table = sj.load_observational()
    flops = 1e21 * np.exp(log_flops(table))
    of = dict(zip(table.models, flops, strict=True))
    small = flops <= CUTS[kind] * 1.001
    names = list(dict.fromkeys(rows["task"]))
    columns = min(len(names), 4 if len(names) % 4 == 0 else 3)
    lines = -(-len(names) // columns)
    with style():
        figure, axes = plt.subplots(
            lines, columns, figsize=(2.9 * columns, 2.5 * lines + 0.6), squeeze=False,
            sharex=True, sharey=True, layout="constrained",
        )  # fmt: skip
        for ax, name in zip(axes.flat, names, strict=False):
            shown = rows[rows["task"] == name]
            plot_task_panel(
                flops[small], sj.load_task(name).on(table)[small],
                shown.assign(flops=shown["model"].map(of)),
                {JOINT: "law", COMPONENTS: "PCA law"}, CUTS[kind], ax=ax,
            )  # fmt: skip
            ax.set_title(name)
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        for ax in axes[:, 0]:
            ax.set_ylabel("score")
        for ax in axes.flat[max(len(names) - columns, 0) : len(names)]:
            ax.tick_params(labelbottom=True)  # the lowest of its column
            ax.set_xlabel("training FLOPs")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        figure.savefig(path)
        plt.close(figure)


PARTS: dict[str, Callable[[Run], None]] = {
    "llama3": llama3,
    "families": families,
    **{kind: lambda run, kind=kind: of_ruan(run, kind) for kind in CUTS},
}


def errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute error, coverage, width and CRPS per part, setting, task and method.

    Rows of a group of methods are the same models. ``se`` is the standard error of the mean
    absolute error over models.
    """
    rows = rows.assign(
        error=(rows["predicted"] - rows["truth"]).abs(),
        inside=((rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])).where(
            rows["lower"].notna()
        ),
        width=rows["upper"] - rows["lower"],
    ).astype({"inside": float})
    groups = ["part", "setting", "task", "method"]
    every = rows.assign(task="all")
    table = pd.concat([rows, every[every["part"] != "families"]])
    found = table.groupby(groups, sort=False).agg(
        models=("error", "size"), mae=("error", "mean"), se=("error", "sem"),
        coverage_90=("inside", "mean"), width_90=("width", "mean"), crps=("crps", "mean"),
    )  # fmt: skip
    return found.reset_index()


def run_all(options: argparse.Namespace) -> None:
    """Run the chosen parts, save and draw."""
    run = Run(options)
    seconds = {}
    for part in options.parts:
        start = time.perf_counter()
        PARTS[part](run)
        seconds[part] = round(time.perf_counter() - start, 1)
    rows = pd.concat(run.rows, ignore_index=True)
    found = errors(rows)
    save(
        options,
        {"predictions": rows, "errors": found},
        run.settings,
        parts=list(options.parts),
        errors=json.loads(found.round(5).to_json(orient="records")),
        seconds_of_parts=seconds,
        problems=run.problems,
        settings_of_folds=asdict(run.of_fold),
    )
    for name, draw in run.figures:
        draw(options.out / f"{name}.png")
    print(found.to_string(index=False, float_format="%.3f", na_rep=""))


if __name__ == "__main__":
    parser = command_line(__doc__)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    execute(run_all, parser)
