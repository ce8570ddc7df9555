"""Warnings and notes on stderr: of a fit, and of models unlike those that it has seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sloth_jax.cli.console import tell, warn
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.forecasting.forecast import count_family_models
from sloth_jax.identifiability.enough_scores import left_to_prior
from sloth_jax.inference.fit import Fit
from sloth_jax.wording import counted, did_you_mean, spelling

_SHOWN = 3  # notes of a kind, before the rest is counted


def tell_of_fit(fit: Fit, saved: str | None = None) -> None:
    """Tell the warnings about a fit, then its summary.

    Args:
        fit: new, or saved.
        saved: file that it is saved in. What was told when it was made is only counted then, but
            for -v.
    """
    problems = _problems(fit)
    notes = against_interpretation(fit)
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
        told = counted(count, "warning or note", "warnings and notes")
        summary += f" (-v repeats {told} of {saved})" if count else ""
    tell(summary)


def against_interpretation(fit: Fit) -> list[str]:
    """Why the skills of a fit may not be interpreted, a sentence each."""
    return [f"skills may not be interpreted: {w} (sloth-jax check)" for w in fit.report.warnings()]


def fit_as_json(fit: Fit) -> dict[str, Any]:
    """The same for JSON; null stands for diagnostics that an inference does not have."""
    numbers = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(fit.diagnostics).items()
    }
    return {"settings": asdict(fit.settings), "diagnostics": numbers, "problems": _problems(fit)}


def _problems(fit: Fit) -> list[str]:
    return [*left_to_prior(fit.table, fit.settings.size), *fit.diagnostics.problems()]


def tell_of_unseen(
    families: Sequence[str],
    table: Leaderboard,
    names: Sequence[str] = (),
    outside: Sequence[str] = (),
) -> None:
    """Print what of models the training table does not have.

    Args:
        families: of the models; those without a training model are named, and a similar name.
        table: of the training models.
        names: of answers.
        outside: in which way each lies outside the table's sizes and tokens, empty where inside.
    """
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
    marked = [(name, words) for name, words in zip(names, outside, strict=True) if words]
    for name, words in marked[:_SHOWN]:
        tell(f"note: {name} lies outside the training table: {words}")
    if len(marked) > _SHOWN:
        tell(f"note: so do {len(marked) - _SHOWN} more; see outside in the output")
