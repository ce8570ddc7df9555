"""A new version of a benchmark: which models to evaluate on it, and the scores of the others.

All models answered the old items, a few the new ones too. One law of both sets says what the others
would score (the efficient evaluation of LiveXiv, Shabtay et al., arXiv 2410.10783).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.items.abilities import Ability, arrays_of, score_draws
from sloth_jax.items.bank import ItemBank, read_bank
from sloth_jax.items.estimates import central
from sloth_jax.items.response_law import ResponseLaw, fit_responses
from sloth_jax.wording import listed

_DRAWS = 400
_LEAST = 3  # models on the new items, for a slope and a level of each
_WORTH = 4.0  # models' worth of belief that the law's errors are right


def models_to_evaluate(law: ResponseLaw, count: int) -> np.ndarray:
    """Models that tell most about new items: evenly over the order of the first skill.

    Slope and difficulty of an item are best known from models of all skills, its ends among them.

    Args:
        law: fitted to the old items.
        count: how many models.

    Returns:
        Positions in the bank, ``(count,)``.

    Raises:
        InputError: fewer than three, or more than the bank has.
    """
    models = len(law.abilities.mean)
    if not _LEAST <= count <= models:
        raise InputError(f"{count} models to evaluate: ask for {_LEAST} to {models}")
    order = np.argsort(np.asarray(law.abilities.mean)[:, 0])
    return order[np.linspace(0, models - 1, count).round().astype(int)]


def with_new_items(bank: ItemBank, path: str | Path) -> tuple[ItemBank, np.ndarray]:
    """A bank with answers to a new version's items added.

    Args:
        bank: answers to the old items.
        path: file of answers to the new ones, as of :func:`sloth_jax.items.bank.read_bank`; models
            of the same name are the same.

    Returns:
        The bank of old and new items, and which are new, ``(item,)`` bool.

    Raises:
        InputError: an item of the bank is among the new ones, or another question has its name.
    """
    more = read_bank(path)
    known = dict(zip(bank.items, bank.digests or ("",) * len(bank.items), strict=True))
    digests = more.digests or ("",) * len(more.items)
    named = zip(more.items, digests, strict=True)
    same = [(name, known[name], digest) for name, digest in named if name in known]
    if other := [name for name, old, new in same if old and new and old != new]:
        raise InputError(
            f"{path}: {len(other)} items are other questions than the bank's of the same names "
            f"(their digests differ): {listed(other)}; give new questions new names"
        )
    if same:
        raise InputError(
            f"{path}: {len(same)} items are in the bank already: {listed([one[0] for one in same])}"
            "; give answers to new items alone"
        )
    models = tuple(dict.fromkeys((*bank.models, *more.models)))
    row = [[models.index(name) for name in each.models] for each in (bank, more)]
    old = len(bank.items)
    counts = []
    for one, two in ((bank.successes, more.successes), (bank.tries, more.tries)):
        whole = np.zeros((len(models), old + len(more.items)), np.result_type(one, two))
        whole[row[0], :old], whole[row[1], old:] = one, two
        counts.append(whole)
    names = tuple(dict.fromkeys((*bank.categories, *more.categories)))
    category = [
        np.array([names.index(name) for name in each.categories])[np.asarray(each.category)]
        for each in (bank, more)
    ]
    joined = ItemBank(
        models,
        bank.items + more.items,
        *counts,
        categories=names,
        category=np.concatenate(category),
        digests=(*known.values(), *digests) if bank.digests or more.digests else None,
    )
    return joined, np.arange(len(joined.items)) >= old


def scores_on_new_items(
    bank: ItemBank, new: np.ndarray, *, skills: int = 1, level: float = 0.9, key: Array
) -> pd.DataFrame:
    """Scores over the new items, measured or predicted.

    New items share a prior of their own: they may be harder than the old ones. Each model that
    answered them is left out in turn and predicted from its old answers, and the spread of these
    errors sets the width of the intervals.

    Args:
        bank: answers to old and new items; those of models that were not evaluated anew are
            missing.
        new: which items are new, ``(item,)`` bool.
        skills: of the law.
        level: of the intervals.
        key: random key.

    Returns:
        A row per model: ``model``, ``old_score``, ``score``, ``lower``, ``upper``, fractions, and
        ``measured``, the number of new items that it answered.

    Raises:
        InputError: all items are new or none, or fewer than four models answered new ones.
    """
    new = np.asarray(new, bool)
    if new.all() or not new.any():
        raise InputError("a new version needs old items and new ones")
    on_new = (bank.tries[:, new] > 0).sum(axis=1)
    evaluated = np.flatnonzero(on_new)
    if len(evaluated) < _LEAST + 1:
        raise InputError(
            f"{len(evaluated)} models answered new items: {_LEAST + 1} are needed, so that each "
            "can be predicted from the others"
        )
    squares = 0.0
    for m in evaluated:
        tries, successes = bank.tries.copy(), bank.successes.copy()
        tries[m, new] = successes[m, new] = 0
        without = replace(bank, tries=tries, successes=successes)
        answered = (bank.tries[m] > 0) & new
        estimate, error = _predicted(without, new, answered, skills, key)[m]
        squares += ((estimate - _share(bank, int(m))[answered].mean()) / error) ** 2
    factor = np.sqrt((_WORTH + squares) / (_WORTH + len(evaluated)))
    rows = []
    for m, (estimate, error) in enumerate(_predicted(bank, new, new, skills, key)):
        lower, upper = central(estimate, error * factor, level)
        old = (bank.tries[m] > 0) & ~new
        rows.append(
            {
                "model": bank.models[m],
                "old_score": float(_share(bank, m)[old].mean()) if old.any() else np.nan,
                "score": estimate,
                "lower": lower,
                "upper": upper,
                "measured": int(on_new[m]),
            }
        )
    return pd.DataFrame(rows)


def _share(bank: ItemBank, model: int) -> np.ndarray:
    """Share of right answers of a model, ``(item,)``; 0 where it did not answer."""
    return bank.successes[model] / np.maximum(bank.tries[model], 1)


def _predicted(
    bank: ItemBank, new: np.ndarray, counted: np.ndarray, skills: int, key: Array
) -> list[tuple[float, float]]:
    """Score over some items and its standard error by the law, of every model."""
    category = np.asarray(bank.category)
    _, group = np.unique(category + len(bank.categories) * new, return_inverse=True)
    law = fit_responses(bank, skills=skills, groups=group)
    of, found = arrays_of(law), []
    for m, (right, made) in enumerate(zip(bank.successes, bank.tries, strict=True)):
        ability = Ability(*(jnp.asarray(part[m]) for part in law.abilities))
        draws = score_draws(
            of,
            ability,
            jnp.asarray(right, float),
            jnp.asarray(made, float),
            jnp.asarray(counted, float),
            jax.random.fold_in(key, m),
            draws=_DRAWS,
        )
        found.append((float(draws.mean()), float(draws.std()) + 1e-9))
    return found
