"""What the table decided and what the prior did: contraction of the posterior.

The contraction of a parameter is ``1 - Var(posterior) / Var(prior)`` (Schad, Betancourt and
Vasishth 2021, "Toward a principled Bayesian workflow in cognitive science"): near 1 the table
decided, near 0 the prior did. Loadings, slopes and shifts are measured by their length over skills,
which no rotation changes.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sloth_jax.covariates import KINDS
from sloth_jax.links import SLACK, QuantileMixture
from sloth_jax.posterior import Posterior
from sloth_jax.sampler import flat_draws

_LITTLE = 0.5  # below it, more than half of the prior's variance is left


def contraction(posterior: Posterior) -> pd.DataFrame:
    """Contraction of every shared parameter.

    Args:
        posterior: draws from the posterior.

    Returns:
        One row per parameter: ``parameter``, ``of`` (a benchmark, a covariate, or empty),
        ``prior_sd``, ``posterior_sd``, ``contraction`` (below 0 where the posterior is wider), and
        ``prior_decides``, True below 0.5. Scales are compared by their logarithms.
    """
    params, population = flat_draws((posterior.params, posterior.population))
    scales, skills = posterior.settings.scales, posterior.settings.skills
    benchmarks = posterior.table.benchmarks
    assert isinstance(params.link, QuantileMixture)  # of every hierarchical law
    link = params.link

    def length(values) -> np.ndarray:
        return np.linalg.norm(np.asarray(values, dtype=float), axis=-1)

    def of_length(scale: float) -> float:
        # chi with d degrees of freedom: variance d - 2 (Gamma((d + 1) / 2) / Gamma(d / 2))^2
        ratio = math.exp(math.lgamma((skills + 1) / 2) - math.lgamma(skills / 2))
        return scale * math.sqrt(skills - 2.0 * ratio**2)

    pieces = link.tilt.shape[1]
    parts = [
        ("length of slope", KINDS[posterior.covariates], of_length(scales.slope),
         length(params.slope)),
        ("length of loadings", benchmarks, of_length(scales.loading), length(params.loading)),
        ("length of post-training", ("",), of_length(scales.post_training),
         length(population.post_training)[:, None]),
        ("bias", benchmarks, scales.bias, params.bias),
        *((f"link tilt {k + 1}", benchmarks, scales.link, link.tilt[:, k]) for k in range(pieces)),
        ("log link slack", benchmarks, scales.spread, np.log(np.asarray(link.slack) / SLACK)),
        ("log lineage scale", ("",), scales.spread, np.log(population.lineage_scale)[:, None]),
        ("log growth scale", ("",), scales.spread, np.log(population.growth_scale)[:, None]),
        ("log specific scale", benchmarks, scales.spread, np.log(population.specific_scale)),
        ("log specific growth scale", benchmarks, scales.spread,
         np.log(population.specific_growth_scale)),
        ("log noise", benchmarks, scales.spread, np.log(population.noise)),
    ]  # fmt: skip
    rows = []
    for name, subjects, prior_sd, draws in parts:
        for subject, sd in zip(subjects, np.asarray(draws, float).std(axis=0), strict=True):
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
