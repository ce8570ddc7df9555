"""Repetitions of a fit: a clear table gives its skills again, whichever lineages it has."""

from __future__ import annotations

import jax
import pytest

from sloth_jax import FitSettings, InputError
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.skills.stability import stability


def test_clear_skills_come_out_again():
    table, _ = synthetic_table(0, families=16, benchmarks=6, noise=0.05, own=0.0, tilt=0.0)
    settings = FitSettings(skills=2, surface="translog", steps=150)
    found = stability(table, key=jax.random.key(0), settings=settings, halves=2, others=(1, 7))
    assert list(found.columns) == ["reason", "repetition", "skill", "congruence"]
    halves = found[found["reason"] == "half of the lineages"]
    assert len(halves) == 2 * 2
    # 7 skills fit no 6 benchmarks; of d = 1, one of our two skills has a partner.
    assert found["reason"].tolist()[4:] == ["d = 1"]
    assert found["congruence"].between(0.0, 1.0 + 1e-9).all()
    assert halves["congruence"].median() > 0.9


def test_skills_that_do_not_fit_are_refused():
    table, _ = synthetic_table(0)
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        stability(table, key=jax.random.key(0), settings=FitSettings(skills=5))
