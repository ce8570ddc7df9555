"""The prior of sizes and tokens that are not known.

Logs of sizes and of tokens are normal around a line, with levels of lineages and families::

    log s_m = a + b year_m                 + lineage + family + own      year: of release
    log t_m = a + b year_m + c log s_m     + lineage + family + run

A run of pretraining is shared by the models of a lineage that have the same size: a chat model has
the tokens of its base model. Lines and the three variances are estimated from the models of the
table whose covariates are known (maximum a posteriori); an unknown one is then predicted from those
of the same lineage and family (kriging). Where a table knows nothing, the priors below are wide: a
factor of ten either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard

# Prior of the lines: mean and standard deviation of the level (log of 10 billion parameters, of 2
# trillion tokens), of growth per year, and of growth of log tokens with log size.
_LEVELS = (np.log(10.0), np.log(2.0))
_LEVEL_WIDTH = 1.5
_PER_YEAR = (0.3, 0.3)
_PER_LOG_SIZE = (0.1, 0.2)
# Medians of the standard deviations of lineages, families and models or runs, of sizes and of
# tokens, and their log standard deviation: sizes differ within a family, tokens between lineages.
_SPREADS = (np.log([0.7, 0.2, 1.2]), np.log([0.9, 0.2, 0.3]))
_SPREAD_WIDTH = 0.7
_MEAN_YEAR = 2024.0
_ROUNDING = 0.03  # standard deviation of logs as they are published: "about 2 T"
_MAX_MODELS = 40  # of a lineage that variances are estimated from: more add little


@dataclass(frozen=True)
class CovariatePrior:
    """Prior of unknown covariates, given the known ones.

    Covariates are those that some model lacks: log size, then the rest of log tokens.

    Attributes:
        log_params: log of billions of parameters, the mean where unknown, ``(model,)``.
        log_tokens: log of trillions of tokens, likewise, ``(model,)``.
        unknown: 1 where a covariate is unknown, else 0, ``(covariate, model)``.
        direction: what a covariate adds to log size and log tokens, ``(covariate, 2, model)``;
            tokens follow an unknown size along the line.
        covariances: of each lineage that lacks something, rows of its models and their prior
            covariance ``(covariate, row, row)``, the identity where known.
    """

    log_params: np.ndarray
    log_tokens: np.ndarray
    unknown: np.ndarray
    direction: np.ndarray
    covariances: dict[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Line:
    """A line with levels of lineages, families and models or runs, estimated."""

    values: np.ndarray
    columns: np.ndarray
    beta: np.ndarray
    beta_covariance: np.ndarray
    variances: np.ndarray
    year_variance: np.ndarray  # of models whose year is not known, else 0
    groups: np.ndarray

    def given_known(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of all rows of one lineage, and covariance of those that are unknown."""
        x, y = self.columns[rows], self.values[rows]
        mean = x @ self.beta
        whole = _covariance(self.variances, self.groups[rows]) + x @ self.beta_covariance @ x.T
        year = np.sqrt(self.year_variance[rows])
        whole += year[:, None] * year[None, :]
        known = np.isfinite(y)
        if known.any() and not known.all():
            # E = m_u + C_uk C_kk^-1 (y - m_k),  C = C_uu - C_uk C_kk^-1 C_ku
            gain = np.linalg.solve(whole[np.ix_(known, known)], whole[np.ix_(known, ~known)]).T
            left = whole[np.ix_(~known, ~known)] - gain @ whole[np.ix_(known, ~known)]
            mean[~known] += gain @ (y[known] - mean[known])
        else:
            left = whole[np.ix_(~known, ~known)]
        return np.where(known, y, mean), left


@lru_cache(maxsize=4)  # a fit asks again for every forecast
def prior_of_covariates(table: Leaderboard, size: str) -> CovariatePrior | None:
    """The prior of a table's unknown sizes and tokens; None where all are known.

    Args:
        table: models; their scores do not matter.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.options.SIZES`.
    """
    params = table.params_b
    if size == "active":
        params = np.where(np.isnan(table.active_params_b), params, table.active_params_b)
    return _covariate_prior(
        np.log(params),
        np.log(table.tokens_t),
        table.lineage_of_family[table.family],
        table.family,
        release_years(table.released),
    )


def release_years(released: Sequence[str]) -> np.ndarray:
    """Years with their fractions of dates such as ``2024-07`` or ``2024-07-18``; NaN elsewhere."""
    text = pd.Series([day[:7] for day in released], dtype=object)
    months = pd.to_datetime(text, format="%Y-%m", errors="coerce")
    return (months.dt.year + (months.dt.month - 0.5) / 12.0).to_numpy(float)


