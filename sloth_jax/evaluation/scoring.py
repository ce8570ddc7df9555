"""Scoring predictions of held-out models: the published mean, finer views, and differences.

Everything here reads an *errors frame*: one row per prediction of a held-out model's score, with
the columns :data:`COLUMNS`: ``fold`` (int), ``method``, ``model``, ``benchmark`` (str) and
``abs_error``, the absolute error as a fraction (0.01 is one score point). Measured scores that
are missing have no row. Methods are comparable only where they predicted the same entries;
:func:`bootstrap_difference` insists on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from sloth_jax.errors import InputError
from sloth_jax.evaluation.scoring_rules import family_means
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.wording import did_you_mean, one_line, quoted

COLUMNS = ("fold", "method", "model", "benchmark", "abs_error")
_ENTRY = ["fold", "model", "benchmark"]


def benchmark_means(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute error per method and benchmark, aggregated as published.

    The mean over a fold's held-out models, then over folds, so that every fold counts the same
    however many models it holds out (Maia Polo et al., arXiv 2412.06540, and their code).

    Args:
        errors: an errors frame.

    Returns:
        Fractions, ``(method, benchmark)``, both in the order in which they first appear; NaN
        where a method predicted nothing on a benchmark.

    Raises:
        InputError: if ``errors`` is not an errors frame.
    """
    _check(errors)
    keys, what = ["method", "benchmark", "fold"], "abs_error"
    folds = errors.pivot_table(index=keys, values=what, aggfunc="mean")
    table = folds.pivot_table(index="method", columns="benchmark", values=what, aggfunc="mean")
    # Grouping sorts by name; the caller's order says more.
    order = {name: list(dict.fromkeys(errors[name])) for name in ("method", "benchmark")}
    return table.loc[order["method"], order["benchmark"]]


def published_mean(errors: pd.DataFrame) -> pd.Series:
    """Mean absolute error per method, the number of the published comparison.

    The mean over a fold's held-out models, then over folds, then over benchmarks (Maia Polo et
    al., arXiv 2412.06540).

    Args:
        errors: an errors frame.

    Returns:
        Fractions, ``(method,)``, in the order in which methods first appear; NaN for a method
        that lacks a benchmark, whose mean could not be compared with the others'.

    Raises:
        InputError: if ``errors`` is not an errors frame.
    """
    means = benchmark_means(errors)
    # Not pandas' mean, which would skip a benchmark that is not there.
    return pd.Series(means.to_numpy().mean(axis=1), index=means.index, name="published_mean")


