"""How many numbers the density of a table holds at a time, from shapes alone."""

from __future__ import annotations

from sloth_jax.effects.bins import NestedBins, plain_bins
from sloth_jax.law.observations import Observations


def gradient_numbers(observations: Observations, skills: int) -> float:
    """About how many numbers a gradient of the density holds at a time."""
    models, benchmarks = observations.scores.shape
    units = skills + (0 if observations.covariates is None else 2)
    found = 12.0 * models * benchmarks
    for bins in plain_bins(observations.bins):
        # R_j and the like, and P_jk = sum_k lambda_jk M^-1_k for every unit k
        found += (6.0 + 1.5 * units) * bins.pair_index.size
        found += 3.0 * bins.rows.shape[0] * (units * bins.rows.shape[1]) ** 2
    for bins in observations.bins:
        if isinstance(bins, NestedBins):  # W Z of each size, and what is made of it
            found += 4.0 * benchmarks**2 * sum(basis.size for basis in bins.basis)
    return found
