"""Leave-one-lineage-out predictive densities by importance sampling: PSIS-LOO.

Vehtari, Gelman and Gabry (2017); Vehtari et al. (2024). The effects of a lineage, its families and
its models are integrated out exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from sloth_jax.errors import InputError
from sloth_jax.inference.arviz_groups import lineage_log_likelihoods
from sloth_jax.inference.diagnostics import smooth_ratios
from sloth_jax.inference.fit import Fit
from sloth_jax.showing import Shown


@dataclass(frozen=True, eq=False, repr=False)
class LineageElpd(Shown):
    """Leave-one-lineage-out expected log predictive density.

    Attributes:
        lineages: names of the lineages with a score.
        elpd: log density of each lineage's scores given all others', ``(lineage,)``, in nats.
        pareto_k: of its importance weights, ``(lineage,)``; above 0.7 the number is rough, because
            the lineage moves what all share.
    """

    lineages: tuple[str, ...]
    elpd: np.ndarray
    pareto_k: np.ndarray

    @property
    def total(self) -> float:
        """Sum over lineages, in nats; more is better."""
        return float(self.elpd.sum())

    def elpd_difference(self, other: LineageElpd) -> tuple[float, float]:
        """Total of another of the same table less this one, and its standard error, in nats."""
        return sum_with_error(other.elpd - self.elpd)


def sum_with_error(change: np.ndarray) -> tuple[float, float]:
    """A sum over lineages and ``sqrt(lineages) * sd`` (Vehtari, Gelman and Gabry 2017, 5)."""
    return float(change.sum()), float(np.sqrt(change.size * change.var(ddof=1)))


def lineage_elpd(fit: Fit) -> LineageElpd:
    """PSIS-LOO over lineages.

    Args:
        fit: draws of the law of a table with at least two scored lineages. Those of an
            approximation are taken for draws of the posterior.

    Raises:
        InputError: if the table has a single scored lineage, or the fit a single draw.
    """
    table = fit.table
    of_model = table.lineage_of_family[table.family]
    scored = np.unique(of_model[table.observed.any(axis=1)])
    if scored.size < 2:
        raise InputError("leaving lineages out needs two lineages with scores")
    if fit.settings.inference == "mode":
        raise InputError("leaving lineages out needs draws: fit with another inference than mode")
    density = np.asarray(lineage_log_likelihoods(fit), float)
    elpd, pareto_k = np.zeros((2, scored.size))
    for at, lineage in enumerate(scored):
        # p(y_l | y_-l) = sum_d w_d p(y_l | law_d) / sum_d w_d  with  w_d ~ 1 / p(y_l | law_d)
        weights, pareto_k[at] = smooth_ratios(-density[:, lineage])
        elpd[at] = logsumexp(density[:, lineage], b=weights)
    names = tuple(table.lineages[at] for at in scored)
    return LineageElpd(names, elpd, pareto_k)
