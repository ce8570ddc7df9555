"""Everything that the page of a report says, gathered from a fit; plain Python, ready for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.files import read_whole
from sloth_jax.forecasting.family_curves import (
    AXES,
    Paths,
    curves_of,
    family_laws,
    family_query,
    paths_of,
    thinned,
)
from sloth_jax.forecasting.forecast import Forecast, forecast
from sloth_jax.forecasting.query import Query
from sloth_jax.identifiability.enough_scores import left_to_prior
from sloth_jax.identifiability.quality import suspect_scores
from sloth_jax.inference.fit import Fit
from sloth_jax.law.options import FLOPS_UNIT
from sloth_jax.planning.family import as_family
from sloth_jax.planning.optimal import Plan, compute_optimal
from sloth_jax.plotting.evaluation_page import verdict
from sloth_jax.progress import Progress, silent
from sloth_jax.provenance import versions
from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.labels import label_support, named_skills
from sloth_jax.skills.progress import yearly_progress
from sloth_jax.skills.tables import may_interpret

_LETTERS = 3_200_000  # of curves: leaves room for everything else below 5 MB
_POINTS = (5, 9)  # on a curve: the fewest that show its bends, and enough
_QUANTILES = 5
_DRAWS = 200  # of curves and skills: their Monte Carlo errors are a seventh of the spread

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STEPS = len(_DIGITS) ** 2 - 1  # of a score between 0 and 1 in two digits


@dataclass(frozen=True, eq=False)
class Asked:
    """What a report is asked to show beside the fit itself.

    Attributes:
        level: probability inside the wide intervals.
        seed: of the command.
        query: models to predict; None for none.
        evaluation: ``summary.json`` of ``sloth-jax evaluate`` on the same table; None without.
        family: whose budget is planned; None for the query's first, or the best measured.
        flops: budgets, FLOPs; None for those of the table and beyond.
        command: that the page says made it.
    """

    level: float = 0.9
    seed: int = 0
    query: Query | None = None
    evaluation: dict[str, Any] | None = None
    family: str | None = None
    flops: Sequence[float] | None = None
    command: str = "sloth-jax report"


def points_on_curves(families: int, benchmarks: int) -> int:
    """How many points on a curve keep the page small enough to send."""
    room = _LETTERS // (2 * _QUANTILES * len(AXES) * max(1, families * benchmarks))
    return int(np.clip(room, *_POINTS))


def report_contents(
    fit: Fit, asked: Asked, *, key: Array, progress: Progress = silent
) -> dict[str, Any]:
    """Everything that the page of a report says.

    Curves, skills and the plan are of some hundred evenly chosen draws, forecasts of the query
    of all.

    Args:
        fit: whose table, draws and report are shown.
        asked: what else to show.
        key: random key; with that of ``sloth-jax predict`` the query's forecasts are the same.
        progress: told what is being computed.

    Returns:
        Dictionaries, lists, texts, numbers and None, ready for JSON.
    """
    table, query = fit.table, family_query(fit.table, asked.query)
    points = points_on_curves(len(query.families), len(table.benchmarks))
    paths = paths_of(table, query, asked.query, points)
    predicted = None
    if asked.query is not None:
        with progress("predicting"):
            predicted = forecast(fit, asked.query, key=key)
    few = thinned(fit, _DRAWS)
    with progress("drawing curves"):
        laws = family_laws(few, query, key)
        curves = curves_of(laws, paths, asked.level)
    with progress("planning budgets"):
        plan = _plan(few, asked, key)
    with progress("looking at skills"):
        of_skills = skills_of(named_skills(few), asked.level)
    found = {
        "level": asked.level,
        "first": _first(table, query, asked.query),
        "certain": fit.settings.inference == "mode",
        "draws": int(laws.law.shared.noise.shape[0]),
        "benchmarks": _benchmarks(table),
        "families": _families(table, query, paths),
        "models": _models(table, query),
        "curves": _curves(curves, paths),
        "query": _forecasts(predicted, asked, query),
        "evaluation": asked.evaluation
        and {"verdict": verdict(asked.evaluation)} | asked.evaluation,
        "identifiability": _identifiability(fit),
        "skills": of_skills,
        "plan": plan,
        "suspects": [asdict(one) for one in suspect_scores(table)],
        "about": _about(fit, asked),
    }
    return plain(found)


def plain(value: Any) -> Any:
    """The same for JSON: Python's own numbers, and null for those that are not finite."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value


