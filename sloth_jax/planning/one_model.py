"""All scores of one model as a normal, given a draw of the law and what was measured.

Given what all lineages share, scores inside their links are normal, so that a model's unknown
scores given its known ones and those of its lineage are normal too. The covariance comes from the
elimination that fits the law: where all scores of the model are put into a lineage's problem, the
block of the inverse of the problem's covariance that belongs to them is the inverse of their
conditional covariance given the others (Rue and Held 2005, theorem 2.5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard, index_families
from sloth_jax.effects.conditioning import condition, effects_at_models, zero_normals
from sloth_jax.errors import InputError
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.observe import observe
from sloth_jax.law.forward import linear_predictor
from sloth_jax.law.hierarchical import SharedLaw, effects_problem, independent_noise_variance
from sloth_jax.law.links import LearntLink
from sloth_jax.law.observations import Observations
from sloth_jax.wording import did_you_mean, quoted


class ModelScores(NamedTuple):
    """Predictors of one model's scores as they may be measured, by each draw.

    Attributes:
        mean: ``(draw, benchmark)``; of a known score the predictor that it tells.
        covariance: with the noise of a measurement, ``(draw, benchmark, benchmark)``; 0 for
            known scores.
        known: whether the table has the score, ``(benchmark,)``, bool.
    """

    mean: np.ndarray
    covariance: np.ndarray
    known: np.ndarray


def model_scores(fit: Fit, model: str | Query, law: SharedLaw, seed: np.ndarray) -> ModelScores:
    """Condition a model's scores on what the table has of it and of its lineage.

    Args:
        fit: from :func:`sloth_jax.fit`.
        model: name of a model of the training table, whose scores there are known; or a query of
            one model, none of whose scores are.
        law: draws of the fit.
        seed: of whether a family is post-trained, where that is unknown.

    Raises:
        InputError: if there is no such model, or the query has several.
    """
    lineage, row, shifts = _lineage_of(fit.table, model)
    possible = np.zeros(lineage.scores.shape, bool)
    possible[row] = True
    observations = observe(lineage, fit.surface, possible)
    new = _alone(lineage, row)
    designs = jnp.stack([fit.surface.of(new, np.array([kind]))[0] for kind in shifts])
    share = float(fit.table.post_trained_of_family.mean())
    of_draw = np.random.default_rng(seed).random(law.noise.shape[0]) < share
    kind = jnp.asarray(of_draw.astype(int) if len(shifts) > 1 else np.zeros(len(of_draw), int))
    parts = _conditioned(law, observations, jnp.asarray(row), designs, kind)
    own, common, weight, precision = (np.asarray(part, float) for part in parts)
    precision = 0.5 * (precision + precision.transpose(0, 2, 1))
    covariance = np.linalg.inv(precision)
    # (V^-1 r)_model = P (r - E[r | others])
    mean = own - np.einsum("dij,dj->di", covariance, weight)
    known = lineage.observed[row]
    mean, covariance = given(mean, covariance, np.flatnonzero(known), own)
    return ModelScores(common + mean, covariance, known)


def given(
    mean: np.ndarray, covariance: np.ndarray, at: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A normal given some of its variables.

    Args:
        mean: ``(draw, benchmark)``.
        covariance: ``(draw, benchmark, benchmark)``.
        at: positions of those that are known, ``(known,)``.
        values: of all, ``(draw, benchmark)``; only those of ``at`` matter.

    Returns:
        Mean and covariance, the latter 0 for what is known.
    """
    if not at.size:
        return mean, covariance
    cross = covariance[:, at]
    gain = np.linalg.solve(covariance[:, at[:, None], at[None, :]], cross)
    mean = mean + np.einsum("dki,dk->di", gain, (values - mean)[:, at])
    covariance = covariance - cross.transpose(0, 2, 1) @ gain
    mean[:, at], covariance[:, at], covariance[:, :, at] = values[:, at], 0.0, 0.0
    return mean, covariance


def known_scores(table: Leaderboard, model: str | Query) -> tuple[str, np.ndarray]:
    """Name of a model, and whether the table has its scores, ``(benchmark,)``, bool.

    Raises:
        InputError: if there is no such model, or the query has several.
    """
    if not isinstance(model, str):
        if len(model.models) != 1:
            raise InputError(f"{len(model.models)} models are queried: ask for one at a time")
        return model.models[0], np.zeros(len(table.benchmarks), bool)
    if model not in table.models:
        hint = did_you_mean(model, table.models)
        raise InputError(f"no model {quoted(model)} in the training table{hint}")
    return model, table.observed[table.models.index(model)]


