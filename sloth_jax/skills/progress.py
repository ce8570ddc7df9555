"""How much better families get with the years, at the same size and number of tokens."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd

from sloth_jax.errors import InputError
from sloth_jax.identifiability.covariate_prior import release_years
from sloth_jax.skills.interpret import Skills

_LEAST = 5  # lineages with a date, for a line with an error


def efficiency_by_date(skills: Skills, level: float = 0.9) -> pd.DataFrame:
    """Skills that lineages would have at one size and number of tokens, by their first release.

    Args:
        skills: of a fit to a table with release dates.
        level: probability inside the intervals.

    Returns:
        One row per lineage with a date and skill: ``lineage, year, skill, median, lower, upper``;
        only base families count, and ``year`` has a fraction.

    Raises:
        InputError: fewer than five lineages have a base family with scores and a date.
    """
    names, years, draws = _lineages(skills)
    rows = skills.summary(draws, {"lineage": names, "skill": skills.labels}, level)
    rows.insert(1, "year", rows["lineage"].map(dict(zip(names, years, strict=True))))
    return rows


def yearly_progress(skills: Skills, level: float = 0.9) -> pd.DataFrame:
    """What a year adds to each skill at the same size and tokens, and the compute it is worth.

    In each draw a line is fitted through the lineages by least squares, and its slope is drawn
    given how they scatter around it (Gelman et al. 2013, section 14.2). A year is worth as many
    times the compute as would add the same, parameters and tokens growing alike from where
    lineages are compared. Dates and tokens grow together: what one is given the other loses.

    Args:
        skills: of a fit to a table with release dates.
        level: probability inside the intervals.

    Returns:
        One row per kind and skill: ``kind, skill, median, lower, upper``, the kind ``per year``,
        standard deviations of models, or ``compute``, times.

    Raises:
        InputError: as of :func:`efficiency_by_date`.
    """
    _, years, draws = _lineages(skills)
    x = years - years.mean()
    spread = (x**2).sum()
    # slope = sum_l x_l y_l / sum_l x_l^2, drawn: slope + sqrt( s^2 / sum_l x_l^2 ) t
    slope = np.einsum("l,dlk->dk", x, draws) / spread
    left = draws - draws.mean(axis=1, keepdims=True) - x[None, :, None] * slope[:, None]
    error = np.sqrt((left**2).sum(axis=1) / (len(x) - 2) / spread)
    key = jax.random.key_data(jax.random.fold_in(skills.key, 1))
    rng = np.random.default_rng(np.asarray(key, np.uint32))
    slope = slope + error * rng.standard_t(len(x) - 2, size=slope.shape)
    compute = 10.0 ** (slope / skills.gain())
    both = np.stack([slope, compute], axis=1)
    return skills.summary(both, {"kind": ("per year", "compute"), "skill": skills.labels}, level)


def _lineages(skills: Skills) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Lineages with a date: names, years of the first release, and ``(draw, lineage, skill)``."""
    table = skills.table
    year = release_years(table.released)
    scored = table.observed.any(axis=1) & np.isfinite(year)
    base = table.post_trained_of_family < 0.5
    efficiency = skills.efficiency()
    names, years, draws = [], [], []
    for lineage in range(len(table.lineages)):
        families = np.flatnonzero(base & (table.lineage_of_family == lineage))
        of_family = [scored & (table.family == family) for family in families]
        dated = [family for family, at in zip(families, of_family, strict=True) if at.any()]
        if dated:
            names.append(table.lineages[lineage])
            years.append(min(year[at].min() for at in of_family if at.any()))
            draws.append(efficiency[:, dated].mean(axis=1))
    if len(names) < _LEAST:
        raise InputError(
            f"{len(names)} lineages have a base family with scores and a release date: {_LEAST} "
            "are needed to see what years bring"
        )
    return tuple(names), np.array(years), np.stack(draws, axis=1)