def by_size_ratio(
    errors: pd.DataFrame, ratios: pd.DataFrame, edges: Sequence[float] = (1, 2, 4, 8)
) -> pd.DataFrame:
    """Mean absolute error by how far beyond its family's training sizes a model lies.

    Args:
        errors: an errors frame.
        ratios: one row per held-out model, with the columns ``fold``, ``model`` and
            ``size_ratio``: its size over the largest training size of its family.
        edges: where one bin ends and the next begins, increasing; a ratio that equals an edge is
            in the lower bin.

    Returns:
        One row per method and bin that has entries, methods as they first appear and bins
        increasing, with the columns ``method``, ``size_ratio`` (such as "up to 1", "2 to 4",
        "over 8"), ``entries`` (number of errors) and ``mean`` (their plain mean, a fraction).

    Raises:
        InputError: if a frame lacks what it needs, a held-out model has no ratio or more than
            one, or ``edges`` do not increase.
    """
    _check(errors)
    _need(ratios, ("fold", "model", "size_ratio"), "ratios")
    if not len(edges) or not (np.diff(edges) > 0).all():
        raise InputError(f"edges {tuple(edges)} do not increase: give them from low to high")
    of_entry = _size_ratio_of_entries(errors, ratios)
    names = [f"{edge:g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(names)]
    labels = [f"up to {names[0]}", *between, f"over {names[-1]}"]
    place = np.searchsorted(edges, of_entry)  # the first edge not below the ratio
    rows = []
    for method in dict.fromkeys(errors["method"]):
        for at, label in enumerate(labels):
            found = errors.loc[(errors["method"] == method) & (place == at), "abs_error"]
            if len(found):
                rows.append((method, label, len(found), float(np.mean(found.to_numpy()))))
    return pd.DataFrame(rows, columns=pd.Index(["method", "size_ratio", "entries", "mean"]))


def _size_ratio_of_entries(errors: pd.DataFrame, ratios: pd.DataFrame) -> np.ndarray:
    """Size ratio of each row of an errors frame, ``(entry,)``."""
    known: dict[tuple[object, str], float] = {}
    for fold, model, ratio in ratios[["fold", "model", "size_ratio"]].itertuples(index=False):
        if not (math.isfinite(ratio) and ratio > 0):
            what = f"size ratio {ratio} of model {quoted(model)}"
            raise InputError(f"{_place(what, fold)} is not a positive number")
        if known.setdefault((fold, model), ratio) != ratio:
            raise InputError(_place(f"two size ratios of model {quoted(model)}", fold))
    entries = list(zip(errors["fold"], errors["model"], strict=True))
    for fold, model in entries:
        if (fold, model) not in known:
            what = f"no size ratio of model {quoted(model)}"
            raise InputError(_place(what, fold) + ": give one for every held-out model")
    return np.array([known[entry] for entry in entries])


@dataclass(frozen=True)
class Difference:
    """How much two methods differ in error, with an interval over families.

    Attributes:
        first: the method that is compared.
        second: the reference that it is compared with.
        mean: error of ``first`` minus error of ``second``, a fraction; below zero, ``first`` is
            better. Every family counts the same: see :func:`bootstrap_difference`.
        lower: lower end of the interval, a fraction.
        upper: upper end of the interval, a fraction.
        level: probability that the interval is meant to hold.
        families: number of families that were resampled.
        share_below_zero: share of resamples in which ``first`` has the lower error; a tie is not
            counted.
    """

    first: str
    second: str
    mean: float
    lower: float
    upper: float
    level: float
    families: int
    share_below_zero: float


def bootstrap_difference(
    errors: pd.DataFrame,
    first: str,
    second: str,
    families: Mapping[str, str],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.9,
) -> Difference:
    """Difference between two methods' errors, with a paired bootstrap interval over families.

    The statistic is ``mean_f d_f``, where ``d_f`` is the mean of (error of ``first`` minus error
    of ``second``) over the held-out models and benchmarks of family ``f``. Whole families are
    resampled with replacement, because errors of one family's models and benchmarks go together,
    and both methods are resampled together, because hard families are hard for both. The
    interval holds the central ``level`` of the resampled statistics (Efron and Tibshirani 1993,
    An Introduction to the Bootstrap, section 13.3); with few families it is somewhat too narrow.

    As every family counts the same, the mean is not the difference of two
    :func:`published_mean`, in which folds and benchmarks count the same.

    Args:
        errors: an errors frame with both methods.
        first: name of a method.
        second: name of the method to compare it with.
        families: family of every held-out model. Families of one lineage are not independent: map
            models to lineages instead to resample whole lineages.
        seed: random seed; the same seed gives the same interval, whatever the order of the rows.
        resamples: number of resamples.
        level: probability inside the interval, in (0, 1).

    Returns:
        The :class:`Difference`.

    Raises:
        InputError: if ``errors`` is not an errors frame, a method is not in it, a model has no
            family, the two methods were not scored on the same entries, or there is only one
            family, which cannot be resampled.
        ValueError: if ``level`` is not inside (0, 1) or ``resamples`` not positive.
    """
    tails = tail_probabilities(level)
    if resamples < 1:
        raise ValueError(f"{resamples} resamples are too few: 2000 is usual")
    _check(errors)
    change = _paired_difference(errors, first, second)
    models = change.index.get_level_values("model")
    for model in models.unique():
        if model not in families:
            raise InputError(f"no family for model {quoted(model)}{did_you_mean(model, families)}")
    family = [families[model] for model in models]
    if len(set(family)) < 2:
        raise InputError(
            f"all held-out models are of family {quoted(family[0])}: an interval over families"
            " needs at least two"
        )
    d = family_means(change, family)
    drawn = np.random.default_rng(seed).integers(d.size, size=(resamples, d.size))
    means = d[drawn].mean(axis=1)  # (resample,)
    lower, upper = np.quantile(means, tails)
    return Difference(
        first=first,
        second=second,
        mean=float(d.mean()),
        lower=float(lower),
        upper=float(upper),
        level=level,
        families=d.size,
        share_below_zero=float((means < 0.0).mean()),
    )


def _paired_difference(errors: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Errors of the first method minus those of the second, by fold, model and benchmark."""
    # Sorted by entry, so that the order of the rows decides nothing.
    a, b = (_of_method(errors, name).sort_index() for name in (first, second))
    if not a.index.equals(b.index):
        entry = a.index.symmetric_difference(b.index)[0]
        fold, model, benchmark = entry
        there, lacking = (first, second) if entry in a.index else (second, first)
        what = f"model {quoted(model)} on {quoted(benchmark)} is there for {quoted(there)}"
        raise InputError(
            f"{_place(what, fold)} but not for {quoted(lacking)}: compare methods on the same"
            " held-out scores"
        )
    return a - b


def _of_method(errors: pd.DataFrame, method: str) -> pd.Series:
    """Errors of one method, indexed by fold, model and benchmark."""
    chosen = errors.loc[errors["method"] == method]
    if chosen.empty:
        hint = did_you_mean(method, errors["method"].unique())
        raise InputError(f"no method {quoted(method)} among the errors{hint}")
    index = pd.MultiIndex.from_arrays([chosen[name] for name in _ENTRY], names=_ENTRY)
    return pd.Series(chosen["abs_error"].to_numpy(float), index)


def _check(errors: pd.DataFrame) -> None:
    """Raises :class:`InputError` unless this is an errors frame, each entry once and finite."""
    _need(errors, COLUMNS, "errors")
    size = errors["abs_error"].to_numpy(float)
    # A method that failed on a model must not look better for it, as it would if NaN were skipped.
    bad = ~(np.isfinite(size) & (size >= 0))
    if bad.any():
        place = int(np.argmax(bad))
        raise InputError(
            f"{_entry(errors.iloc[place])}: abs_error {size[place]} is not an absolute error;"
            " leave out only what has no measured score"
        )
    twice = errors.duplicated(["method", *_ENTRY]).to_numpy()
    if twice.any():
        place = int(np.argmax(twice))
        raise InputError(f"{_entry(errors.iloc[place])}: there twice; keep one row")


def _need(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    for column in columns:
        if column not in frame.columns:
            hint = did_you_mean(column, [str(name) for name in frame.columns])
            raise InputError(f"{what}: no column {quoted(column)}{hint}")
    if frame.empty:
        raise InputError(f"{what}: no rows, so nothing to score")


def _entry(row: pd.Series) -> str:
    model, benchmark = quoted(str(row["model"])), quoted(str(row["benchmark"]))
    what = f"method {quoted(str(row['method']))}, model {model} on {benchmark}"
    return _place(what, row["fold"])


def _place(what: str, fold: object) -> str:
    return one_line(f"{what} in fold {fold}")
