"""Counts of right answers among tries, checked once for all rooms that hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.wording import quoted

_ROWS = 32  # models at a time, so that what is checked takes little memory
_SMALL, _LARGE = np.iinfo(np.uint8).max, np.iinfo(np.uint16).max


def checked_counts(
    models: Sequence[str],
    items: Sequence[str],
    successes: np.ndarray,
    tries: np.ndarray,
    *,
    item: str = "item",
    dtype: type[np.integer] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Counts as whole numbers; arrays that have the type already are not copied.

    Args:
        models: names; dimension ``model``.
        items: names; dimension ``item``.
        successes: right answers, ``(model, item)``.
        tries: answers, ``(model, item)``.
        item: what an item is called in errors.
        dtype: of the counts; None for a byte each where no more than 255 tries are made at an
            item, and two otherwise.

    Raises:
        InputError: an array has another shape, a count is not a whole number from 0 up, or there
            are more successes than tries; the model and the item are named.
    """
    given = {"successes": np.asarray(successes), "tries": np.asarray(tries)}
    for name, counts in given.items():
        if counts.shape != (len(models), len(items)):
            raise InputError(
                f"{name} has the shape {counts.shape}, but there are {len(models)} models and "
                f"{len(items)} {item}s"
            )
    right, made = given.values()
    if dtype is None:
        dtype = np.uint8 if made.max(initial=0) <= _SMALL else np.uint16
    most = _LARGE if dtype in (np.uint8, np.uint16) else np.iinfo(dtype).max

    def refuse(wrong: np.ndarray, counts: np.ndarray, first: int, what: str) -> None:
        if wrong.any():
            row, column = (int(at[0]) for at in np.nonzero(wrong))
            raise InputError(
                f"model {quoted(models[first + row])}, {item} {quoted(items[column])}: "
                f"{counts[row, column]:g} {what}"
            )

    for first in range(0, len(models), _ROWS):
        rows = slice(first, first + _ROWS)
        for name, counts in given.items():
            part = counts[rows]
            wrong = ~((part >= 0) & (part <= most))
            if part.dtype.kind == "f":
                wrong |= part != np.floor(part)
            refuse(wrong, part, first, f"of {name} is not a whole number from 0 up")
        part = right[rows]
        refuse(part > made[rows], part, first, "are more successes than tries")
    return right.astype(dtype, copy=False), made.astype(dtype, copy=False)


def smallest_type(successes: np.ndarray, tries: np.ndarray) -> np.dtype:
    """A type that holds counts as they are, whether or not they can be counts."""
    if any(c.dtype.kind == "f" and (c != np.floor(c)).any() for c in (successes, tries)):
        return np.dtype(float)
    ends = [int(end) for c in (successes, tries) for end in (c.min(initial=0), c.max(initial=0))]
    return np.result_type(*(np.min_scalar_type(end) for end in ends))
