"""Result files of lm-evaluation-harness: where its versions write names, arguments and scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sloth_jax.files import read_whole


def read_result(file: Path) -> dict[str, Any] | None:
    """The contents of a file; None where it is no result file."""
    try:
        run = json.loads(read_whole(file))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    is_result = isinstance(run, dict) and isinstance(run.get("results"), dict)
    return run if is_result else None


def model_arguments(run: dict[str, Any]) -> dict[str, str]:
    """Arguments of a run's model: newer versions write an object, older ones ``key=value,...``."""
    config = run.get("config")
    given = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(given, dict):
        return {key: str(value) for key, value in given.items()}
    pairs = [part.partition("=") for part in str(given or "").split(",")]
    return {key if equals else "model": value if equals else key for key, equals, value in pairs}


def model_of(run: dict[str, Any], arguments: dict[str, str]) -> str:
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


def score_of(
    metrics: dict[str, Any], wanted: Sequence[str], *, mean: bool = False
) -> tuple[float, float | None] | None:
    """The first metric that is there, with its standard error; or the mean of all of them."""
    values = []
    for metric in wanted:
        # a filter's name follows a comma; one that is wanted by name stands in the metric itself
        filtered = sorted(key for key in metrics if key.startswith(f"{metric},"))
        for key in (metric, f"{metric},none", *filtered):
            value = number(metrics.get(key))
            if value is not None:
                name, comma, filter_name = key.partition(",")
                error = number(metrics.get(f"{name}_stderr{comma}{filter_name}"))
                values.append((value, error))
                break
    if not values:
        return None
    return (sum(value for value, _ in values) / len(values), None) if mean else values[0]


def number(value: Any) -> float | None:
    """A value as a number; None where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def shots_of(run: dict[str, Any], task: str) -> int | None:
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