def _lineage_of(table: Leaderboard, model: str | Query) -> tuple[Leaderboard, int, list[float]]:
    """The model's lineage with the model in it, its row, and the shifts that it may have."""
    name, _ = known_scores(table, model)
    of_model = table.lineage_of_family[table.family]
    if isinstance(model, str):
        at = table.models.index(name)
        rows = np.flatnonzero(of_model == of_model[at])
        lineage = table.subset(of_model == of_model[at])
        kind = float(table.post_trained_of_family[table.family[at]])
        return lineage, rows.tolist().index(at), [kind]
    names = np.asarray(table.lineages, object)
    lineage = _with_row(table, model, names[of_model] == model.lineages[0])
    kind = float(model.post_trained[0])
    return lineage, len(lineage.models) - 1, [0.0, 1.0] if np.isnan(kind) else [kind]


def _with_row(table: Leaderboard, query: Query, keep: np.ndarray) -> Leaderboard:
    """Some models of a table, and a queried one without scores as the last."""
    rows = np.flatnonzero(keep)
    families = [*(table.families[f] for f in table.family[rows]), query.families[0]]
    lineages = table.lineage_by_family() | {query.families[0]: query.lineages[0]}
    kinds = {query.families[0]: bool(query.post_trained[0] > 0.5)} | table.post_trained_by_family()
    width = len(table.benchmarks)
    blank = {"scores": np.nan, "standard_errors": np.nan, "source": 0}
    facts = {
        name: np.append(getattr(table, name)[rows], getattr(query, name)[:1])
        for name in ("params_b", "active_params_b", "tokens_t")
    }
    return replace(
        table,
        models=(*(table.models[m] for m in rows), query.models[0]),
        **index_families(families, lineages, kinds),
        **facts,
        released=(*(table.released[m] for m in rows), ""),
        run=(*(table.run[m] for m in rows), (query.runs or ("",))[0]) if table.run else (),
        **{
            name: np.concatenate([getattr(table, name)[rows], np.full((1, width), value)])
            for name, value in blank.items()
        },
    )


def _alone(table: Leaderboard, row: int) -> Leaderboard:
    return table.subset(np.arange(len(table.models)) == row)


@jax.jit
def _conditioned(
    law: SharedLaw, observations: Observations, row: Array, designs: Array, kind: Array
) -> tuple[Array, Array, Array, Array]:
    """What the lineage's problem says of all scores of one of its models, by each draw.

    Returns:
        Residuals of its scores, 0 where unknown, and what they are residuals from, ``(draw,
        benchmark)`` each; ``V^-1 r`` and the block of ``V^-1`` of its scores, ``(draw, benchmark)``
        and ``(draw, benchmark, benchmark)``.
    """

    def one(inputs: tuple[SharedLaw, Array]) -> tuple[Array, Array, Array, Array]:
        law, kind = inputs
        problem, _ = effects_problem(law, observations)
        common = linear_predictor(law.params, designs)[kind]
        benchmarks, skills = problem.loading.shape
        seen = observations.observed[row]
        own = jnp.where(seen, problem.residual[row], 0.0)
        variance = independent_noise_variance(law) + _item_variance(law, common, observations.items)
        variance = jnp.where(seen, problem.variance[row], variance)
        whole = problem._replace(
            residual=problem.residual.at[row].set(own),
            variance=problem.variance.at[row].set(variance),
            seen=problem.seen.at[row].set(1.0),
        )
        members = observations.members
        nothing = zero_normals(members, benchmarks, skills)

        def weight(residual: Array) -> Array:
            # V^-1 r = N^-1 (r - E[effects | r])
            found = condition(
                whole._replace(residual=residual), observations.bins, members, nothing
            )
            of_skill, of_benchmark = effects_at_models(found, members, skills)
            expected = of_skill[row] @ problem.loading.T + of_benchmark[row]
            return (residual[row] - expected) / variance

        unit = jnp.zeros((benchmarks, *whole.residual.shape), own.dtype)
        unit = unit.at[jnp.arange(benchmarks), row, jnp.arange(benchmarks)].set(1.0)
        return own, common, weight(whole.residual), jax.vmap(weight)(unit)

    return jax.lax.map(one, (law, kind))


def _item_variance(law: SharedLaw, predictor: Array, items: Array) -> Array:
    """Variance of a score by its items as one of its predictor, at the predictor, ``(benchmark,)``.

    The rate of the link is that at the expected score: the delta method.
    """
    link = law.params.link
    assert isinstance(link, LearntLink)  # of every hierarchical law
    share = jnp.clip(link(predictor[None])[0], 0.0, 1.0)
    _, rate = link.inverse(share[None])
    floor = law.params.floor
    score = floor + (1.0 - floor) * share
    return (rate[0] / (1.0 - floor)) ** 2 * score * (1.0 - score) / items
