"""Repetitions of a point fit: a clear table gives its skills again, whatever is drawn."""

from __future__ import annotations

import jax
import pytest

from sloth_jax import InputError
from sloth_jax.point import PointSettings
from sloth_jax.stability import stability
from sloth_jax.synthetic import synthetic_table


def test_clear_skills_come_out_again():
    table, _ = synthetic_table(0, families=16, benchmarks=6, noise=0.05, own=0.0, tilt=0.0)
    settings = PointSettings(skills=2, link="logistic", starts=3, steps=600)
    found = stability(
        table, key=jax.random.key(0), settings=settings, seeds=2, bootstraps=3, others=(1, 7)
    )
    assert list(found.columns) == ["reason", "repetition", "skill", "congruence"]
    assert set(found["reason"]) == {"start", "families", "d = 1"}  # 7 skills fit no 6 benchmarks
    assert found["congruence"].between(0.0, 1.0 + 1e-9).all()
    assert len(found[found["reason"] == "families"]) == 3 * 2
    assert len(found[found["reason"] == "d = 1"]) == 1  # one of our two skills has a partner
    medians = found.groupby("reason")["congruence"].median()
    assert medians["start"] > 0.95
    assert medians["families"] > 0.9


def test_skills_that_do_not_fit_are_refused():
    table, _ = synthetic_table(0)
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        stability(table, key=jax.random.key(0), settings=PointSettings(skills=5))
