"""The law together with the effects of queried models, draw by draw: what forecasts are made of.

:func:`predictive_law` conditions the effects of a query's lineages and families on the scores of
their observed models; :meth:`PredictiveLaw.scores` gives scores at any size and tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtri

from sloth_jax.arrays import on_device
from sloth_jax.chunks import map_in_chunks
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.effects.bins import Checkpoints
from sloth_jax.effects.conditioning import Members, condition, draw_normals, hash_names
from sloth_jax.effects.packing import covariate_priors_among, fill_bins
from sloth_jax.effects.runs import Neighbours, continue_runs, find_neighbours, with_checkpoints
from sloth_jax.effects.walk import log_size_of_basis, walk_basis
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.observe import checkpoints_of
from sloth_jax.law.forward import Effects
from sloth_jax.law.hierarchical import SharedLaw, effects_problem, independent_noise_variance
from sloth_jax.law.observations import Observations
from sloth_jax.law.predictive import noisy_scores, repeated
from sloth_jax.law.surface import Surface
from sloth_jax.products import einsum
from sloth_jax.programs import kept
from sloth_jax.showing import Shown


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["shared", "walk", "own", "noise", "item_noise", "post_trained"],
    meta_fields=[],
)
@dataclass(frozen=True, repr=False)
class PredictiveLaw(Shown):
    """The law together with the effects of queried lineages, families and models, draw by draw.

    Effects of a query's family and lineage are functions of its size; the size itself is not fixed
    here, so that planning can move it.

    Attributes:
        shared: what all lineages share, leading axis ``(draw,)``, as all that follow.
        walk: level and walk of each query's lineage and family, coefficients of
            :func:`walk_basis`, on skills and then benchmarks, ``(draw, query, coefficient, unit)``.
        own: departure of each model from its family in skills, ``(draw, query, skill)``.
        noise: of its scores, inside the link, standard normal, ``(draw, query, benchmark)``.
        item_noise: which items a benchmark happens to have, standard normal, of the same shape.
        post_trained: 1 where the query is post-trained, else 0, ``(draw, query)``.
    """

    shared: SharedLaw
    walk: Array
    own: Array
    noise: Array
    item_noise: Array
    post_trained: Array

    def design(
        self, surface: Surface, params_b: Any, tokens_t: Any, active_params_b: Any = None
    ) -> tuple[Array, Array]:
        """Columns of each draw, ``(draw, query, column)``, and :func:`walk_basis` of the sizes."""
        return _design(surface, self.post_trained, params_b, tokens_t, active_params_b)

    def effects(self, basis: Array) -> Effects:
        """Effects of one draw at sizes of this :func:`walk_basis`, ``(query, coefficient)``."""
        skills = self.own.shape[-1]
        found = einsum("mq,mqu->mu", basis, self.walk)
        return Effects(found[:, :skills] + self.own, found[:, skills:])

    def scores(self, design: Array, basis: Array, items: Array) -> Array:
        """Scores of one draw as they may be measured, ``(query, benchmark)``."""
        return noisy_scores(
            self.shared, design, self.effects(basis), self.noise, self.item_noise, items
        )


@kept
@jax.jit
def _design(
    surface: Surface, post_trained: Array, params_b: Any, tokens_t: Any, active_params_b: Any
) -> tuple[Array, Array]:
    x = surface.design(params_b, tokens_t, 0.0, active_params_b)
    basis = walk_basis(surface.from_smallest(params_b, active_params_b))
    by_draw = jnp.broadcast_to(x[None], (post_trained.shape[0], *x.shape))
    return by_draw.at[:, :, -1].set(post_trained), basis


def predictive_law(fit: Fit, query: Query, key: Array) -> PredictiveLaw:
    """Draw the effects and the noise of queried models; see :func:`forecast`.

    Args:
        fit: from :func:`sloth_jax.fit`.
        query: models to predict; their sizes and tokens do not matter.
        key: random key.
    """
    law = repeated(fit.law, fit.settings.inference)
    return _predictive_law(*_conditioned(fit, query), law, key)


class _QueryIndices(NamedTuple):
    """Queried models by numbers, ``(query,)`` each.

    ``lineage``, ``family`` and ``model`` are positions among the members' names, ``post_trained``
    is NaN where unknown, ``share`` its probability then. ``neighbours`` are checkpoints of the same
    run among the observed models; None where the table has no runs.
    """

    lineage: Array
    family: Array
    model: Array
    post_trained: Array
    share: Array
    neighbours: Neighbours | None = None


def _conditioned(fit: Fit, query: Query) -> tuple[Observations, _QueryIndices]:
    """The training models of the queried lineages, and the query among their names."""
    table = fit.table
    whole = jax.device_get(fit.observations)
    of_model = np.asarray(table.lineages, object)[table.lineage_of_family[table.family]]
    rows = np.flatnonzero(np.isin(of_model, query.lineages) & table.observed.any(axis=1))
    lineages = tuple(dict.fromkeys([*of_model[rows], *query.lineages]))
    of_family = np.asarray(table.families, object)[table.family[rows]]
    families = tuple(dict.fromkeys([*of_family, *query.families]))
    of_lineage, of_name = ({name: k for k, name in enumerate(a)} for a in (lineages, families))
    lineage = np.array([of_lineage[name] for name in of_model[rows]], int)
    family = np.array([of_name[name] for name in of_family], int)
    model_hash = [whole.members.model_hash[rows], hash_names("query", query.models)]
    members = on_device(
        lineage=lineage,
        family=family,
        basis=whole.members.basis[rows],
        lineage_hash=hash_names("lineage", lineages),
        family_hash=hash_names("family", families),
        # A queried model is another one even if the table has its name.
        model_hash=np.concatenate(model_hash),
    )
    start = log_size_of_basis(whole.members.basis[rows])
    unknown = covariate_priors_among(whole.bins, rows, lineage), np.isnan(table.params_b[rows])
    by_model = ("scores", "observed", "design", "standard_error", "source")
    bins, neighbours = (), None
    if rows.size:
        bins = fill_bins(lineage, family, start, whole.observed[rows], *unknown)
    if rows.size and (known := checkpoints_of(table, rows)) is not None:
        bins, neighbours = with_checkpoints(bins, known), _neighbours(table, known, query)
    observations = whole._replace(
        **on_device(**{name: getattr(whole, name)[rows] for name in by_model}),
        members=Members(**members),
        covariates=whole.covariates and jax.device_put(whole.covariates.rows(rows)),
        bins=bins,
    )
    indices = on_device(
        lineage=np.array([of_lineage[name] for name in query.lineages]),
        family=np.array([of_name[name] for name in query.families]),
        model=np.arange(rows.size, rows.size + len(query.models)),
        post_trained=np.asarray(query.post_trained, float),
        share=np.full(len(query.models), float(table.post_trained_of_family.mean())),
    )
    return observations, _QueryIndices(**indices, neighbours=neighbours)


def _neighbours(table: Leaderboard, known: Checkpoints, query: Query) -> Neighbours:
    """The checkpoints next to each queried model among the observed ones of its run."""
    number = {name: row for row, name in reversed(list(enumerate(table.run))) if name}
    of_query = [number.get(name, -1) for name in query.runs or [""] * len(query.models)]
    return find_neighbours(known, np.array(of_query), np.log(query.tokens_t))


def _along_run(
    law: SharedLaw, neighbours: Neighbours, observed: Array, own: Array, noise: Array
) -> tuple[Array, Array]:
    """Departures from families given the observed checkpoints of the same runs.

    Args:
        law: one draw.
        neighbours: the observed checkpoints next to each query.
        observed: departures of observed models, ``(model, unit)``.
        own: standard normals of the queries' departures, ``(query, unit)``.
        noise: standard normals of what noise is independent of the run, ``(query, benchmark)``.

    Returns:
        Departures in skills, ``(query, skill)``, and noise in its standard deviations, ``(query,
        benchmark)``.
    """
    assert law.run_length is not None  # of every law of a table with runs
    spread = jnp.concatenate([law.skill.model, law.benchmark.model])
    departure = continue_runs(neighbours, law.run_length, observed, spread[None, :] * own)
    of_skill, of_run = jnp.split(departure, [law.skill.model.size], axis=1)
    independent = jnp.sqrt(independent_noise_variance(law))[None, :] * noise
    return of_skill, (of_run + independent) / law.noise[None, :]


@kept
@jax.jit
def _predictive_law(
    observations: Observations, query: _QueryIndices, law: SharedLaw, key: Array
) -> PredictiveLaw:
    keys = jax.random.split(key, law.noise.shape[0])

    def one(inputs: tuple[SharedLaw, Array]) -> PredictiveLaw:
        law, key = inputs
        problem, _ = effects_problem(law, observations)
        benchmarks, skills = problem.loading.shape
        normals = draw_normals(observations.members, benchmarks, skills, key)
        found = condition(problem, observations.bins, observations.members, normals)
        # Families are either post-trained or not: all models of one are the same.
        drawn = normals.post_training[query.family] < ndtri(query.share)
        unknown = jnp.isnan(query.post_trained)
        unit, noise = normals.effects.model[query.model], normals.replicate_noise[query.model]
        own = law.skill.model[None, :] * unit[:, :skills]
        if query.neighbours is not None:
            own, noise = _along_run(law, query.neighbours, found.model, unit, noise)
        return PredictiveLaw(
            shared=law,
            walk=found.lineage[query.lineage] + found.family[query.family],
            own=own,
            noise=noise,
            item_noise=normals.item_noise[query.model],
            post_trained=jnp.where(
                unknown, drawn.astype(problem.loading.dtype), query.post_trained
            ),
        )

    return map_in_chunks(one, (law, keys))