def _covariate_prior(
    log_params: np.ndarray,
    log_tokens: np.ndarray,
    lineage: np.ndarray,
    family: np.ndarray,
    year: np.ndarray,
) -> CovariatePrior | None:
    """The same of arrays ``(model,)``, NaN where unknown."""
    if np.isfinite(log_params).all() and np.isfinite(log_tokens).all():
        return None
    dated = np.isfinite(year)
    centred = np.where(dated, year - _MEAN_YEAR, 0.0)
    if dated.any():
        centred = np.where(dated, centred, centred[dated].mean())
    year_width = float(np.var(centred[dated])) if dated.sum() > 1 else 1.0
    undated = np.where(dated, 0.0, year_width)
    ones = np.ones_like(centred)
    own = np.arange(lineage.size)
    x, groups = np.stack([ones, centred], 1), np.stack([family, own], 1)
    size = _fit_line(log_params, x, 0, [_PER_YEAR], lineage, groups, undated)
    filled, size_covariances = _fill(size, lineage)
    # Models of one size in one lineage are one run; of unknown size, each may be another.
    run = np.unique(
        np.stack([lineage, np.where(np.isnan(log_params), own, filled)], 1),
        axis=0,
        return_inverse=True,
    )[1]
    along = np.stack([ones, centred, filled - _LEVELS[0]], 1)
    slopes = [_PER_YEAR, _PER_LOG_SIZE]
    groups = np.stack([family, run], 1)
    tokens = _fit_line(log_tokens, along, 1, slopes, lineage, groups, undated)
    filled_tokens, token_covariances = _fill(tokens, lineage)
    unknown = (np.isnan(log_params), np.isnan(log_tokens))
    kinds = [k for k in (0, 1) if unknown[k].any()]
    # An unknown size moves log tokens along the line, unless they are known.
    directions = (
        np.stack([ones, tokens.beta[2] * unknown[1]]),
        np.stack([0.0 * ones, ones]),
    )
    found = {}
    for at in np.unique(lineage[unknown[0] | unknown[1]]).tolist():
        rows = np.flatnonzero(lineage == at)
        blocks = np.tile(np.eye(rows.size), (len(kinds), 1, 1))
        for own, k in zip(blocks, kinds, strict=True):
            block = (size_covariances, token_covariances)[k].get(at)
            if block is not None:
                missing = np.flatnonzero(unknown[k][rows])
                own[np.ix_(missing, missing)] = block
        found[at] = (rows, blocks)
    return CovariatePrior(
        log_params=filled,
        log_tokens=filled_tokens,
        unknown=np.stack([unknown[k] for k in kinds]).astype(float),
        direction=np.stack([directions[k] for k in kinds]),
        covariances=found,
    )


def _fill(line: _Line, lineage: np.ndarray) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Values with means where unknown, and the covariance of the unknown ones of each lineage."""
    filled, covariances = line.values.copy(), {}
    for at in np.unique(lineage[np.isnan(line.values)]).tolist():
        rows = np.flatnonzero(lineage == at)
        filled[rows], covariances[at] = line.given_known(rows)
    return filled, covariances


def _fit_line(
    values: np.ndarray,
    columns: np.ndarray,
    kind: int,
    slopes: list[tuple[float, float]],
    lineage: np.ndarray,
    groups: np.ndarray,
    undated: np.ndarray,
) -> _Line:
    """Maximum a posteriori of the variances, and the line given them.

    ``groups`` are numbers of the family and of the model or run, ``(model, 2)``.
    """
    from scipy.optimize import minimize  # only tables with gaps need it

    known = np.flatnonzero(np.isfinite(values))
    blocks = [known[lineage[known] == at][:_MAX_MODELS] for at in np.unique(lineage[known])]
    prior_mean = np.array([_LEVELS[kind], *(mean for mean, _ in slopes)])
    prior_precision = np.array([_LEVEL_WIDTH, *(width for _, width in slopes)]) ** -2.0

    def line(logs: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        variances = np.exp(2.0 * logs)
        precision, pull = np.diag(prior_precision), prior_precision * prior_mean
        twice = float(np.sum((logs - _SPREADS[kind]) ** 2)) / _SPREAD_WIDTH**2
        for rows in blocks:
            x, y = columns[rows], values[rows]
            cov = _covariance(variances, groups[rows])
            both = np.linalg.solve(cov, np.column_stack([x, y]))
            precision = precision + x.T @ both[:, :-1]
            pull = pull + x.T @ both[:, -1]
            twice += float(y @ both[:, -1]) + float(np.linalg.slogdet(cov)[1])
        covariance = np.linalg.inv(precision)
        # -2 log of the marginal likelihood, the line integrated out
        twice += float(np.linalg.slogdet(precision)[1]) - float(pull @ covariance @ pull)
        return twice, covariance @ pull, covariance

    start = _SPREADS[kind].copy()
    # To a twentieth of a log standard deviation: estimates are less precise than that.
    tolerances = {"xatol": 0.05, "fatol": 0.05}
    found = start
    if blocks:
        found = minimize(
            lambda logs: line(logs)[0], start, method="Nelder-Mead", options=tolerances
        ).x
    _, beta, covariance = line(found)
    return _Line(
        values=np.asarray(values, float),
        columns=columns,
        beta=beta,
        beta_covariance=covariance,
        variances=np.exp(2.0 * found),
        year_variance=undated * (beta[1] ** 2 + covariance[1, 1]),
        groups=groups,
    )


def _covariance(variances: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Covariance of models of one lineage, ``(model, model)``."""
    of_lineage, *of_groups = variances
    found = of_lineage + _ROUNDING**2 * np.eye(len(groups))
    for variance, group in zip(of_groups, groups.T, strict=True):
        found += variance * (group[:, None] == group[None, :])
    return found
