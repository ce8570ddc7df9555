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
of FLOPs with and without families. Writes predictions.csv, errors.csv, summary.json, and a figure
of each part: llama3_HumanEval.png (and of EQ-Bench), families.png, emergent.png, prompting.png,
agents.png.

Run: python experiments/downstream.py --out out/downstream
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

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

import sloth_jax as sj
from sloth_jax.cli.console import show_progress, tell
from sloth_jax.evaluation.held_out import names_at
from sloth_jax.evaluation.methods import FOLD_SETTINGS, FitMethod
from sloth_jax.evaluation.scoring_rules import crps
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.law.surface import log_flops
from sloth_jax.plotting.tasks import (
    plot_family_errors,
    plot_task_curve,
    plot_task_loadings,
    plot_task_panel,
)
from sloth_jax.skills.downstream import (
    TaskFit,
    compute_features,
    fit_task,
    principal_components,
    without_families,
)
from sloth_jax.skills.labels import propose_labels
from sloth_jax.skills.tasks import LEAST, bundled_tasks

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


class Case(NamedTuple):
    """Models of a table, ``held_out``, ``(model,)``, whose score on a task is predicted.

    The tasks of ``table`` come after its benchmarks.
    """

    part: str
    setting: str
    task: sj.Task
    table: sj.Leaderboard
    held_out: np.ndarray


class Run:
    """What all parts share: settings, the rows they add, figures to draw at the end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.smoke, self.out = options.smoke, options.out
        self.settings = settings_of(options)
        self.of_fold = settings_of(options, FOLD_SETTINGS)
        self.key = jax.random.key(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.rows: list[pd.DataFrame] = []
        self.problems: dict[str, Sequence[str]] = {}
        self.figures: list[Callable[[], None]] = []

    def fit(self, table: sj.Leaderboard, what: str) -> sj.Fit:
        """Fit the law to a table."""
        tell(f"{what} ...")
        fit = sj.fit(table, key=self.key, settings=self.settings)
        self.problems[what] = fit.diagnostics.problems()
        return fit

    def add(self, case: Case, method: str, predicted: np.ndarray) -> None:
        """Add predictions of held-out models, ``(model,)``, or their draws, ``(draw, model)``."""
        table, held_out = case.table, case.held_out
        truth, drawn = case.task.on(table)[held_out], np.atleast_2d(predicted)
        interval = central_interval(drawn, LEVEL) if predicted.ndim == 2 else (np.nan, np.nan)
        columns = {
            "part": case.part,
            "setting": case.setting,
            "method": method,
            "task": case.task.name,
            "model": names_at(table.models, held_out),
            "family": names_at(table.families, table.family[held_out]),
            "predicted": np.median(drawn, axis=0),
            "lower": interval[0],
            "upper": interval[1],
            "truth": truth,
            "crps": crps(drawn, truth),
        }
        self.rows.append(pd.DataFrame(columns))


def llama3(run: Run) -> None:
    """HumanEval and EQ-Bench of the 70B pair, from what is known of 8B and of other families."""
    tasks = [sj.load_task("HumanEval"), sj.load_task("EQ-Bench")]
    plain = edition_2024()
    full = sj.with_tasks(plain, *tasks)
    of_lineage = names_at(full.lineages, full.lineage_of_family[full.family]) == "meta-llama-3"
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
    loadings = of_joint.named(labels).loadings(LEVEL)
    of_alone = sj.interpret_skills(alone, key=run.key)
    of_mode = sj.interpret_skills(mode, key=run.key)
    for at, task in enumerate(tasks, len(plain.benchmarks)):
        known = task.without(full.models, hidden)
        held_out = np.isin(full.models, LLAMA3) & np.isfinite(task.on(full))
        case = Case("llama3", UNKNOWN, task, full, held_out)
        run.add(case, JOINT, draws[:, held_out, at])
        second = sj.fit_task_on_skills(of_alone, known)
        run.add(case, TWO_STEPS, second.draw(of_alone.theta, run.rng)[:, held_out])
        expected = sj.fit_task_on_skills(of_mode, known).predict(of_mode.theta[0])
        run.add(case, TWO_STEPS_MODE, expected[held_out])
        interval = central_interval(draws[:, held_out, at], LEVEL)
        of_task = loadings[loadings["benchmark"] == task.name]
        given = (of_task, second, of_alone.theta.mean(axis=0), interval)
        run.figures.append(lambda case=case, given=given: draw_llama3(run.out, case, *given))


def draw_llama3(
    out: Path,
    case: Case,
    loadings: pd.DataFrame,
    fit: TaskFit,
    theta: np.ndarray,
    interval: tuple[np.ndarray, np.ndarray],
) -> None:
    """Loadings of a task in the joint law, and its regression on skills in two steps."""
    name, truth = case.task.name, case.task.on(case.table)
    with drawing(out / f"llama3_{name}.png", 1, 2, figsize=(8.4, 3.6)) as (figure, axes):
        plot_task_loadings(loadings, ax=axes[0])
        models = case.table.models
        plot_task_curve(fit, theta, truth, models, case.held_out, interval, ax=axes[1])
        figure.suptitle(f"{name}, Llama 3 above 8B held out", x=0.01, ha="left")


def families(run: Run) -> None:
    """HumanEval, one family left out at a time."""
    task = sj.load_task("HumanEval")
    full = sj.with_tasks(edition_2024(), task)
    if run.smoke:
        scored = np.isfinite(full.scores[:, -1])
        full = full.subset(scored & (np.cumsum(scored) <= 24))
    scored = np.isfinite(full.scores[:, -1])
    folds = [  # case, training scores
        (Case("families", setting, task, full, held_out), train)
        for family in np.unique(full.family[scored])
        for setting, held_out, train in settings_of_family(full, full.family == family)
    ]
    if run.smoke:
        folds = folds[:2]
    tell(f"families: {len(folds)} folds ...")
    train = np.stack([train for _, train in folds])
    with show_progress("fitting every fold"):
        fitted = FitMethod(run.of_fold).sample(full, train, run.key)
    worst = {"Pareto k": fitted.pareto_k, "R-hat": fitted.max_rhat}
    known = {name: values.max() for name, values in worst.items() if np.isfinite(values).any()}
    run.problems["families"] = [f"largest {name} {value:.3f}" for name, value in known.items()]
    for (case, train), draws in zip(folds, fitted.draws, strict=True):
        run.add(case, JOINT, draws[:, case.held_out, -1])
        add_others(run, case, train[:, -1], train[:, :-1])
    run.figures.append(lambda: draw_families(pd.concat(run.rows), run.out / "families.png"))


def settings_of_family(
    table: sj.Leaderboard, rows: np.ndarray
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Settings of a family, each with held-out models and training scores.

    The task is the last benchmark of the table; ``rows``, ``(model,)``, are those of the family.
    """
    scored = rows & np.isfinite(table.scores[:, -1])
    smallest = scored & (table.params_b == table.params_b[scored].min())
    larger = rows & (table.params_b > table.params_b[smallest].max())
    train = table.observed.copy()
    train[rows, -1] = False
    found = [(KNOWN, scored, train), (UNKNOWN, scored, table.observed & ~rows[:, None])]
    if (larger & scored).any():
        found.append((SMALLEST, larger & scored, table.observed & ~larger[:, None]))
    return found


