"""From answers to a few items to a table of scores with standard errors, for the scaling law."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.schema import canonical_benchmark, match_benchmark
from sloth_jax.data.tables import read_table
from sloth_jax.errors import InputError
from sloth_jax.items.bank import ItemBank, read_bank, read_frame, read_responses
from sloth_jax.items.reports import CHOICE, chosen_in, score_answers
from sloth_jax.progress import Progress, silent
from sloth_jax.wording import listed, one_line, quoted

LOG = logging.getLogger(__name__)
# Columns of a file of answers that are about an answer or its item; all others are about its model.
_OF_AN_ANSWER = frozenset(("item", "correct", "successes", "tries", "category", "digest", *CHOICE))


def scores_for(
    table: Leaderboard, path: str, bank: str, seed: int, progress: Progress = silent
) -> str | pd.DataFrame:
    """What to add to a table: a file of scores as it is, or the scores that its answers tell.

    Args:
        table: names of its benchmarks win over another spelling.
        path: CSV or parquet file; with a column ``item`` it holds answers.
        bank: file of the item bank, after the benchmark's name and ``=``, or called after it.
        seed: of the random key.
        progress: as of :func:`scores_from_answers`, which this calls.
    """
    read = read_table(path)
    if "item" not in read.header:
        return path
    name, given, file = bank.partition("=")
    if not given:
        name, file = Path(bank).name.split(".")[0], bank
    name = match_benchmark(name, table.benchmarks) or canonical_benchmark(name)
    rows = pd.DataFrame(read.rows, columns=read.header).replace("", np.nan)
    scores = scores_from_answers(
        path, read_bank(file), name, read=rows, seed=seed, progress=progress
    )
    for model, score, error in scores[["model", name, f"{name} se"]].itertuples(False):
        of = "from all items" if math.isnan(error) else f"standard error {error:.3f}"
        LOG.info("note: %s: %s on %s: %.3f, %s", path, model, name, score, of)
    return scores


def scores_from_answers(
    answers: str | Path,
    bank: ItemBank,
    benchmark: str,
    *,
    read: pd.DataFrame | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Scores of models over all items of a bank, from their answers to some, with what is known.

    Args:
        answers: CSV or parquet file with a row per answer: ``model``, ``item`` and ``correct`` (or
            ``successes`` of ``tries``), and facts of the model (``family``, ``params_b``, ...) and
            scores on other benchmarks, the same in all its rows or only in one. With the columns
            that ``sloth-jax items select`` wrote, items count with their weights; without them,
            they are taken for random ones.
        bank: answers of other models.
        benchmark: name of the score.
        read: what is in the file, where it was read before.
        seed: of the random key.
        progress: told of the tests and of every model.

    Returns:
        A row per model: facts, the score (a fraction), and ``se`` of it, which is empty where a
        model answered all items. :func:`sloth_jax.add_models` takes it.

    Raises:
        InputError: the answers are not to items of the bank, rows of a model contradict each
            other, or the benchmark's scores stand beside its answers.
    """
    frame = read_frame(answers) if read is None else read
    facts = _facts(frame, str(answers))
    if benchmark in facts.columns:
        raise InputError(
            f"{answers}: holds scores on {benchmark} and answers to its items: leave one out"
        )
    mine = read_responses(answers, bank, frame)
    choice = chosen_in(frame, str(answers), bank) if set(CHOICE) <= set(frame.columns) else None
    scores = score_answers(bank, mine, str(answers), choice, seed=seed, progress=progress)
    return facts.merge(score_columns(scores, benchmark), on="model", how="inner")


def score_columns(scores: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    """The combined estimates as columns of a training table: ``model``, the score and its error.

    Args:
        scores: from :func:`sloth_jax.items.reports.score_models`.
        benchmark: name of the score's column; its error has ``se`` added.
    """
    best = scores[scores["estimator"] == "combined"]
    whole = best["answered"] == best["items"]
    return pd.DataFrame(
        {
            "model": best["model"],
            benchmark: best["score"],
            f"{benchmark} se": best["se"].mask(whole),
        }
    )


def with_facts(scores: pd.DataFrame, benchmark: str, facts: str | None) -> pd.DataFrame:
    """A table for ``predict --add``: models with facts, the combined score and its error.

    Args:
        scores: from :func:`sloth_jax.items.reports.score_models`.
        benchmark: name of the score's column.
        facts: CSV with ``model`` and what is known of it; None for none.

    Raises:
        InputError: the facts cannot be read, or lack a model.
    """
    score = score_columns(scores, benchmark)
    if facts is None:
        return score
    known = _csv(facts)
    if "model" not in known.columns:
        raise InputError(f"{facts}: column model is missing")
    if absent := sorted(set(score["model"]) - set(known["model"].astype(str))):
        raise InputError(f"{facts}: nothing is said of {listed(absent)}")
    return known.assign(model=known["model"].astype(str)).merge(score, on="model", how="inner")


def _csv(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(str(error))}") from None


def _facts(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """What is said of each model, a row each."""
    if "model" not in frame.columns:
        raise InputError(f"{source}: column model is missing")
    frame = frame.assign(model=frame["model"].astype(str))
    about = frame[[name for name in frame.columns if name not in _OF_AN_ANSWER]]
    rows = []
    for model, own in about.groupby("model", sort=False):
        row: dict[str, object] = {"model": model}
        for name in about.columns.drop("model"):
            told = own[name].dropna().unique()
            if len(told) > 1:
                raise InputError(
                    f"{source}: model {quoted(str(model))} has {name} {told[0]} in one row and "
                    f"{told[1]} in another: facts of a model must agree"
                )
            row[name] = told[0] if len(told) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)
