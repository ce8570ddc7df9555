"""Posterior of the sizes and tokens that a table lacks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.chunks import map_in_chunks
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.inference.fit import Fit
from sloth_jax.law.hierarchical import SharedLaw
from sloth_jax.law.observations import Observations
from sloth_jax.law.predictive import coefficients_of_table, repeated

COLUMNS = (
    "model",
    "family",
    "covariate",
    "median",
    "lower",
    "upper",
    "prior_median",
    "prior_lower",
    "prior_upper",
    "level",
)


def unknown_covariates(fit: Fit, *, key: Array, level: float = 0.9) -> pd.DataFrame:
    """Sizes and tokens that the training table lacks, before and after its scores.

    They are effective ones: what a model of its lineage, made as the table's models are, would have
    needed for these scores. Where size and tokens are both unknown, scores tell little more than
    their combination.

    Args:
        fit: from :func:`sloth_jax.fit`.
        key: random key.
        level: probability inside the intervals, in (0, 1).

    Returns:
        A row per unknown value, with the columns :data:`COLUMNS`: ``covariate`` is ``params_b``
        (billions) or ``tokens_t`` (trillions), ``prior_...`` what was believed from lineage,
        family, size and date alone. Empty where all are known.

    Raises:
        ValueError: if ``level`` is not inside (0, 1).
    """
    central_interval(np.zeros((1, 1)), level)
    if fit.observations.covariates is None:
        return pd.DataFrame(columns=list(COLUMNS))
    law = repeated(fit.law, fit.settings.inference)
    nothing = jnp.zeros_like(fit.observations.observed)
    before = _draws(fit.observations._replace(observed=nothing), law, key)
    after = _draws(fit.observations, law, key)
    table, parts = fit.table, []
    for at, name in enumerate(("params_b", "tokens_t")):
        rows = np.flatnonzero(np.isnan(getattr(table, name)) & np.isnan(_of_size(fit, name)))
        columns: dict[str, object] = {
            "model": [table.models[m] for m in rows],
            "family": [table.families[table.family[m]] for m in rows],
            "covariate": name,
        }
        for prefix, draws in (("", after), ("prior_", before)):
            drawn = np.exp(np.asarray(draws, float)[:, at, rows])
            lower, upper = central_interval(drawn, level)
            columns |= {
                f"{prefix}median": np.median(drawn, axis=0),
                f"{prefix}lower": lower,
                f"{prefix}upper": upper,
            }
        parts.append(pd.DataFrame(columns | {"level": level}, columns=list(COLUMNS)))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _of_size(fit: Fit, name: str) -> np.ndarray:
    """What counts as the size where it is not all parameters; NaN elsewhere, and of tokens."""
    active = fit.table.active_params_b
    counts = name == "params_b" and fit.surface.size == "active"
    return active if counts else np.full(active.shape, np.nan)


@jax.jit
def _draws(observations: Observations, law: SharedLaw, key: Array) -> Array:
    """Log size and log tokens of the table's models, ``(draw, 2, model)``."""
    covariates = observations.covariates
    assert covariates is not None

    def one(inputs: tuple[SharedLaw, Array]) -> Array:
        found, _ = coefficients_of_table(observations, *inputs)
        return jnp.stack(covariates.logs(found.covariate))

    keys = jax.random.split(key, law.noise.shape[0])
    return map_in_chunks(one, (law, keys), 8)
