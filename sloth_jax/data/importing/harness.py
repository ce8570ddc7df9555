"""Result files of lm-evaluation-harness, of several versions; the runs of a model become one row.

A task that is run as on the Open LLM Leaderboards is the benchmark of that name. With another
number of examples in the prompt it is a benchmark of its own.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sloth_jax.data.importing.names import add_row, short_names
from sloth_jax.data.importing.result import LM_EVAL, Facts, Imported
from sloth_jax.data.tables import read_bundled
from sloth_jax.result_files import (
    model_arguments,
    model_of,
    number,
    read_result,
    score_of,
    shots_of,
)


class _Setting(NamedTuple):
    """How the leaderboards run a benchmark: task, metric, examples in the prompt."""

    tasks: list[str]
    metrics: list[str]
    shots: int


_SETTINGS = {
    row["benchmark"]: _Setting(row["tasks"].split(), row["metrics"].split(), int(row["shots"]))
    for row in read_bundled("benchmarks.csv").records()
}
_OF_TASK = {task: name for name, setting in _SETTINGS.items() for task in setting.tasks}
_USUAL_METRICS = ("acc_norm", "exact_match", "acc", "f1", "bleu")
# Groups whose parts are named after them; others are named in the file.
_GROUPS = ("mmlu", "leaderboard_bbh", "leaderboard_gpqa", "leaderboard_musr")
# Before version 0.4, MMLU was a task per subject. The first leaderboard has their plain mean.
_OLD_MMLU, _SUBJECTS = "hendrycksTest", 57
# Arguments and types of numbers of quantised models, whose scores are not those of the model.
_QUANTISED = re.compile(
    r"(?:load_in_[48]bit|autogptq|gptqmodel|gguf_file)=(?!False|None)[^,]+|\b(?:gptq|awq|u?int[48])\b",
    re.IGNORECASE,
)


@dataclass
class _Scores:
    """Scores and standard errors by benchmark, from one file or all files of a model."""

    scores: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    params_b: float | None = None


def read_runs(path: Path, facts: Facts) -> Imported:
    """Reads a result file, or all in a folder and the folders inside it."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = Imported(str(path), LM_EVAL, facts=facts)
    models: dict[str, _Scores] = {}
    for file in files:
        # samples of single items stand beside results
        if file.name.startswith("samples"):
            continue
        found.rows_in += 1
        run = read_result(file)
        if run is None:
            found.reject(file.name, "", "no result file: JSON with an object 'results'")
            continue
        arguments = model_arguments(run)
        model = model_of(run, arguments)
        if not model:
            found.reject(file.name, "", "no name of a model in 'config' or 'model_name'")
            continue
        config = run["config"] if isinstance(run.get("config"), dict) else {}
        settings = ",".join(f"{key}={value}" for key, value in arguments.items())
        if quantised := _QUANTISED.search(f"{settings},{config.get('model_dtype')}"):
            found.reject(file.name, model, f"quantised: {quantised[0]}")
            continue
        result = _scores_of(run)
        if not result.scores:
            found.reject(file.name, model, "no score")
            continue
        kept = models.setdefault(model, _Scores())
        again = ", ".join(sorted(result.scores.keys() & kept.scores.keys()))
        if again:
            result.notes.append(f"{model} was run before on {again}: the later file counts")
        found.notes += [f"{file.name}: {note}" for note in result.notes]
        kept.scores |= result.scores
        kept.errors |= result.errors
        kept.files.append(file.name)
        count = number(config.get("model_num_parameters"))
        kept.params_b = count / 1e9 if count else kept.params_b
    names = short_names(list(models))
    for model, kept in models.items():
        about = {f"{name} se": error for name, error in kept.errors.items()}
        place = ", ".join(kept.files)
        given = {"params_b": kept.params_b}
        add_row(found, place, names[model], model, kept.scores, given=given, about=about)
        # several files make one row
        found.rows_in -= len(kept.files) - 1
    return found


def _scores_of(run: dict[str, Any]) -> _Scores:
    """Scores of one file, and notes of what does not match the leaderboards."""
    found = _Scores()
    parts = _parts(run)
    subjects: dict[str, float] = {}
    for task, metrics in run["results"].items():
        if not isinstance(metrics, dict):
            continue
        short = task.split("|")[1] if task.count("|") >= 2 else task
        short = short.removeprefix("harness:")
        if short.startswith(_OLD_MMLU):
            if (subject := score_of(metrics, ("acc",))) is not None:
                subjects[task] = subject[0]
        elif short not in parts:
            _add_task(found, task, short, metrics, shots_of(run, task))
    if subjects:
        shots = shots_of(run, next(iter(subjects)))
        name = "MMLU"
        if len(subjects) != _SUBJECTS or shots not in (None, _SETTINGS[name].shots):
            name = f"{_OLD_MMLU}, {len(subjects)} subjects, {shots} examples"
            found.notes.append(f"MMLU has 57 subjects and 5 examples: kept as {name}")
        found.scores[name] = sum(subjects.values()) / len(subjects)
    return found


def _add_task(
    found: _Scores, task: str, short: str, metrics: dict[str, Any], shots: int | None
) -> None:
    benchmark = _OF_TASK.get(short)
    setting = _SETTINGS[benchmark] if benchmark else None
    wanted = setting.metrics if setting else _USUAL_METRICS
    measured = score_of(metrics, wanted, mean=benchmark == "IFEval")
    if measured is None:
        return
    value, error = measured
    if not 0.0 <= value <= 1.0:
        found.notes.append(f"task {task}: {value:g} is no fraction, left out")
        return
    name = benchmark or short
    if setting and shots not in (None, setting.shots):
        name = f"{short}, {shots} examples"
        found.notes.append(
            f"task {task} was run with {shots} examples, {benchmark} has {setting.shots}: kept as"
            f" {name}"
        )
    found.scores[name] = value
    if error is not None and math.isfinite(error):
        found.errors[name] = error


def _parts(run: dict[str, Any]) -> set[str]:
    """Tasks that stand beside the group that they are parts of."""
    results, groups = run["results"], run.get("group_subtasks")
    lists = groups.items() if isinstance(groups, dict) else ()
    named = {part for group, parts in lists if group in results for part in parts or ()}
    prefixes = tuple(f"{group}_" for group in _GROUPS if group in results)
    return (named | {task for task in results if task.startswith(prefixes)}) - _OF_TASK.keys()
