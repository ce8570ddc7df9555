"""The score over all items of a bank from answers to a few, with errors that were tested.

Estimators, for a model with answers y_i to the items S of N, and chances p_i that the law has of
them given those answers:

* ``mean``: mean of the answers, weighted where the selection has weights.
* ``law``: answers where there are any and chances elsewhere, over all items (p-IRT of
  tinyBenchmarks, Maia Polo et al., arXiv 2402.14992).
* ``adjusted``: mean of all chances plus the weighted mean of y_i - p_i (the augmented inverse
  probability estimator, Robins, Rotnitzky and Zhao 1994). Where items were drawn by chance it is
  right on average whatever the law is worth.
* ``combined``: of ``law`` and ``adjusted``, weighted by how good both were (as gp-IRT is of ``law``
  and ``mean``).

Errors are not believed but tested: groups of the bank's models are left out, the law is fitted to
the others, items are selected anew, and the left-out models' scores are estimated as a new model's
would be. The spread of their errors widens or narrows the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from scipy import stats

from sloth_jax.errors import InputError
from sloth_jax.items.abilities import ItemArrays, ability, arrays_of, chances, score_draws
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.response_law import ResponseLaw, fit_responses
from sloth_jax.showing import Shown

ESTIMATORS = ("mean", "law", "adjusted", "combined")
_DRAWS = 400
_FOLDS = 8
_WORTH = 4.0  # models' worth of belief that stated errors are right
Select = Callable[[ResponseLaw, np.ndarray, Array], tuple[np.ndarray, np.ndarray]]
"""Items and weights for a new model: of a law, the items that may be asked, and a key."""


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Shown):
    """How good estimates were for models that were left out of the bank.

    Attributes:
        rows: model, estimator, score, estimate, stated standard error, of left-out models.
        factor: of each estimator's standard error.
        weight: of ``law`` in ``combined``; the rest is of ``adjusted``.
    """

    rows: pd.DataFrame
    factor: dict[str, float]
    weight: float


def estimate_score(
    law: ResponseLaw,
    of: ItemArrays,
    successes: np.ndarray,
    tries: np.ndarray,
    counted: np.ndarray,
    weights: np.ndarray | None,
    key: Array,
) -> dict[str, tuple[float, float]]:
    """Estimates of a model's score, each with its standard error if the law is right.

    Args:
        law: fitted to other models.
        of: its items, from :func:`sloth_jax.items.abilities.arrays_of`.
        successes: of the model, ``(item,)``.
        tries: likewise, 0 where it did not answer.
        counted: items over which the score is a mean, ``(item,)`` bool.
        weights: of the chosen items, ``(item,)``, 0 elsewhere, as selection gives them: inverse
            probabilities of being asked over the number of items; None for equal ones.
        key: random key.

    Returns:
        Estimator -> estimate and standard error, fractions; all but ``combined``.
    """
    seen = (tries > 0) & counted
    given = seen / seen.sum() if weights is None else np.where(seen, weights, 0.0)
    weight = given / given.sum()
    # Those of unequal probabilities add up to 1 on average only, and are right as they are.
    inverse = weight if weights is None else weight * weights[counted].sum()
    share = successes / np.maximum(tries, 1)
    # Of the sampled items, without replacement; half an answer right and wrong keep it above 0.
    level = ((weight * share).sum() * seen.sum() + 0.5) / (seen.sum() + 1.0)
    unseen = 1.0 - seen.sum() / counted.sum()
    mean_error = np.sqrt(level * (1.0 - level) * (weight**2).sum() * unseen)
    found = ability(of, jnp.asarray(successes), jnp.asarray(tries), *law.prior_of())
    draws = np.asarray(
        score_draws(
            of, found, jnp.asarray(successes), jnp.asarray(tries),
            jnp.asarray(counted, float), key, draws=_DRAWS,
        )
    )  # fmt: skip
    p = np.asarray(chances(of, found.mean)[0])
    adjusted = p[counted].mean() + (inverse * (share - p))[seen].sum()
    noise = (inverse**2 * p * (1.0 - p))[seen].sum() * unseen
    return {
        "mean": (float((weight * share).sum()), float(mean_error)),
        "law": (float(draws.mean()), float(draws.std())),
        "adjusted": (float(np.clip(adjusted, 0.0, 1.0)), float(np.sqrt(noise))),
    }


def calibrate(
    bank: ItemBank, select: Select, *, skills: int = 1, folds: int = _FOLDS, key: Array
) -> Calibration:
    """Errors of estimates for the bank's own models, each left out.

    Args:
        bank: answers; a model's score is over the items that it answered.
        select: how items are chosen for a new model.
        skills: of the law.
        folds: groups of models that are left out together; the number of models leaves out one at
            a time.
        key: random key.

    Raises:
        InputError: fewer than four models.
    """
    rows = left_out_estimates(bank, {"": select}, skills=skills, folds=folds, key=key)
    return calibration_of(rows.drop(columns="selection"))


def left_out_estimates(
    bank: ItemBank,
    selections: Mapping[str, Select],
    *,
    skills: int = 1,
    folds: int = _FOLDS,
    key: Array,
) -> pd.DataFrame:
    """Estimates of models by laws that have not seen them, from items that have not either.

    Args:
        bank: as of :func:`calibrate`.
        selections: name -> how items are chosen.
        skills: of the law.
        folds: groups of models that are left out together.
        key: random key.

    Returns:
        Rows of a :class:`Calibration`, with the name of the ``selection``.

    Raises:
        InputError: fewer than four models.
    """
    models = len(bank.models)
    if models < 4:
        raise InputError(f"the bank has {models} models, testing estimates needs 4 or more")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))
    group = rng.permutation(models) % min(folds, models)
    rows, scores = [], bank.scores()
    for fold in np.unique(group):
        law = fit_responses(bank.select_models(group != fold), skills=skills)
        of = arrays_of(law)
        for model in np.flatnonzero(group == fold):
            one = jax.random.fold_in(key, int(model))
            for name, select in selections.items():
                found, asked = _as_new(law, of, bank, int(model), select, one)
                rows += [
                    {
                        "selection": name,
                        "model": bank.models[model],
                        "estimator": estimator,
                        "score": float(scores[model]),
                        "estimate": estimate,
                        "error": error,
                        "items": asked,
                    }
                    for estimator, (estimate, error) in found.items()
                ]
    return pd.DataFrame(rows)


def _as_new(
    law: ResponseLaw, of: ItemArrays, bank: ItemBank, model: int, select: Select, key: Array
) -> tuple[dict[str, tuple[float, float]], int]:
    """Estimates of a model from its answers to items selected for it, and how many they are."""
    counted = bank.tries[model] > 0
    chosen, weights = select(law, counted, key)
    tries, weight = np.zeros((2, len(bank.items)))
    tries[chosen], weight[chosen] = bank.tries[model, chosen], weights
    successes = np.where(tries > 0, bank.successes[model], 0.0)
    return estimate_score(law, of, successes, tries, counted, weight, key), len(chosen)


def calibration_of(rows: pd.DataFrame) -> Calibration:
    """Factors of standard errors, and the weight of the combination, from left-out models.

    Args:
        rows: as of :class:`Calibration`, without the combination.
    """
    wide = rows.pivot_table(index="model", columns="estimator", values=["estimate", "error"])
    truth = rows.groupby("model")["score"].first()
    miss = wide["estimate"].sub(truth, axis=0)
    factor = {
        # ( worth + sum z^2 ) / ( worth + models ): the spread of errors in stated standard errors
        name: float(np.sqrt((_WORTH + ((miss[name] / wide["error"][name]) ** 2).sum())
                            / (_WORTH + len(miss))))
        for name in miss.columns
    }  # fmt: skip
    # The weight at which the squared errors are least; a half counts as much as a few models.
    apart = miss["law"] - miss["adjusted"]
    prior = _WORTH * float((apart**2).mean())
    least = float(-(miss["adjusted"] * apart).sum()) + 0.5 * prior
    weight = float(np.clip(least / max(float((apart**2).sum()) + prior, 1e-12), 0.0, 1.0))
    return Calibration(rows, factor, weight)


def with_combination(
    found: dict[str, tuple[float, float]], calibration: Calibration
) -> dict[str, tuple[float, float]]:
    """Estimates with tested standard errors, and their combination.

    Args:
        found: from :func:`estimate_score`.
        calibration: of the same selection.
    """
    tested = {name: (at, error * calibration.factor[name]) for name, (at, error) in found.items()}
    weight, (law, law_error), (other, other_error) = (
        calibration.weight, tested["law"], tested["adjusted"],
    )  # fmt: skip
    # Errors of the two go together, as both are of the same answers: no credit is taken.
    combined = weight * law + (1.0 - weight) * other
    error = weight * law_error + (1.0 - weight) * other_error
    return tested | {"combined": (combined, error)}


def central(estimate: float, error: float, level: float = 0.9) -> tuple[float, float]:
    """Ends of the central interval, a normal one of the log odds, inside [0, 1].

    Args:
        estimate: a fraction.
        error: its standard error.
        level: of the interval.
    """
    at = float(np.clip(estimate, 1e-3, 1.0 - 1e-3))
    odds, spread = np.log(at / (1.0 - at)), error / (at * (1.0 - at))
    ends = odds + np.array([-1.0, 1.0]) * stats.norm.ppf(0.5 + level / 2.0) * spread
    lower, upper = 1.0 / (1.0 + np.exp(-ends))
    return float(lower), float(upper)