def draw_families(rows: pd.DataFrame, path: Path) -> None:
    """Errors by family, of the joint law and of the law of FLOPs with families."""
    rows = rows[(rows["part"] == "families") & rows["method"].isin([JOINT, FLOPS_FAMILIES])]
    settings = list(dict.fromkeys(rows["setting"]))
    shared = {"squeeze": False, "sharex": True, "figsize": (3.4 * len(settings), 5.0)}
    with drawing(path, 1, len(settings), **shared) as (figure, axes):
        for setting, ax in zip(settings, axes[0], strict=True):
            plot_family_errors(rows[rows["setting"] == setting], ax=ax)
            ax.set_title(setting)
        legend_below(figure, axes[0, 0], 2)


def add_others(run: Run, case: Case, train: np.ndarray, known: np.ndarray) -> None:
    """Add predictions of the other laws, on the same rows.

    Args:
        run: where to add them.
        case: what is predicted.
        train: models whose task score may be used, ``(model,)``.
        known: benchmark scores that may be used, ``(model, benchmark)``.
    """
    table, held_out = case.table, case.held_out
    scores = np.where(train, case.task.on(table), np.nan)
    # As published: least squares. Priors this wide only keep a family's intercept finite.
    how = {"name": case.task.name, "floor": case.task.floor, "slope": 10.0, "bias": 10.0}
    for method, of_families in ((FLOPS, None), (FLOPS_FAMILIES, train)):
        features, _ = compute_features(table, of_families)
        run.add(case, method, fit_task(features, scores, **how).predict(features[held_out]))
    if case.setting != KNOWN:
        return
    benchmarks = np.where(known, table.scores[:, : known.shape[1]], np.nan)
    benchmarks = benchmarks[:, np.isfinite(benchmarks[train]).sum(axis=0) >= LEAST]
    count = min(3, benchmarks.shape[1])
    usable = np.isfinite(benchmarks).sum(axis=1) >= count
    learnt = train & usable
    if (held_out & ~usable).any():
        return
    components = principal_components(benchmarks[learnt], count)
    features = np.full((len(table.models), count), np.nan)
    features[usable] = components.of(benchmarks[usable])
    scores = np.where(learnt, scores, np.nan)
    fit = fit_task(features[usable], scores[usable], **how)
    run.add(case, COMPONENTS, fit.predict(features[held_out]))


