"""Answers to the items of one benchmark under several prompt templates, and which to ask for.

Most cells (template, item) are never evaluated; which are is chosen before: balanced, so that every
template and every item gets equally many answers, or at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from sloth_jax.data.tables import RawTable, read_table
from sloth_jax.errors import InputError
from sloth_jax.showing import Shown
from sloth_jax.wording import counted, did_you_mean, quoted

COLUMNS = ("template", "item", "correct")


@dataclass(frozen=True, eq=False, repr=False)
class PromptAnswers(Shown):
    """Answers of one model, right or wrong.

    Attributes:
        templates: names; dimension ``template``.
        items: names; dimension ``item``.
        template: position of each answer's template, ``(cell,)``.
        item: position of its item, ``(cell,)``.
        correct: whether it was right, ``(cell,)`` bool.
    """

    templates: tuple[str, ...]
    items: tuple[str, ...]
    template: np.ndarray
    item: np.ndarray
    correct: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Answers of each template, ``(template,)``."""
        return np.bincount(self.template, minlength=len(self.templates))

    def naive(self) -> np.ndarray:
        """Share of right answers among those seen, ``(template,)``; NaN where there is none."""
        right = np.bincount(self.template, self.correct, minlength=len(self.templates))
        with np.errstate(invalid="ignore"):
            return right / self.counts


def read_prompt_answers(
    answers: str | Path | pd.DataFrame,
    *,
    templates: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
) -> PromptAnswers:
    """Read a table with the columns ``template``, ``item``, ``correct``, a row per answer.

    Args:
        answers: file or data frame; ``correct`` is 1 or 0, or empty where it was not evaluated.
        templates: all of them, with those without an answer; None for those of the table.
        items: all items of the benchmark, likewise.

    Raises:
        InputError: if a column is missing, a value is not 0 or 1, a template and an item occur
            twice, a name is unknown, or there is no answer at all; the row is named.
    """
    table = read_table(answers, "answers")
    for name in COLUMNS:
        if name not in table.header:
            raise table.error(f"no column {quoted(name)}: a table of answers has {_columns()}")
    of_template, of_item, of_correct = (table.header.index(name) for name in COLUMNS)
    named = [
        _places(table, at, given) for at, given in ((of_template, templates), (of_item, items))
    ]
    cells: dict[tuple[int, int], int] = {}
    correct = []
    for row, found in enumerate(table.rows):
        value = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}.get(
            found[of_correct].lower()
        )
        if value is None and found[of_correct]:
            raise table.error("not 0 or 1: write 1 if right, 0 if wrong", row, of_correct)
        cell = (named[0][found[of_template]], named[1][found[of_item]])
        if cell in cells:
            raise table.error(
                f"template {quoted(found[of_template])} and item {quoted(found[of_item])} stand in "
                f"row {table.numbers[cells[cell]]} too: keep one answer of each pair",
                row,
            )
        cells[cell] = row
        correct.append(-1 if value is None else value)
    seen = np.array(correct) >= 0
    if not seen.any():
        raise table.error(f"no answer in column {quoted('correct')}: evaluate some cells first")
    template, item = (np.array(list(cells), int)[seen]).T
    templates, items = (tuple(names) for names in named)
    return PromptAnswers(templates, items, template, item, np.array(correct)[seen] == 1)


def _columns() -> str:
    return ", ".join(COLUMNS)


def _places(table: RawTable, column: int, names: Sequence[str] | None) -> dict[str, int]:
    """Position of every name in a column; those given, or those that occur in their order."""
    what = table.header[column]
    known = [str(name) for name in names or ()]
    places = {name: at for at, name in enumerate(known)}
    if len(places) < len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise InputError(f"{what} {quoted(twice)} is given twice: name each once")
    for row, cells in enumerate(table.rows):
        if not cells[column]:
            raise table.error(f"no {what}: name it", row, column)
        if cells[column] not in places:
            if names is not None:
                hint = did_you_mean(cells[column], known)
                raise table.error(f"not one of the {len(known)} {what}s given{hint}", row, column)
            places[cells[column]] = len(places)
    return places


