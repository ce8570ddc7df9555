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

from sloth_jax.errors import InputError
from sloth_jax.items.samples import is_samples, read_samples
from sloth_jax.showing import Shown
from sloth_jax.wording import listed, one_line, quoted

if TYPE_CHECKING:
    import pandas as pd

_MOST_TRIES = np.iinfo(np.uint16).max
_LONG = ("correct", "successes")


@dataclass(frozen=True, eq=False, repr=False)
class ItemBank(Shown):
    """Answers of models to items, as counts.

    Attributes:
        models: names of the models; dimension ``model``.
        items: names of the items; dimension ``item``.
        successes: right answers, ``(model, item)``, uint16.
        tries: answers, ``(model, item)``, uint16; 0 where there is none.
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
        shape = (len(self.models), len(self.items))
        for what, names in (("model", self.models), ("item", self.items)):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError(f"{what} {quoted(twice)} stands twice")
        for name in ("successes", "tries"):
            counts = np.asarray(getattr(self, name))
            if counts.shape != shape:
                raise InputError(
                    f"{name} has the shape {counts.shape}, but there are {shape[0]} models and "
                    f"{shape[1]} items"
                )
            wrong = ~((counts >= 0) & (counts <= _MOST_TRIES) & (counts == np.floor(counts)))
            self._refuse(wrong, counts, f"of {name} is not a whole number from 0 up")
            object.__setattr__(self, name, counts.astype(np.uint16))
        self._refuse(self.successes > self.tries, self.successes, "are more successes than tries")
        if self.category is None:
            object.__setattr__(self, "category", np.zeros(shape[1], int))

    def _refuse(self, wrong: np.ndarray, counts: np.ndarray, what: str) -> None:
        if wrong.any():
            model, item = (int(at[0]) for at in np.nonzero(wrong))
            raise InputError(
                f"model {quoted(self.models[model])}, item {quoted(self.items[item])}: "
                f"{counts[model, item]:g} {what}"
            )

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
        share = self.successes / np.maximum(self.tries, 1)
        return share.sum(axis=1) / np.maximum((self.tries > 0).sum(axis=1), 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the bank, a line each."""
        right, made = self.successes.sum(axis=0), self.tries.sum(axis=0)
        lines = []
        for at, what in (
            ((made > 0) & (right == 0), "by no model"),
            ((made > 0) & (right == made), "by every model"),
            (made == 0, "that nobody answered"),
        ):
            if at.any():
                verb = "" if what.startswith("that") else "answered right "
                lines.append(
                    f"{int(at.sum()):,} of {len(self.items):,} items {verb}{what}: the prior "
                    "holds their parameters"
                )
        return tuple(lines)


def read_bank(path: str | Path, labels: str | Path | None = None) -> ItemBank:
    """Read an item bank.

    Args:
        path: ``.csv`` (also compressed), ``.parquet``, or ``.npz`` with the arrays ``models``,
            ``items``, ``successes`` and, where an answer is more than one try, ``tries``; or
            samples that lm-evaluation-harness logged, see
            :func:`sloth_jax.items.samples.read_samples`.
        labels: CSV with a column ``item`` or the same first column as the items' names, and
            ``category`` or ``digest``.

    Raises:
        InputError: the file cannot be read, or is not an item bank; the row is named.
    """
    path = Path(path)
    try:
        bank = _from_npz(path) if path.suffix == ".npz" else _from_frame(_frame(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return bank if labels is None else _labelled(bank, Path(labels))


def read_responses(path: str | Path, bank: ItemBank) -> ItemBank:
    """Read answers of other models to items of a bank, as a bank with all of its items.

    A long file without the column ``model`` is of one model, named by the file.

    Args:
        path: as of :func:`read_bank`.
        bank: whose items they answer.

    Raises:
        InputError: as of :func:`read_bank`; or an item is not in the bank; or a ``digest`` is
            another than the bank has of this item.
    """
    path = Path(path)
    try:
        frame = None if path.suffix == ".npz" else _frame(path)
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
    successes, tries = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
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


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if is_samples(path):
        return read_samples(path)
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, low_memory=False)
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
    successes = np.asarray(parts["successes"], float)
    tries = np.asarray(parts.get("tries", ~np.isnan(successes)), float)
    models, items = (tuple(str(name) for name in parts[what]) for what in ("models", "items"))
    return ItemBank(models, items, np.nan_to_num(successes), tries)


def _from_frame(frame: pd.DataFrame) -> ItemBank:
    if "model" not in frame.columns:
        raise InputError("column model is missing: give model and one column per item, or item")
    frame = frame.assign(model=frame["model"].astype(str))
    return _from_long(frame) if "item" in frame.columns else _from_wide(frame)


def _from_wide(frame: pd.DataFrame) -> ItemBank:
    import pandas as pd

    cells = frame.drop(columns="model").apply(pd.to_numeric, errors="coerce")
    values = cells.to_numpy(float)
    given = frame.drop(columns="model").notna().to_numpy()
    wrong = given & ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        row, column = (int(at[0]) for at in np.nonzero(wrong))
        raise InputError(
            f"row {row + 2}, item {quoted(str(cells.columns[column]))}: "
            f"{quoted(str(frame.drop(columns='model').iloc[row, column]))} is not 0, 1 or empty"
        )
    items = tuple(str(name) for name in cells.columns)
    return ItemBank(tuple(frame["model"]), items, np.nan_to_num(values), given)


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
    item = frame["item"].astype(str)
    twice = pd.DataFrame({"model": frame["model"], "item": item}).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(
            f"row {row + 2}: model {quoted(frame['model'].iloc[row])} answers item "
            f"{quoted(item.iloc[row])} again: add the answers up as successes of tries"
        )
    model, models = pd.factorize(frame["model"])
    at, items = pd.factorize(item)
    successes, tries = np.zeros((2, len(models), len(items)))
    successes[model, at], tries[model, at] = right, made
    bank = ItemBank(tuple(models), tuple(items), successes, tries)
    labels = [name for name in ("category", "digest") if name in frame.columns]
    return _with_labels(bank, frame.assign(item=item)[["item", *labels]]) if labels else bank


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
