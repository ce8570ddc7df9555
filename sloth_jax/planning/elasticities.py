"""What a little more size, or tokens, changes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.inference.fit import Fit
from sloth_jax.planning.budget import Split
from sloth_jax.planning.family import Family, as_family
from sloth_jax.planning.objective import (
    Covariates,
    Objective,
    covariates_of,
    law_value,
    objective_of,
    predictive_law_of,
)
from sloth_jax.planning.targets import Target, find_target
from sloth_jax.skills.interpret import Skills


def elasticity(
    fit: Fit,
    params_b: float,
    tokens_t: float,
    *,
    family: Family | str,
    more: float = 0.01,
    level: float = 0.9,
    key: Array,
    skills: Skills | None = None,
) -> pd.DataFrame:
    """What 1 % more parameters, or 1 % more tokens, change at a point.

    Args:
        fit: from :func:`sloth_jax.fit`.
        params_b: size of the point, billions.
        tokens_t: its tokens, trillions.
        family: whose model, by name or as a :class:`Family`.
        more: how much more, a fraction.
        level: probability inside the intervals, in (0, 1).
        key: random key.
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills` of the same fit; their
            changes, in standard deviations over models, come first.

    Returns:
        A row per skill or benchmark and kind of growth: ``kind`` (``skill`` or ``benchmark``),
        ``name``, ``more`` (``params`` or ``tokens``), ``median, lower, upper`` by the law, without
        noise.
    """
    family, tails = as_family(family, fit.table), tail_probabilities(level)
    law = predictive_law_of(fit, family, key)
    log_s, log_t, grow = np.log(params_b), np.log(tokens_t), np.log1p(more)
    steps = Split(
        jnp.asarray([log_s, log_s + grow, log_s]), jnp.asarray([log_t, log_t, log_t + grow])
    )
    at = covariates_of(fit, family)(steps)
    labels, benchmarks = skills.labels if skills else (), fit.table.benchmarks
    targets = [("skill", Target(name, (), (), k)) for k, name in enumerate(labels)]
    targets += [("benchmark", find_target({name: 1.0}, benchmarks)) for name in benchmarks]
    rows = []
    for kind, target in targets:
        objective = objective_of(law, target, fit, skills)
        value = np.asarray(_law_values(objective, at), float)
        for column, grown in ((1, "params"), (2, "tokens")):
            change = value[:, column] - value[:, 0]
            lower, upper = np.quantile(change, tails)
            rows.append((kind, target.label, grown, float(np.median(change)), lower, upper))
    return pd.DataFrame(rows, columns=["kind", "name", "more", "median", "lower", "upper"])


@jax.jit
def _law_values(objective: Objective, at: Covariates) -> Array:
    """Values by every draw, ``(draw, point)``."""
    return jax.vmap(lambda one: law_value(one, at))(objective)