def _benchmarks(table: Leaderboard) -> list[dict[str, Any]]:
    rows = []
    for j, name in enumerate(table.benchmarks):
        scores = table.scores[table.observed[:, j], j]
        row = {"name": name, "floor": table.floors[j], "scores": len(scores)}
        if len(scores):
            row |= {"least": scores.min(), "median": np.median(scores), "most": scores.max()}
        rows.append(row)
    return rows


def _families(table: Leaderboard, query: Query, paths: Paths) -> list[dict[str, Any]]:
    scored = table.family[table.observed.any(axis=1)]
    counts = np.bincount(scored, minlength=len(table.families))
    count_of = dict(zip(table.families, counts.tolist(), strict=True))
    return [
        {
            "name": name,
            "lineage": query.lineages[f],
            "post_trained": None if np.isnan(kind) else bool(kind > 0.5),
            "models": count_of.get(name, 0),
            "known": paths.known[f],
            "size": np.exp(np.log(paths.params_b[1, f]).mean()),
            "tokens": np.exp(np.log(paths.tokens_t[0, f]).mean()),
            "active": paths.active_share[f],
        }
        for f, (name, kind) in enumerate(zip(query.families, query.post_trained, strict=True))
    ]


def _models(table: Leaderboard, query: Query) -> dict[str, Any]:
    """Scored models, a list for each fact; families by number on the page."""
    rows = np.flatnonzero(table.observed.any(axis=1))
    number = {name: f for f, name in enumerate(query.families)}
    return {
        "name": [table.models[m] for m in rows],
        "family": [number[table.families[table.family[m]]] for m in rows],
        "params_b": table.params_b[rows],
        "tokens_t": table.tokens_t[rows],
        "active_b": table.active_params_b[rows],
        "scores": np.round(table.scores[rows], 4),
    }


def _curves(curves: np.ndarray, paths: Paths) -> dict[str, Any]:
    """Places on the axes by their ends, being evenly spaced in the logarithm, and packed scores."""
    return {
        "points": curves.shape[-1],
        "axes": AXES,
        "ends": np.stack([paths.places(axis)[:, [0, -1]] for axis in range(len(AXES))], axis=1),
        "scores": [packed(curves[:, f]) for f in range(curves.shape[1])],
    }


