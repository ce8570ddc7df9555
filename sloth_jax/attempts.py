"""Repeated attempts at problems: counts of successes, and the chance that one of k succeeds.

``pass@k`` is the chance that at least one of ``k`` attempts at a problem succeeds; its mean over
problems is the coverage of a benchmark by ``k`` attempts (Chen et al. 2021, "Evaluating large
language models trained on code", section 2.1; Brown et al. 2024, "Large language monkeys").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.tables import quoted


@dataclass(frozen=True, eq=False)
class Attempts:
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
        shape = (len(self.models), len(self.problems))
        for name in ("successes", "tries"):
            counts = np.asarray(getattr(self, name))
            if counts.shape != shape:
                raise InputError(
                    f"{name} has the shape {counts.shape}, but there are {shape[0]} models and "
                    f"{shape[1]} problems"
                )
            wrong = ~(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts)))
            self._refuse(wrong, counts, f"of {name} is not a whole number from 0 up")
            object.__setattr__(self, name, counts.astype(np.int64))
        self._refuse(self.successes > self.tries, self.successes, "are more successes than tries")

    def _refuse(self, wrong: np.ndarray, counts: np.ndarray, what: str) -> None:
        if wrong.any():
            model, problem = (int(at[0]) for at in np.nonzero(wrong))
            raise InputError(
                f"model {quoted(self.models[model])}, problem {quoted(self.problems[problem])}: "
                f"{counts[model, problem]:g} {what}"
            )

    def select(self, models: np.ndarray) -> Attempts:
        """The attempts of some models, ``(model,)`` bool."""
        kept = np.flatnonzero(models)
        names = tuple(self.models[m] for m in kept)
        return Attempts(names, self.problems, self.successes[kept], self.tries[kept])


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
    """
    counts, asked = np.atleast_1d(np.asarray(successes)), np.atleast_1d(np.asarray(k))
    for name, values, low in (("k", asked, 1), ("successes", counts, 0)):
        bad = ~((values >= low) & (values <= tries) & (values == np.floor(values)))
        if bad.any():
            raise InputError(
                f"{name} = {values[bad][0]:g} is not a whole number from {low} to the {tries} tries"
            )
    found = np.empty((asked.size, counts.size))
    most = int(counts.max(initial=0))
    i = np.arange(tries, tries - most, -1, dtype=float)
    for row, each in enumerate(asked):
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
    asked = np.atleast_1d(np.asarray(k))
    found = np.zeros((len(attempts.models), asked.size))
    for model, name in enumerate(attempts.models):
        tries, successes = attempts.tries[model], attempts.successes[model]
        if not tries.any():
            raise InputError(f"model {quoted(name)} was tried on no problem")
        for n in np.unique(tries[tries > 0]):
            at = tries == n
            found[model] += pass_at_k(int(n), successes[at], asked).sum(axis=1)
        found[model] /= (tries > 0).sum()
    return found


def chance_at_k(probability: np.ndarray, k: np.ndarray) -> np.ndarray:
    """``1 - (1 - p)^k``, ``(k, ...)``, for probabilities ``p (...)`` of a single attempt.

    Exact where ``p`` is tiny, and in [0, 1].
    """
    p = np.asarray(probability, float)
    asked = np.asarray(k, float).reshape(-1, *(1,) * p.ndim)
    with np.errstate(divide="ignore"):
        return -np.expm1(asked * np.log1p(-p)[None])
