"""The hierarchical law: its prior, and its posterior density given a table.

For model ``m`` of family ``f`` of lineage ``l``, and benchmark ``j``::

    theta_m  = B' x_m + effects of lineage, family and model             skills, (skill,)
    eta_mj   = b_j + lambda_j' theta_m + d_j' x_m + effects on j         predictor
    score_mj = c_j + (1 - c_j) g_j( eta_mj + o_sj + N(0, noise_j^2) ) + N(0, se_mj^2)

with columns ``x`` from :mod:`sloth_jax.law.surface` and effects as in
:mod:`sloth_jax.effects.density`: lineages and families differ by a level and by a random walk in
log size, on skills and on single benchmarks, and a model departs from its family in skills, hence
on all benchmarks together.

The noise is inside the link ``g``, whose inverse is known in closed form
(:class:`sloth_jax.law.links.QuantileMixture`). So the inverse link takes a score to its predictor,
scatter shrinks towards floor and ceiling by itself, and the law is linear in all effects: they are
integrated out exactly, and drawn afterwards. What is left, some four hundred :class:`RawParams`,
are all standard normal a priori, so that steps and widths are in standard deviations of the prior.
:class:`Density` is the posterior of these, for optimisers and, as a NumPyro model, for samplers.

The predictor is measured in standard deviations of a benchmark's scores after the inverse link, so
that one prior suits every benchmark.

Where rows of a table are checkpoints of one training run, what sets the model apart, and a share
kappa of the noise, goes along with the run by ``R`` of :mod:`sloth_jax.effects.runs`; the rest of
the noise is new at each checkpoint::

    Cov(noise_mj, noise_nj) = noise_j^2 (kappa R_mn + (1 - kappa) 1[m = n])

Where a size or a token count is not known, it is one more normal effect
(:mod:`sloth_jax.law.covariates`).

Where scores come from several sources ``s``, which may read the same answers differently, each
differs from the main one by an offset ``o`` per benchmark, as large as the data ask for. A score
whose standard error ``se`` is known counts for less the larger that is. By the slope of the link's
inverse ``h`` at the score, its predictor has the standard error ``h'(share) se / (1 - c)`` (the
delta method).

Where benchmarks are parts of a suite, their parameters are correlated a priori
(:mod:`sloth_jax.law.groups`).

The density does not change when skills are rotated, so the rotation is fixed by loadings that are
lower triangular with a positive diagonal on chosen pivot benchmarks (:class:`Pivots`). A matrix of
independent normals is such a triangle times a uniform rotation, with chi-distributed diagonal
(Bartlett 1933), so predictions have the same prior as with free loadings.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Float

from sloth_jax.effects.density import Problem, lineage_log_densities, log_density
from sloth_jax.effects.runs import has_runs
from sloth_jax.effects.spread import Spread
from sloth_jax.law.covariates import predictor_slope
from sloth_jax.law.forward import Params, linear_predictor
from sloth_jax.law.groups import group_root, pivots_first
from sloth_jax.law.links import LearntLink, learnt_link, standardise
from sloth_jax.law.observations import Observations, offset_of, sampling_variance, shares
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots, TriangularLoadings
from sloth_jax.products import einsum, matmul


class RawParams(NamedTuple):
    """Raw parameters, each standard normal a priori: the non-centred parameterisation.

    :class:`Prior` gives their units. Source: Papaspiliopoulos, Roberts and Skold 2007.

    Attributes:
        slope: ``(column, skill)``.
        specific_slope: ``(column, benchmark)``.
        loading: ``(benchmark, skill)``; under a :class:`Pivots` see :class:`TriangularLoadings`.
        bias: ``(benchmark,)``.
        link: ``(row, benchmark)``; see :class:`sloth_jax.law.links.LearntLink`.
        skill_spread: of the five kinds of effects on skills, as in
            :class:`sloth_jax.effects.spread.Spread`, ``(5,)``.
        spread_level: of the four kinds of effects on single benchmarks, ``(4,)``.
        spread: of each benchmark around that, ``(4, benchmark)``.
        noise_level: scalar.
        noise: ``(benchmark,)``.
        offset_scale: scalar; None where there is one source.
        offset: ``(source, benchmark)``; None where there is one source.
        run_length, run_share: scalars; None where no model is a checkpoint of a run.
    """

    slope: Float[Array, "*draw column skill"]
    specific_slope: Float[Array, "*draw column benchmark"]
    loading: Float[Array, "*draw benchmark skill"]
    bias: Float[Array, "*draw benchmark"]
    link: Float[Array, "*draw row benchmark"]
    skill_spread: Float[Array, "*draw 5"]
    spread_level: Float[Array, "*draw 4"]
    spread: Float[Array, "*draw 4 benchmark"]
    noise_level: Float[Array, "*draw"]
    noise: Float[Array, "*draw benchmark"]
    offset_scale: Float[Array, "*draw"] | None = None
    offset: Float[Array, "*draw source benchmark"] | None = None
    run_length: Float[Array, "*draw"] | None = None
    run_share: Float[Array, "*draw"] | None = None


class SharedLaw(NamedTuple):
    """What all lineages share: the part of the law that a new lineage inherits.

    Attributes:
        params: parameters of the law.
        skill: spread of effects on skills, ``(skill,)`` each.
        benchmark: spread of effects on single benchmarks, ``(benchmark,)`` each.
        noise: scale of the noise inside the link, predictor units, ``(benchmark,)``.
        offset: of each source from the main one, predictor units, ``(source, benchmark)``; 0 for
            the main one, and where a source has no score.
        run_length: of the process along training runs, in log tokens, scalar; None without runs.
    """

    params: Params
    skill: Spread
    benchmark: Spread
    noise: Float[Array, "*draw benchmark"]
    offset: Float[Array, "*draw source benchmark"]
    run_length: Float[Array, "*draw"] | None = None


def zero_raw_params(observations: Observations, skills: int, prior: Prior) -> RawParams:
    """Raw parameters that are all zero: every part of the law at its prior median."""
    benchmarks, columns = observations.scores.shape[1], observations.design.shape[1]
    several = observations.offset_free.shape[0] > 1
    runs = has_runs(observations.bins)
    return RawParams(
        slope=jnp.zeros((columns, skills)),
        specific_slope=jnp.zeros((columns, benchmarks)),
        loading=jnp.zeros((benchmarks, skills)),
        bias=jnp.zeros(benchmarks),
        link=jnp.zeros((learnt_link(prior.link_function).ROWS, benchmarks)),
        skill_spread=jnp.zeros(5),
        spread_level=jnp.zeros(4),
        spread=jnp.zeros((4, benchmarks)),
        noise_level=jnp.zeros(()),
        noise=jnp.zeros(benchmarks),
        offset_scale=jnp.zeros(()) if several else None,
        offset=jnp.zeros(observations.offset_free.shape) if several else None,
        run_length=jnp.zeros(()) if runs else None,
        run_share=jnp.zeros(()) if runs else None,
    )


def shared_law(
    raw: RawParams, observations: Observations, prior: Prior, pivots: Pivots | None = None
) -> SharedLaw:
    """The law that raw parameters stand for: a pure function.

    Args:
        raw: standard normal a priori.
        observations: arrays of a table.
        prior: units of the raw parameters.
        pivots: loadings that fix the rotation; None leaves it free.
    """
    skills = raw.loading.shape[1]
    columns = jnp.arange(observations.design.shape[1])
    post_training = (columns == columns.size - 1)[:, None]  # the last column
    slope = jnp.where(post_training, prior.post_training, prior.slope)
    specific = jnp.where(post_training, prior.specific_post_training, prior.specific_slope)
    if pivots is None:
        loading = prior.loading * raw.loading
    else:
        loading = TriangularLoadings(prior.loading, pivots).loading(raw.loading)
    raw, loading = in_groups(raw, loading, observations, prior, pivots)

    def log_normal(median: float, level: Array, each: Array) -> Array:
        return median * jnp.exp(prior.level * level + prior.between * each)

    medians = (prior.lineage, prior.lineage_walk, prior.family, prior.family_walk, prior.model)
    skill = [
        log_normal(median, level, jnp.zeros(skills, level.dtype))
        for median, level in zip(medians, raw.skill_spread, strict=True)
    ]
    medians = (
        prior.specific_lineage,
        prior.specific_lineage_walk,
        prior.specific_family,
        prior.specific_family_walk,
    )
    benchmark = [
        log_normal(median, level, each)
        for median, level, each in zip(medians, raw.spread_level, raw.spread, strict=True)
    ]
    offset = jnp.zeros_like(observations.offset_free)
    if raw.offset is not None and raw.offset_scale is not None:
        scale = prior.offset * jnp.exp(prior.level * raw.offset_scale)
        offset = scale * raw.offset * observations.offset_free
    params = Params(
        slope=slope * raw.slope,
        loading=loading,
        bias=prior.bias * raw.bias,
        floor=observations.floor,
        link=standardise(
            learnt_link(prior.link_function).from_raw(raw.link, prior),
            *_standard(observations, prior),
        ),
        specific_slope=specific * raw.specific_slope,
    )
    noise = log_normal(prior.noise, raw.noise_level, raw.noise)
    run_length, run_noise = _of_runs(raw, noise, prior)
    return SharedLaw(
        params=params,
        skill=Spread(*skill),
        benchmark=Spread(*benchmark, model=run_noise),
        noise=noise,
        offset=offset,
        run_length=run_length,
    )


def in_groups(
    raw: RawParams, loading: Array, observations: Observations, prior: Prior, pivots: Pivots | None
) -> tuple[RawParams, Array]:
    """Raw parameters and loadings, correlated between benchmarks of a group."""
    if observations.group is None or prior.group_correlation == 0.0:
        return raw, loading
    rank = jnp.arange(raw.bias.size) if pivots is None else pivots_first(pivots)
    root, _ = group_root(observations.group, prior.group_correlation, rank)
    each = {
        name: matmul(getattr(raw, name), root.T)
        for name in ("specific_slope", "bias", "link", "spread", "noise")
    }
    return raw._replace(**each), matmul(root, loading)


def _of_runs(raw: RawParams, noise: Array, prior: Prior) -> tuple[Array | None, Array]:
    """Length of the process along runs, scalar, and scale of its noise, ``(benchmark,)``."""
    if raw.run_length is None or raw.run_share is None:
        return None, jnp.zeros_like(noise)
    # kappa = Phi(Phi^-1(median) + raw)
    share = ndtr(ndtri(prior.run_share) + raw.run_share)
    return prior.run_length * jnp.exp(prior.level * raw.run_length), noise * jnp.sqrt(share)


def independent_noise_variance(law: SharedLaw) -> Float[Array, "*draw benchmark"]:
    """Variance of the noise that is independent between checkpoints of a run, ``(benchmark,)``.

    All of it without runs.
    """
    # (1 - kappa) noise_j^2
    variance = law.noise**2
    return variance if law.run_length is None else variance - law.benchmark.model**2


def _standard(observations: Observations, prior: Prior) -> tuple[Array, Array]:
    """Shares that links are standardised to, and how much each counts."""
    if observations.standard is None:
        return shares(observations), observations.observed & prior.link_from_scores
    return observations.standard.share, observations.standard.weight * prior.link_from_scores


def effects_problem(
    law: SharedLaw, observations: Observations
) -> tuple[Problem, Float[Array, "model benchmark"]]:
    """The linear mixed model of the predictors that scores have by the inverse link.

    Args:
        law: what all lineages share.
        observations: arrays of a table.

    Returns:
        The problem; and log d eta / d score of each score, ``(model, benchmark)``, 0 where not
        observed, by which the density of scores differs from that of predictors.
    """
    link, seen = law.params.link, observations.observed
    assert isinstance(link, LearntLink)  # of every hierarchical law
    predictor, rate = link.inverse(shares(observations))
    common = linear_predictor(law.params, observations.design)
    residual, slope = predictor - common - offset_of(law.offset, observations), None
    if observations.covariates is not None:
        # h(share) - eta(z0) = g (z - z0) + ..., so that plus g (z0 - prior mean) it is linear in
        # z - prior mean, a normal effect of mean 0
        slope = predictor_slope(law.params, observations.covariates)
        residual += einsum("um,umj->mj", observations.covariates.point, slope)
    problem = Problem(
        residual=residual,
        # (1 - kappa) noise^2 + (h'(share) se / (1 - c))^2
        variance=independent_noise_variance(law)[None, :] + sampling_variance(rate, observations),
        seen=seen.astype(predictor.dtype),
        loading=law.params.loading,
        skill=law.skill,
        benchmark=law.benchmark,
        slope=slope,
        run_length=law.run_length,
    )
    # d eta / d score = h'(share) / (1 - c)
    log_rate = jnp.log(rate) - jnp.log1p(-observations.floor)[None, :]
    return problem, jnp.where(seen, log_rate, 0.0)


def log_likelihood(law: SharedLaw, observations: Observations) -> Float[Array, ""]:
    """Log density of all observed scores, effects integrated out: scalar."""
    problem, log_rate = effects_problem(law, observations)
    return log_density(problem, observations.bins) + jnp.sum(log_rate)


def lineage_log_likelihood(law: SharedLaw, observations: Observations) -> Float[Array, " lineage"]:
    """The same for each lineage, ``(lineage,)``; 0 for one without a score."""
    problem, log_rate = effects_problem(law, observations)
    members = observations.members
    found = lineage_log_densities(problem, observations.bins, members.lineage_hash.size)
    return found.at[members.lineage].add(jnp.sum(log_rate, axis=1))


class Density(NamedTuple):
    """The posterior density of :class:`RawParams`; pure.

    Attributes:
        observations: arrays of a table.
        prior: units of the raw parameters.
        pivots: loadings that fix the rotation; None leaves it free.
    """

    observations: Observations
    prior: Prior
    pivots: Pivots | None = None

    def law(self, raw: RawParams) -> SharedLaw:
        """The law that raw parameters stand for."""
        return shared_law(raw, self.observations, self.prior, self.pivots)

    def potential(self, raw: RawParams) -> Float[Array, ""]:
        """Minus the log density of raw parameters and scores, scalar."""
        return -log_likelihood(self.law(raw), self.observations) - self.log_prior(raw)

    def evaluate(self, raw: RawParams) -> tuple[Array, Array, SharedLaw]:
        """:meth:`potential`, log densities of lineages' scores, and the law of the raw parameters.

        Returns:
            Minus the log density, scalar; log densities of scores, ``(lineage,)``; the law.
        """
        law = self.law(raw)
        lineages = lineage_log_likelihood(law, self.observations)
        return -jnp.sum(lineages) - self.log_prior(raw), lineages, law

    def log_prior(self, raw: RawParams) -> Array:
        """Prior log density of raw parameters, scalar; they are independent."""
        found = jnp.zeros((), raw.bias.dtype)
        for name, value in raw._asdict().items():
            if name == "loading" and self.pivots is not None:
                found += TriangularLoadings(self.prior.loading, self.pivots).log_prob(value)
            elif value is not None:
                found -= 0.5 * jnp.sum(value**2) + 0.5 * value.size * math.log(2.0 * math.pi)
        return found

    def model(self, skills: int) -> SharedLaw:
        """The same density as a NumPyro model, a site for each field of :class:`RawParams`.

        Args:
            skills: number of skills.
        """
        import numpyro  # takes half a second, and only this needs it
        import numpyro.distributions as dist

        from sloth_jax.law.numpyro_sites import LoadingsSite

        drawn = {}
        for name, blank in zero_raw_params(self.observations, skills, self.prior)._asdict().items():
            if blank is None:
                continue
            if name == "loading" and self.pivots is not None:
                site = LoadingsSite(TriangularLoadings(self.prior.loading, self.pivots))
            else:
                site = dist.Normal(0.0, 1.0).expand(blank.shape).to_event(blank.ndim)
            drawn[name] = jnp.asarray(numpyro.sample(name, site))
        law = self.law(RawParams(**drawn))
        numpyro.factor("scores", log_likelihood(law, self.observations))
        return law
