"""From skills to tasks: what few models were measured on, predicted for models that do not exist.

Two ways. **Jointly**, the task is one more benchmark, sparsely observed:
:func:`sloth_jax.skills.tasks.with_tasks` adds it to a table, and a fit of that table predicts
it with intervals that know how little it says. **In two steps** the skills are taken as known from
a fit of the benchmarks alone, and the task is regressed on them (Maia Polo et al., arXiv
2412.06540, section 5)::

    score_m = c + (1 - c) logistic( a' f_m + b ) + N(0, noise^2)

with ``f`` the skills. With ``f`` the principal components of the benchmark scores this is the
observational law of Ruan et al. (arXiv 2405.10938, sections 3 and 4); with log FLOPs, and an
intercept per family or not, the law of Owen (arXiv 2401.04757). All are fitted here by the same
function, on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np
from jax import Array
from scipy.optimize import least_squares
from scipy.special import expit

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.forecasting.predictive_law import PredictiveLaw, predictive_law
from sloth_jax.forecasting.query import Query
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.law.surface import log_flops
from sloth_jax.showing import Shown
from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.tasks import Task, check_task

_SLOPE = 1.5  # prior scale of a: a standard deviation of a feature has up to e^3 times the odds
_BIAS = 3.0  # of b: an average model may score between 5 % and 95 %, or beyond
_ROUNDS = 4  # of fitting with the noise that the last fit left over
_LEAST_NOISE = 0.01  # a fraction: no task is measured better


@dataclass(frozen=True, eq=False, repr=False)
class TaskFit(Shown):
    """A task's regression on features of models.

    Attributes:
        task: name.
        weights: a, ``(feature,)``, per standard deviation of a feature among training models.
        bias: b.
        covariance: of weights and bias, by the curvature of the least squares, ``(feature + 1,
            feature + 1)``.
        noise: standard deviation of scores around the curve, a fraction.
        floor: c, a fraction.
        centre: mean of the features of training models, ``(feature,)``.
        spread: their standard deviation, ``(feature,)``.
        models: training models.
    """

    task: str
    weights: np.ndarray
    bias: float
    covariance: np.ndarray
    noise: float
    floor: float
    centre: np.ndarray
    spread: np.ndarray
    models: int

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Expected scores, fractions, ``(...)``, of features ``(..., feature)``; no uncertainty."""
        unit = (np.asarray(features, float) - self.centre) / self.spread
        return _curve(unit @ self.weights + self.bias, self.floor)

    def draw(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Predictive draws of scores, with the regression's uncertainty and the task's noise.

        Args:
            features: one set for each draw, ``(draw, model, feature)``: draws of skills, say.
            rng: source of randomness.

        Returns:
            Fractions, ``(draw, model)``.
        """
        unit = (np.asarray(features, float) - self.centre) / self.spread
        count = len(unit)
        mean = np.append(self.weights, self.bias)
        drawn = rng.multivariate_normal(mean, self.covariance, size=count, method="cholesky")
        eta = np.einsum("dmf,df->dm", unit, drawn[:, :-1]) + drawn[:, -1:]
        noise = self.noise * rng.standard_normal(eta.shape)
        return np.clip(_curve(eta, self.floor) + noise, 0.0, 1.0)


def _curve(eta: np.ndarray, floor: float) -> np.ndarray:
    # c + (1 - c) logistic(eta)
    return floor + (1.0 - floor) * expit(eta)


def fit_task(
    features: np.ndarray,
    scores: np.ndarray,
    *,
    name: str,
    floor: float = 0.0,
    slope: float = _SLOPE,
    bias: float = _BIAS,
) -> TaskFit:
    """Regress a task on features, by least squares with a normal prior on weights and bias.

    Args:
        features: of models, ``(model, feature)``, finite.
        scores: fractions, ``(model,)``; NaN where not measured.
        name: of the task.
        floor: score by chance, a fraction.
        slope: prior scale of a weight per standard deviation of its feature; ``inf`` for none.
        bias: prior scale of the bias.

    Raises:
        InputError: if there are fewer than four scores, or all are the same.
    """
    check_task(scores, name)
    seen = np.isfinite(scores)
    x, y = np.asarray(features, float)[seen], scores[seen]
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    unit = np.column_stack([(x - centre) / spread, np.ones(len(x))])
    scale = np.append(np.full(x.shape[1], slope), bias)
    noise = 0.1
    found = np.zeros(unit.shape[1])
    for _ in range(_ROUNDS):

        def residuals(at: np.ndarray, noise: float = noise) -> np.ndarray:
            return np.append((_curve(unit @ at, floor) - y) / noise, at / scale)

        solved = least_squares(residuals, found)
        found, jacobian = solved.x, solved.jac
        left = _curve(unit @ found, floor) - y
        # the noise that is left, by as many degrees of freedom as the weights do not take
        of_scores = jacobian[: -len(found)]
        taken = np.trace(np.linalg.solve(jacobian.T @ jacobian, of_scores.T) @ of_scores)
        noise = float(np.sqrt((left**2).sum() / max(len(y) - taken, 1.0)))
        noise = max(noise, _LEAST_NOISE)
    return TaskFit(
        task=name,
        weights=found[:-1],
        bias=float(found[-1]),
        covariance=np.linalg.inv(jacobian.T @ jacobian),
        noise=noise,
        floor=floor,
        centre=centre,
        spread=spread,
        models=int(seen.sum()),
    )


def fit_task_on_skills(skills: Skills, task: Task) -> TaskFit:
    """The second of two steps: a task on the skills of a fit that never saw it.

    Args:
        skills: of the table's models, from :func:`sloth_jax.interpret_skills`; each model's skills
            are taken as known, at the mean of their draws.
        task: scores of some of the table's models.

    Returns:
        A :class:`TaskFit` whose features are skills; ``fit.predict(skills.theta.mean(axis=0))`` is
        the point prediction of all models of the table, ``fit.draw(skills.theta, rng)`` predictive
        draws that know how uncertain the skills of each are.

    Raises:
        InputError: as :func:`fit_task`.
    """
    known = skills.theta.mean(axis=0)
    return fit_task(known, task.on(skills.table), name=task.name, floor=task.floor)


def skills_of_query(skills: Skills, query: Query) -> np.ndarray:
    """Skills of queried models, trained or not, in the form of the table's.

    Args:
        skills: from :func:`sloth_jax.interpret_skills`.
        query: models. Draws of what sets their families and lineages apart go with those of the
            table's models.

    Returns:
        ``(draw, model, skill)``, in standard deviations over the table's scored models: features
        for :meth:`TaskFit.draw`, skills for :func:`sloth_jax.response.forecast_coverage`.
    """
    fit = skills.fit
    law = predictive_law(fit, query, skills.key)
    x, basis = law.design(fit.surface, query.params_b, query.tokens_t, query.active_params_b)

    @jax.vmap
    def own(one: PredictiveLaw, x: Array) -> Array:
        return skills_of(one.shared.params, x, one.effects(basis))

    return skills.of(np.asarray(own(law, x)))


@dataclass(frozen=True, eq=False, repr=False)
class Components(Shown):
    """Principal components of benchmark scores, as Ruan et al. use them.

    Attributes:
        mean: of the scores of training models, ``(benchmark,)``.
        axes: ``(component, benchmark)``, orthonormal.
        explained: share of the variance of training models that each explains, ``(component,)``.
    """

    mean: np.ndarray
    axes: np.ndarray
    explained: np.ndarray

    def of(self, scores: np.ndarray) -> np.ndarray:
        """Components of models, ``(model, component)``, by least squares over what was measured.

        Args:
            scores: fractions, ``(model, benchmark)``, NaN where not measured.

        Raises:
            InputError: if a model has fewer scores than there are components.
        """
        found = np.empty((len(scores), len(self.axes)))
        for model, row in enumerate(scores):
            seen = np.isfinite(row)
            if seen.sum() < len(self.axes):
                raise InputError(
                    f"row {model}: {seen.sum()} scores, {len(self.axes)} components need as many"
                )
            found[model] = np.linalg.lstsq(
                self.axes[:, seen].T, row[seen] - self.mean[seen], rcond=None
            )[0]
        return found


def principal_components(
    scores: np.ndarray, components: int = 3, *, rounds: int = 500, tolerance: float = 1e-7
) -> Components:
    """Principal components of scores, missing ones filled in by the components themselves.

    Args:
        scores: fractions of training models, ``(model, benchmark)``, NaN where not measured.
        components: how many.
        rounds: of filling in, at most.
        tolerance: done once no filled-in score moves by more.

    Raises:
        InputError: if there are more components than models or benchmarks, or a benchmark has no
            score.

    Source: Ruan et al., arXiv 2405.10938, section 3.2 and appendix on imputation.
    """
    if components > min(scores.shape):
        raise InputError(
            f"{components} components of {scores.shape[0]} models and {scores.shape[1]} benchmarks"
        )
    seen = np.isfinite(scores)
    if not seen.any(axis=0).all():
        raise InputError("a benchmark without a score has no part in principal components")
    filled = np.where(seen, scores, np.nanmean(scores, axis=0))
    for _ in range(rounds):
        mean = filled.mean(axis=0)
        _, values, axes = np.linalg.svd(filled - mean, full_matrices=False)
        axes = axes[:components]
        made = mean + (filled - mean) @ axes.T @ axes
        moved = np.abs(made - filled)[~seen].max(initial=0.0)
        filled = np.where(seen, scores, made)
        if moved <= tolerance:
            break
    variance = values**2
    return Components(mean, axes, variance[:components] / variance.sum())


def compute_features(
    table: Leaderboard, train: np.ndarray | None = None
) -> tuple[np.ndarray, list[str]]:
    """Log FLOPs, and one column per family where families are to have intercepts.

    Args:
        table: sizes, tokens and families.
        train: models whose families get an intercept, ``(model,)``, bool; None for no intercepts.

    Returns:
        ``(model, feature)`` and their names. Models of other families have the mean of the
        families' intercepts.
    """
    flops = log_flops(table)[:, None]
    if train is None:
        return flops, ["log FLOPs"]
    families = np.unique(table.family[train])
    member = (table.family[:, None] == families[None, :]).astype(float)
    new = ~member.any(axis=1)
    member[new] = 1.0 / len(families)
    names = [table.families[family] for family in families]
    return np.concatenate([flops, member], axis=1), ["log FLOPs", *names]


def without_families(table: Leaderboard) -> Leaderboard:
    """The same models, each a family and a lineage of its own, and nothing said of post-training.

    So a law learns nothing from a model's relatives, as that of Owen (arXiv 2401.04757), who
    predicts from compute alone.
    """
    models = len(table.models)
    return replace(
        table,
        families=table.models,
        lineages=table.models,
        family=np.arange(models),
        lineage_of_family=np.arange(models),
        post_trained_of_family=np.zeros(models),
    )
