"""What the table decided and what the prior did: contraction of the posterior.

The contraction of a parameter is ``1 - Var(posterior) / Var(prior)`` (Schad, Betancourt and
Vasishth 2021, "Toward a principled Bayesian workflow in cognitive science"): near 1 the table
decided, near 0 the prior did. All :class:`sloth_jax.law.hierarchical.RawParams` are standard normal
a priori. Loadings and slopes are measured by their length over skills, which no rotation changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import jax
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

from sloth_jax.errors import InputError
from sloth_jax.inference.fit import Fit
from sloth_jax.law.hierarchical import zero_raw_params

_LITTLE = 0.5  # below it, more than half of the prior's variance is left


def contraction(fit: Fit) -> pd.DataFrame:
    """Contraction of everything that all lineages share.

    Args:
        fit: from :func:`sloth_jax.fit`, by any inference but the mode's.

    Returns:
        One row per parameter: ``parameter``, ``of`` (a benchmark, a column, or what it belongs to),
        ``prior_sd`` and ``posterior_sd`` in units of the prior, ``contraction`` (below 0 where the
        posterior is wider), and ``prior_decides``, True below 0.5. Scales are compared by their
        logarithms.

    Raises:
        InputError: if the fit is a mode, which has no width.
    """
    if fit.settings.inference == "mode":
        raise InputError("a mode has no draws to tell widths by: fit with laplace or nuts")
    skills = fit.law.params.loading.shape[2]
    blank = zero_raw_params(fit.observations, skills, fit.settings.prior)
    raw = jax.vmap(ravel_pytree(blank)[1])(fit.position)
    benchmarks, columns = fit.table.benchmarks, fit.surface.names
    kinds = ("lineage", "lineage walk", "family", "family walk", "model")
    of_link = tuple(f"row {k + 1}" for k in range(raw.link.shape[1]))
    free = np.asarray(fit.observations.offset_free) > 0.0
    # chi with d degrees of freedom: variance d - 2 (Gamma((d + 1) / 2) / Gamma(d / 2))^2
    ratio = math.exp(math.lgamma((skills + 1) / 2) - math.lgamma(skills / 2))
    of_length = math.sqrt(skills - 2.0 * ratio**2)
    loading = fit.law.params.loading / fit.settings.prior.loading
    parts = [
        ("length of slope", columns, of_length, _length(raw.slope)),
        ("length of loadings", benchmarks, of_length, _length(loading)),
        ("specific slope", _pairs(columns, benchmarks), 1.0, raw.specific_slope),
        ("bias", benchmarks, 1.0, raw.bias),
        ("link", _pairs(of_link, benchmarks), 1.0, raw.link),
        ("log skill spread", kinds, 1.0, raw.skill_spread),
        ("log specific spread, level", kinds[:4], 1.0, raw.spread_level),
        ("log specific spread", _pairs(kinds[:4], benchmarks), 1.0, raw.spread),
        ("log noise, level", ("",), 1.0, raw.noise_level),
        ("log noise", benchmarks, 1.0, raw.noise),
    ]
    if raw.offset is not None:
        of_offset = np.array(_pairs(fit.table.sources, benchmarks))[free.ravel()].tolist()
        parts.append(("log offset scale", ("",), 1.0, raw.offset_scale))
        parts.append(("offset", of_offset, 1.0, np.asarray(raw.offset)[:, free]))
    if raw.run_length is not None:
        parts.append(("log length of runs", ("",), 1.0, raw.run_length))
        parts.append(("share of noise along runs", ("",), 1.0, raw.run_share))
    rows = []
    for name, subjects, prior_sd, draws in parts:
        spread = np.asarray(draws, float).std(axis=0).ravel()
        for subject, sd in zip(subjects, spread, strict=True):
            shrunk = 1.0 - (sd / prior_sd) ** 2
            rows.append(
                {
                    "parameter": name,
                    "of": subject,
                    "prior_sd": prior_sd,
                    "posterior_sd": sd,
                    "contraction": shrunk,
                    "prior_decides": shrunk < _LITTLE,
                }
            )
    return pd.DataFrame(rows)


def _length(values) -> np.ndarray:
    return np.linalg.norm(np.asarray(values, float), axis=-1)


def _pairs(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return [f"{one}, {other}" for one, other in product(first, second)]
