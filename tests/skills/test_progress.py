"""What a year brings: a slope that was put in comes out, with an honest interval."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.errors import InputError
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.progress import efficiency_by_date, yearly_progress

LINEAGES = 12
YEARS = 2020.0 + np.arange(LINEAGES) / 2.0
PER_YEAR, SCATTER = np.array([0.3, -0.1]), 0.2


def table(released: tuple[str, ...] | None = None) -> Leaderboard:
    """Two families of each lineage, base and post-trained, a model each."""
    months = [f"{int(year)}-{1 + int(12 * (year % 1.0)):02d}" for year in YEARS]
    at = np.arange(2 * LINEAGES)
    frame = pd.DataFrame(
        {
            "model": [f"m{m}" for m in at],
            "family": [f"f{m:02d}" for m in at],
            "lineage": [f"l{m // 2:02d}" for m in at],
            "post_trained": at % 2 == 1,
            "params_b": 7.0,
            "tokens_t": 2.0,
            "released": released or tuple(np.repeat(months, 2)),
            "A": 0.5,
        }
    )
    return load_leaderboard(frame)


class Known(Skills):
    """Skills whose families' efficiency is given."""

    def efficiency(self, *_: float) -> np.ndarray:
        return self.theta

    def gain(self, *_: float) -> np.ndarray:
        return np.full((len(self.theta), 2), 0.6)

    @property
    def table(self) -> Leaderboard:
        return self.fit  # pyright: ignore[reportReturnType]

    @property
    def has_intervals(self) -> bool:
        return len(self.theta) > 1


def skills(of: Leaderboard, draws: int = 400, seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    line = (YEARS - YEARS.mean())[:, None] * PER_YEAR + SCATTER * rng.normal(size=(LINEAGES, 2))
    each = np.repeat(line, 2, axis=0)
    each[1::2] += 5.0  # post-trained families, which do not count
    theta = each[None] + 0.01 * rng.normal(size=(draws, 2 * LINEAGES, 2))
    nothing = np.zeros(0)
    return Known(("one", "two"), nothing, theta, nothing, nothing, nothing, of,
                 jax.random.key(seed), 1.0, 1.0)  # fmt: skip


def test_the_slope_comes_out_and_its_interval_holds_it():
    inside, draws = [], []
    for seed in range(100):
        rows = yearly_progress(skills(table(), 60, seed)).set_index(["kind", "skill"])
        of_years = rows.loc["per year"]
        inside.append(of_years["lower"].le(PER_YEAR) & of_years["upper"].ge(PER_YEAR))
        draws.append(of_years["median"].to_numpy())
    np.testing.assert_allclose(np.mean(draws, axis=0), PER_YEAR, atol=0.02)
    assert 0.8 < np.mean(inside) < 0.97


def test_a_year_is_worth_the_compute_that_adds_the_same():
    rows = yearly_progress(skills(table())).set_index(["kind", "skill"])["median"]
    np.testing.assert_allclose(rows["compute"], 10.0 ** (rows["per year"] / 0.6), rtol=0.05)


def test_lineages_stand_at_their_first_base_release():
    found = efficiency_by_date(skills(table()))
    one = found[found["skill"] == "one"]
    assert one["lineage"].tolist() == [f"l{n:02d}" for n in range(LINEAGES)]
    np.testing.assert_allclose(one["year"], YEARS + 1 / 24, atol=0.05)
    given = skills(table())
    lower, upper = central_interval(given.theta[:, ::2, 0], 0.9)
    np.testing.assert_allclose(one["lower"], lower)
    np.testing.assert_allclose(one["upper"], upper)


def test_a_mode_has_no_intervals_and_few_dates_no_line():
    assert yearly_progress(skills(table(), 1))["lower"].isna().all()
    dates = ("2024-01",) * 8 + ("",) * (2 * LINEAGES - 8)
    with pytest.raises(InputError, match="4 lineages have a base family with scores and a release"):
        yearly_progress(skills(table(dates)))
