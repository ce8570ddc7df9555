"""Answers of ``items cells``, ``prompts`` and ``parts``: from files to tables and words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from sloth_jax.data.tables import read_table
from sloth_jax.errors import InputError
from sloth_jax.repeats.prompt_answers import balanced_cells, read_prompt_answers
from sloth_jax.repeats.prompt_parts import prompt_parts
from sloth_jax.repeats.prompts import prompt_performance
from sloth_jax.wording import counted

_QUANTILES: Mapping[float, str] = {
    0.0: "worst template", 0.05: "5 % are worse", 0.5: "median template",
    0.95: "5 % are better", 1.0: "best template",
}  # fmt: skip
_NAMES = {"lower": "lower_90", "upper": "upper_90"}
_SHOWN = 10  # rows of templates and subsets on a terminal
_UNSETTLED = "\nwarning: the search for the posterior's mode had not settled: doubt the intervals"


def cells_to_evaluate(templates: str, items: str, budget: int | None, seed: int) -> pd.DataFrame:
    """Cells to evaluate, balanced over templates and items, with an empty column to fill in.

    Args:
        templates: how many, or a table with their column ``template``.
        items: how many, or a table with their column ``item``.
        budget: number of cells; None for twice as many as there are items.
        seed: of the random key.

    Returns:
        ``template``, ``item``, ``correct``.
    """
    named, asked = _names(templates, "template"), _names(items, "item")
    most = 2 * (asked if isinstance(asked, int) else len(asked))
    cells = balanced_cells(named, asked, most if budget is None else budget, jax.random.key(seed))
    return cells.assign(correct="")


def performance_report(
    responses: str, templates: str | None, items: str | None, seed: int
) -> tuple[pd.DataFrame, str]:
    """The distribution of performance over templates.

    Args:
        responses: table of answers: ``template``, ``item``, ``correct``.
        templates: table with a column ``template`` that names all of them; its other columns are
            covariates. None for those of the answers.
        items: table with the column ``item`` that names all of them; None likewise.
        seed: of the random key.

    Returns:
        Rows ``quantile`` over templates and rows ``template``: ``kind``, ``name``, ``answers``,
        ``median``, ``lower_90``, ``upper_90``, fractions; and the same in words.
    """
    given = None if templates is None else _csv(templates, "template")
    found = prompt_performance(
        responses,
        key=jax.random.key(seed),
        templates=None if given is None else list(given["template"]),
        items=None if items is None else list(_csv(items, "item")["item"]),
        covariates=None if given is None or given.shape[1] == 1 else given,
    )
    quantiles = found.quantiles(tuple(_QUANTILES), level=0.9).drop(columns="quantile")
    rows = found.summary(level=0.9).rename(columns={"template": "name"})
    parts = [
        quantiles.assign(
            kind="quantile", name=list(_QUANTILES.values()), answers=rows.answers.sum()
        ),
        rows.assign(kind="template").sort_values("median", ascending=False, kind="stable"),
    ]
    columns = ["kind", "name", "answers", "median", "lower", "upper"]
    frame = pd.concat(parts, ignore_index=True)[columns].rename(columns=_NAMES)
    spread = np.quantile(found.draws.std(axis=1), [0.5, 0.05, 0.95])
    shape = found.answers
    head = (
        f"{counted(len(shape.templates), 'template')}, {counted(len(shape.items), 'item')}, "
        f"{counted(len(shape.template), 'answer')}; scores as fractions, 90 % intervals\n"
        "standard deviation of performance over templates: {:.3f} ({:.3f} to {:.3f})"
    ).format(*spread)
    return frame, head + _shown(frame, len(_QUANTILES)) + _UNSETTLED * (not found.converged)


def parts_report(responses: str, templates: str, seed: int) -> tuple[pd.DataFrame, str]:
    """Effects of a prompt's parts and pairs of them, and all subsets by how good they are.

    Args:
        responses: table of answers: ``template``, ``item``, ``correct``.
        templates: table with the column ``template``, and one for each part: 1 where the template
            holds it, 0 where not.
        seed: of the random key.

    Returns:
        Rows ``effect`` on the score and rows ``subset``: ``kind``, ``name``, ``probability`` (that
        the effect is positive, that the subset is the best), ``evaluated`` (whether the subset
        was), ``median``, ``lower_90``, ``upper_90``, fractions; and the same in words.
    """
    given = _csv(templates, "template")
    answers = read_prompt_answers(responses)
    if strange := [name for name in answers.templates if name not in set(given["template"])]:
        raise InputError(f"{templates}: no row for template {strange[0]!r} of {responses}: add it")
    found = prompt_parts(answers, given, key=jax.random.key(seed))
    effects = found.effects(level=0.9).rename(columns={"probability_positive": "probability"})
    pair = effects["with"].ne("")
    effects["name"] = effects["part"].where(~pair, effects["part"] + " x " + effects["with"])
    subsets = found.best(level=0.9).rename(columns={"parts": "name"})
    columns = ["kind", "name", "probability", "evaluated", "median", "lower", "upper"]
    parts = [effects.assign(kind="effect", evaluated=True), subsets.assign(kind="subset")]
    frame = pd.concat(parts, ignore_index=True)[columns].rename(columns=_NAMES)
    head = (
        f"{counted(len(found.parts), 'part')}, {int(found.evaluated.sum())} of "
        f"{len(found.subsets)} subsets evaluated, {counted(len(answers.template), 'answer')}\n"
        "effects on the score, then scores of subsets, as fractions, 90 % intervals; probability: "
        "that an effect is positive, that a subset is the best"
    )
    return frame, head + _shown(frame, len(effects)) + _UNSETTLED * (not found.converged)


def _shown(frame: pd.DataFrame, first: int) -> str:
    """The first part of a table whole, and some rows of the second."""
    rows = frame.head(first + _SHOWN).to_string(index=False, float_format="%.3f")
    more = len(frame) - first - _SHOWN
    return f"\n{rows}" + (f"\n... and {more} more; --out FILE.csv writes all" if more > 0 else "")


def _names(given: str, column: str) -> int | list[str]:
    if given.isdecimal():
        return int(given)
    return list(_csv(given, column)[column])


def _csv(path: str, column: str) -> pd.DataFrame:
    """A table with a column of names, each once; all other columns as they are."""
    table = read_table(Path(path))
    if column not in table.header:
        raise table.error(f"no column {column!r}: it names each {column}")
    frame = pd.DataFrame(table.rows, columns=list(table.header))
    twice = frame[column].duplicated() | frame[column].eq("")
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise table.error(f"name each {column} once", row, table.header.index(column))
    return frame
