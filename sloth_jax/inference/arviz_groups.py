"""Fits as arviz objects: posterior and prior draws, what they predict, and what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro.handlers import seed

from sloth_jax.chunks import map_in_chunks
from sloth_jax.effects.spread import Spread
from sloth_jax.errors import InputError
from sloth_jax.inference.diagnostics import arviz_object
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.storage import dataset, table_groups
from sloth_jax.law.hierarchical import Density, SharedLaw, lineage_log_likelihood
from sloth_jax.law.observations import Observations
from sloth_jax.law.pivots import Pivots
from sloth_jax.law.predictive import repeated, table_scores
from sloth_jax.wording import did_you_mean, quoted

_PARAMS = {
    "slope": ("column", "skill"),
    "loading": ("benchmark", "skill"),
    "bias": ("benchmark",),
    "floor": ("benchmark",),
    "specific_slope": ("column", "benchmark"),
}
_FEW = ("loading", "bias", "noise", *(f"skill_{name}" for name in Spread._fields))
_PRIOR_DRAWS = 500
_Variables = dict[str, tuple[tuple[str, ...], Any]]


def to_arviz(
    fit: Fit, *, var_names: str | Sequence[str] | None = None, key: Array | None = None
) -> Any:
    """A fit as arviz' own object, for ``az.summary``, ``az.loo`` and ``az.plot_*``.

    Groups:

    * ``posterior`` and ``prior``: draws of what all lineages share, with the dimensions ``chain``,
      ``draw``, ``column`` (of the surface), ``skill``, ``benchmark``, ``source`` and ``piece`` (of
      the link). Loadings and slopes are those of the law's own rotation, which no score depends on:
      :func:`sloth_jax.skills.interpret_skills` gives skills to look at. Spreads of effects are
      ``skill_lineage``, ``benchmark_family_walk`` and so on
      (:class:`sloth_jax.effects.spread.Spread`). Effects of single lineages and models are
      integrated out and not there.
    * ``posterior_predictive`` and ``prior_predictive``: ``score``, fractions, ``(chain, draw,
      model, benchmark)``, as if measured again from the benchmark's main source; NaN where
      ``observed_data`` is, so that the two compare in ``az.plot_ppc`` (``plot_ppc_dist`` since
      arviz 1). ``flatten=["model"]`` draws a panel per benchmark.
    * ``log_likelihood``: one entry per lineage with a score, all effects integrated out, in nats.
      ``az.loo`` then leaves out whole lineages: its ``elpd`` says how well a new lineage is
      predicted, which is what the law is for. Scores of one lineage are correlated by its effects,
      so that leaving a single one out would say nothing of new models. There are few lineages and
      each has many scores, so its Pareto k is often above 0.7, where the estimate is rough:
      ``sj.evaluation`` leaves lineages out by fitting again.
    * ``observed_data``, ``constant_data``: the table.

    Args:
        fit: from :func:`sloth_jax.fit`.
        var_names: of ``posterior`` and ``prior``; None for loadings, biases, noise and spreads of
            effects on skills, ``"all"`` for all.
        key: random key of the predictions and the prior; None for one that is the same for the same
            fit.

    Returns:
        ``arviz.InferenceData``, or the ``xarray.DataTree`` that arviz 1 works on. A mode is a
        posterior of one draw, whose predictions vary by effects and noise only.

    Raises:
        InputError: if there is no such variable.
    """
    table, observations = fit.table, fit.observations
    if key is None:
        key = jax.random.fold_in(jax.random.key(0), sum(fit.seed) % 2**32)
    prior_key, again_key, before_key = jax.random.split(key, 3)
    prior = _prior_laws(observations, fit.pivots, prior_key, fit.settings)
    predicted = table_scores(observations, repeated(fit.law, fit.settings.inference), again_key)
    nothing = observations._replace(observed=jnp.zeros_like(observations.observed))
    supposed = table_scores(nothing, prior, before_key)
    scored = np.unique(table.lineage_of_family[table.family[table.observed.any(axis=1)]])
    density = np.asarray(lineage_log_likelihoods(fit))[:, scored]
    names = {
        "column": list(fit.surface.names),
        "skill": np.arange(fit.settings.skills),
        "benchmark": list(table.benchmarks),
        "source": list(table.sources),
        "model": list(table.models),
        "lineage": [table.lineages[at] for at in scored],
    }

    def group(variables: _Variables, chains: int = 1) -> xr.Dataset:
        return _by_chain(variables, names, chains)

    def scores(draws: Array) -> _Variables:
        seen = np.where(table.observed[None], np.asarray(draws), np.nan)
        return {"score": (("model", "benchmark"), seen)}

    chosen = _chosen(_variables(fit.law), var_names)
    return arviz_object(
        {
            "posterior": group({name: _variables(fit.law)[name] for name in chosen}, fit.chains),
            "posterior_predictive": group(scores(predicted), fit.chains),
            "prior": group({name: _variables(prior)[name] for name in chosen}),
            "prior_predictive": group(scores(supposed)),
            "log_likelihood": group({"score": (("lineage",), density)}, fit.chains),
            **table_groups(table),
        }
    )


def _variables(law: SharedLaw) -> _Variables:
    """Draws of the law by name, ``(draw, ...)``, each with its dimensions after the draw."""
    found: _Variables = {name: (dims, getattr(law.params, name)) for name, dims in _PARAMS.items()}
    link = law.params.link
    for name, value in link._asdict().items():  # pyright: ignore - every link is a NamedTuple
        leading = () if value.ndim == 2 else ("piece",)
        found[f"link_{name}"] = ((*leading, "benchmark"), value)
    for unit, spread in (("skill", law.skill), ("benchmark", law.benchmark)):
        found |= {f"{unit}_{name}": ((unit,), part) for name, part in spread._asdict().items()}
    found |= {
        "noise": (("benchmark",), law.noise),
        "offset": (("source", "benchmark"), law.offset),
    }
    return found if law.run_length is None else found | {"run_length": ((), law.run_length)}


def _chosen(variables: _Variables, names: str | Sequence[str] | None) -> list[str]:
    """Names of the variables that are asked for."""
    if names is None:
        return list(_FEW)
    if isinstance(names, str):
        names = list(variables) if names == "all" else [names]
    for name in names:
        if name not in variables:
            raise InputError(
                f"no variable {quoted(name)} in a fit{did_you_mean(name, variables)} "
                f"(there are {', '.join(variables)}, or 'all')"
            )
    return list(names)


def _by_chain(variables: _Variables, names: Mapping[str, Any], chains: int) -> xr.Dataset:
    """Arrays ``(draw, ...)`` with draws by chain."""
    split = {
        name: (("chain", "draw", *dims), np.reshape(value, (chains, -1, *np.shape(value)[1:])))
        for name, (dims, value) in variables.items()
    }
    draws = next(iter(split.values()))[1].shape[1]
    return dataset(split, {"chain": np.arange(chains), "draw": np.arange(draws), **names})


@partial(jax.jit, static_argnames="settings")
def _prior_laws(
    observations: Observations, pivots: Pivots, key: Array, settings: FitSettings
) -> SharedLaw:
    """Draws of the law from its prior; of averaged surfaces, from that of the larger one."""
    density = Density(observations, settings.prior, pivots)
    keys = jax.random.split(key, _PRIOR_DRAWS)
    return map_in_chunks(lambda one: seed(density.model, one)(settings.skills), keys)


def lineage_log_likelihoods(fit: Fit) -> Array:
    """Log density of each lineage's scores by each draw, its effects integrated out.

    Returns:
        ``(draw, lineage)`` in nats; 0 for a lineage without a score.
    """
    return _lineage_densities(fit.observations, fit.law)


@jax.jit
def _lineage_densities(observations: Observations, law: SharedLaw) -> Array:
    return map_in_chunks(lambda one: lineage_log_likelihood(one, observations), law)
