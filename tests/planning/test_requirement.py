"""Requirements against forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from laws import KEY, UNIT

from sloth_jax.forecasting.forecast import forecast
from sloth_jax.planning.budget import Bounds
from sloth_jax.planning.family import Family
from sloth_jax.planning.requirement import required


@pytest.mark.parametrize("given", [{"tokens_t": 2.0}, {"params_b": 16.0}, {}])
def test_require_inverts_the_forecast(given, fit, data):
    found = required(fit, "MMLU", 0.6, family="family0", probability=0.7, key=KEY, **given)
    assert found.reached
    query = Family("family0").query(data, np.array([found.params_b]), np.array([found.tokens_t]))
    share = (forecast(fit, query, key=KEY).draws[:, 0, 0] >= 0.6).mean()
    assert share == pytest.approx(found.probability, abs=1e-12)
    assert found.probability == pytest.approx(0.7, abs=0.02)
    assert found.flops == pytest.approx(UNIT * found.params_b * found.tokens_t)


def test_what_cannot_be_reached_is_said(fit):
    found = required(
        fit,
        "MMLU",
        0.9,
        family="family0",
        probability=0.9,
        tokens_t=1.0,
        key=KEY,
        bounds=Bounds((0.1, 4.0)),
    )
    assert not found.reached
    assert found.probability < 0.9
    assert "not within bounds; most probable is " in repr(found)
    assert len(repr(found)) < 300
