"""The hierarchical prior of the law, as one NumPyro function around :mod:`sloth_jax.law`.

For model ``m`` of family ``f`` of lineage ``l``, and benchmark ``j``::

    alpha_f = zeta_l + post_trained_f * post_training + N(0, 1)             efficiency, (skill,)
    theta_m = alpha_f + B' x_m + gamma_f w_m + N(0, model_scale^2)          skills, (skill,)
    eta_mj  = b_j + lambda_j' theta_m + u_fj + v_fj w_m                     predictor
    score_mj = c_j + (1 - c_j) g_j( eta_mj + d_sj + N(0, noise_j^2) ) + N(0, se_mj^2)

Families of a lineage share its effect ``zeta``, and lineages share the population. A family may
stand apart on single benchmarks (``u``) and may grow faster or slower with size than others, in
skills (``gamma``) and on single benchmarks (``v``), by as much as the data ask for: all their
scales are learnt. Its own growth counts from the mean size ``s_f`` of its scored models and levels
off, ``w_m = tanh(x_m1 - s_f)``, so a forecast widens the further it leaves the sizes at which its
family was seen. A model departs from its family in skills, hence on all benchmarks together. A
skill is measured in units of the spread between families of one lineage.

The noise is inside the link ``g``, whose inverse is known in closed form
(:class:`sloth_jax.links.QuantileMixture`). A score then tells its own predictor, scatter shrinks
towards floor and ceiling by itself, and the law is linear in all effects of families and lineages:
they are integrated out exactly (:mod:`sloth_jax.marginal`) and drawn afterwards, by
:func:`draw_family_effects`. What is shared, some two hundred numbers, and each model's departure
are left to the sampler, well behaved all of them. Heavy tails are to be had too: a Student-t
distribution is a normal with a weight per score, which the sampler then draws.

The predictor is measured in standard deviations of a benchmark's scores after the inverse link, so
that one prior suits every benchmark.

Where scores come from several sources ``s``, one of which reads the same answers differently, each
differs from the main one by an offset ``d`` per benchmark, as large as the data ask for. A score
whose standard error ``se`` is known counts for less the larger that is. The link's inverse takes it
inside, with the slope at the score: the predictor that a score tells has the standard error
``h'(share) se / (1 - c)``, which is Laplace's approximation of the score's likelihood.

Every term is unchanged by a rotation of the skills, so the rotation is fixed by loadings that are
lower triangular with a positive diagonal on chosen pivot benchmarks (:class:`Gauge`). A matrix of
independent normals is such a triangle times a uniform rotation, with chi-distributed diagonal (the
Bartlett decomposition), so predictions have the same prior as with free loadings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import gammaln
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from sloth_jax.law import Params, matmul, own_growth
from sloth_jax.links import PIECES, SLACK, QuantileMixture
from sloth_jax.marginal import Effects, Evidence, draw_effects, expected_effects, log_evidence
from sloth_jax.observations import Observations

_EVEN = 21  # shares that stand in for one more model


@dataclass(frozen=True)
class Scales:
    """How far each part of the law may go, before any score is seen.

    The predictor's unit is one standard deviation of a benchmark's scores after the inverse link.
    Learnt scales have log-normal priors with the median given here and log standard deviation
    ``spread``.

    Attributes:
        slope: of B, in skill units per standard deviation of a covariate; families of a lineage
            differ by 1, and ten times the size moves models more than their recipe does.
        loading: predictor units per skill unit; a recipe one unit better gains some tenths.
        bias: predictor of an average model, which is 0 by standardisation, give or take a unit.
        lineage: median spread of lineages, in skill units; about that of families.
        post_training: shift of post-trained families, in skill units.
        specific: median spread of a family's own level on one benchmark, in predictor units.
        growth: median spread of families' own growth in skills, in skill units per standard
            deviation of log size; a tenth of the shared slope's, since most growth is shared.
        specific_growth: the same on single benchmarks, in predictor units; half of ``specific``.
        model: spread of models around their families, in skill units; a third of the spread of
            families. Without it two models of a family would tell its growth as many times over
            as there are benchmarks. Given, not learnt: learnt, it came out between 0.31 and 0.35
            on the bundled table, and chains moved through it slowly.
        link: tilt of a piece's weight in the link; e-fold changes are plausible.
        noise: median scale of the noise in predictor units.
        offset: median spread of sources' offsets, in predictor units; a tenth of the spread of
            models, for sources that mean to measure the same.
        spread: log standard deviation of the learnt scales; a factor of two either way.
        noise_df: degrees of freedom of Student-t noise; 4, say, for heavy tails. None for normal
            noise. Heavy tails cost a weight per score and twice the time. On held-out families
            the two were equally accurate, and normal noise kept its promised coverage better.
        link_from_scores: whether a link's inverse is standardised to the observed scores, as the
            units above assume. False takes evenly spread shares instead, so that the prior is a
            distribution of scores that can be drawn from.
    """

    slope: float = 2.0
    loading: float = 0.4
    bias: float = 1.0
    lineage: float = 1.0
    post_training: float = 1.0
    specific: float = 0.3
    growth: float = 0.2
    specific_growth: float = 0.15
    model: float = 0.3
    link: float = 0.7
    noise: float = 0.2
    offset: float = 0.1
    spread: float = 0.7
    noise_df: float | None = None
    link_from_scores: bool = True


class Population(NamedTuple):
    """What families are drawn from: the part of the posterior that a new family inherits.

    Attributes:
        lineage: effect of each lineage on each skill, ``(lineage, skill)``.
        lineage_scale: spread of lineages in skill units, scalar.
        post_training: shift of post-trained families, ``(skill,)``.
        specific_scale: spread of families' own levels, ``(benchmark,)``.
        growth_scale: spread of families' own growth in skills, scalar.
        specific_growth_scale: spread of their own growth on benchmarks, ``(benchmark,)``.
        model_scale: spread of models around their families in skills, scalar.
        noise: scale of the noise inside the link, predictor units, ``(benchmark,)``.
        noise_df: its degrees of freedom, scalar; ``inf`` for normal noise.
        offset: of each source from the main one, predictor units, ``(source, benchmark)``; 0 for
            the main one, and where a source has no score.
    """

    lineage: Array
    lineage_scale: Array
    post_training: Array
    specific_scale: Array
    growth_scale: Array
    specific_growth_scale: Array
    model_scale: Array
    noise: Array
    noise_df: Array
    offset: Array


class State(NamedTuple):
    """One draw of what is sampled: what :func:`hierarchical_law` returns.

    Attributes:
        params: parameters of the law for families without any effect of their own.
        population: what families are drawn from, with lineages at zero.
        evidence: what the effects are to be inferred from.
    """

    params: Params
    population: Population
    evidence: Evidence


class Gauge(NamedTuple):
    """Which loadings fix the rotation of the skills.

    Attributes:
        diagonal: 1 at each pivot benchmark's own skill, whose loading is positive, else 0,
            ``(benchmark, skill)``.
        above: 1 at the skills that follow it, whose loadings are zero, else 0, of the same shape.
    """

    diagonal: Array
    above: Array


def choose_gauge(loading: Array) -> tuple[Array, Gauge]:
    """Pick as many pivot benchmarks as skills, with loadings that differ most. Pure.

    Args:
        loading: ``(benchmark, skill)`` of a fit, at least as many benchmarks as skills.

    Returns:
        The rotation ``(skill, skill)`` after which the pivots' loadings are lower triangular with
        a positive diagonal, and the gauge. Pivots are those of a column-pivoted QR decomposition
        (Golub and Van Loan, Matrix Computations, section 5.4), so the diagonal is far from zero.
    """
    benchmarks, skills = loading.shape
    rest, pivots = loading, []
    for _ in range(skills):
        pivot = jnp.argmax(jnp.sum(rest**2, axis=1))
        unit = rest[pivot] / jnp.maximum(jnp.linalg.norm(rest[pivot]), 1e-30)
        rest = rest - jnp.outer(matmul(rest, unit), unit)
        pivots.append(pivot)
    # top' = Q R, hence top Q = R', which is lower triangular.
    q, r = jnp.linalg.qr(loading[jnp.stack(pivots)].T)
    rotation = q * jnp.where(jnp.diag(r) < 0, -1.0, 1.0)[None, :]
    diagonal = jax.nn.one_hot(jnp.stack(pivots), benchmarks, dtype=loading.dtype).T
    return rotation, Gauge(diagonal, matmul(diagonal, jnp.triu(jnp.ones((skills, skills)), 1)))


class GaugedLoadings(dist.Distribution):
    """Loadings under a gauge, by real numbers without constraints, ``(benchmark, skill)``.

    A number is the loading itself; at the gauge's diagonal its logarithm; above it nothing, and
    stands in as an independent standard normal so that shapes stay fixed.

    Args:
        scale: standard deviation of loadings without a gauge, positive.
        gauge: which loadings are fixed.
    """

    # NumPyro declares these as instance attributes and sets them on classes, as here.
    arg_constraints: ClassVar[dict[str, Any]] = {}  # pyright: ignore
    support = constraints.real_matrix  # pyright: ignore

    def __init__(self, scale: float, gauge: Gauge) -> None:
        """Build the distribution with event shape ``(benchmark, skill)``."""
        self.scale, self.gauge = scale, gauge
        super().__init__((), gauge.diagonal.shape, validate_args=False)

    def _freedom(self) -> Array:
        # chi of skill i has skills - i degrees of freedom
        return jnp.broadcast_to(jnp.arange(self.event_shape[1], 0, -1.0), self.event_shape)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw numbers, ``sample_shape + (benchmark, skill)``."""
        assert key is not None
        shape = sample_shape + self.event_shape
        normal_key, chi_key = jax.random.split(key)
        normal = jax.random.normal(normal_key, shape)
        square = 2.0 * jax.random.gamma(chi_key, jnp.broadcast_to(self._freedom() / 2.0, shape))
        log_chi = math.log(self.scale) + 0.5 * jnp.log(square)
        above, diagonal = (jnp.broadcast_to(mask > 0, shape) for mask in reversed(self.gauge))
        usual = jnp.where(above, normal, self.scale * normal)
        return jnp.where(diagonal, log_chi, usual)

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of numbers ``(benchmark, skill)``, scalar."""
        value, k = jnp.asarray(value), self._freedom()
        usual = dist.Normal(0.0, self.scale).log_prob(value)
        stand_in = dist.Normal(0.0, 1.0).log_prob(value)
        # x ~ scale chi_k:  log p(log x) = k log(x/scale) - x^2/(2 scale^2) - log(2^(k/2-1) G(k/2))
        z = value - math.log(self.scale)
        chi = k * z - 0.5 * jnp.exp(2.0 * z) - (k / 2.0 - 1.0) * math.log(2.0) - gammaln(k / 2.0)
        cell = jnp.where(self.gauge.above > 0, stand_in, usual)
        return jnp.sum(jnp.where(self.gauge.diagonal > 0, chi, cell))

    def loading(self, value: Array) -> Array:
        """Loadings that numbers ``(benchmark, skill)`` stand for."""
        at_pivot = jnp.where(self.gauge.diagonal > 0, value, 0.0)
        return jnp.where(
            self.gauge.diagonal > 0,
            jnp.exp(at_pivot),
            jnp.where(self.gauge.above > 0, 0.0, value),
        )

    def numbers(self, loading: Array) -> Array:
        """Numbers that stand for loadings that obey the gauge; zeros above it."""
        positive = jnp.where(self.gauge.diagonal > 0, jnp.maximum(loading, 1e-6), 1.0)
        return jnp.where(
            self.gauge.diagonal > 0,
            jnp.log(positive),
            jnp.where(self.gauge.above > 0, 0.0, loading),
        )


def _sample(site: str, distribution: Any) -> Array:
    """A site's value as an array; NumPyro types it wider."""
    return jnp.asarray(numpyro.sample(site, distribution))


