"""What the parts of a prompt do to the score, and which of them to keep.

Templates are subsets of parts (a role, examples, a hint, ...). The law is that of
:mod:`sloth_jax.repeats.prompt_law`, with parts and pairs of parts as covariates, coded as -1/2 and
1/2; pairs are shrunk more, and what more than two parts do together is left to a term of each
subset. Subsets that were not evaluated are predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.products import matmul
from sloth_jax.repeats.prompt_answers import PromptAnswers, read_prompt_answers
from sloth_jax.repeats.prompt_law import Draws, expected
from sloth_jax.repeats.prompts import covariate_values, interval, is_converged, posterior_draws
from sloth_jax.showing import Shown
from sloth_jax.wording import counted, quoted

MOST_PARTS = 10
PAIRS = 0.5  # effects of pairs a priori, against those of parts: main effects are usually larger


@dataclass(frozen=True, eq=False, repr=False)
class PromptParts(Shown):
    """Effects of parts, and scores of all their subsets, as draws.

    Attributes:
        parts: names; dimension ``part``.
        subsets: which parts each holds, ``(subset, part)`` bool; all of them.
        evaluated: whether a subset has an answer, ``(subset,)``.
        logits: of subsets, ``(draw, subset)``, real.
        scores: mean probability of a right answer over the items, ``(draw, subset)``, fractions.
        converged: whether the posterior's mode was found at every scale that matters.
    """

    parts: tuple[str, ...]
    subsets: np.ndarray
    evaluated: np.ndarray
    logits: np.ndarray
    scores: np.ndarray
    converged: bool

    def effects(self, level: float = 0.9) -> pd.DataFrame:
        """Effects of parts and pairs on the score and on log odds, averaged over all subsets.

        The effect of a part is the mean over subsets with it less that over subsets without; that
        of a pair is half of what the second part changes in the effect of the first.

        Args:
            level: probability inside the intervals.

        Returns:
            A row per part and pair: ``part``, ``with`` (empty for a part alone), ``median``,
            ``lower``, ``upper`` in fractions of a full score, ``probability_positive``, and
            ``log_odds_median``, ``log_odds_lower``, ``log_odds_upper``.
        """
        signs, pairs = contrasts(self.subsets)
        on_score, on_logit = self.scores @ signs.T, self.logits @ signs.T
        frame = pd.DataFrame(
            {
                "part": [self.parts[pair[0]] for pair in pairs],
                "with": [self.parts[pair[1]] if len(pair) > 1 else "" for pair in pairs],
            }
        )
        log_odds = {f"log_odds_{name}": of for name, of in interval(on_logit, level).items()}
        positive = {"probability_positive": (on_logit > 0).mean(axis=0)}
        return frame.assign(**interval(on_score, level), **positive, **log_odds)

    def best(self, level: float = 0.9) -> pd.DataFrame:
        """Subsets by their probability of being the best of all, the most probable first.

        Args:
            level: probability inside the intervals of scores.

        Returns:
            A row per subset: ``parts``, ``probability``, ``error`` of it from the number of draws,
            ``evaluated``, and ``median``, ``lower``, ``upper`` of its score, fractions.
        """
        draws, subsets = self.logits.shape
        chance = np.bincount(self.logits.argmax(axis=1), minlength=subsets) / draws
        frame = pd.DataFrame(
            {
                "parts": [" + ".join(np.array(self.parts)[row]) or "none" for row in self.subsets],
                "probability": chance,
                "error": np.sqrt(chance * (1.0 - chance) / draws),
                "evaluated": self.evaluated,
            }
        ).assign(**interval(self.scores, level))
        order = ["probability", "median"]
        return frame.sort_values(order, ascending=False, kind="stable", ignore_index=True)

    def _line(self) -> str:
        seen = f"{self.evaluated.sum()} of {len(self.subsets)} subsets evaluated"
        return f"{counted(len(self.parts), 'part')}, {seen}, {len(self.logits)} draws"

    def _rows(self) -> Any:
        return self.effects()


def contrasts(subsets: np.ndarray) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Means over subsets less means over the others: by parts, then by pairs.

    Args:
        subsets: all of them, ``(subset, part)`` bool.

    Returns:
        Weights, ``(effect, subset)``, and the parts of each effect.
    """
    columns, pairs = coded(subsets)
    return columns.T * (4.0 / len(subsets)), pairs


