"""Result files of lm-evaluation-harness."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sloth_jax.data.importing.names import _add, _short_names
from sloth_jax.data.importing.result import LM_EVAL, Imported


@dataclass(frozen=True)
class _Setting:
    """How a benchmark of the leaderboards is run: task, metric, examples in the prompt."""

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    shots: int


_SETTINGS = {
    "ARC": _Setting(("arc_challenge", "arc:challenge"), ("acc_norm",), 25),
    "HellaSwag": _Setting(("hellaswag",), ("acc_norm",), 10),
    "MMLU": _Setting(("mmlu", "hendrycksTest"), ("acc",), 5),
    "TruthfulQA": _Setting(("truthfulqa_mc2", "truthfulqa_mc"), ("acc", "mc2"), 0),
    "Winogrande": _Setting(("winogrande",), ("acc",), 5),
    "GSM8K": _Setting(("gsm8k",), ("exact_match,strict-match", "exact_match", "acc"), 5),
    "IFEval": _Setting(
        ("leaderboard_ifeval", "ifeval"), ("prompt_level_strict_acc", "inst_level_strict_acc"), 0
    ),
    "BBH": _Setting(("leaderboard_bbh",), ("acc_norm",), 3),
    "MATH Lvl 5": _Setting(("leaderboard_math_hard",), ("exact_match",), 4),
    "GPQA": _Setting(("leaderboard_gpqa",), ("acc_norm",), 0),
    "MUSR": _Setting(("leaderboard_musr",), ("acc_norm",), 0),
    "MMLU-PRO": _Setting(("leaderboard_mmlu_pro",), ("acc",), 5),
}
_OF_TASK = {task: name for name, setting in _SETTINGS.items() for task in setting.tasks}
_USUAL_METRICS = ("acc_norm", "exact_match", "acc", "f1", "bleu")


def _read_runs(path: Path) -> Imported:
    """Result files of lm-evaluation-harness; runs of one model become one row."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = Imported(str(path), LM_EVAL)
    runs: dict[str, dict[str, Any]] = {}
    for file in files:
        # samples of single items stand beside results
        if file.name.startswith("samples"):
            continue
        found.rows_in += 1
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
            results = run["results"]
            assert isinstance(results, dict)
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AssertionError):
            found.reject(file.name, "", "no result file: JSON with an object 'results'")
            continue
        model = _model_of(run)
        if not model:
            found.reject(file.name, "", "no name of a model in 'config' or 'model_name'")
            continue
        scores, errors, notes = _scores_of(run, results)
        if not scores:
            found.reject(file.name, model, "no score")
            continue
        found.notes += [f"{file.name}: {note}" for note in notes]
        if model not in runs:
            runs[model] = {"scores": {}, "errors": {}, "files": []}
        kept = runs[model]
        again = sorted(scores.keys() & kept["scores"].keys())
        if again:
            found.notes.append(
                f"{file.name}: {model} was run before on {', '.join(again)}: the later file counts"
            )
        kept["scores"] |= scores
        kept["errors"] |= errors
        kept["files"].append(file.name)
    names = _short_names(list(runs))
    for model, kept in runs.items():
        about = {f"{name} se": error for name, error in kept["errors"].items()}
        files = ", ".join(kept["files"])
        _add(found, files, names[model], model, kept["scores"], given={}, about=about)
        # several files make one row
        found.rows_in -= len(kept["files"]) - 1
    return found


def _model_of(run: dict[str, Any]) -> str:
    """Name of a run's model, in any version's place."""
    for key in ("model_name", "model_id"):
        if isinstance(run.get(key), str) and run[key]:
            return run[key]
    for key in ("config", "config_general"):
        config = run.get(key)
        if not isinstance(config, dict):
            continue
        arguments = config.get("model_args") or config.get("model_name") or ""
        if isinstance(arguments, dict):
            arguments = str(arguments.get("pretrained") or arguments.get("model") or "")
        named = re.search(r"(?:pretrained|model|path)=([^,]+)", str(arguments))
        name = named[1] if named else str(arguments)
        if name:
            return name
    return ""


