"""Answers of ``sloth-jax items`` as tables: items to ask, scores with tested intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from sloth_jax.errors import InputError
from sloth_jax.items.abilities import ability, arrays_of
from sloth_jax.items.bank import ItemBank, read_responses
from sloth_jax.items.estimates import (
    ESTIMATORS,
    calibrate,
    central,
    estimate_score,
    with_combination,
)
from sloth_jax.items.new_version import models_to_evaluate, scores_on_new_items, with_new_items
from sloth_jax.items.response_law import ResponseLaw, fit_responses
from sloth_jax.items.selection import METHODS, select_items
from sloth_jax.progress import Progress, silent
from sloth_jax.wording import listed, one_line, quoted

_LEAST = 10  # answered items below which an estimate is refused
_CALIBRATED = 3_000_000  # cells of a bank above which only some of its models are left out
_EVALUATED = 5  # models on a new version
CHOICE = ("item", "weight", "method", "bank")
"""Columns of a file of selected items."""


def selected(
    bank: ItemBank, count: int, method: str, responses: str | None, skills: int, seed: int
) -> pd.DataFrame:
    """Items to ask, a row each, in order.

    Args:
        bank: answers of other models.
        count: how many items.
        method: one of :data:`sloth_jax.items.selection.METHODS`.
        responses: answers of one model so far; items are then those that tell most next.
        skills: of the law.
        seed: of the random key.

    Returns:
        ``item``, ``weight`` of its answer in the mean, ``method``, and the ``bank``'s digest.
    """
    law = fit_responses(bank, skills=skills)
    key, allowed, found = jax.random.key(seed), None, None
    if responses is not None:
        mine = read_responses(responses, bank)
        if len(mine.models) != 1:
            raise InputError(f"{responses}: {len(mine.models)} models; items are chosen for one")
        successes, tries = (jnp.asarray(c[0], float) for c in (mine.successes, mine.tries))
        found = ability(arrays_of(law), successes, tries, *law.prior_of())
        method, allowed = "information", mine.tries[0] == 0
    at, weights = select_items(law, count, method=method, allowed=allowed, found=found, key=key)
    return pd.DataFrame(
        {
            "item": [bank.items[i] for i in at],
            "weight": weights,
            "method": "adaptive" if found is not None else method,
            "bank": bank.digest,
        }
    )


class Choice(NamedTuple):
    """How the items were chosen that models answered.

    Attributes:
        weights: of the items in the mean, ``(item,)``, 0 of those that were not chosen.
        method: by which they were chosen.
        source: file that says so.
    """

    weights: np.ndarray
    method: str
    source: str


def score_models(
    bank: ItemBank,
    responses: str,
    choice: str | None,
    skills: int,
    seed: int,
    progress: Progress = silent,
) -> pd.DataFrame:
    """As :func:`score_answers`, from files: of answers, and of the selected items or None."""
    mine = read_responses(responses, bank)
    chosen = None
    if choice is not None:
        try:
            frame = pd.read_csv(choice, dtype={"item": str, "bank": str})
        except (OSError, ValueError) as error:
            raise InputError(f"{choice}: cannot be read: {one_line(str(error))}") from None
        chosen = chosen_in(frame, choice, bank)
    return score_answers(bank, mine, responses, chosen, skills, seed, progress)


def score_answers(
    bank: ItemBank,
    mine: ItemBank,
    responses: str,
    choice: Choice | None,
    skills: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Scores over all items of the bank, of each model that answered some.

    Args:
        bank: answers of other models.
        mine: answers of the models to score, to the bank's items.
        responses: what errors call these.
        choice: how items were chosen; None where in another way, which are then taken for random
            ones.
        skills: of the law.
        seed: of the random key.
        progress: told of the tests and of every model.

    Returns:
        ``model``, ``estimator``, ``score``, ``se``, ``lower_90``, ``upper_90``, ``answered`` and
        ``items``: scores are fractions.
    """
    asked = (mine.tries > 0).sum(axis=1)
    for name, count in zip(mine.models, asked, strict=True):
        if count < _LEAST:
            raise InputError(
                f"{responses}: model {quoted(name)} answered {count} items of the bank: "
                f"{_LEAST} are needed for an estimate"
            )
    if twice := sorted(set(mine.models) & set(bank.models)):
        raise InputError(
            f"{responses}: in the bank already: {listed(twice)}; its score there is over all items"
        )
    weights, method, source = choice or (None, "random", "")
    for name, made in zip(mine.models, mine.tries, strict=True):
        if weights is not None and not weights[made > 0].any():
            raise InputError(f"{responses}: model {quoted(name)} answered no item of {source}")
    law, key = fit_responses(bank, skills=skills), jax.random.key(seed)

    def select(law: ResponseLaw, allowed: np.ndarray, key: jax.Array) -> Any:
        count = min(int(np.median(asked)), int(allowed.sum()))
        return select_items(law, count, method=method, allowed=allowed, key=key)

    with progress("testing estimates on the bank's models"):
        tested = calibrate(_tested(bank, key), select, skills=skills, key=key)
    of, rows, all_items = arrays_of(law), [], np.ones(len(bank.items), bool)
    with progress("scoring", len(mine.models)) as advance:
        for m, name in enumerate(mine.models):
            found = with_combination(
                estimate_score(
                    law, of, mine.successes[m].astype(float), mine.tries[m].astype(float),
                    all_items, weights, jax.random.fold_in(key, m),
                ),
                tested,
            )  # fmt: skip
            for estimator in ESTIMATORS:
                score, error = found[estimator]
                lower, upper = central(score, error)
                rows.append((name, estimator, score, error, lower, upper, asked[m], len(of.floor)))
            advance(1)
    columns = ("model", "estimator", "score", "se", "lower_90", "upper_90", "answered", "items")
    return pd.DataFrame(rows, columns=list(columns))


