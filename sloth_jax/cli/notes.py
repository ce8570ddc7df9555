"""Warnings and notes on stderr: of a fit, and of models unlike those that it has seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from sloth_jax.cli.console import tell, warn
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.forecasting.forecast import count_family_models
from sloth_jax.forecasting.tasks import LEAST
from sloth_jax.inference.fit import Fit
from sloth_jax.wording import did_you_mean, spelling

_SHOWN = 3  # notes of a kind, before the rest is counted


def tell_of_fit(fit: Fit, saved: str | None = None) -> None:
    """Tell the warnings about a fit, then its summary.

    Args:
        fit: new, or saved.
        saved: file that it is saved in. What was told when it was made is only counted then, but
            for -v.
    """
    problems = _problems(fit)
    notes = [f"skills may not be interpreted: {w} (sloth-jax check)" for w in fit.report.warnings()]
    for problem in problems:
        if saved:
            tell(f"warning: {problem}", logging.DEBUG)
        else:
            warn(problem)
    for note in notes:
        tell(f"note: {note}", logging.DEBUG if saved else logging.INFO)
    summary = fit.diagnostics.summary()
    if saved:
        count = len(problems) + len(notes)
        summary += f" (-v repeats {count} warnings and notes of {saved})" if count else ""
    tell(summary)


def fit_as_json(fit: Fit) -> dict[str, Any]:
    """The same for JSON; null stands for diagnostics that an inference does not have."""
    numbers = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(fit.diagnostics).items()
    }
    return {"settings": asdict(fit.settings), "diagnostics": numbers, "problems": _problems(fit)}


def _problems(fit: Fit) -> list[str]:
    return [*_left_to_prior(fit.table, fit.settings.size), *fit.diagnostics.problems()]


def _left_to_prior(table: Leaderboard, size: str) -> list[str]:
    """What a table has no information about, so that the prior decides: a sentence each."""
    scored = table.observed.any(axis=1)
    params = table.params_b
    if size == "active":
        params = np.where(np.isnan(table.active_params_b), params, table.active_params_b)
    found = []
    for values, name in ((params, "size"), (table.tokens_t, "tokens")):
        if np.ptp(np.log(values[scored])) < 1e-9:
            found.append(
                f"all models have the same {name}: how scores grow with {name} comes from the prior"
            )
    if np.unique(table.lineage_of_family[table.family[scored]]).size == 1:
        found.append("there is one lineage: how far another departs from it comes from the prior")
    if scored.sum() < len(table.benchmarks):
        found.append(
            f"{scored.sum()} models are fewer than the {len(table.benchmarks)} benchmarks: much "
            "of what benchmarks have in common comes from the prior"
        )
    counts = table.observed.sum(axis=0)
    few = [f"{table.benchmarks[j]} ({counts[j]})" for j in np.flatnonzero(counts < LEAST)]
    if few:
        found.append(
            f"benchmarks with fewer than {LEAST} scores: {', '.join(few)}: most of what is "
            "predicted of them comes from the prior"
        )
    return found


def tell_of_new_families(families: Sequence[str], table: Leaderboard) -> None:
    """Print which families have no training model, and a similar name that has some."""
    for family in sorted(set(families)):
        if count_family_models(table, (family,))[0]:
            continue
        others = [name for name in table.families if name != family]
        # "llama-3" is nearer to "meta-llama-3" than to "llama".
        longer = sorted((n for n in others if spelling(family) in spelling(n)), key=len)
        tell(
            f"note: no training model of {family}: predicted from the population of families "
            f"(family_models = 0){did_you_mean(family, longer[:1] or others)}"
        )


def tell_of_extrapolation(names: Sequence[str], outside: Sequence[str]) -> None:
    """Print which answers lie outside the sizes and tokens of the training table."""
    marked = [(name, words) for name, words in zip(names, outside, strict=True) if words]
    for name, words in marked[:_SHOWN]:
        tell(f"note: {name} lies outside the training table: {words}")
    if len(marked) > _SHOWN:
        tell(f"note: so do {len(marked) - _SHOWN} more; see outside in the output")
