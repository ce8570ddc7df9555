"""Rows as their sources name them, completed by what the name of a model says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sloth_jax.data.importing.result import Imported
from sloth_jax.data.pretraining_runs import Pretraining, pretraining_of
from sloth_jax.data.schema import COLUMNS
from sloth_jax.model_names import (
    family_in_name,
    plain_name,
    post_training_in_name,
    size_in_name,
)

# A size column holds whole billions, rounded down. A name that agrees with it is more precise.
_SIZE_SLACK = 0.15
_UNKNOWN = " of unknown lineage"
_NOMINAL = 0.1  # so far exact counts may be from names, relative: opt-350m has 331 million


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without their owners, where that leaves no two alike."""
    plain = pd.Series([plain_name(name) for name in names], index=list(names))
    alike = plain.duplicated(keep=False)
    return {name: name.lower() if alike[name] else plain[name] for name in names}


def add_row(
    found: Imported,
    row: int | str,
    model: str,
    published: str,
    scores: Mapping[str, float],
    *,
    given: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
    rounded_down: bool = False,
) -> None:
    """Keeps a row, with what it lacks read off its published name, or rejects it without a score.

    ``given`` has facts by column, ``about`` cells about scores; ``rounded_down`` says that sizes
    are whole billions, rounded down.
    """
    scores = {name: score for name, score in scores.items() if not math.isnan(score)}
    facts = _given_facts(found, published, given, rounded_down)
    if not scores:
        found.reject(row, published, "no score")
        return
    rounded_down &= "params_b" not in found.facts_of(published)
    size, whole = _size(found, model, published, facts["params_b"], rounded_down)
    run, why = _run(published, facts, size, whole)
    family = family_in_name(published)
    placed = run is None or run.lineage or facts["lineage"]
    tokens = facts["tokens_t"] or (run and run.tokens_t)
    if size is None or tokens is None:
        lacks = "size not known: neither given nor in the name; tokens are found by name and size"
        lacks = lacks if size is None else f"training tokens not known: {why}"
        of_run = {"params_b": size, "lineage": facts["lineage"] or (run and run.lineage)}
        of_run["family"] = facts["family"] or (family if placed else None)
        place = {"model": published, "source": found.source, "row": row, "reason": lacks}
        found.unknown.append(facts | of_run | place)
    elif not facts["tokens_t"]:
        facts["tokens_t"] = found.guess(model, "tokens_t", tokens, why)
    facts["params_b"] = size
    if whole and run and run.params_b:
        because = f"given as {size:g}, rounded down; registered size of {run.lineage}"
        facts["params_b"] = found.guess(model, "params_b", run.params_b, because)
    if facts["family"] in (None, ""):
        because = "the name without its size"
        if not placed:
            # Else it could bear the name of a lineage, or of a family, that it is not of.
            family, because = family + _UNKNOWN, f"{because}; {why}"
        facts["family"] = found.guess(model, "family", family, because)
    if not facts["lineage"]:
        lineage = (run and run.lineage) or facts["family"]
        facts["lineage"] = found.guess(model, "lineage", lineage, "the name")
    if facts["post_trained"] is None:
        says = bool(post_training_in_name(published))
        because = "a word in the name" if says else "nothing in the name says otherwise"
        facts["post_trained"] = found.guess(model, "post_trained", says, because)
    about = {name: value for name, value in (about or {}).items() if value not in (None, "")}
    found.rows.append({**facts, "model": model, **scores, **about})


def _given_facts(
    found: Imported, model: str, given: Mapping[str, Any], rounded_down: bool
) -> dict[str, Any]:
    """Facts by column: those of the facts file, then those of the source."""
    facts: dict[str, Any] = {column: given.get(column) for column in COLUMNS}
    for column in ("params_b", "active_params_b", "tokens_t"):
        facts[column] = _positive(facts[column])
    for column, (value, place) in found.facts_of(model).items():
        old = facts[column]
        if old not in (None, "", value) and not (rounded_down and column == "params_b"):
            what = f"{column} is {old} in {found.source} and {value} in {place}: facts count"
            found.notes.append(f"{model}: {what}")
        facts[column] = value
    return facts


def _run(
    name: str, facts: Mapping[str, Any], size: float | None, whole: bool
) -> tuple[Pretraining | None, str]:
    """The pretraining run, and its source or why it is not known."""
    if size is None:
        return None, ""
    known = (facts["released"] or "", facts["lineage"] or "")
    run = pretraining_of(name, size, *known, rounded_down=whole)
    stated = size_in_name(name)
    if stated and stated.experts:
        other = pretraining_of(name, stated.params_b, *known)
        if abs(stated.params_b / size - 1.0) <= _NOMINAL:
            run = other
        elif run and other and run.tokens_t != other.tokens_t:
            # One of the two is of another model, and nothing says which.
            why = f"the name says {stated.params_b:.3g} billion parameters, not {size:.3g}"
            run = Pretraining(None, None, None, why)
    if run is None:
        return None, "no registered lineage in the name"
    return run, f"{run.lineage}: {run.source}" if run.lineage else run.source


def _positive(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) or value <= 0.0 else float(value)


def _size(
    found: Imported, model: str, published: str, given: float | None, rounded_down: bool
) -> tuple[float | None, bool]:
    """Billions of parameters: as given, made more precise by a name that agrees with it.

    And whether they are still whole billions, rounded down.
    """
    stated = size_in_name(published)
    if given is None:
        if stated is None or not stated.experts:
            return None, False
        return found.guess(model, "params_b", round(stated.params_b, 3), "the name"), False
    if stated is None or not rounded_down:
        return given, rounded_down
    low, high = (1.0 - _SIZE_SLACK) * given, (1.0 + _SIZE_SLACK) * (given + 1.0)
    if low <= stated.params_b <= high:
        return stated.params_b, False
    because = f"given, rounded down; the name says {stated.params_b:.3g}, which does not agree"
    return found.guess(model, "params_b", given, because), True


def tell_families_apart(found: Imported) -> None:
    """Gives families named like models that differ in lineage or post-training names of their own.

    ``dolphin-2.9`` of Llama 3 and of Qwen 2 are two families, also where facts repeat the name.
    """
    kinds: dict[str, set[tuple[str, bool]]] = {}
    for row in found.rows:
        kinds.setdefault(row["family"], set()).add((row["lineage"], row["post_trained"]))
    for row in found.rows:
        family, model = row["family"], row["model"]
        if len(kinds[family]) == 1 or family.removesuffix(_UNKNOWN) != family_in_name(model):
            continue
        words = ["chat" if row["post_trained"] else "base"]
        if len({lineage for lineage, _ in kinds[family]}) > 1:
            words.insert(0, row["lineage"])
        name = f"{family} ({', '.join(words)})"
        because = f"models named {family} differ in what they come from"
        row["family"] = found.guess(model, "family", name, because)
