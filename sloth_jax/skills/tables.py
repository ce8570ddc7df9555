"""Everything that is asked of skills, as tables with medians and intervals."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd

from sloth_jax.errors import InputError
from sloth_jax.identifiability.report import Report
from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.progress import efficiency_by_date, yearly_progress

_POINTS = 25  # of the grid of level curves, each way


def skill_tables(
    skills: Skills,
    level: float = 0.9,
    *,
    params_b: np.ndarray | None = None,
    tokens_t: np.ndarray | None = None,
) -> dict[str, pd.DataFrame]:
    """All tables of skills, by name.

    Args:
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills`.
        level: probability inside the intervals.
        params_b: sizes of the level curves, billions, ``(size,)``; None covers the scored models.
        tokens_t: their tokens, trillions, ``(token,)``; None covers the scored models.

    Returns:
        ``loadings, correlations, models, families, base_to_chat, growth, level_curves``: what the
        methods of :class:`sloth_jax.skills.interpret.Skills` of these names return, and
        ``efficiency_by_date`` and ``yearly_progress`` of :mod:`sloth_jax.skills.progress`. There is
        no ``base_to_chat`` where no lineage has a base and a post-trained family, and none of the
        last two where few lineages have a date.
    """
    table = skills.table
    scored = table.observed.any(axis=1) & table.known
    sizes = _grid(table.params_b[scored]) if params_b is None else params_b
    tokens = _grid(table.tokens_t[scored]) if tokens_t is None else tokens_t
    found = {
        "loadings": skills.loadings(level),
        "correlations": skills.correlations(level),
        "models": skills.models(level),
        "families": skills.families(level),
        "growth": skills.growth(level),
        "level_curves": skills.level_curves(sizes, tokens, level),
    }
    with suppress(InputError):  # no such pair, which is no fault of the table
        found["base_to_chat"] = skills.base_to_chat(level)
    with suppress(InputError):  # nor are dates that nobody gave
        found["efficiency_by_date"] = efficiency_by_date(skills, level)
        found["yearly_progress"] = yearly_progress(skills, level)
    return found


def may_interpret(report: Report) -> str:
    """Whether skills may be interpreted: ``"yes"``, ``"weakly"`` where an assumption barely holds.

    Args:
        report: of the fit's table.

    Returns:
        One word; ``"no"`` where an assumption fails.
    """
    if not report.holds:
        return "no"
    return "weakly" if report.warnings() else "yes"


def _grid(values: np.ndarray) -> np.ndarray:
    """Points between the least and the most, evenly spaced in the logarithm, ``(point,)``."""
    low, high = (values.min(), values.max()) if values.size else (1.0, 1.0)
    if high < 4.0 * low:  # hardly any range: level curves need some
        low, high = low / 2.0, high * 2.0
    return np.geomspace(low, high, _POINTS)
