"""Expected widths against exact conditionals."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from laws import KEY

from sloth_jax.forecasting.forecast import forecast
from sloth_jax.planning.experimental_design import next_measurement
from sloth_jax.planning.family import Family


@pytest.mark.parametrize("name", ["family0", "nobody"])
def test_expected_width_is_that_of_the_exact_conditional(name, fit, data):
    """One law, so that what all families share is known and everything inside links normal."""
    fixed = replace(fit, law=jax.tree.map(lambda a: jnp.repeat(a[:1], 4000, axis=0), fit.law))
    family, size = Family(name, post_trained=False), 6.0
    query = replace(
        family.query(data, np.array([size, 3.0 * size]), np.full(2, 2.0)), models=("small", "large")
    )
    drawn = forecast(fixed, query, key=jax.random.key(7)).draws
    link = jax.tree.map(lambda a: a[0], fit.law.params.link)
    floor = np.asarray(data.floors)
    z = np.asarray(link.inverse((drawn - floor) / (1.0 - floor))[0])
    inside = ((drawn > 1e-6) & (drawn < 1 - 1e-6)).all(axis=(1, 2))  # clipped scores tell less
    small = np.column_stack([np.ones(inside.sum()), z[inside, 0]])
    large = z[inside, 1, 0]
    found, *_ = np.linalg.lstsq(small, large, rcond=None)
    spread = (large - small @ found).std()
    centre = (small @ found)[:, None] + spread * 1.645 * np.array([[-1.0, 1.0]])
    ends = floor[0] + (1 - floor[0]) * np.asarray(
        link(np.repeat(centre.ravel()[:, None], len(floor), axis=1))
    )[:, 0].reshape(-1, 2)
    by_regression = np.diff(np.clip(ends, 0.0, 1.0), axis=1).mean()

    rows = next_measurement(
        fixed,
        family,
        1e25,
        params_b=3.0 * size,
        tokens_t=2.0,
        key=KEY,
        target="MMLU",
        futures=200,
        draws=400,
        candidates=pd.DataFrame({"params_b": [size], "tokens_t": [2.0]}),
    )
    lower, upper = np.quantile(drawn[:, 1, 0], [0.05, 0.95])
    assert rows["before"][0] == pytest.approx(upper - lower, rel=0.1)
    assert rows["width"][0] == pytest.approx(by_regression, rel=0.1)
    assert rows["width"][0] < rows["before"][0]
    assert rows["effective_draws"][0] == pytest.approx(400, rel=1e-6)  # they are all the same


def test_seeing_a_sibling_narrows_and_nearer_ones_more(fit):
    size, tokens = 64.0, 2.0
    rows = next_measurement(
        fit,
        "family0",
        1e24,
        params_b=size,
        tokens_t=tokens,
        key=KEY,
        target="MMLU",
        candidates=pd.DataFrame({"params_b": [16.0, size], "tokens_t": [tokens, tokens]}),
    )
    assert (rows["width"] < rows["before"]).all()
    assert rows["params_b"][0] == size
    chosen = next_measurement(
        fit, "nobody", 1e22, params_b=size, tokens_t=tokens, key=KEY, futures=10, draws=20
    )
    assert (chosen["flops"] <= 1e22 * 1.0001).all()
    assert chosen["width"].is_monotonic_increasing
