"""Downstream tasks: scores of some models on something that is no benchmark of a table.

A task is coding, emotional intelligence, an agent's errand: whatever few models were measured on.
Bundled ones were built by ``scripts/bundled_tables/tasks.py``; your own are a table with the
columns ``model`` and ``score``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.rows import number_of
from sloth_jax.data.tables import read_bundled, read_table
from sloth_jax.errors import InputError
from sloth_jax.identifiability.enough_scores import FEW_SCORES
from sloth_jax.showing import Shown
from sloth_jax.wording import did_you_mean, quoted

SCALES: dict[str, tuple[float, float]] = {"fraction": (0.0, 1.0), "percent": (0.0, 100.0)}
"""Name of a scale -> what is 0 and what is 1 on it."""

LEAST = FEW_SCORES
"""A task needs so many scores of models that a table knows: fewer do not tell a loading."""


@dataclass(frozen=True, eq=False, repr=False)
class Task(Shown):
    """Scores of models on one task.

    Attributes:
        name: how it is called in tables.
        models: names, in the order of the scores.
        scores: fractions, ``(model,)``.
        floor: score by chance, a fraction in [0, 1).
        title: what it is, in words.
        kind: code, emergent, agents...
        table: bundled table whose models these are, ``"leaderboard"`` or ``"observational"``;
            empty for a task of your own.
        source: where the scores are from.
    """

    name: str
    models: tuple[str, ...]
    scores: np.ndarray
    floor: float = 0.0
    title: str = ""
    kind: str = ""
    table: str = ""
    source: str = ""

    def on(self, table: Leaderboard) -> np.ndarray:
        """Scores of a table's models, ``(model,)``; NaN where the task has none."""
        known = dict(zip(self.models, self.scores, strict=True))
        return np.array([known.get(model, np.nan) for model in table.models])

    def without(self, models: Sequence[str], hidden: np.ndarray) -> Task:
        """The same without the scores of those models that are hidden, ``(model,)`` bool."""
        gone = {model for model, away in zip(models, hidden, strict=True) if away}
        kept = np.array([model not in gone for model in self.models])
        left = tuple(model for model in self.models if model not in gone)
        return replace(self, models=left, scores=self.scores[kept])


@lru_cache(maxsize=1)
def bundled_tasks() -> dict[str, Task]:
    """All bundled tasks by name, in the order of their kinds."""
    scores: dict[str, list[tuple[str, float]]] = {}
    for task, model, score in read_bundled("task_scores.csv").rows:
        scores.setdefault(task, []).append((model, float(score)))
    found = {}
    for cell in read_bundled("tasks.csv").records():
        models, values = zip(*scores[cell["task"]], strict=True)
        found[cell["task"]] = Task(
            name=cell["task"],
            models=models,
            scores=np.array(values),
            floor=float(cell["floor"]),
            title=cell["title"],
            kind=cell["kind"],
            table=cell["table"],
            source=cell["source"],
        )
    return found


def load_task(name: str) -> Task:
    """One bundled task.

    Raises:
        InputError: if there is none of this name.
    """
    tasks = bundled_tasks()
    if name not in tasks:
        raise InputError(
            f"no bundled task {quoted(name)}{did_you_mean(name, tasks)} (there are "
            f"{', '.join(tasks)}); read_task reads a file of your own"
        )
    return tasks[name]