def hierarchical_law(
    observations: Observations,
    *,
    skills: int,
    lineages: int,
    gauge: Gauge | None = None,
    scales: Scales = Scales(),
) -> State:
    """The joint density of shared parameters and observed scores, for NumPyro.

    Args:
        observations: arrays of a table; scores that are not observed add nothing.
        skills: number of skills.
        lineages: number of lineages.
        gauge: loadings that fix the rotation, from :func:`choose_gauge`; None leaves it free, with
            the same prior on everything a rotation does not touch.
        scales: scales of the prior.

    Returns:
        The :class:`State` of this draw.
    """
    models, benchmarks = observations.scores.shape
    families = observations.lineage.shape[0]
    width = observations.covariates.shape[1]

    def normal(scale: float, *shape: int) -> dist.Distribution:
        return dist.Normal(0.0, scale).expand(shape).to_event(len(shape))

    def learnt_scale(median: float, *shape: int) -> dist.Distribution:
        return dist.LogNormal(math.log(median), scales.spread).expand(shape).to_event(len(shape))

    slope = _sample("slope", normal(scales.slope, width, skills))
    if gauge is None:
        loading = _sample("loading", normal(scales.loading, benchmarks, skills))
    else:
        gauged = GaugedLoadings(scales.loading, gauge)
        loading = gauged.loading(_sample("loading", gauged))
    bias = _sample("bias", normal(scales.bias, benchmarks))
    tilt = _sample("link_tilt", normal(scales.link, PIECES, benchmarks))
    slack = _sample("link_slack", learnt_scale(SLACK, benchmarks))
    lineage_scale = _sample("lineage_scale", learnt_scale(scales.lineage))
    post_training = _sample("post_training", normal(scales.post_training, skills))
    specific_scale = _sample("specific_scale", learnt_scale(scales.specific, benchmarks))
    growth_scale = _sample("growth_scale", learnt_scale(scales.growth))
    specific_growth_scale = _sample(
        "specific_growth_scale", learnt_scale(scales.specific_growth, benchmarks)
    )
    # Sampled: with epsilon integrated out too, all benchmarks and models of a family would hang
    # together in one large matrix.
    own = scales.model * _sample("own", normal(1.0, models, skills))
    noise = _sample("noise", learnt_scale(scales.noise, benchmarks))
    offset = jnp.zeros_like(observations.offset_free)
    if offset.shape[0] > 1:
        offset_scale = _sample("offset_scale", learnt_scale(scales.offset))
        unit = _sample("offset", normal(1.0, *offset.shape))
        offset = offset_scale * unit * observations.offset_free
    seen = observations.observed
    # t_df(0, s) = N(0, s^2 / weight) with weight ~ Gamma(df/2, df/2)
    weight = jnp.ones((models, benchmarks))
    if scales.noise_df is not None:
        half = scales.noise_df / 2.0
        prior = dist.Gamma(half, half).expand((models, benchmarks)).to_event(2)
        weight = _sample("score_weight", prior)

    floor = observations.floor[None, :]
    share = jnp.where(seen, (observations.scores - floor) / (1.0 - floor), 0.5)
    link = standardised_link(tilt, slack, share, seen & scales.link_from_scores)
    predictor, rate = link.inverse(share)
    # Var = noise^2 / weight + (h'(share) se / (1 - c))^2
    variance = noise[None, :] ** 2 / weight + sampling_variance(rate, observations)
    params = Params(
        intercept=observations.post_trained[:, None] * post_training[None, :],
        slope=slope,
        loading=loading,
        bias=bias,
        specific=jnp.zeros((families, benchmarks)),
        growth=jnp.zeros((families, skills)),
        specific_growth=jnp.zeros((families, benchmarks)),
        growth_from=observations.family_covariates[:, 0],
        floor=observations.floor,
        link=link,
        own=own,
    )
    # One-hot matrices: sums over families are products, which are faster than scattered adds.
    member = jax.nn.one_hot(observations.family, families, dtype=predictor.dtype).T
    descends = jax.nn.one_hot(observations.lineage, lineages, dtype=predictor.dtype).T
    common = matmul(observations.covariates, slope) + matmul(member.T, params.intercept) + own
    start = matmul(member.T, observations.family_covariates[:, 0])
    evidence = Evidence(
        residual=jnp.where(
            seen,
            predictor - bias[None, :] - matmul(common, loading.T) - offset_of(offset, observations),
            0.0,
        ),
        precision=jnp.where(seen, 1.0 / variance, 0.0),
        away=own_growth(observations.covariates[:, 0], start),
        member=member,
        descends=descends,
        loading=loading,
        lineage_scale=lineage_scale,
        growth_scale=growth_scale,
        specific_scale=specific_scale,
        specific_growth_scale=specific_growth_scale,
    )
    # Change of variables from scores to predictors: d eta / d score = h'(share) / (1 - c)
    jacobian = jnp.where(seen, jnp.log(rate) - jnp.log1p(-floor), 0.0)
    numpyro.factor("scores", jnp.sum(log_evidence(evidence)) + jnp.sum(jacobian))
    population = Population(
        lineage=jnp.zeros((lineages, skills)),
        lineage_scale=lineage_scale,
        post_training=post_training,
        specific_scale=specific_scale,
        growth_scale=growth_scale,
        specific_growth_scale=specific_growth_scale,
        model_scale=jnp.asarray(scales.model, noise.dtype),
        noise=noise,
        noise_df=jnp.asarray(scales.noise_df or math.inf, noise.dtype),
        offset=offset,
    )
    return State(params, population, evidence)


