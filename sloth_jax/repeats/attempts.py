"""Repeated attempts at problems: counts of successes, and the chance that one of k succeeds.

``pass@k`` is the chance that at least one of ``k`` attempts at a problem succeeds; its mean over
problems is the coverage of a benchmark by ``k`` attempts (Chen et al. 2021, "Evaluating large
language models trained on code", section 2.1; Brown et al. 2024, "Large language monkeys").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sloth_jax.answer_counts import checked_counts
from sloth_jax.errors import InputError
from sloth_jax.showing import Shown
from sloth_jax.wording import one_line, quoted


@dataclass(frozen=True, eq=False, repr=False)
class Attempts(Shown):
    """How often models solved problems.

    Attributes:
        models: names of the models; dimension ``model``.
        problems: names of the problems; dimension ``problem``.
        successes: attempts that succeeded, ``(model, problem)``, whole numbers.
        tries: attempts that were made, ``(model, problem)``; 0 where a model was not tried.

    Raises:
        InputError: if a count is not a whole number from 0 up, or there are more successes than
            tries; the model and the problem are named.
    """

    models: tuple[str, ...]
    problems: tuple[str, ...]
    successes: np.ndarray
    tries: np.ndarray

    def __post_init__(self) -> None:
        counts = checked_counts(
            *(self.models, self.problems, self.successes, self.tries),
            item="problem",
            dtype=np.int64,
        )
        for name, values in zip(("successes", "tries"), counts, strict=True):
            object.__setattr__(self, name, values)

    def select(self, models: np.ndarray) -> Attempts:
        """The attempts of some models, ``(model,)`` bool."""
        kept = np.flatnonzero(models)
        names = tuple(self.models[m] for m in kept)
        return Attempts(names, self.problems, self.successes[kept], self.tries[kept])


def read_attempts(folder: str | Path, pattern: str = "MATH_*.json") -> Attempts:
    """Read item data in the published form: a file per model, rows with a list ``is_corrects``.

    Args:
        folder: where the files are.
        pattern: of their names; what stands for the star names the model.

    Returns:
        Counts; the problems are numbered in the order of the rows, which all files share.

    Raises:
        InputError: if there is no such file, one is not what it says, or files differ in their
            number of rows; the file and the row are named.
    """
    before, _, after = pattern.partition("*")
    paths = sorted(Path(folder).glob(pattern))
    if not paths:
        raise InputError(f"{folder}: no file {pattern} in it")
    successes, tries, names = [], [], []
    for path in paths:
        counts = [_count(row, f"{path}, row {at + 1}") for at, row in enumerate(_rows(path))]
        if successes and len(counts) != len(successes[0]):
            raise InputError(
                f"{path}: {len(counts)} problems, but {paths[0].name} has {len(successes[0])}"
            )
        names.append(path.name.removeprefix(before).removesuffix(after))
        successes.append([right for right, _ in counts])
        tries.append([made for _, made in counts])
    problems = tuple(f"problem {at + 1}" for at in range(len(successes[0])))
    return Attempts(tuple(names), problems, np.array(successes), np.array(tries))


def _rows(path: Path) -> list[Any]:
    """Rows of a JSON file: a list, or an object per line."""
    try:
        text = path.read_text(encoding="utf-8")
        whole = text.lstrip()[:1] == "["
        parts = [text] if whole else [line for line in text.splitlines() if line.strip()]
        rows = [json.loads(part) for part in parts]
        rows = rows[0] if whole else rows
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: not JSON: {one_line(str(error))}") from None
    if not rows:
        raise InputError(f"{path}: no rows in it")
    return rows


def _count(row: Any, where: str) -> tuple[int, int]:
    marks = row.get("is_corrects") if isinstance(row, dict) else None
    if not isinstance(marks, list) or not marks:
        raise InputError(f"{where}: no list is_corrects: one true or false for each attempt")
    if not all(mark in (True, False) for mark in marks):
        raise InputError(f"{where}: is_corrects holds something else than true and false")
    return sum(bool(mark) for mark in marks), len(marks)


def pass_at_k(tries: int, successes: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Unbiased estimate of the chance that one of k attempts succeeds.

    Args:
        tries: n, attempts that were made at each problem.
        successes: c, how many of them succeeded, ``(problem,)``.
        k: numbers of attempts, ``(k,)``, from 1 to n.

    Returns:
        ``1 - C(n - c, k) / C(n, k)``, ``(k, problem)``, in [0, 1]; it never falls as ``k`` or
        ``c`` grows, to the last bit.

    Raises:
        InputError: if a ``k`` or ``c`` is not a whole number in its range.

    Examples:
        Two of four attempts succeeded at a problem: one more attempt is right half the time, one
        of two in five cases of six.

        >>> pass_at_k(4, np.array([2]), np.array([1, 2])).round(3).tolist()
        [[0.5], [0.833]]
    """
    counts, k = np.atleast_1d(successes), np.atleast_1d(k)
    for name, values, low in (("k", k, 1), ("successes", counts, 0)):
        bad = ~((values >= low) & (values <= tries) & (values == np.floor(values)))
        if bad.any():
            raise InputError(
                f"{name} = {values[bad][0]:g} is not a whole number from {low} to the {tries} tries"
            )
    found = np.empty((k.size, counts.size))
    most = int(counts.max(initial=0))
    i = np.arange(tries, tries - most, -1, dtype=float)
    for row, each in enumerate(k):
        # C(n - c, k) / C(n, k) = prod_{i = n - c + 1}^{n} (1 - k / i), zero once k > n - c. Added
        # in one order, term after term: rounding is monotone, so that the sums are.
        with np.errstate(divide="ignore"):
            terms = np.log1p(-np.minimum(each / i, 1.0))
        log_failure = np.concatenate([[0.0], np.cumsum(terms)])
        found[row] = -np.expm1(log_failure[counts.astype(int)])
    return found


def coverage(attempts: Attempts, k: np.ndarray) -> np.ndarray:
    """Mean of :func:`pass_at_k` over the problems that a model was tried on, ``(model, k)``.

    Args:
        attempts: counts.
        k: numbers of attempts, ``(k,)``, none larger than the tries at any problem.

    Raises:
        InputError: if a ``k`` is larger than the tries at a problem, or a model was tried on none.
    """
    k = np.atleast_1d(k)
    found = np.zeros((len(attempts.models), k.size))
    for model, name in enumerate(attempts.models):
        tries, successes = attempts.tries[model], attempts.successes[model]
        if not tries.any():
            raise InputError(f"model {quoted(name)} was tried on no problem")
        for n in np.unique(tries[tries > 0]):
            at = tries == n
            found[model] += pass_at_k(int(n), successes[at], k).sum(axis=1)
        found[model] /= (tries > 0).sum()
    return found


def chance_at_k(probability: np.ndarray, k: np.ndarray) -> np.ndarray:
    """``1 - (1 - p)^k``, ``(k, ...)``, for probabilities ``p (...)`` of a single attempt.

    Exact where ``p`` is tiny, and in [0, 1].
    """
    p = np.asarray(probability, float)
    attempts = np.asarray(k, float).reshape(-1, *(1,) * p.ndim)
    with np.errstate(divide="ignore"):
        return -np.expm1(attempts * np.log1p(-p)[None])