def below_cut(table: sj.Leaderboard, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Training FLOPs of models, and which of them are below the cut of a kind of task."""
    flops = 1e21 * np.exp(log_flops(table))
    return flops, flops <= CUTS[kind] * 1.001


def of_ruan(run: Run, kind: str) -> None:
    """One kind of task of Ruan et al. in their split."""
    full = sj.load_observational()
    left_out = (*LEFT_OUT[kind], *(() if kind == "agents" else ONLY_CHAT))
    full = full.select_benchmarks([name for name in full.benchmarks if name not in left_out])
    _, small = below_cut(full, kind)
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
    scores = np.concatenate([full.scores[:, :first], unknown.scores[:, first:]], axis=1)
    known = replace(full, scores=scores)
    fits = {(KNOWN, JOINT): known, (UNKNOWN, JOINT): unknown}
    if kind == "emergent":
        fits[UNKNOWN, NO_FAMILIES] = without_families(unknown)
    draws = {}
    for (setting, method), table in fits.items():
        fit = run.fit(table, f"{kind}, {setting}, {method}")
        draws[setting, method] = sj.forecast_table(fit, key=run.key).draws
    for at, task in enumerate(tasks, start=first):
        held_out = ~small & np.isfinite(task.on(full))
        if not held_out.any():
            continue
        cases = {name: Case(kind, name, task, full, held_out) for name in (KNOWN, UNKNOWN)}
        for (setting, method), drawn in draws.items():
            run.add(cases[setting], method, drawn[:, held_out, at])
        for case, table in zip(cases.values(), (known, unknown), strict=True):
            train = np.isfinite(table.scores[:, at])
            add_others(run, case, train, table.observed[:, :first])
    run.figures.append(lambda: draw_kind(pd.concat(run.rows), kind, run.out / f"{kind}.png"))


def draw_kind(rows: pd.DataFrame, kind: str, path: Path) -> None:
    """Scores of each task against compute: known below the cut, predicted above it."""
    rows = rows[(rows["part"] == kind) & (rows["setting"] == KNOWN)]
    table = sj.load_observational()
    flops, small = below_cut(table, kind)
    of = dict(zip(table.models, flops, strict=True))
    names = list(dict.fromkeys(rows["task"]))
    columns = 4 if len(names) % 4 == 0 else 3
    with drawing_grid(path, len(names), columns, (2.9, 2.6)) as (figure, axes):
        for at, (ax, name) in enumerate(zip(axes, names, strict=True)):
            shown = rows[rows["task"] == name]
            shown = shown.assign(flops=shown["model"].map(of))
            truth, laws = sj.load_task(name).on(table)[small], {JOINT: "law", COMPONENTS: "PCA law"}
            plot_task_panel(flops[small], truth, shown, laws, CUTS[kind], ax=ax)
            ax.set_title(name)
            if at % columns == 0:
                ax.set_ylabel("score")
            if at >= len(names) - columns:
                ax.tick_params(labelbottom=True)  # the lowest of its column
                ax.set_xlabel("training FLOPs")
        legend_below(figure, axes[0], 5)


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
    inside = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    rows = rows.assign(
        error=(rows["predicted"] - rows["truth"]).abs(),
        inside=inside.astype(float).where(rows["lower"].notna()),
        width=rows["upper"] - rows["lower"],
    )
    every = rows.assign(task="all")
    table = pd.concat([rows, every[every["part"] != "families"]])
    groups = table.groupby(["part", "setting", "task", "method"], sort=False)
    means = groups[["error", "inside", "width", "crps"]].mean()
    means.columns = ["mae", "coverage_90", "width_90", "crps"]
    means.insert(0, "models", groups.size())
    means.insert(2, "se", groups["error"].sem())
    return means.reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chosen parts, save and draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    options = parser.parse_args(arguments)
    run, seconds = Run(options), {}
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
    for draw in run.figures:
        draw()
    print(found.to_string(index=False, float_format="%.3f", na_rep=""))


if __name__ == "__main__":
    execute(main)