def _tested(bank: ItemBank, key: jax.Array) -> ItemBank:
    """The bank, or so many of its models that leaving them out takes a minute."""
    most = max(8, _CALIBRATED // len(bank.items))
    if len(bank.models) <= most:
        return bank
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))
    return bank.select_models(np.sort(rng.choice(len(bank.models), most, replace=False)))


def chosen_in(frame: pd.DataFrame, path: str, bank: ItemBank) -> Choice:
    """The choice that a table of items holds.

    Args:
        frame: with the columns :data:`CHOICE`, as :func:`selected` gives them.
        path: what errors call it.
        bank: from which they were chosen.

    Raises:
        InputError: a column is missing, or they are of another bank.
    """
    if missing := [name for name in CHOICE if name not in frame.columns]:
        raise InputError(f"{path}: column {missing[0]} is missing: give what items select wrote")
    digests = frame["bank"].astype(str)
    if (other := digests != bank.digest).any():
        raise InputError(
            f"{path}: its items are of a bank with the digest {digests[other].iloc[0]}, this bank "
            f"has {bank.digest}: another version of the benchmark; select items anew"
        )
    weights = np.zeros(len(bank.items))
    at = [bank.item_number[str(name)] for name in frame["item"]]
    weights[at] = pd.to_numeric(frame["weight"], errors="coerce")
    if not np.isfinite(weights).all():
        raise InputError(f"{path}: a weight is not a number: give what items select wrote")
    method = str(frame["method"].iloc[0])
    return Choice(weights, method if method in METHODS else "information", path)


def version_report(
    bank: ItemBank, responses: str | None, count: int | None, skills: int, seed: int
) -> tuple[pd.DataFrame, str]:
    """A new version of a benchmark: which models to evaluate on it, or the scores of all.

    Args:
        bank: answers to the old items.
        responses: file of a few models' answers to the new items; None before there are any.
        count: how many models to evaluate, where there are none; None for five, or as many as the
            bank has.
        skills: of the law.
        seed: of the random key.

    Returns:
        Without responses ``model``, ``old_score``, ``skill`` and ``skill_se``, in the order of
        skills; with them what :func:`sloth_jax.items.new_version.scores_on_new_items` returns. And
        what it says, in words.
    """
    if responses is None:
        law = fit_responses(bank, skills=skills)
        chosen = models_to_evaluate(law, count or min(_EVALUATED, len(bank.models)))
        frame = pd.DataFrame(
            {
                "model": [bank.models[m] for m in chosen],
                "old_score": bank.scores()[chosen],
                "skill": np.asarray(law.abilities.mean)[chosen, 0],
                "skill_se": np.sqrt(np.asarray(law.abilities.covariance)[chosen, 0, 0]),
            }
        )
        head = (
            f"{len(chosen)} of {len(bank.models)} models to evaluate on the new items, over the "
            "whole range of skill\n(standard deviations over the bank's models)"
        )
        return frame, f"{head}\n{frame.round(4).to_string(index=False)}"
    joined, new = with_new_items(bank, responses)
    frame = scores_on_new_items(joined, new, skills=skills, key=jax.random.key(seed))
    frame = frame.rename(columns={"lower": "lower_90", "upper": "upper_90"})
    head = (
        f"{int((frame['measured'] > 0).sum())} models evaluated on {int(new.sum()):,} new items, "
        f"{int((frame['measured'] == 0).sum())} predicted; scores as fractions, 90 % intervals"
    )
    return frame, f"{head}\n{frame.round(4).to_string(index=False)}"