def read_task(
    path: str | Path | pd.DataFrame,
    *,
    name: str | None = None,
    floor: float = 0.0,
    scale: str | tuple[float, float] = "fraction",
) -> Task:
    """A task of your own.

    Args:
        path: CSV or parquet file, or data frame, with the columns ``model`` and ``score``; models
            spelt as in the table that the task will join. Rows without a score are left out.
        name: of the task; the file's name without its ending where None. A frame needs one.
        floor: score by chance, on the file's scale.
        scale: ``"fraction"``, ``"percent"``, or what is worst and best on another scale: an Elo
            between 800 and 1400, say, as ``(800, 1400)``.

    Raises:
        InputError: if the file cannot be used, or a score leaves the scale.
    """
    if name is None and isinstance(path, pd.DataFrame):
        raise InputError("a task from a data frame has no name: give name=...")
    table = read_table(path)
    low, high = _ends(scale)
    for column in ("model", "score"):
        if column not in table.header:
            raise table.error(f"no column {column!r}: a task has the columns model and score")
    at = [table.header.index(column) for column in ("model", "score")]
    found: dict[str, float] = {}
    for row in range(len(table.rows)):
        model, text = (table.rows[row][position] for position in at)
        if not text:
            continue
        if model in found:
            raise table.error("stands there twice: keep one of them", row=row)
        found[model] = (number_of(table, row, at[1]) - low) / (high - low)
    outside = [model for model, score in found.items() if not 0.0 <= score <= 1.0]
    if outside:
        score = low + found[outside[0]] * (high - low)
        raise InputError(
            f"{table.source}: model {quoted(outside[0])} has a score of {score:g}, outside "
            f"[{low:g}, {high:g}]: say the scale, 'percent' or its worst and best value, as 800 "
            "and 1400 for an Elo"
        )
    if not low <= floor < high:
        raise InputError(
            f"floor {floor:g} is not in [{low:g}, {high:g}): give it on the scale of the scores"
        )
    return Task(
        name=name or Path(table.source).stem,
        models=tuple(found),
        scores=np.array(list(found.values())),
        floor=(floor - low) / (high - low),
        source=table.source,
    )


def _ends(scale: str | tuple[float, float]) -> tuple[float, float]:
    if isinstance(scale, str):
        if scale not in SCALES:
            raise InputError(
                f"no scale {quoted(scale)}{did_you_mean(scale, SCALES)}: give fraction, percent, "
                "or the worst and the best value"
            )
        return SCALES[scale]
    low, high = scale
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"a scale from {low:g} to {high:g}: the worst value comes first")
    return low, high


def with_tasks(table: Leaderboard, *tasks: Task) -> Leaderboard:
    """The table with tasks as further benchmarks, scored for the models that have a score.

    So the law learns skills and the tasks' loadings on them together: a fit of this table
    predicts the tasks like any benchmark, with intervals.

    Args:
        table: models and benchmarks.
        tasks: what to add. Models that the table does not have are left out, with a warning.

    Raises:
        InputError: if a task has fewer than four scores of the table's models, its name is that of
            a benchmark, or its scores are all the same.
    """
    columns, warnings = [], list(table.warnings)
    names = list(table.benchmarks)
    for task in tasks:
        if task.name in names:
            raise InputError(f"task {quoted(task.name)} is a benchmark of the table: rename it")
        names.append(task.name)
        column = task.on(table)
        check_task(column, task.name)
        absent = sorted(set(task.models) - set(table.models))
        if absent:
            shown = ", ".join(quoted(model) for model in absent[:5])
            more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            warnings.append(f"task {task.name}: not in the table, left out: {shown}{more}")
        columns.append(column)
    wide = ((0, 0), (0, len(tasks)))
    return replace(
        table,
        benchmarks=tuple(names),
        scores=np.column_stack([table.scores, *columns]),
        floors=np.append(table.floors, [task.floor for task in tasks]),
        standard_errors=np.pad(table.standard_errors, wide, constant_values=np.nan),
        items=np.pad(table.items, wide[1], constant_values=np.nan),
        source=np.pad(table.source, wide),
        group_of_benchmark=table.group_of_benchmark
        and (*table.group_of_benchmark, *[""] * len(tasks)),
        warnings=tuple(warnings),
    )


def check_task(scores: np.ndarray, name: str) -> None:
    """Refuse a task that too few models of a table were measured on.

    Args:
        scores: of the table's models, ``(model,)``, NaN where not measured.
        name: of the task.

    Raises:
        InputError: if there are fewer than :data:`LEAST` scores, or all are the same.
    """
    seen = scores[np.isfinite(scores)]
    if seen.size < LEAST:
        raise InputError(
            f"task {quoted(name)}: {seen.size} scores of models of the table, at least {LEAST} "
            "are needed: measure more models, or spell their names as in the table"
        )
    if np.ptp(seen) == 0.0:
        raise InputError(
            f"task {quoted(name)}: all {seen.size} scores are {seen[0]:g}: nothing to learn from"
        )
