"""Which small model of a family to train and evaluate first.

A forecast of a family's large model is wide because little is known of the family. Training a
small one and evaluating it narrows the forecast; by how much depends on its size and tokens. The
expected width after seeing it is the mean over the scores that it may have (Lindley 1956; Chaloner
and Verdinelli 1995, Bayesian experimental design): such outcomes are drawn from the fit, and in
each the forecast is made anew. Given a draw of what all families share, everything is normal inside
the links, so the family, the small model and the large one are conditioned on exactly; between
draws, importance weights say how well each foresaw the new scores.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.effects.dense import Cells, dense_covariance
from sloth_jax.effects.packing import covariate_priors_among
from sloth_jax.effects.walk import walk_basis
from sloth_jax.errors import InputError
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.intervals import tail_probabilities
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.observe import checkpoints_of
from sloth_jax.law.forward import Params, linear_predictor
from sloth_jax.law.hierarchical import SharedLaw, effects_problem, independent_noise_variance
from sloth_jax.law.observations import Observations
from sloth_jax.planning.budget import FLOPS_UNIT, WIDE_BOUNDS, Bounds
from sloth_jax.planning.family import Family, as_family
from sloth_jax.planning.outcomes import (
    effective_draws,
    foreseen,
    scores_of,
    thinned,
    weighted_quantiles,
    weights_of_draws,
)
from sloth_jax.planning.targets import MEAN, Target, find_target

_SIZES = 8  # of candidates, where none are given
_COPIES = 4  # of the large model in each draw: quantiles of weighted draws become smooth


def next_measurement(
    fit: Fit,
    family: Family | str,
    budget: float,
    *,
    params_b: float,
    tokens_t: float,
    key: Array,
    target: str = MEAN,
    candidates: pd.DataFrame | None = None,
    bounds: Bounds = WIDE_BOUNDS,
    level: float = 0.9,
    futures: int = 100,
    draws: int = 1000,
) -> pd.DataFrame:
    """Expected width of a large model's forecast after seeing each of some small ones.

    Args:
        fit: from :func:`sloth_jax.fit`.
        family: whose models, by name or as a :class:`Family`; models of its lineage that the
            table has are conditioned on.
        budget: FLOPs that training the small model may cost.
        params_b: size of the large model, billions.
        tokens_t: its tokens, trillions.
        key: random key of the futures.
        target: a benchmark or ``"mean"`` of all: the forecast to narrow. The small model is
            evaluated on every benchmark of the table.
        candidates: small models to choose from, columns ``params_b`` and ``tokens_t``; None for a
            range of sizes, trained on as many tokens as the large one where the budget allows,
            else on as many as it does.
        bounds: of the range of sizes and tokens, where no candidates are given.
        level: probability inside the intervals, in (0, 1).
        futures: how many outcomes of each measurement are imagined.
        draws: how many of the law are used, evenly thinned; a mode's one as often.

    Returns:
        A row per candidate, the best first: ``params_b, tokens_t, flops``; ``before``, width of
        the forecast as it is; ``width``, expected afterwards, with its Monte Carlo ``error``;
        ``narrower``, the share of the width that goes; ``effective_draws``, which the weights
        leave of ``draws`` on average: with few, the width is rough and rather too small;
        ``outside``, how far the small model leaves the training table, in words.

    Raises:
        InputError: if the budget is not positive, or no candidate fits it.
    """
    tails = tail_probabilities(level)
    family = as_family(family, fit.table)
    forecast_target = find_target(target, fit.table.benchmarks)
    if candidates is None:
        candidates = _range_of_sizes(budget, family, bounds, params_b, tokens_t)
    small = candidates[["params_b", "tokens_t"]].to_numpy(float)
    flops = FLOPS_UNIT * family.active_fraction * small.prod(axis=1)
    _check_costs(flops, budget)
    law = thinned(fit.law, draws)
    sizes = np.append(small[:, 0], params_b)
    tokens = np.append(small[:, 1], tokens_t)
    query = family.query(fit.table, sizes, tokens)
    # Every candidate has the same random numbers, so that they differ by what is measured.
    seed = np.asarray(jax.random.key_data(key), np.uint32)
    unseen = _joint(fit, query, None, law)
    before = _width_now(unseen, law.params, forecast_target, tails, np.random.default_rng(seed))
    widths, errors, effective = [], [], []
    for at in range(len(small)):
        joint = _joint(fit, query, at, law)
        rng = np.random.default_rng(seed)
        after, worth = _widths_after(joint, law.params, forecast_target, tails, futures, rng)
        widths.append(after.mean())
        errors.append(after.std(ddof=1) / np.sqrt(futures))
        effective.append(worth)
    found = pd.DataFrame(
        {
            "params_b": small[:, 0],
            "tokens_t": small[:, 1],
            "flops": flops,
            "before": before,
            "width": widths,
            "error": errors,
            "narrower": 1.0 - np.array(widths) / before,
            "effective_draws": effective,
            "outside": beyond_in_words(
                fit.table, small[:, 0], small[:, 1], [family.name] * len(small)
            ),
        }
    )
    return found.sort_values("width", kind="stable", ignore_index=True)


def _check_costs(flops: np.ndarray, budget: float) -> None:
    """Refuse candidates, ``(candidate,)`` FLOPs, that the budget does not pay for."""
    affordable = flops <= budget * 1.000001
    if not affordable.any():
        raise InputError(f"no candidate within a budget of {budget:g} FLOPs")
    if not affordable.all():
        raise InputError(
            f"candidate {int(np.argmax(flops)) + 1} costs {flops.max():.3g} FLOPs, the budget "
            f"is {budget:g}"
        )


def _range_of_sizes(
    budget: float, family: Family, bounds: Bounds, params_b: float, tokens_t: float
) -> pd.DataFrame:
    """Sizes up to half the large model's, on its tokens where the budget allows."""
    if not (np.isfinite(budget) and budget > 0):
        raise InputError(f"budget {budget:g} FLOPs is not a positive number: 1e22, say")
    amount = budget / (FLOPS_UNIT * family.active_fraction)
    largest = min(params_b / 2.0, amount / bounds.tokens_t[0])
    if largest <= bounds.params_b[0]:
        raise InputError(
            f"no candidate within a budget of {budget:g} FLOPs: lower the bounds of params_b or "
            "tokens_t"
        )
    sizes = np.geomspace(bounds.params_b[0], largest, _SIZES)
    return pd.DataFrame({"params_b": sizes, "tokens_t": np.minimum(tokens_t, amount / sizes)})