def sampling_variance(rate: Array, observations: Observations) -> Array:
    """Variance of predictors that scores tell, by the scores' standard errors.

    Args:
        rate: slope of the link's inverse at each score, ``(model, benchmark)``.
        observations: whose scores these are.
    """
    sampling = rate * observations.standard_error / (1.0 - observations.floor[None, :])
    return sampling**2


def offset_of(offset: Array, observations: Observations) -> Array:
    """Offset of each score's source, ``(model, benchmark)``, of offsets ``(source, benchmark)``."""
    found = jnp.zeros(observations.scores.shape, offset.dtype)
    if offset.shape[0] > 1:  # a single one is the main one
        for source, of_source in enumerate(offset):
            found += jnp.where(observations.source == source, of_source[None, :], 0.0)
    return found


def standardised_link(tilt: Array, slack: Array, share: Array, seen: Array) -> QuantileMixture:
    """The link whose inverse has mean 0 and standard deviation 1 over some scores.

    One more model counts, whose scores are spread evenly from chance to perfect: a benchmark with
    a score or two would else seem to have all others close to them.

    Args:
        tilt: of each piece, ``(piece, benchmark)``.
        slack: ``(benchmark,)``, positive.
        share: scores as shares above chance, ``(model, benchmark)``.
        seen: which of them count, of the same shape, bool.
    """
    even = jnp.linspace(0.0, 1.0, _EVEN, dtype=share.dtype)[:, None]
    even = jnp.broadcast_to(even, (_EVEN, share.shape[1]))
    weight = jnp.concatenate([seen.astype(share.dtype), jnp.full_like(even, 1.0 / _EVEN)])
    weight = weight / jnp.sum(weight, axis=0, keepdims=True)
    blank = QuantileMixture(tilt, slack, jnp.zeros_like(slack), jnp.ones_like(slack))
    value, _ = blank.raw(jnp.concatenate([share, even]))
    centre = jnp.sum(weight * value, axis=0)
    square = jnp.sum(weight * (value - centre[None, :]) ** 2, axis=0)
    return blank._replace(centre=centre, spread=jnp.sqrt(square))


def draw_family_effects(state: State, key: Array) -> tuple[Params, Population]:
    """Draw the effects that were integrated out, from their exact conditional.

    Args:
        state: one draw of :func:`hierarchical_law`.
        key: random key.

    Returns:
        The state's parameters and population with effects of families and lineages in them. On
        benchmarks on which a family has no score they come from the prior.
    """
    return _with_effects(state, draw_effects(state.evidence, key))


def expected_family_effects(state: State) -> tuple[Params, Population]:
    """The same with every effect at its conditional mean."""
    return _with_effects(state, expected_effects(state.evidence))


def _with_effects(state: State, effects: Effects) -> tuple[Params, Population]:
    params = state.params._replace(
        intercept=state.params.intercept + effects.efficiency,
        specific=effects.specific,
        growth=effects.growth,
        specific_growth=effects.specific_growth,
    )
    return params, state.population._replace(lineage=effects.lineage)
