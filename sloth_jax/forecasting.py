"""Forecasts: from a fit and a query to predictive draws, means and intervals."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.covariates import covariate_matrix
from sloth_jax.law import Params, linear_predictor, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.observations import observe
from sloth_jax.point import PointFit, mean_intercepts
from sloth_jax.posterior import Posterior
from sloth_jax.query import Query
from sloth_jax.sampler import flat_draws

COLUMNS = ("model", "benchmark", "mean", "median", "lower", "upper", "level", "family_models")


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted scores of queried models.

    Attributes:
        models: names in the order of the query.
        benchmarks: names in the order of the training table.
        draws: predictive draws of scores, fractions, ``(draw, model, benchmark)``, with family
            effects that were not observed and score noise; of a point fit, a single row.
        family_models: training models with a score in each model's family, ``(model,)``; 0 means
            that the family was never seen and its effect is the population's.
        has_intervals: False for a point fit, whose predictions carry no uncertainty.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    draws: np.ndarray
    family_models: np.ndarray
    has_intervals: bool

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Central interval of the predictive draws.

        Args:
            level: probability inside, in (0, 1).

        Returns:
            Lower and upper ends, fractions, ``(model, benchmark)`` each; NaN for a point fit.

        Raises:
            ValueError: if ``level`` is not inside (0, 1).
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level {level} is not between 0 and 1: 0.9 means 90 %")
        if not self.has_intervals:
            blank = np.full(self.draws.shape[1:], np.nan)
            return blank, blank
        lower, upper = np.quantile(self.draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return lower, upper

    def summary(self, level: float = 0.9) -> pd.DataFrame:
        """One row per model and benchmark, with the columns :data:`COLUMNS`.

        Args:
            level: probability inside the central interval, in (0, 1).

        Returns:
            Scores as fractions; ``lower`` and ``upper`` are NaN for a point fit.

        Raises:
            ValueError: if ``level`` is not inside (0, 1).
        """
        lower, upper = self.interval(level)
        shape = self.draws.shape[1:]
        columns = {
            "model": np.repeat(self.models, shape[1]),
            "benchmark": np.tile(self.benchmarks, shape[0]),
            "mean": self.draws.mean(axis=0).ravel(),
            "median": np.median(self.draws, axis=0).ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "level": level,
            "family_models": np.repeat(self.family_models, shape[1]),
        }
        return pd.DataFrame(columns, columns=list(COLUMNS))


def forecast(fit: Posterior | PointFit, query: Query, *, key: Array | None = None) -> Forecast:
    """Predict the scores of models on every benchmark of the training table.

    A family of the training table keeps its own effects. One that is new takes its lineage's,
    where the lineage is known, and draws the rest from the population, so its intervals are wide;
    where its post-training is not given either, base and post-trained are mixed as in the table.
    The draws of a model do not depend on what else is asked.

    Args:
        fit: a posterior or a point fit.
        query: models to predict.
        key: random key; required for a posterior, not used by a point fit.

    Returns:
        A :class:`Forecast`; that of a point fit has no intervals.

    Raises:
        ValueError: if a posterior comes without a key.
    """
    x = covariate_matrix(fit.scaling, query.params_b, query.tokens_t, kind=fit.covariates)
    if isinstance(fit, PointFit):
        draws = np.asarray(_predict_point(fit, query, x))[None]
    elif key is None:
        raise ValueError("a forecast from a posterior needs a random key: key=jax.random.key(0)")
    else:
        draws = _predict_draws(fit, query, x, key)
    return Forecast(
        models=query.models,
        benchmarks=fit.table.benchmarks,
        draws=draws,
        family_models=count_family_models(fit.table, query.families),
        has_intervals=not isinstance(fit, PointFit),
    )


def count_family_models(table: Leaderboard, families: tuple[str, ...]) -> np.ndarray:
    """Number of training models with a score in each of some families, ``(len(families),)``."""
    scored = np.isfinite(table.scores).any(axis=1)
    names = np.asarray(table.families, dtype=object)[table.family[scored]]
    return np.asarray([int((names == family).sum()) for family in families])


def _known(family: str, table: Leaderboard) -> int | None:
    """Index of a family in the table, None if it has no scored model there."""
    if family not in table.families or not count_family_models(table, (family,))[0]:
        return None
    return table.families.index(family)


def _predict_point(fit: PointFit, query: Query, x: Array) -> Array:
    observations = observe(fit.table, fit.scaling, covariates=fit.covariates)
    means = mean_intercepts(fit.params.intercept, observations)
    rows = []
    for family, post_trained in zip(query.families, query.post_trained, strict=True):
        index = _known(family, fit.table)
        if index is not None:
            rows.append(fit.params.intercept[index])
        else:
            share = (
                fit.table.post_trained_of_family.mean() if np.isnan(post_trained) else post_trained
            )
            rows.append((1.0 - share) * means[0] + share * means[1])
    params = fit.params._replace(intercept=jnp.stack(rows))
    if params.growth is not None:
        # Slopes are shrunk to the shared ones, and a new family has those.
        shared = jnp.zeros_like(params.growth[:1])
        known = [_known(family, fit.table) for family in query.families]
        growth = [shared if f is None else params.growth[f : f + 1] for f in known]
        params = params._replace(growth=jnp.concatenate(growth))
    return scores(params, x, jnp.arange(len(rows)))


def _predict_draws(fit: Posterior, query: Query, x: Array, key: Array) -> np.ndarray:
    params, population = flat_draws((fit.params, fit.population))
    draws, benchmarks, skills = params.loading.shape
    base_share = fit.table.post_trained_of_family.mean()

    def named_key(kind: str, name: str) -> Array:
        # A name has the same draws in every query; crc32 is the same on every machine.
        return jax.random.fold_in(key, zlib.crc32(f"{kind}/{name}".encode()))

    def new_family(family: str, lineage: str | None, post_trained: float) -> tuple[Array, ...]:
        lineage = lineage or family
        if lineage in fit.table.lineages:
            effect = population.lineage[:, fit.table.lineages.index(lineage)]
        else:
            unit = jax.random.normal(named_key("lineage", lineage), (draws, skills))
            effect = population.lineage_scale[:, None] * unit
        keys = jax.random.split(named_key("family", family), 5)
        if np.isnan(post_trained):
            shifted = jax.random.bernoulli(keys[0], base_share, (draws,)).astype(effect.dtype)
        else:
            shifted = jnp.full(draws, post_trained)
        own = jax.random.normal(keys[1], (draws, skills))
        intercept = effect + shifted[:, None] * population.post_training + own
        specific = population.specific_scale * jax.random.normal(keys[2], (draws, benchmarks))
        growth = population.growth_scale[:, None] * jax.random.normal(keys[3], (draws, skills))
        own_growth = jax.random.normal(keys[4], (draws, benchmarks))
        # Growth of a family that nobody has seen counts from the mean size of the table, zero.
        return (
            intercept,
            specific,
            growth,
            population.specific_growth_scale * own_growth,
            jnp.zeros(draws),
        )

    df = float(population.noise_df[0])
    effects, departures, noises = [], [], []
    for model, family, lineage, post_trained in zip(
        query.models, query.families, query.lineages, query.post_trained, strict=True
    ):
        index = _known(family, fit.table)
        if index is None:
            effects.append(new_family(family, lineage, float(post_trained)))
        else:
            own = (
                params.intercept,
                params.specific,
                params.growth,
                params.specific_growth,
                params.growth_from,
            )
            effects.append(tuple(jnp.asarray(effect)[:, index] for effect in own))
        unit = jax.random.normal(named_key("model", model), (draws, skills))
        departures.append(population.model_scale[:, None] * unit)
        # One key per draw would cost more; noise is drawn for all draws of a model at once.
        unit = draw_noise(named_key("noise", model), df, population.noise.shape)
        noises.append(population.noise * unit)
    intercept, specific, growth, specific_growth, growth_from = (
        jnp.stack(parts, axis=1) for parts in zip(*effects, strict=True)
    )
    rows = params._replace(
        intercept=intercept,
        specific=specific,
        growth=growth,
        specific_growth=specific_growth,
        growth_from=growth_from,
        own=jnp.stack(departures, axis=1),
    )
    family = jnp.arange(x.shape[0])

    @jax.jit
    def predict(rows: Params, noise: Array) -> Array:
        return jax.vmap(lambda p, e: noisy_scores(p, x, family, e))(rows, noise)

    return np.asarray(predict(rows, jnp.stack(noises, axis=1)), dtype=np.float64)


def draw_noise(key: Array, df: float, shape: tuple[int, ...]) -> Array:
    """Noise inside the link over its scale: Student-t, or normal where ``df`` is infinite."""
    if np.isfinite(df):
        return jax.random.t(key, df, shape)
    return jax.random.normal(key, shape)


def noisy_scores(
    params: Params, covariates: Array, family: Array, noise: Array, *, clip: bool = True
) -> Array:
    """Scores of one draw of the posterior with noise inside the link.

    Args:
        params: one draw.
        covariates: ``(model, covariate)``.
        family: index of each model's family, ``(model,)``.
        noise: on the scale of the predictor, ``(model, benchmark)``.
        clip: whether to keep them inside [0, 1], which the law itself goes a little beyond.

    Returns:
        Fractions, ``(model, benchmark)``; below chance where the noise says so.
    """
    link = params.link
    assert isinstance(link, QuantileMixture)  # of every hierarchical law
    share = link.share(linear_predictor(params, covariates, family) + noise)
    floor = params.floor[None, :]
    made = floor + (1.0 - floor) * share
    return jnp.clip(made, 0.0, 1.0) if clip else made
