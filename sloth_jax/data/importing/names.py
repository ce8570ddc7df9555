"""What a row lacks, read off its model's name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sloth_jax.data.importing.result import Imported
from sloth_jax.data.model_names import (
    family_in_name,
    plain_name,
    post_training_in_name,
    size_in_name,
)
from sloth_jax.data.pretraining_runs import pretraining_of
from sloth_jax.data.rows import number_of
from sloth_jax.data.schema import (
    COLUMNS,
)
from sloth_jax.data.tables import RawTable

# A size column holds whole billions, rounded down. A name that agrees with it is more precise.
_SIZE_SLACK = 0.15


def _tell_families_apart(found: Imported) -> None:
    """Give families whose guessed members differ in lineage or post-training names of their own.

    ``dolphin-2.9`` of Llama 3 and of Qwen 2 are two families, whatever their names say.
    """
    guessed = {(row["model"], row["column"]) for row in found.guessed}
    kinds: dict[str, set[tuple[str, bool]]] = {}
    for row in found.rows:
        kinds.setdefault(row["family"], set()).add((row["lineage"], row["post_trained"]))
    for row in found.rows:
        family, model = row["family"], row["model"]
        if len(kinds[family]) == 1 or (model, "family") not in guessed:
            continue
        chat = "chat" if row["post_trained"] else "base"
        lineages = {lineage for lineage, _ in kinds[family]}
        name = f"{family} ({row['lineage'] + ', ' if len(lineages) > 1 else ''}{chat})"
        row["family"] = name
        found.guess(model, "family", name, f"models named {family} differ in what they come from")


def _fraction(table: RawTable, row: int, position: int, unit: float) -> float:
    score = number_of(table, row, position) / unit
    if score < 0.0 or score > 1.0:
        raise table.error(f"not between 0 and {unit:g}", row=row, column=position)
    return score


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without their owners, where that leaves no two alike."""
    plain = pd.Series([plain_name(name) for name in names], index=list(names))
    alike = plain.duplicated(keep=False)
    return {name: name.lower() if alike[name] else plain[name] for name in names}


def _add(
    found: Imported,
    row: int | str,
    model: str,
    published: str,
    scores: dict[str, float],
    *,
    given: dict[str, Any],
    about: dict[str, Any] | None = None,
    rounded_down: bool = False,
    post_trained: bool | None = None,
) -> None:
    """Keep a row with what it lacks read off its name, or reject it for what is nowhere.

    ``about`` is what is said of its scores, by the names of columns.
    """
    scores = {name: score for name, score in scores.items() if not math.isnan(score)}
    if not scores:
        found.reject(row, published, "no score")
        return
    facts: dict[str, Any] = {column: given.get(column) for column in COLUMNS}
    facts["model"] = model
    size = _size(found, model, published, _known(given.get("params_b")), rounded_down)
    if size is None:
        found.reject(row, published, "size not known: neither given nor in the name")
        return
    facts["params_b"] = size
    run = pretraining_of(published, size)
    if _known(given.get("tokens_t")) is None:
        if run is None or run.tokens_t is None:
            why = (
                "no registered lineage in the name"
                if run is None
                else f"{run.lineage}: {run.source}"
            )
            found.reject(row, published, f"training tokens not known: {why}")
            return
        facts["tokens_t"] = run.tokens_t
        found.guess(model, "tokens_t", run.tokens_t, f"{run.lineage}: {run.source}")
    if not facts["family"]:
        facts["family"] = family_in_name(published)
        found.guess(model, "family", facts["family"], "the name without its size")
    if not facts["lineage"]:
        facts["lineage"] = run.lineage if run else facts["family"]
        found.guess(model, "lineage", facts["lineage"], "the name")
    if facts["post_trained"] is None:
        facts["post_trained"] = post_trained
        if post_trained is None:
            said = post_training_in_name(published)
            facts["post_trained"] = bool(said)
            because = "a word in the name" if said else "nothing in the name says otherwise"
            found.guess(model, "post_trained", bool(said), because)
    said = {name: value for name, value in (about or {}).items() if value not in (None, "")}
    found.rows.append({**facts, **scores, **said})


def _known(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) or value <= 0.0 else float(value)


def _size(
    found: Imported, model: str, published: str, column: float | None, rounded_down: bool
) -> float | None:
    """Billions of parameters: as given, made more precise by a name that agrees with it."""
    said = size_in_name(published)
    if column is None:
        if said is None or not said.experts:
            return None
        found.guess(model, "params_b", round(said.params_b, 3), "the name")
        return said.params_b
    if said is None or not rounded_down:
        return column
    low, high = (1.0 - _SIZE_SLACK) * column, (1.0 + _SIZE_SLACK) * (column + 1.0)
    if low <= said.params_b <= high:
        return said.params_b
    found.guess(
        model, "params_b", column,
        f"given, rounded down; the name says {said.params_b:.3g}, which does not agree",
    )  # fmt: skip
    return column