def balanced_cells(
    templates: int | Sequence[str],
    items: int | Sequence[str],
    budget: int,
    key: jax.Array,
) -> pd.DataFrame:
    """Cells to evaluate: templates get equally many, and items do, give or take one.

    Args:
        templates: names, or how many.
        items: names, or how many.
        budget: of cells in all; one evaluation of a single template takes as many as there are
            items.
        key: random key.

    Returns:
        Columns ``template`` and ``item``, a row per cell, no cell twice, in random order.

    Raises:
        InputError: if the budget is below 1 or above the number of cells, or a name is there twice.

    Examples:
        >>> cells = balanced_cells(["a", "b", "c"], 4, 6, jax.random.key(0))
        >>> cells["template"].value_counts().sort_index().tolist()
        [2, 2, 2]
    """
    names, rng = _checked(templates, items, budget, key)
    shape = len(names[0]), len(names[1])
    # What is left of a grid by a balanced choice is balanced, and the smaller half is easy to fill.
    left = shape[0] * shape[1] - budget
    taken = _balanced(shape, min(budget, left), rng)
    return _frame(names, taken if budget <= left else ~taken, rng)


def _balanced(shape: tuple[int, int], budget: int, rng: np.random.Generator) -> np.ndarray:
    """Balanced cells, ``(template, item)`` bool, at most half of them."""
    templates, items = shape
    taken = np.zeros(shape, bool)
    order = rng.permutation(templates)
    for first in range(0, budget, items):
        count = min(items, budget - first)
        row = order[np.arange(first, first + count) % templates]
        column = rng.permutation(items)[:count]
        for _ in range(200):  # swap the columns of repeated cells with others, until none is left
            again = np.flatnonzero(taken[row, column])
            if not again.size:
                break
            for at in again:
                other = rng.integers(count)
                column[[at, other]] = column[[other, at]]
        else:
            return _shifted(shape, budget, rng)
        taken[row, column] = True
    return taken


def _shifted(shape: tuple[int, int], budget: int, rng: np.random.Generator) -> np.ndarray:
    """Balanced cells along diagonals, rows and columns in random order; they never meet."""
    templates, items = shape
    at = np.arange(budget)
    shift = at // np.lcm(templates, items)
    taken = np.zeros(shape, bool)
    row, column = rng.permutation(templates), rng.permutation(items)
    taken[row[(at + shift) % templates], column[at % items]] = True
    return taken


def random_cells(
    templates: int | Sequence[str],
    items: int | Sequence[str],
    budget: int,
    key: jax.Array,
) -> pd.DataFrame:
    """Cells to evaluate, each as probable as any other; arguments as :func:`balanced_cells`."""
    names, rng = _checked(templates, items, budget, key)
    taken = np.zeros(len(names[0]) * len(names[1]), bool)
    taken[rng.choice(taken.size, budget, replace=False)] = True
    return _frame(names, taken.reshape(len(names[0]), len(names[1])), rng)


def _checked(
    templates: int | Sequence[str], items: int | Sequence[str], budget: int, key: jax.Array
) -> tuple[list[list[str]], np.random.Generator]:
    names = []
    for what, given in (("template", templates), ("item", items)):
        whole = isinstance(given, int | np.integer)
        found = [f"{what} {n + 1}" for n in range(int(given))] if whole else list(map(str, given))
        if not found or len(set(found)) < len(found):
            raise InputError(f"{what}s: give one or more, each once")
        names.append(found)
    most = len(names[0]) * len(names[1])
    if not 1 <= budget <= most:
        raise InputError(f"a budget of {budget} cells: there are {counted(most, 'cell')} to choose")
    return names, np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))


def _frame(names: list[list[str]], taken: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    row, column = np.nonzero(taken)
    order = rng.permutation(len(row))
    return pd.DataFrame(
        {
            "template": np.array(names[0], object)[row[order]],
            "item": np.array(names[1], object)[column[order]],
        }
    )