def coded(subsets: np.ndarray) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Columns of parts and pairs, -1/2 and 1/2, ``(subset, effect)``, and the parts of each."""
    signs = np.where(subsets, 1.0, -1.0)
    parts = range(subsets.shape[1])
    pairs: list[tuple[int, ...]] = [*combinations(parts, 1), *combinations(parts, 2)]
    return np.column_stack([0.5 * signs[:, pair].prod(axis=1) for pair in pairs]), pairs


def prompt_parts(
    answers: str | Path | pd.DataFrame | PromptAnswers,
    parts: pd.DataFrame,
    *,
    key: Array,
    draws: int = 1000,
) -> PromptParts:
    """Effects of the parts of a prompt, and how probably each subset of them is the best.

    Args:
        answers: a row per answer, see :func:`read_prompt_answers`; a template is a subset of parts.
        parts: 1 where a template holds a part and 0 where not, a column per part; rows are named by
            the index or a column ``template``. Templates without an answer may be there.
        key: random key.
        draws: how many.

    Returns:
        A :class:`PromptParts`; what no template tells of has wide intervals.

    Raises:
        InputError: as :func:`read_prompt_answers`, or if a template has no row, a value is not 0 or
            1, two templates hold the same parts, there are more than 10 parts or none, or fewer
            than 2 draws are asked for.
    """
    if draws < 2:
        raise InputError(f"{draws} draws: ask for 2 or more")
    if not isinstance(answers, PromptAnswers):
        answers = read_prompt_answers(answers)
    values, names = covariate_values(parts, answers.templates)
    if not 1 <= len(names) <= MOST_PARTS:
        raise InputError(f"{counted(len(names), 'part')}: give 1 to {MOST_PARTS} columns of parts")
    place = _subset_of(values, names, answers.templates)
    subsets = (np.arange(2 ** len(names))[:, None] >> np.arange(len(names))) & 1 == 1
    columns, pairs = coded(subsets)
    columns = np.column_stack([np.ones(len(subsets)), columns])
    spread = np.array([1.0] + [1.0 if len(pair) == 1 else PAIRS for pair in pairs])
    of_posterior, of_rest = jax.random.split(key)
    _, found, drawn = posterior_draws(answers, columns[place], spread, of_posterior, draws)
    logits = _logits(drawn, jnp.asarray(columns, float), jnp.asarray(place), of_rest)
    evaluated = np.zeros(len(subsets), bool)
    evaluated[place[answers.counts > 0]] = True
    return PromptParts(
        names,
        subsets,
        evaluated,
        np.asarray(logits, float),
        np.asarray(expected(logits, drawn.b), float),
        is_converged(found),
    )


@jax.jit
def _logits(drawn: Draws, columns: Array, place: Array, key: Array) -> Array:
    """Of all subsets, ``(draw, subset)``: as drawn where answers have them, else from parts."""
    unit = jax.random.normal(key, (len(drawn.scale), len(columns)), columns.dtype)
    predicted = matmul(drawn.gamma, columns.T) + drawn.scale[:, None] * unit
    return predicted.at[:, place].set(drawn.theta)


def _subset_of(
    values: np.ndarray, names: tuple[str, ...], templates: tuple[str, ...]
) -> np.ndarray:
    """Number of each template's subset, ``(template,)``: part k counts 2^k."""
    bad = np.argwhere((values != 0) & (values != 1))
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"parts: template {quoted(templates[row])}, part {quoted(names[column])}: "
            f"{values[row, column]:g} is not 0 or 1: write 1 if it holds the part, else 0"
        )
    found = values.astype(int) @ (1 << np.arange(len(names)))
    _, first, back = np.unique(found, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[back] != np.arange(len(found)))
    if again.size:
        pair = quoted(templates[first[back[again[0]]]]), quoted(templates[again[0]])
        raise InputError(
            f"parts: templates {pair[0]} and {pair[1]} hold the same parts: keep one of them, or "
            "add a part in which they differ"
        )
    return found
