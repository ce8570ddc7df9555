"""Result files of lm-evaluation-harness, of several versions; the runs of a model become one row.

A task that is run as on the Open LLM Leaderboards is the benchmark of that name. With another
number of examples in the prompt it is a benchmark of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sloth_jax.data.importing.names import add_row, short_names
from sloth_jax.data.importing.result import LM_EVAL, Facts, Imported
from sloth_jax.data.tables import read_bundled
from sloth_jax.files import read_whole


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
        run = _read_json(file)
        if run is None:
            found.reject(file.name, "", "no result file: JSON with an object 'results'")
            continue
        arguments = _arguments(run)
        model = _model_of(run, arguments)
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
        count = _number(config.get("model_num_parameters"))
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


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        run = json.loads(read_whole(file))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    is_result = isinstance(run, dict) and isinstance(run.get("results"), dict)
    return run if is_result else None


def _arguments(run: dict[str, Any]) -> dict[str, str]:
    """Arguments of a run's model: newer versions write an object, older ones ``key=value,...``."""
    config = run.get("config")
    given = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(given, dict):
        return {key: str(value) for key, value in given.items()}
    pairs = [part.partition("=") for part in str(given or "").split(",")]
    return {key if equals else "model": value if equals else key for key, equals, value in pairs}


def _model_of(run: dict[str, Any], arguments: dict[str, str]) -> str:
    """Name of a run's model, with its revision if not the main one; empty where none is there."""
    configs = [run[key] for key in ("config", "config_general") if isinstance(run.get(key), dict)]
    named = (
        run.get("model_name"),
        run.get("model_id"),
        *(arguments.get(key) for key in ("peft", "delta", "pretrained", "model", "path")),
        *(config.get("model_name") for config in configs),
    )
    name = next((name for name in named if name and isinstance(name, str)), "")
    revision = arguments.get("revision", "main")
    return name if not name or revision in ("", "main", "None") else f"{name}@{revision}"


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
            if (subject := _measured(metrics, ("acc",))) is not None:
                subjects[task] = subject[0]
        elif short not in parts:
            _add_task(found, task, short, metrics, _shots(run, task))
    if subjects:
        shots = _shots(run, next(iter(subjects)))
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
    measured = _measured(metrics, wanted, mean=benchmark == "IFEval")
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


def _measured(
    metrics: dict[str, Any], wanted: Sequence[str], *, mean: bool = False
) -> tuple[float, float | None] | None:
    """The first metric that is there, with its standard error; or the mean of all of them."""
    values = []
    for metric in wanted:
        # a filter's name follows a comma; one that is wanted by name stands in the metric itself
        filtered = sorted(key for key in metrics if key.startswith(f"{metric},"))
        for key in (metric, f"{metric},none", *filtered):
            value = _number(metrics.get(key))
            if value is not None:
                name, comma, filter_name = key.partition(",")
                error = _number(metrics.get(f"{name}_stderr{comma}{filter_name}"))
                values.append((value, error))
                break
    if not values:
        return None
    return (sum(value for value, _ in values) / len(values), None) if mean else values[0]


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _shots(run: dict[str, Any], task: str) -> int | None:
    """Examples in the prompt, where a file says: its places by version, the first that does."""

    def at(*keys: str) -> Any:
        found: Any = run
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    last = task.rsplit("|", 1)[-1] if task.count("|") >= 2 else ""
    stated = (
        at("n-shot", task),
        at("n_shot", task),
        at("configs", task, "num_fewshot"),
        int(last) if last.isdigit() else None,
        at("config", "num_fewshot"),
    )
    return next((shots for shots in stated if isinstance(shots, int)), None)