def packed(scores: np.ndarray) -> str:
    """Fractions in two letters each, which a page reads back to within 0.0002.

    The letters are the digits of a number to the base 64, from 0 to 4095 for 0 to 1.
    """
    whole = np.rint(np.clip(scores, 0.0, 1.0) * _STEPS).astype(int).ravel()
    digits = np.array(list(_DIGITS))
    return "".join(np.stack([digits[whole // 64], digits[whole % 64]], axis=1).ravel())


def _forecasts(found: Forecast | None, asked: Asked, query: Query) -> list[dict[str, Any]]:
    """A model of the query each, with quantiles ``(benchmark, quantile)``."""
    if found is None or asked.query is None:
        return []
    models = asked.query
    low, high = found.interval(asked.level)
    first, last = found.interval(0.5)
    middle = np.median(found.draws, axis=0)
    ends = np.stack([low, first, middle, last, high], axis=-1)
    return [
        {
            "name": name,
            "family": query.families.index(models.families[m]),
            "params_b": models.params_b[m],
            "tokens_t": models.tokens_t[m],
            "active_b": models.active_params_b[m],
            "family_models": found.family_models[m],
            "outside": found.outside[m],
            "scores": np.round(ends[m], 4),
        }
        for m, name in enumerate(found.models)
    ]


def read_evaluation(path: str | Path | None, table: Leaderboard) -> dict[str, Any] | None:
    """What ``sloth-jax evaluate --out DIR`` wrote, for :attr:`Asked.evaluation`.

    Args:
        path: the folder; None for none.
        table: that must have been evaluated.

    Raises:
        InputError: if there is no such file, it cannot be read, or is of another table.
    """
    if path is None:
        return None
    file = Path(path) / "summary.json"
    try:
        record = json.loads(read_whole(file))
        scores = record["scores"] + record["not_predicted"]
        names = {one["benchmark"] for one in record["benchmarks"]}
        verdict(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{file}: not what `sloth-jax evaluate --out {path}` writes; run it again"
        ) from None
    given = int(table.observed.sum())
    if scores != given or not names <= set(table.benchmarks):
        raise InputError(
            f"{file}: of another table, with {scores:,} scores and not {given:,}; evaluate the "
            "table of this fit"
        )
    return record


def _identifiability(fit: Fit) -> dict[str, Any]:
    report = fit.report
    return {
        "interpretable": may_interpret(report),
        "skills": report.skills,
        "supported": report.supported_skills,
        "rank": (report.local_rank, report.local_rank_expected),
        "findings": [asdict(one) for one in report.findings],
        "problems": [*left_to_prior(fit.table, fit.settings.size), *fit.diagnostics.problems()],
        "summary": fit.diagnostics.summary(),
    }


def skills_of(skills: Skills, level: float) -> dict[str, Any]:
    """Names, loadings, growth and shifts of skills, in standard deviations of models."""
    support = label_support(skills)
    tables: dict[str, pd.DataFrame] = {
        "loadings": skills.loadings(level),
        "growth": skills.growth(level),
        "correlations": skills.correlations(level),
    }
    with suppress(InputError):  # no such pair
        tables["chat"] = skills.base_to_chat(level)
    with suppress(InputError):  # hardly any date
        tables["years"] = yearly_progress(skills, level)
    number = {name: k for k, name in enumerate(skills.labels)}
    rows = {
        name: frame.assign(skill=frame["skill"].map(number)).to_dict("records")
        for name, frame in tables.items()
    }
    names = [
        {"name": name, "support": share}
        for name, share in zip(skills.labels, support.tolist(), strict=True)
    ]
    word = may_interpret(skills.fit.report)
    return {"names": names, "agreeing": skills.agreeing, "interpretable": word} | rows


def _plan(fit: Fit, asked: Asked, key: Array) -> dict[str, Any]:
    family = as_family(asked.family or _planned_family(fit.table, asked.query), fit.table)
    flops = np.asarray(asked.flops or _budgets(fit.table), float)
    found: Plan = compute_optimal(fit, flops, family=family, level=asked.level, key=key)
    return {
        "family": family.name,
        "family_models": found.family_models,
        "target": found.target.label,
        "rows": found.frontier.to_dict("records"),
    }


def _planned_family(table: Leaderboard, query: Query | None) -> str:
    """The query's first family; without one, of the well measured ones the one trained furthest.

    Well measured are three models of known size with the most scores that models of this table
    have. Where no family has three, the one with the most has to do.
    """
    if query is not None:
        return query.families[0]
    scores = table.observed.sum(axis=1)
    rows = (scores == scores.max()) & table.known
    if not rows.any():
        rows = (scores > 0) & table.known
    counts = np.bincount(table.family[rows], minlength=len(table.families))
    furthest = np.zeros(len(table.families))
    np.maximum.at(furthest, table.family[rows], (table.params_b * table.tokens_t)[rows])
    weight = np.minimum(counts, 3) + furthest / (1.0 + furthest.max())
    return table.families[int(np.argmax(weight))]


def _first(table: Leaderboard, query: Query, more: Query | None) -> int:
    """Number of the family that the page begins with."""
    return query.families.index(_planned_family(table, more))


def _budgets(table: Leaderboard) -> list[float]:
    """Powers of ten from the middle of the table's training FLOPs to above the largest."""
    known = table.known
    active = np.where(np.isnan(table.active_params_b), table.params_b, table.active_params_b)
    flops = np.log10(FLOPS_UNIT * active[known] * table.tokens_t[known])
    flops = flops if flops.size else np.array([23.0])
    first, last = np.floor(np.median(flops)), np.ceil(flops.max())
    return (10.0 ** np.arange(first, max(last, first + 2.0) + 1.0)).tolist()


def _about(fit: Fit, asked: Asked) -> dict[str, Any]:
    table, settings = fit.table, fit.settings
    return {
        "seed": asked.seed,
        "fit_seed": fit.seed,
        "command": asked.command,
        "versions": versions(),
        "settings": {
            name: getattr(settings, name)
            for name in ("inference", "skills", "surface", "size", "draws")
        },
        "models": int(table.observed.any(axis=1).sum()),
        "families": int(np.unique(table.family[table.observed.any(axis=1)]).size),
        "lineages": len(table.lineages),
        "benchmarks": len(table.benchmarks),
        "scores": int(table.observed.sum()),
        "share": float(table.observed.mean()),
        "unknown": int((~table.known).sum()),
        "warnings": table.warnings,
    }
