"""Forecasts: from a fit and a query to predictive draws, means and intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.typing import ArrayLike

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.forecasting.predictive_law import PredictiveLaw, predictive_law
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.law.predictive import repeated, table_scores
from sloth_jax.machine_memory import available_bytes, check_memory
from sloth_jax.programs import kept
from sloth_jax.showing import Shown
from sloth_jax.wording import counted

if TYPE_CHECKING:  # takes a while to load
    import xarray as xr

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


@dataclass(frozen=True, eq=False, repr=False)
class Forecast(Shown):
    """Predicted scores of queried models.

    Attributes:
        models: names in the order of the query.
        benchmarks: names in the order of the training table.
        draws: predictive draws of scores, fractions, ``(draw, model, benchmark)``, with family
            effects that were not observed and score noise.
        family_models: training models with a score in each model's family, ``(model,)``; 0 means
            that the family was never seen and its effect is the population's.
        inference: of the fit. A mode's intervals lack what is uncertain about the law itself.
        outside: how far each model leaves the sizes, tokens and tokens per parameter of the
            training table, or the sizes and tokens of its family's models, in words, ``(model,)``;
            empty where it does not.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    draws: np.ndarray
    family_models: np.ndarray
    inference: str
    outside: tuple[str, ...]

    def _line(self) -> str:
        counts = zip(self.draws.shape, ("draw", "model", "benchmark"), strict=True)
        draws, models, benchmarks = (counted(count, what) for count, what in counts)
        return f"{models}, {benchmarks}, {draws}, by {self.inference}"

    def _rows(self) -> pd.DataFrame:
        return self.summary().drop(columns=["mean", "family_models"])

    def to_xarray(self) -> xr.DataArray:
        """The draws as an array with names, for selecting by name and for ``.quantile("draw")``.

        Returns:
            ``(draw, model, benchmark)``, fractions; with ``family_models`` and ``outside`` as
            coordinates of the models.
        """
        import xarray as xr

        return xr.DataArray(
            self.draws,
            dims=("draw", "model", "benchmark"),
            coords={
                "model": list(self.models),
                "benchmark": list(self.benchmarks),
                "family_models": ("model", self.family_models),
                "outside": ("model", list(self.outside)),
            },
            name="score",
            attrs={"units": "fraction", "inference": self.inference},
        )

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Central interval of the predictive draws.

        Args:
            level: probability inside, in (0, 1).

        Returns:
            Lower and upper ends, fractions, ``(model, benchmark)`` each.

        Raises:
            ValueError: if ``level`` is not inside (0, 1).
        """
        return central_interval(self.draws, level)

    def summary(self, level: float = 0.9) -> pd.DataFrame:
        """One row per model and benchmark, with the columns :data:`COLUMNS`.

        Args:
            level: probability inside the central interval, in (0, 1).

        Returns:
            Scores as fractions.

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


def forecast(fit: Fit, query: Query, *, key: Array) -> Forecast:
    """Predict the scores of models on every benchmark of the training table.

    A family of the training table keeps what is known of it. One that is new takes its lineage's,
    where the lineage is known, and draws the rest from the population, so its intervals are wide;
    where its post-training is not given either, base and post-trained are mixed as in the table.
    A checkpoint of a run of the training table keeps what its checkpoints there say of the model.
    The draws of a model do not depend on the other queries.

    Args:
        fit: from :func:`sloth_jax.fit`.
        query: models to predict.
        key: random key.

    Returns:
        A :class:`Forecast`. A mode's draws all have the one law, so that its intervals lack what
        is uncertain about it.

    Raises:
        InputError: if the memory will not do for draws of so many models.
    """
    # In double precision: parts and the whole of them, and a sorted copy for quantiles.
    needed = 24.0 * fit.position.shape[0] * len(query.models) * len(fit.table.benchmarks)
    ways = ("fewer models in a query", "fewer draws")
    check_memory("the forecast", needed, available_bytes(), ways)
    parts = [
        _forecast_draws(fit, _part(query, rows), key)
        for rows in np.array_split(np.arange(len(query.models)), -(-len(query.models) // _BATCH))
    ]
    return Forecast(
        models=query.models,
        benchmarks=fit.table.benchmarks,
        draws=np.concatenate(parts, axis=1),
        family_models=count_family_models(fit.table, query.families),
        inference=fit.settings.inference,
        outside=tuple(beyond_in_words(fit.table, query.params_b, query.tokens_t, query.families)),
    )


_BATCH = 64  # queried models at a time: bounds the memory


def _part(query: Query, rows: np.ndarray) -> Query:
    picked = {
        name: tuple(getattr(query, name)[row] for row in rows)
        for name in ("models", "families", "lineages", "runs")
        if getattr(query, name)
    }
    numbers = {
        name: np.asarray(getattr(query, name))[rows]
        for name in ("params_b", "tokens_t", "post_trained", "active_params_b")
    }
    return replace(query, **picked, **numbers)


def _forecast_draws(fit: Fit, query: Query, key: Array) -> np.ndarray:
    law = predictive_law(fit, query, key)
    x = law.design(fit.surface, query.params_b, query.tokens_t, query.active_params_b)
    return np.asarray(_scores(law, *x, _items(fit.table)), dtype=np.float64)


@kept
@jax.jit
def _scores(law: PredictiveLaw, design: Array, basis: Array, items: ArrayLike) -> Array:
    items = jnp.asarray(items)
    return jax.vmap(lambda one, x: one.scores(x, basis, items))(law, design)


def _items(table: Leaderboard) -> np.ndarray:
    return np.nan_to_num(table.items, nan=np.inf)


def forecast_table(fit: Fit, *, key: Array) -> Forecast:
    """Predict what the models of the training table would score on every benchmark.

    Unlike :func:`forecast` this uses each model's own scores too: one that was measured on eleven
    benchmarks is predicted on the twelfth by what those say of it. A score that was measured is
    predicted as if it were measured again.

    Args:
        fit: from :func:`sloth_jax.fit`.
        key: random key.

    Returns:
        A :class:`Forecast` of all models of the table, in its order; ``outside`` is empty.
    """
    table = fit.table
    draws = np.asarray(
        table_scores(fit.observations, repeated(fit.law, fit.settings.inference), key),
        dtype=np.float64,
    )
    families = tuple(table.families[family] for family in table.family)
    return Forecast(
        models=table.models,
        benchmarks=table.benchmarks,
        draws=draws,
        family_models=count_family_models(table, families),
        inference=fit.settings.inference,
        outside=("",) * len(table.models),
    )


def count_family_models(table: Leaderboard, families: tuple[str, ...]) -> np.ndarray:
    """Number of training models with a score in each of some families, ``(len(families),)``."""
    count = np.bincount(table.family[table.observed.any(axis=1)], minlength=len(table.families))
    found = dict(zip(table.families, count.tolist(), strict=True))
    return np.asarray([found.get(family, 0) for family in families])