class _Joint(NamedTuple):
    """Predictors of a small and a large model given each draw and what the table has.

    ``mean (draw, 2 benchmarks)`` and ``factor`` of the covariance, noise included, small model
    first.
    """

    mean: np.ndarray
    factor: np.ndarray


def _joint(fit: Fit, query: Query, at: int | None, law: SharedLaw) -> _Joint:
    """Condition the lineage's effects on its models in the table, exactly, draw by draw.

    ``at`` is the position of the small model in the query, whose last one is the large; None where
    none is going to be measured.
    """
    table, observations = fit.table, fit.observations
    benchmarks = len(table.benchmarks)
    name, new = query.families[0], [-1 if at is None else at, -1]
    of_model = np.asarray(table.lineages, object)[table.lineage_of_family[table.family]]
    model, benchmark = np.nonzero(table.observed & (of_model == query.lineages[0])[:, None])
    # Of a family that may be either, the shift is the share of the table's that are post-trained.
    shift = query.post_trained[0]
    shift = table.post_trained_of_family.mean() if np.isnan(shift) else shift
    design = fit.surface.of(query, shift)[jnp.asarray(new)]
    residual, variance, common, slope = jax.tree.map(
        lambda part: np.asarray(part, float), _residuals(law, observations, design)
    )
    start = fit.surface.from_smallest(query.params_b, query.active_params_b)
    basis = np.concatenate([observations.members.basis, np.asarray(walk_basis(start))[new]])
    known = table.families.index(name) if name in table.families else len(table.families)
    families = np.append(table.family, [known, known])
    # Cells: the lineage's scores in the table, then all of the small and of the large model.
    rows, old = len(table.models), len(model)
    index = np.concatenate([model, np.repeat([rows, rows + 1], benchmarks)])
    column = np.concatenate([benchmark, np.tile(np.arange(benchmarks), 2)])
    cells = Cells(index, families[index], np.zeros(len(index), int), column, basis[index])
    if (runs := checkpoints_of(table)) is not None:  # the two models are of none of them
        run, log_tokens = np.append(runs.run, [-1, -2]), np.append(runs.log_tokens, [0.0, 0.0])
        cells = cells._replace(run=run[index], log_tokens=log_tokens[index])
    covariance = dense_covariance(
        cells, np.asarray(law.params.loading), law.skill, law.benchmark, law.run_length
    )
    independent = np.tile(np.asarray(independent_noise_variance(law), float), 2)
    noise = np.concatenate([variance[:, model, benchmark], independent], axis=1)
    covariance[:, *np.diag_indices(len(index))] += noise
    if slope is not None:
        covariance[:, :old, :old] += _by_unknown(observations, slope, model, benchmark)
    mean_new = common.reshape(len(common), -1)
    covariance_new = covariance[:, old:, old:]
    if old:
        # draw by draw: E[new | old] = m + C' V^-1 r
        cross = covariance[:, :old, old:]
        gain = np.linalg.solve(covariance[:, :old, :old], cross)
        mean_new = mean_new + np.einsum("doi,do->di", gain, residual[:, model, benchmark])
        covariance_new = covariance_new - cross.transpose(0, 2, 1) @ gain
    return _Joint(mean_new, np.linalg.cholesky(covariance_new))


