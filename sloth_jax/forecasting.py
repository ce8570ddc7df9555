"""Forecasts: from a fit and a query to predictive draws, means and intervals."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.scipy.special import ndtri

from sloth_jax.covariates import covariates_of
from sloth_jax.extrapolation import beyond_in_words
from sloth_jax.law import Params, linear_predictor, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.observations import observe
from sloth_jax.point import PointFit, mean_intercepts
from sloth_jax.posterior import Posterior
from sloth_jax.prior import Population
from sloth_jax.query import Query
from sloth_jax.sampler import flat_draws

COLUMNS = (
    "model",
    "benchmark",
    "mean",
    "median",
    "lower",
    "upper",
    "level",
    "family_models",
    "outside",
)


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
        outside: how far each model leaves the sizes, tokens and tokens per parameter of the
            training table, in words, ``(model,)``; empty where it does not.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    draws: np.ndarray
    family_models: np.ndarray
    has_intervals: bool
    outside: tuple[str, ...]

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
            "outside": np.repeat(self.outside, shape[1]),
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
    x = covariates_of(fit.scaling, query, kind=fit.covariates)
    law = predictive_law(fit, query, key)
    draws = np.asarray(_predict(law, x, jnp.arange(len(query.models))), dtype=np.float64)
    return Forecast(
        models=query.models,
        benchmarks=fit.table.benchmarks,
        draws=draws,
        family_models=count_family_models(fit.table, query.families),
        has_intervals=not isinstance(fit, PointFit),
        outside=tuple(beyond_in_words(fit.table, query.params_b, query.tokens_t)),
    )


def forecast_table(posterior: Posterior, *, key: Array) -> Forecast:
    """Predict what the models of the training table would score on every benchmark.

    Unlike :func:`forecast` this uses each model's own scores too: one that was measured on eleven
    benchmarks is predicted on the twelfth by what those say of it. A score that was measured is
    predicted as if it were measured again.

    Args:
        posterior: draws from the posterior.
        key: random key of the scores' noise.

    Returns:
        A :class:`Forecast` of all models of the table, in its order; ``outside`` is empty.
    """
    table = posterior.table
    x = covariates_of(posterior.scaling, table, kind=posterior.covariates)
    params, population = flat_draws((posterior.params, posterior.population))
    df = float(population.noise_df[0])
    shape = (len(population.noise), *table.scores.shape)
    unit = draw_noise(key, df, shape)
    again = jax.random.normal(jax.random.fold_in(key, 1), shape)
    law = PredictiveLaw(params, population.noise[:, None, :] * unit, _per_item(again, table.items))
    families = tuple(table.families[family] for family in table.family)
    return Forecast(
        models=table.models,
        benchmarks=table.benchmarks,
        draws=np.asarray(_predict(law, x, jnp.asarray(table.family)), dtype=np.float64),
        family_models=count_family_models(table, families),
        has_intervals=True,
        outside=("",) * len(table.models),
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


class PredictiveLaw(NamedTuple):
    """The law with everything that is peculiar to queried models in place, draw by draw.

    Attributes:
        params: leading axis ``(draw,)``; a row for each queried model where the fit had one for
            each family (``family`` is the query's row) or model.
        noise: of their scores, inside the link, ``(draw, query, benchmark)``; None for a point
            fit.
        sampling: which items a benchmark happens to have, as standard normals over the square root
            of their number, of the same shape; None where no number is known.
    """

    params: Params
    noise: Array | None
    sampling: Array | None = None


def _per_item(unit: Array, items: np.ndarray) -> Array | None:
    """Standard normals over the square root of numbers of items, NaN where not known."""
    if np.isnan(items).all():
        return None
    count = jnp.asarray(np.nan_to_num(items, nan=np.inf), unit.dtype)
    return unit / jnp.broadcast_to(jnp.sqrt(count), unit.shape)


def predictive_law(fit: Posterior | PointFit, query: Query, key: Array | None) -> PredictiveLaw:
    """Draw what is peculiar to queried models; see :func:`forecast`.

    Args:
        fit: a posterior or a point fit, which is a single draw.
        query: models to predict; their sizes and tokens do not matter.
        key: random key; required for a posterior, not used by a point fit.

    Raises:
        ValueError: if a posterior comes without a key.
    """
    if isinstance(fit, PointFit):
        return PredictiveLaw(jax.tree.map(lambda a: a[None], _point_params(fit, query)), None)
    if key is None:
        raise ValueError("a forecast from a posterior needs a random key: key=jax.random.key(0)")
    return _drawn_params(fit, query, key)


def _point_params(fit: PointFit, query: Query) -> Params:
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
    return params


class _Asked(NamedTuple):
    """Queried models by numbers, ``(query,)`` each.

    ``family`` and ``lineage`` are positions in the training table, -1 where it has none;
    ``post_trained`` is NaN where nobody knows; the rest tell names apart, so that a name has the
    same draws in every query.
    """

    family: np.ndarray
    lineage: np.ndarray
    post_trained: np.ndarray
    lineage_name: np.ndarray
    family_name: np.ndarray
    model_name: np.ndarray


def _drawn_params(fit: Posterior, query: Query, key: Array) -> PredictiveLaw:
    table = fit.table
    known = [_known(family, table) for family in query.families]
    lineages = [
        table.lineages.index(lineage) if lineage in table.lineages else -1
        for lineage in query.lineages
    ]

    def ids(kind: str, names: tuple[str, ...]) -> np.ndarray:
        # crc32 is the same on every machine
        return np.array([zlib.crc32(f"{kind}/{name}".encode()) for name in names], np.uint32)

    asked = _Asked(
        family=np.array([-1 if index is None else index for index in known]),
        lineage=np.array(lineages),
        post_trained=np.asarray(query.post_trained, float),
        lineage_name=ids("lineage", query.lineages),
        family_name=ids("family", query.families),
        model_name=ids("model", query.models),
    )
    params, population = flat_draws((fit.params, fit.population))
    df = float(population.noise_df[0])
    share = float(table.post_trained_of_family.mean())
    sampled = bool(np.isfinite(table.items).any())
    law = _draw_effects(params, population, asked, key, share, df=df, sampled=sampled)
    if law.sampling is None:
        return law
    return law._replace(sampling=_per_item(law.sampling, table.items))


@partial(jax.jit, static_argnames=("df", "sampled"))
def _draw_effects(
    params: Params,
    population: Population,
    asked: _Asked,
    key: Array,
    share: float,
    *,
    df: float,
    sampled: bool,
) -> PredictiveLaw:
    """What is peculiar to queried models; one program, however many there are of each kind.

    ``sampling`` are the standard normals, if they were asked for.
    """
    draws, benchmarks, skills = params.loading.shape
    # Without numbers of items draws are what they always were.
    wide = 2 * skills + 2 * benchmarks + 1 + (benchmarks if sampled else 0)

    # One call for all normal numbers: the generator is what takes long to compile.
    def units(name: Array) -> Array:
        return jax.random.normal(jax.random.fold_in(key, name), (draws, wide))

    names = jnp.stack([asked.lineage_name, asked.family_name, asked.model_name])
    of_lineage, of_family, of_model = jax.vmap(jax.vmap(units))(names)

    def drawn(
        one: _Asked, of_lineage: Array, of_family: Array, of_model: Array
    ) -> tuple[Array, ...]:
        effect = jnp.where(
            one.lineage >= 0,
            population.lineage[:, one.lineage],
            population.lineage_scale[:, None] * of_lineage[:, :skills],
        )
        ends = np.cumsum([skills, skills, benchmarks, benchmarks, 1])
        own, growth, specific, specific_growth, either, _ = jnp.split(of_family, ends, axis=1)
        given = jnp.asarray(one.post_trained, effect.dtype)
        mixed = (either < ndtri(share)).astype(effect.dtype)
        shifted = jnp.where(jnp.isnan(given), mixed, given)
        new = (
            effect + shifted * population.post_training + own,
            population.specific_scale * specific,
            population.growth_scale[:, None] * growth,
            population.specific_growth_scale * specific_growth,
            # Growth of a family that nobody has seen counts from the mean size of the table, zero.
            jnp.zeros(draws, effect.dtype),
        )
        known = (
            params.intercept,
            params.specific,
            params.growth,
            params.specific_growth,
            params.growth_from,
        )
        effects = [
            jnp.where(one.family >= 0, jnp.asarray(learnt)[:, one.family], fresh)
            for learnt, fresh in zip(known, new, strict=True)
        ]
        noise = of_model[:, skills : skills + benchmarks]
        if np.isfinite(df):
            noise = draw_noise(jax.random.fold_in(key, ~one.model_name), df, noise.shape)
        departure = population.model_scale[:, None] * of_model[:, :skills]
        return (*effects, departure, population.noise * noise, of_model[:, ends[-1] :])

    intercept, specific, growth, specific_growth, growth_from, own, noise, items = jax.vmap(
        drawn, out_axes=1
    )(asked, of_lineage, of_family, of_model)
    rows = params._replace(
        intercept=intercept,
        specific=specific,
        growth=growth,
        specific_growth=specific_growth,
        growth_from=growth_from,
        own=own,
    )
    return PredictiveLaw(rows, noise, items if sampled else None)


@jax.jit
def _predict(law: PredictiveLaw, x: Array, family: Array) -> Array:
    if law.noise is None:
        return jax.vmap(lambda p: scores(p, x, family))(law.params)
    if law.sampling is None:
        return jax.vmap(lambda p, e: noisy_scores(p, x, family, e))(law.params, law.noise)
    return jax.vmap(lambda p, e, i: noisy_scores(p, x, family, e, sampling=i))(
        law.params, law.noise, law.sampling
    )


def draw_noise(key: Array, df: float, shape: tuple[int, ...]) -> Array:
    """Noise inside the link over its scale: Student-t, or normal where ``df`` is infinite."""
    if np.isfinite(df):
        return jax.random.t(key, df, shape)
    return jax.random.normal(key, shape)


def noisy_scores(
    params: Params,
    covariates: Array,
    family: Array,
    noise: Array,
    *,
    sampling: Array | None = None,
    clip: bool = True,
) -> Array:
    """Scores of one draw of the posterior with noise inside the link.

    Args:
        params: one draw.
        covariates: ``(model, covariate)``.
        family: index of each model's family, ``(model,)``.
        noise: on the scale of the predictor, ``(model, benchmark)``.
        sampling: standard normals over the square root of a benchmark's number of items, of the
            same shape; None where no number is known.
        clip: whether to keep them inside [0, 1], which the law itself goes a little beyond.

    Returns:
        Fractions, ``(model, benchmark)``; below chance where the noise says so.
    """
    link = params.link
    assert isinstance(link, QuantileMixture)  # of every hierarchical law
    share = link.share(linear_predictor(params, covariates, family) + noise)
    floor = params.floor[None, :]
    made = floor + (1.0 - floor) * share
    if sampling is not None:
        # sqrt(p (1 - p) / n)
        p = jnp.clip(made, 0.0, 1.0)
        made += jnp.sqrt(p * (1.0 - p)) * sampling
    return jnp.clip(made, 0.0, 1.0) if clip else made