def _scores_of(
    run: dict[str, Any], results: dict[str, Any]
) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Scores and standard errors by benchmark, and what does not match the leaderboards."""
    scores: dict[str, float] = {}
    errors: dict[str, float] = {}
    notes: list[str] = []
    old_mmlu = []
    parts = _parts(run, results)
    for task, measured in results.items():
        if not isinstance(measured, dict):
            continue
        short = task.split("|")[1] if task.count("|") >= 2 else task
        short = short.removeprefix("harness:")
        if short.startswith("hendrycksTest"):
            old_mmlu.append((task, measured))
            continue
        name = _OF_TASK.get(short)
        if name is None and short in parts:
            continue
        metrics = _SETTINGS[name].metrics if name else _USUAL_METRICS
        value, error = _measured(measured, metrics, both=name == "IFEval")
        if value is None:
            continue
        if not 0.0 <= value <= 1.0:
            notes.append(f"task {task}: {value:g} is no fraction, left out")
            continue
        shots = _shots(run, task)
        if name and shots is not None and shots != _SETTINGS[name].shots:
            own = f"{short}, {shots} examples"
            notes.append(
                f"task {task} was run with {shots} examples, {name} has {_SETTINGS[name].shots}: "
                f"kept as {own}"
            )
            name = own
        scores[name or short] = value
        if error is not None:
            errors[name or short] = error
    subjects = [_measured(measured, ("acc",))[0] for _, measured in old_mmlu]
    known = [subject for subject in subjects if subject is not None]
    if known:
        # The first leaderboard's MMLU: the plain mean over 57 subjects.
        shots = _shots(run, old_mmlu[0][0])
        if len(known) == 57 and shots in (None, 5):
            scores["MMLU"] = sum(known) / len(known)
        else:
            own = f"hendrycksTest, {len(known)} subjects, {shots} examples"
            scores[own] = sum(known) / len(known)
            notes.append(f"MMLU has 57 subjects and 5 examples: kept as {own}")
    return scores, errors, notes


# Groups whose parts are named after them; others are named in the file.
_GROUPS = ("mmlu", "leaderboard_bbh", "leaderboard_gpqa", "leaderboard_musr")


def _parts(run: dict[str, Any], results: dict[str, Any]) -> set[str]:
    """Tasks that stand beside the group that they are parts of."""
    groups = run.get("group_subtasks")
    lists = groups.items() if isinstance(groups, dict) else ()
    named = {
        part for group, of_group in lists if group in results for part in of_group or () if part
    }
    after = {
        task for task in results for group in _GROUPS
        if group in results and task.startswith(f"{group}_")
    }  # fmt: skip
    return (named | after) - _OF_TASK.keys()


def _measured(
    measured: dict[str, Any], metrics: Sequence[str], *, both: bool = False
) -> tuple[float | None, float | None]:
    """The first metric that is there, with its standard error; or the mean of all of them."""
    values = []
    for metric in metrics:
        # a filter's name follows a comma; one asked for by name stands in the metric itself
        filtered_too = sorted(key for key in measured if key.startswith(f"{metric},"))
        for key in (metric, f"{metric},none", *filtered_too):
            value = measured.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                name, _, filtered = key.partition(",")
                error = measured.get(f"{name}_stderr" + (f",{filtered}" if filtered else ""))
                values.append((float(value), _number(error)))
                break
    if not values:
        return None, None
    if both:
        return (sum(value for value, _ in values) / len(values), None)
    return values[0]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _shots(run: dict[str, Any], task: str) -> int | None:
    """Examples in the prompt, where a file says."""
    for key in ("n-shot", "n_shot"):
        stated = run.get(key)
        if isinstance(stated, dict) and isinstance(stated.get(task), int):
            return stated[task]
    configs = run.get("configs")
    if isinstance(configs, dict) and isinstance(configs.get(task), dict):
        shots = configs[task].get("num_fewshot")
        if isinstance(shots, int):
            return shots
    if task.count("|") >= 2 and task.rsplit("|", 1)[1].isdigit():
        return int(task.rsplit("|", 1)[1])
    config = run.get("config")
    if isinstance(config, dict) and isinstance(config.get("num_fewshot"), int):
        return config["num_fewshot"]
    return None