def _by_unknown(
    observations: Observations, slope: np.ndarray, model: np.ndarray, benchmark: np.ndarray
) -> np.ndarray:
    """Covariance of a lineage's scores by unknown covariates, ``(draw, score, score)``."""
    rows, place = np.unique(model, return_inverse=True)
    at = slope[:, :, model, benchmark]
    found = np.zeros((len(slope), len(model), len(model)))
    priors = covariate_priors_among(observations.bins, rows, np.zeros_like(rows))
    for own, blocks in priors.values():
        whole = np.zeros((len(blocks), len(rows), len(rows)))
        whole[:, own[:, None], own[None, :]] = blocks
        # g_m Cov(z_m, z_n) g_n
        between = whole[:, place[:, None], place[None, :]]
        found += np.einsum("dus,ust,dut->dst", at, between, at)
    return found


@jax.jit
def _residuals(
    law: SharedLaw, observations: Observations, design: Array
) -> tuple[Array, Array, Array, Array | None]:
    """Residuals, variances, predictors of new models, slopes of unknown covariates, by draw."""

    def one(law: SharedLaw) -> tuple[Array, Array, Array, Array | None]:
        problem, _ = effects_problem(law, observations)
        common = linear_predictor(law.params, design)
        return problem.residual, problem.variance, common, problem.slope

    return jax.vmap(one)(law)


def _values(params: Params, target: Target, predictor: np.ndarray) -> np.ndarray:
    """Target of predictors ``(draw, any, benchmark)``."""
    weight = np.zeros(predictor.shape[2])
    weight[list(target.benchmarks)] = target.weights
    return scores_of(params, predictor) @ weight


def _width_now(
    joint: _Joint, params: Params, target: Target, tails: list[float], rng: np.random.Generator
) -> float:
    """Width of the large model's forecast before anything is measured."""
    draws, width = joint.mean.shape
    unit = rng.standard_normal((draws, _COPIES, width))
    predictor = joint.mean[:, None] + np.einsum("dij,dfj->dfi", joint.factor, unit)
    values = _values(params, target, predictor[:, :, width // 2 :])
    return float(np.diff(np.quantile(values, tails))[0])


def _widths_after(
    joint: _Joint,
    params: Params,
    target: Target,
    tails: list[float],
    futures: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """Width in each future, and how many draws the weights leave on average."""
    draws, width = joint.mean.shape
    benchmarks = width // 2
    mean, factor = joint.mean[:, :benchmarks], joint.factor[:, :benchmarks, :benchmarks]
    large, gain = joint.mean[:, benchmarks:], joint.factor[:, benchmarks:, :benchmarks]
    own = joint.factor[:, benchmarks:, benchmarks:]
    happens = rng.integers(draws, size=futures)
    item_noise = rng.standard_normal((futures, benchmarks))
    turned_out = mean[happens] + np.einsum("fij,fj->fi", factor[happens], item_noise)
    reached, rate = foreseen(params, happens, turned_out)
    # (draw, future): how well each draw foresaw the scores of each future
    off = np.linalg.solve(factor, (reached - mean[:, None]).transpose(0, 2, 1)).transpose(0, 2, 1)
    log_weight = -0.5 * (off**2).sum(axis=2) + np.log(rate).sum(axis=2)
    log_weight -= np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)[:, None]
    weights = weights_of_draws(log_weight)
    conditional = large[:, None] + np.einsum("dij,dfj->dfi", gain, off)
    noise = np.einsum("dij,dkj->dki", own, rng.standard_normal((draws, _COPIES, benchmarks)))
    after = np.stack(
        [_values(params, target, conditional + noise[:, [k]]) for k in range(_COPIES)], axis=2
    )
    repeated = np.repeat(weights / _COPIES, _COPIES, axis=0)
    found = np.array(
        [
            np.diff(weighted_quantiles(after[:, f].ravel(), repeated[:, f], tails))[0]
            for f in range(futures)
        ]
    )
    return found, effective_draws(weights)
