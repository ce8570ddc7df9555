"""How well a posterior predicts lineages nobody has seen, by its training table alone.

Leaving single scores out tells how well a law fills gaps in families it knows. What is to be
forecast is another family, so whole lineages are left out, in two ways:

* by importance sampling from the posterior of the whole table (PSIS-LOO; Vehtari, Gelman and Gabry
  2017; Vehtari et al. 2024), with everything that is peculiar to a lineage, its families and its
  models integrated out exactly: one posterior, but rough where a lineage moves what all share;
* by sampling again without some lineages at a time (K-fold cross-validation, to which the same
  authors resort where importance sampling is rough), which is exact and takes minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from sloth_jax.calibration import crps
from sloth_jax.diagnostics import arviz_object, import_arviz
from sloth_jax.errors import InputError
from sloth_jax.law import Params, matmul, own_growth
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.methods import FOLD_SETTINGS, PosteriorMethod
from sloth_jax.observations import observe
from sloth_jax.posterior import Posterior
from sloth_jax.prior import Population, offset_of, sampling_variance
from sloth_jax.sampler import SamplerSettings, flat_draws


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Expected log predictive density of lineages that are left out.

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

    def less_than(self, other: LeftOut) -> tuple[float, float]:
        """By how much another one of the same table is better, and its standard error, in nats."""
        return _summed(other.elpd - self.elpd)


@dataclass(frozen=True, eq=False)
class Refitted:
    """How far predictions of lineages are off by posteriors that never saw them.

    Attributes:
        lineages: names of the lineages with a score.
        crps: sum of the continuous ranked probability scores of each lineage's scores, fractions,
            ``(lineage,)``.
        scores: how many scores that are, ``(lineage,)``.
        max_rhat: largest rank-normalised R-hat of all refits' predictions.
    """

    lineages: tuple[str, ...]
    crps: np.ndarray
    scores: np.ndarray
    max_rhat: float

    @property
    def mean(self) -> float:
        """Mean over scores, a fraction; less is better."""
        return float(self.crps.sum() / self.scores.sum())

    def more_than(self, other: Refitted) -> tuple[float, float]:
        """By how much the mean of another one of the same table is less, and its standard error."""
        change, error = _summed(self.crps - other.crps)
        return change / int(self.scores.sum()), error / int(self.scores.sum())


def _summed(change: np.ndarray) -> tuple[float, float]:
    """A sum over lineages and ``sqrt(lineages) * sd`` (Vehtari, Gelman and Gabry 2017, 5)."""
    return float(change.sum()), float(np.sqrt(change.size * change.var(ddof=1)))


def deal_lineages(table: Leaderboard, groups: int) -> np.ndarray:
    """Lineages in groups of about as many scores each.

    Args:
        table: with at least as many scored lineages as groups.
        groups: how many groups, at least 2.

    Returns:
        Group of each lineage, ``(lineage,)``; -1 for one without a score.

    Raises:
        InputError: if there are fewer scored lineages than groups.
    """
    of_model = table.lineage_of_family[table.family]
    count = np.bincount(of_model, table.observed.sum(axis=1), minlength=len(table.lineages))
    if (count > 0).sum() < groups:
        raise InputError(
            f"{groups} groups of lineages need as many lineages with scores, the table has "
            f"{(count > 0).sum()}: ask for fewer groups"
        )
    found = np.full(count.size, -1)
    filled = np.zeros(groups)
    # The largest first, each to the group that holds least: nothing random to report.
    for lineage in np.argsort(-count, kind="stable"):
        if count[lineage]:
            found[lineage] = np.argmin(filled)
            filled[found[lineage]] += count[lineage]
    return found


def refit_without_lineages(
    table: Leaderboard,
    *,
    key: Array,
    settings: SamplerSettings = FOLD_SETTINGS,
    groups: int = 8,
) -> Refitted:
    """Sample the posterior without one group of lineages at a time, and predict that group.

    Args:
        table: scores.
        key: random key.
        settings: how each posterior is sampled.
        groups: how many refits; see :func:`deal_lineages`.

    Returns:
        :class:`Refitted`.

    Raises:
        InputError: as :func:`deal_lineages`, or if a posterior cannot be sampled.
    """
    of_lineage = deal_lineages(table, groups)
    of_model = table.lineage_of_family[table.family]
    hidden = of_lineage[of_model][None, :] == np.arange(groups)[:, None]
    train = table.observed[None] & ~hidden[:, :, None]
    sampled = PosteriorMethod(settings).sample(table, train, key)
    error = np.zeros(table.scores.shape)
    for group, rows in enumerate(hidden):
        entries = np.nonzero(table.observed & rows[:, None])
        error[entries] = crps(sampled.draws[group][:, *entries], table.scores[entries])
    of_score = of_model[np.nonzero(table.observed)[0]]
    scored = np.unique(of_score)
    summed = np.bincount(of_score, error[table.observed], minlength=len(table.lineages))
    return Refitted(
        lineages=tuple(table.lineages[at] for at in scored),
        crps=summed[scored],
        scores=np.bincount(of_score)[scored],
        max_rhat=float(np.max(sampled.max_rhat)),
    )


def leave_lineages_out(posterior: Posterior, *, draws: int = 400) -> LeftOut:
    """PSIS-LOO over lineages.

    Args:
        posterior: draws from the posterior of a table with at least two scored lineages.
        draws: how many of them to use, evenly thinned: each costs a dense matrix per lineage.

    Returns:
        :class:`LeftOut`.

    Raises:
        InputError: if the table has a single scored lineage, or the noise is not normal, so that
            nothing can be integrated out exactly.
    """
    if posterior.settings.scales.noise_df is not None:
        raise InputError("leaving lineages out needs normal noise: noise_df=None")
    table = posterior.table
    of_model = table.lineage_of_family[table.family]
    scored = np.unique(of_model[table.observed.any(axis=1)])
    if scored.size < 2:
        raise InputError("leaving lineages out needs two lineages with scores")
    density = lineage_densities(posterior, draws=draws)[:, :, scored]
    az = import_arviz()
    dims = ("chain", "draw", "lineage")
    blank = xr.Dataset({"blank": (dims[:2], np.zeros(density.shape[:2]))})
    groups = {"posterior": blank, "log_likelihood": xr.Dataset({"scores": (dims, density)})}
    tree = arviz_object(groups)
    with jax.numpy_rank_promotion("allow"):
        loo: Any = az.loo(tree, pointwise=True)
    found = loo.loo_i if hasattr(loo, "loo_i") else loo.elpd_i
    return LeftOut(
        lineages=tuple(table.lineages[at] for at in scored),
        elpd=np.asarray(found, dtype=float),
        pareto_k=np.asarray(loo.pareto_k, dtype=float),
    )


class Cells(NamedTuple):
    """Scores of one lineage's models in a list, measured or not.

    Attributes:
        model: which model, ``(cell,)``, any numbers.
        family: its family, ``(cell,)``, any numbers.
        benchmark: position of the benchmark, ``(cell,)``.
        away: w, basis of the family's own growth, ``(cell,)``.
    """

    model: np.ndarray
    family: np.ndarray
    benchmark: np.ndarray
    away: np.ndarray


def effects_covariance(cells: Cells, loading: np.ndarray, population: Population) -> np.ndarray:
    """Covariance of predictors by what is peculiar to a lineage, its families and its models.

    Args:
        cells: of one lineage.
        loading: ``(draw, benchmark, skill)``.
        population: leading axis ``(draw,)``.

    Returns:
        ``(draw, cell, cell)``, without the noise of scores.
    """
    same_model, same_family, same_benchmark = (
        (part[:, None] == part[None, :]).astype(float) for part in cells[:3]
    )
    growth = np.outer(cells.away, cells.away) * same_family
    at = loading[:, cells.benchmark]

    def variance(scale: Array) -> np.ndarray:
        """Per draw, or per draw and cell, as ``(draw, cell or 1, 1)``."""
        squared = np.asarray(scale, float) ** 2
        return squared[:, None, None] if squared.ndim == 1 else squared[:, cells.benchmark, None]

    # Cov(r_mj, r_ni): skills of lineage, family and model, then what is of one benchmark
    p = population
    spread = variance(p.lineage_scale) + same_family + variance(p.growth_scale) * growth
    covariance = at @ at.transpose(0, 2, 1) * (spread + variance(p.model_scale) * same_model)
    own = variance(p.specific_scale) * same_family + variance(p.specific_growth_scale) * growth
    return covariance + own * same_benchmark


def lineage_densities(posterior: Posterior, *, draws: int = 400) -> np.ndarray:
    """Log density of each lineage's scores given what all lineages share.

    Args:
        posterior: draws from the posterior, with normal noise.
        draws: how many of them to use, evenly thinned over each chain.

    Returns:
        ``(chain, draw, lineage)``; 0 for a lineage without a score.
    """
    table = posterior.table
    observations = observe(table, posterior.scaling, covariates=posterior.covariates)
    chains, length = posterior.trace.energy.shape
    each = max(1, min(length, draws // chains))
    kept = np.linspace(0, length - 1, each).round().astype(int)
    params, population = flat_draws(
        jax.tree.map(lambda a: a[:, kept], (posterior.params, posterior.population))
    )
    floor = observations.floor[None, :]
    seen = observations.observed
    share = jnp.where(seen, (observations.scores - floor) / (1.0 - floor), 0.5)

    def residuals(params: Params, population: Population) -> tuple[Array, Array, Array]:
        assert isinstance(params.link, QuantileMixture)  # of every hierarchical law
        reached, rate = params.link.inverse(share)
        shift = observations.post_trained[:, None] * population.post_training[None, :]
        common = matmul(observations.covariates, params.slope) + shift[observations.family]
        residual = reached - params.bias[None, :] - matmul(common, params.loading.T)
        residual -= offset_of(population.offset, observations)
        variance = population.noise[None, :] ** 2 + sampling_variance(rate, observations)
        return residual, variance, jnp.log(rate) - jnp.log1p(-floor)

    residual, variance, change = (
        np.asarray(a, float) for a in jax.jit(jax.vmap(residuals))(params, population)
    )
    start = np.asarray(observations.family_covariates)[table.family, 0]
    away = np.asarray(own_growth(observations.covariates[:, 0], jnp.asarray(start)), float)
    of_model = table.lineage_of_family[table.family]
    found = np.zeros((len(residual), len(table.lineages)))
    loading = np.asarray(params.loading, float)
    for lineage in range(len(table.lineages)):
        model, benchmark = np.nonzero(table.observed & (of_model == lineage)[:, None])
        if not model.size:
            continue
        cells = Cells(model, table.family[model], benchmark, away[model])
        covariance = effects_covariance(cells, loading, population)
        covariance[:, *np.diag_indices(model.size)] += variance[:, model, benchmark]
        factor = np.linalg.cholesky(covariance)
        unit = np.linalg.solve(factor, residual[:, model, benchmark, None])[:, :, 0]
        log_density = -0.5 * ((unit**2).sum(axis=1) + model.size * np.log(2.0 * np.pi))
        log_density -= np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        found[:, lineage] = log_density + change[:, model, benchmark].sum(axis=1)
    return found.reshape(chains, each, -1)
