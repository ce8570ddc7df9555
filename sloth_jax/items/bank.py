"""Item banks: which model got which item right, read from files and held as counts.

An item bank is wide (a row per model, a column per item, cells 1, 0 or empty) or long (a row per
answer: ``model``, ``item`` and ``correct``, or ``successes`` of ``tries``). Labels of the items, a
``category`` and a ``digest`` of the question, come from a file of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sloth_jax.answer_counts import checked_counts, smallest_type
from sloth_jax.errors import InputError
from sloth_jax.identifiability.response_check import items_that_tell_little
from sloth_jax.logged_samples import is_samples, read_samples
from sloth_jax.showing import Shown
from sloth_jax.wording import listed, one_line, quoted

if TYPE_CHECKING:
    import pandas as pd

_LONG = ("correct", "successes")
_NAMES = ("model", "item", "category", "digest")  # columns of names, which numbers may be


@dataclass(frozen=True, eq=False, repr=False)
class ItemBank(Shown):
    """Answers of models to items, as counts.

    Attributes:
        models: names of the models; dimension ``model``.
        items: names of the items; dimension ``item``.
        successes: right answers, ``(model, item)``, a byte each, or two where more than 255 tries
            are made at an item.
        tries: answers, ``(model, item)``, likewise; 0 where there is none.
        categories: names of the categories; dimension ``category``.
        category: position of each item's category, ``(item,)``.
        digests: of each item's question, empty where it is not known, ``(item,)``; None without
            any.

    Raises:
        InputError: a name stands twice, an array has another shape, or there are more successes
            than tries.
    """

    models: tuple[str, ...]
    items: tuple[str, ...]
    successes: np.ndarray
    tries: np.ndarray
    categories: tuple[str, ...] = ("all",)
    category: np.ndarray | None = None
    digests: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for what, names in (("model", self.models), ("item", self.items)):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError(f"{what} {quoted(twice)} stands twice")
        counts = checked_counts(self.models, self.items, self.successes, self.tries)
        for name, values in zip(("successes", "tries"), counts, strict=True):
            object.__setattr__(self, name, values)
        if self.category is None:
            object.__setattr__(self, "category", np.zeros(len(self.items), int))

    @cached_property
    def item_number(self) -> dict[str, int]:
        """Position of each item by its name."""
        return {name: at for at, name in enumerate(self.items)}

    @property
    def digest(self) -> str:
        """Of the items' names and questions: banks of the same items have the same."""
        named = zip(self.items, self.digests or ("",) * len(self.items), strict=True)
        text = "\n".join(f"{name}\t{digest}" for name, digest in named)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def select_models(self, kept: np.ndarray) -> ItemBank:
        """The bank of some models, ``(model,)`` bool or positions."""
        at = np.flatnonzero(kept) if np.asarray(kept).dtype == bool else np.asarray(kept)
        return replace(
            self,
            models=tuple(self.models[m] for m in at),
            successes=self.successes[at],
            tries=self.tries[at],
        )

    def scores(self) -> np.ndarray:
        """Mean share of right answers over the items that a model answered, ``(model,)``."""
        rows = zip(self.successes, self.tries, strict=True)
        total = np.array([(right / np.maximum(made, 1)).sum() for right, made in rows])
        return total / np.maximum(np.count_nonzero(self.tries, axis=1), 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the bank, a line each."""
        return items_that_tell_little(self.successes, self.tries)


def read_bank(path: str | Path, labels: str | Path | None = None) -> ItemBank:
    """Read an item bank.

    Args:
        path: ``.csv`` (also compressed), ``.parquet``, or ``.npz`` with the arrays ``models``,
            ``items``, ``successes`` and, where an answer is more than one try, ``tries``. These
            are ``(model, item)``, or ``(answer,)`` beside the arrays ``model`` and ``item``, the
            positions of each answer's names, which suits banks with few answers to many items.
            Or samples that lm-evaluation-harness logged, see
            :func:`sloth_jax.logged_samples.read_samples`.
        labels: CSV with a column ``item`` or the same first column as the items' names, and
            ``category`` or ``digest``.

    Raises:
        InputError: the file cannot be read, or is not an item bank; the row is named.
    """
    path = Path(path)
    try:
        bank = _from_npz(path) if path.suffix == ".npz" else _from_frame(read_frame(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return bank if labels is None else _labelled(bank, Path(labels))


def read_responses(path: str | Path, bank: ItemBank, read: pd.DataFrame | None = None) -> ItemBank:
    """Read answers of other models to items of a bank, as a bank with all of its items.

    A long file without the column ``model`` is of one model, named by the file.

    Args:
        path: as of :func:`read_bank`.
        bank: whose items they answer.
        read: what is in the file, where it was read before.

    Raises:
        InputError: as of :func:`read_bank`; or an item is not in the bank; or a ``digest`` is
            another than the bank has of this item.
    """
    path = Path(path)
    try:
        frame = None if path.suffix == ".npz" else read_frame(path) if read is None else read
        if frame is not None and "item" in frame.columns and "model" not in frame.columns:
            frame = frame.assign(model=path.stem)
        mine = _from_npz(path) if frame is None else _from_frame(frame)
        if strange := [name for name in mine.items if name not in bank.item_number]:
            raise InputError(
                f"{len(strange)} of {len(mine.items)} items are not in the bank: {listed(strange)}"
            )
        if frame is not None and "digest" in frame.columns and bank.digests is not None:
            _check_digests(frame, bank)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    at = [bank.item_number[name] for name in mine.items]
    shape = (len(mine.models), len(bank.items))
    successes, tries = np.zeros((2, *shape), mine.tries.dtype)
    successes[:, at], tries[:, at] = mine.successes, mine.tries
    return replace(bank, models=mine.models, successes=successes, tries=tries)


def _check_digests(frame: pd.DataFrame, bank: ItemBank) -> None:
    known = dict(zip(bank.items, bank.digests or (), strict=True))
    pairs = zip(frame["item"].astype(str), frame["digest"].astype(str), strict=True)
    other = sorted({name for name, digest in pairs if known[name] not in ("", digest)})
    if other:
        raise InputError(
            f"{len(other)} items are another question than the bank's item of this name (their "
            f"digests differ): {listed(other)}"
        )


def read_frame(path: str | Path) -> pd.DataFrame:
    """What is in a table or in logged samples; names are text, as a CSV has them.

    Raises:
        InputError: it cannot be read.
    """
    import pandas as pd

    path = Path(path)
    if is_samples(path):
        return read_samples(path)
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, low_memory=False, dtype=dict.fromkeys(_NAMES, str))
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"cannot be read: {one_line(str(error))}") from None


def _from_npz(path: Path) -> ItemBank:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {one_line(str(error))}") from None
    if missing := [name for name in ("models", "items", "successes") if name not in parts]:
        raise InputError(f"array {missing[0]} is missing: give models, items and successes")
    models, items = (tuple(str(name) for name in parts[what]) for what in ("models", "items"))
    successes = np.asarray(parts["successes"])
    made = parts["tries"] if "tries" in parts else ~np.isnan(successes)
    if successes.dtype.kind == "f":
        successes = np.nan_to_num(successes)
    if {"model", "item"} <= set(parts):
        at = (parts["model"], parts["item"])
        return _from_answers(models, items, at, (successes, np.asarray(made)), "answer", 0)
    return ItemBank(models, items, successes, np.asarray(made))


def _from_answers(
    models: tuple[str, ...],
    items: tuple[str, ...],
    at: tuple[np.ndarray, np.ndarray],
    given: tuple[np.ndarray, np.ndarray],
    where: str,
    first: int,
) -> ItemBank:
    """The bank of single answers.

    Args:
        models: names.
        items: names.
        at: positions of each answer's model and item, ``(answer,)``.
        given: its successes and tries, likewise.
        where: what an answer's place in the file is called.
        first: number of the first.
    """
    import pandas as pd

    (model, item), (successes, tries) = at, given
    for name, each, names in (("model", model, models), ("item", item, items)):
        if each.shape != successes.shape or each.dtype.kind not in "iu":
            raise InputError(f"array {name}: give the position of each answer's {name}")
        if each.size and not 0 <= each.min() <= each.max() < len(names):
            raise InputError(f"array {name}: positions go from 0 to {len(names) - 1}")
    again = pd.Series(model.astype(np.int64) * len(items) + item).duplicated().to_numpy()
    if again.any():
        twice = int(np.argmax(again))
        raise InputError(
            f"{where} {twice + first}: model {quoted(models[model[twice]])} answers item "
            f"{quoted(items[item[twice]])} again: add the answers up as successes of tries"
        )
    counts = np.zeros((2, len(models), len(items)), smallest_type(successes, tries))
    counts[0, model, item], counts[1, model, item] = successes, tries
    return ItemBank(models, items, counts[0], counts[1])


def _from_frame(frame: pd.DataFrame) -> ItemBank:
    if "model" not in frame.columns:
        raise InputError("column model is missing: give model and one column per item, or item")
    return _from_long(frame) if "item" in frame.columns else _from_wide(frame)


def _places(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Position of each row's name among the names, and these, in the order in which they come."""
    import pandas as pd

    column = column.astype("category")
    at, seen = pd.factorize(column.cat.codes.to_numpy())
    if (seen < 0).any():
        row = int(np.flatnonzero(column.isna())[0])
        raise InputError(f"row {row + 2}: no {column.name}: name it")
    return at, tuple(str(name) for name in column.cat.categories[seen])


def _from_wide(frame: pd.DataFrame) -> ItemBank:
    import pandas as pd

    given_cells = frame.drop(columns="model")
    mixed = any(kind.kind not in "iufb" for kind in given_cells.dtypes)
    cells = given_cells.apply(pd.to_numeric, errors="coerce") if mixed else given_cells
    values, given = cells.to_numpy(float), given_cells.notna().to_numpy()
    wrong = given & ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        row, column = (int(at[0]) for at in np.nonzero(wrong))
        raise InputError(
            f"row {row + 2}, item {quoted(str(cells.columns[column]))}: "
            f"{quoted(str(given_cells.iloc[row, column]))} is not 0, 1 or empty"
        )
    items = tuple(str(name) for name in cells.columns)
    models = tuple(str(name) for name in frame["model"])
    return ItemBank(models, items, np.nan_to_num(values).astype(np.uint8), given)


def _from_long(frame: pd.DataFrame) -> ItemBank:
    import pandas as pd

    name = next((name for name in _LONG if name in frame.columns), None)
    if name is None:
        raise InputError("column correct is missing (1 or 0), or successes and tries")
    right = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    made = np.ones(len(frame))
    if name == "successes" and "tries" in frame.columns:
        made = pd.to_numeric(frame["tries"], errors="coerce").to_numpy(float)
    wrong = ~np.isfinite(right) | ~np.isfinite(made) | (right < 0) | (right > made)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        of = f" of {frame['tries'].iloc[row]} tries" if "tries" in frame.columns else ""
        raise InputError(
            f"row {row + 2}: {name} is {frame[name].iloc[row]}{of}: give a whole number from 0 to "
            "the number of tries"
        )
    (model, models), (item, items) = (_places(frame[name]) for name in ("model", "item"))
    bank = _from_answers(models, items, (model, item), (right, made), "row", 2)
    labels = [name for name in ("category", "digest") if name in frame.columns]
    if not labels:
        return bank
    rows = frame[["item", *labels]].drop_duplicates()
    return _with_labels(bank, rows.astype(object).astype({"item": str}))


def _with_labels(bank: ItemBank, rows: pd.DataFrame) -> ItemBank:
    """The bank with what rows say of its items; they may repeat it, and must not contradict."""
    import pandas as pd

    of_item = rows.replace("", np.nan).groupby("item", sort=False)
    if (several := (of_item.nunique() > 1).any(axis=1)).any():
        raise InputError(
            f"item {quoted(str(several.idxmax()))} has several categories or digests: its answers "
            "are to different questions"
        )
    labels = of_item.first().fillna("").astype(str).loc[list(bank.items)]
    if "category" in labels.columns:
        category, categories = pd.factorize(labels["category"])
        bank = replace(bank, category=category, categories=tuple(categories))
    if "digest" in labels.columns:
        bank = replace(bank, digests=tuple(labels["digest"]))
    return bank


def _labelled(bank: ItemBank, path: Path) -> ItemBank:
    """The bank with categories and digests from a file of labels."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(str(error))}") from None
    name = "item" if "item" in frame.columns else str(frame.columns[0])
    if frame[name].duplicated().any():
        raise InputError(f"{path}: item {quoted(frame[name][frame[name].duplicated()].iloc[0])} "
                         "stands twice")  # fmt: skip
    frame = frame.set_index(name)
    if missing := [item for item in bank.items if item not in frame.index]:
        raise InputError(f"{path}: {len(missing)} items of the bank are missing: {listed(missing)}")
    if not {"category", "digest"} & set(frame.columns):
        raise InputError(f"{path}: column category or digest is missing")
    labels = [column for column in ("category", "digest") if column in frame.columns]
    return _with_labels(bank, frame.loc[list(bank.items), labels].rename_axis("item").reset_index())
