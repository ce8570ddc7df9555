"""The hierarchical prior of the law, as one NumPyro function around :func:`sloth_jax.law.scores`.

In the words of the glossary, for family ``f`` of lineage ``l`` and benchmark ``j``::

    alpha_f = lineage_l + post_trained_f * post_training + N(0, 1)          efficiency, (skill,)
    level_fj = b_j + lambda_j' (alpha_f + B' xbar_f) + N(0, specific_scale_j)
    eta_mj   = level_fj + lambda_j' B' (x_m - xbar_f)
                        + (lambda_j' growth_f + specific_growth_fj) (x_m1 - xbar_f1)
    score_mj ~ Student-t(4, c_j + (1 - c_j) g_j(eta_mj), noise_j)

Families of a lineage share its effect, and lineages share the population. A family may grow
faster or slower with size than others, in skills and on single benchmarks, and may stand apart on
single benchmarks, by as much as the data ask for: the scales of ``growth``, ``specific_growth``
and the unique factors are learnt. The growth terms widen a forecast the further it leaves the
sizes at which its family was seen. A skill is measured in units of the spread between families of
one lineage.

Three choices make the posterior easier to sample, and change nothing else:

* ``level_fj``, the predictor of a family at its own mean covariates, is sampled in place of the
  deviations it is made of, because a family's scores determine it directly (hierarchical
  centring; Gelfand, Sahu and Carlin 1995);
* the family effect ``N(0, 1)`` on skills is integrated out (:class:`FamilyLevels`) and drawn
  afterwards, exactly, by :func:`draw_family_effects`;
* every term is unchanged by a rotation of the skills, so the rotation is fixed by loadings that
  are lower triangular with a positive diagonal on chosen pivot benchmarks. A matrix of independent
  normals is such a triangle times a uniform rotation, with chi-distributed diagonal (the
  Bartlett decomposition), so predictions have the same prior as with free loadings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from scipy.linalg import qr

from sloth_jax.law import Params, matmul, scores
from sloth_jax.links import GRID_CENTRES, Mixture
from sloth_jax.observations import Observations


@dataclass(frozen=True)
class Scales:
    """How far each part of the law may go, before any score is seen.

    The predictor's unit is that of a logit: 1 moves a score of 0.5 above chance to 0.73. Learnt
    scales have log-normal priors with the median given here and log standard deviation ``spread``.

    Attributes:
        slope: of B, in skill units per standard deviation of a covariate; families of a lineage
            differ by 1, and ten times the size moves models more than their recipe does.
        loading: predictor units per skill unit; a recipe one unit better gains some tenths.
        bias: predictor of an average model; from 0.02 to 0.98 above chance.
        lineage: median spread of lineages, in skill units; about that of families.
        post_training: shift of post-trained families, in skill units.
        specific: median spread of a family's own level on one benchmark, in predictor units;
            the spread that worked in earlier point fits of the law.
        growth: median spread of families' own growth in skills, in skill units per standard
            deviation of log size, and on single benchmarks, in predictor units; a tenth of the
            shared slope's scale, since most of the growth is shared.
        link: tilt of a curve's weight in the link; e-fold changes are plausible.
        noise: median scale of the score noise, a fraction; two points of a score.
        spread: log standard deviation of the learnt scales; a factor of two either way.
        noise_df: degrees of freedom of the Student-t noise; heavy tails for odd evaluations.
    """

    slope: float = 2.0
    loading: float = 0.7
    bias: float = 2.0
    lineage: float = 1.0
    post_training: float = 1.0
    specific: float = 0.3
    growth: float = 0.2
    link: float = 0.7
    noise: float = 0.02
    spread: float = 0.7
    noise_df: float = 4.0


class Population(NamedTuple):
    """What families are drawn from: the part of the posterior that a new family inherits.

    Attributes:
        lineage: effect of each lineage on each skill, ``(lineage, skill)``.
        lineage_scale: spread of lineages in skill units, scalar.
        post_training: shift of post-trained families, ``(skill,)``.
        specific_scale: spread of families' own levels, ``(benchmark,)``.
        growth_scale: spread of families' own growth in skills, scalar.
        specific_growth_scale: spread of their own growth on benchmarks, ``(benchmark,)``.
        noise: scale of the score noise, a fraction, ``(benchmark,)``.
        noise_df: degrees of freedom of the score noise, scalar.
    """

    lineage: Array
    lineage_scale: Array
    post_training: Array
    specific_scale: Array
    growth_scale: Array
    specific_growth_scale: Array
    noise: Array
    noise_df: Array


class State(NamedTuple):
    """One draw of everything: what :func:`hierarchical_law` returns.

    Attributes:
        params: parameters of the law, with each family's effect on skills still at its mean and
            what is missing in ``specific``; scores of observed benchmarks are right already.
        population: what families are drawn from.
        level: predictor of each family at its mean covariates, ``(family, benchmark)``.
    """

    params: Params
    population: Population
    level: Array


class FamilyLevels(dist.Distribution):
    """Normal levels of families on benchmarks, with the family effects on skills integrated out.

    The observed levels of family ``f`` are ``N(loc_f, Lambda Lambda' + diag(scale^2))``. Levels
    that nobody observed carry no information; they stand in as independent standard normals so
    that shapes stay fixed.

    Args:
        loc: mean of each level, ``(family, benchmark)``.
        loading: ``(benchmark, skill)``.
        scale: standard deviation of the unique factors, ``(benchmark,)``, positive.
        observed: ``(family, benchmark)``, bool.
    """

    # NumPyro declares these as instance attributes and sets them on classes, as here.
    arg_constraints: ClassVar[dict[str, Any]] = {  # pyright: ignore
        "loc": constraints.real_vector,
        "loading": constraints.real_matrix,
        "scale": constraints.positive,
        "observed": constraints.boolean,
    }
    support = constraints.real_vector  # pyright: ignore
    reparametrized_params: ClassVar[list[str]] = [  # pyright: ignore
        "loc",
        "loading",
        "scale",
    ]

    def __init__(self, loc: Array, loading: Array, scale: Array, observed: Array) -> None:
        """Build the distribution with batch shape ``(family,)``, event shape ``(benchmark,)``."""
        self.loc, self.loading, self.scale, self.observed = loc, loading, scale, observed
        super().__init__(loc.shape[:1], loc.shape[1:], validate_args=False)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw levels, ``sample_shape + (family, benchmark)``, observed or not."""
        assert key is not None
        effect, own = jax.random.split(key)
        shape = sample_shape + self.loc.shape
        effects = jax.random.normal(effect, (*shape[:-1], self.loading.shape[1]))
        factors = jnp.broadcast_to(self.scale, shape) * jax.random.normal(own, shape)
        return jnp.broadcast_to(self.loc, shape) + matmul(effects, self.loading.T) + factors

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of levels ``(family, benchmark)``, one number per family."""
        value = jnp.asarray(value)
        seen = self.observed.astype(value.dtype)
        residual = value - self.loc
        weight = seen / self.scale[None, :] ** 2
        gram, pull = _family_gram(self.loading, weight, residual)
        factor = _small_cholesky(gram)
        solved = _small_solve(factor, pull)
        # Woodbury: r' (L L' + D)^-1 r = r' D^-1 r - |C^-1 L' D^-1 r|^2,  C C' = I + L' D^-1 L
        quadratic = jnp.sum(weight * residual**2, axis=-1) - sum(s**2 for s in solved)
        # log det(L L' + D) = log det D + log det(I + L' D^-1 L)
        log_det = 2.0 * sum(jnp.log(factor[i][i]) for i in range(len(factor)))
        log_det += jnp.sum(seen * 2.0 * jnp.log(self.scale)[None, :], axis=-1)
        stand_in = jnp.sum((1.0 - seen) * value**2, axis=-1)
        constant = self.loc.shape[-1] * jnp.log(2.0 * jnp.pi)
        return -0.5 * (quadratic + log_det + stand_in + constant)


def _family_gram(
    loading: Array, weight: Array, residual: Array
) -> tuple[list[list[Array]], list[Array]]:
    """Return ``I + L' D^-1 L``, ``L' D^-1 r`` of families: lists over skills of ``(family,)``."""
    skills = loading.shape[1]
    gram = [
        [matmul(weight, loading[:, a] * loading[:, b]) + (a == b) for b in range(a + 1)]
        for a in range(skills)
    ]
    pull = [matmul(weight * residual, loading[:, a]) for a in range(skills)]
    return gram, pull


# Batches of tiny matrices: unrolled over skills these vectorise over families, where a call of
# LAPACK per family would cost more than the rest of the density.
def _small_cholesky(matrix: list[list[Array]]) -> list[list[Array]]:
    factor: list[list[Array]] = []
    for i, row in enumerate(matrix):
        new: list[Array] = []
        for j, entry in enumerate(row):
            rest = entry - sum(
                (new[k] * (factor[j] if j < i else new)[k] for k in range(j)), jnp.zeros(())
            )
            new.append(jnp.sqrt(rest) if i == j else rest / factor[j][j])
        factor.append(new)
    return factor


def _small_solve(factor: list[list[Array]], right: list[Array]) -> list[Array]:
    solved: list[Array] = []
    for i, row in enumerate(factor):
        rest = right[i] - sum((row[k] * solved[k] for k in range(i)), jnp.zeros(()))
        solved.append(rest / row[i])
    return solved


def choose_pivots(loading: np.ndarray) -> tuple[int, ...]:
    """Benchmarks that pin the rotation: as many as skills, with loadings that differ most.

    Args:
        loading: ``(benchmark, skill)`` of a point fit.

    Returns:
        Indices of benchmarks in the order of a column-pivoted QR decomposition (Golub and Van
        Loan, Matrix Computations, section 5.4), so that the triangle's diagonal is far from zero.
    """
    _, _, order = qr(np.asarray(loading, dtype=np.float64).T, pivoting=True)  # pyright: ignore
    return tuple(int(j) for j in order[: loading.shape[1]])


def rotation_to_pivots(loading: np.ndarray, pivots: tuple[int, ...]) -> np.ndarray:
    """Rotation ``(skill, skill)`` that makes the pivots' loadings lower triangular, positive."""
    # top' = Q R, hence top Q = R', which is lower triangular.
    q, r = np.linalg.qr(np.asarray(loading, dtype=np.float64)[list(pivots)].T)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def split_loading(loading: np.ndarray, pivots: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Loadings ``(benchmark, skill)`` that obey the pivots, as the sites they are sampled at."""
    top = loading[list(pivots)]
    sites = {
        "loading_diagonal": np.diag(top).copy(),
        "loading_lower": top[np.tril_indices(len(pivots), -1)],
        "loading_rest": np.delete(loading, list(pivots), axis=0),
    }
    return {name: value for name, value in sites.items() if value.size}


def _sample(site: str, distribution: Any) -> Array:
    """A site's value as an array; NumPyro types it wider."""
    return jnp.asarray(numpyro.sample(site, distribution))


def _sample_loading(
    benchmarks: int, skills: int, pivots: tuple[int, ...] | None, scale: float
) -> Array:
    def normal(*shape: int) -> dist.Distribution:
        return dist.Normal(0.0, scale).expand(shape).to_event(len(shape))

    if pivots is None:
        return _sample("loading", normal(benchmarks, skills))
    diagonal = _sample("loading_diagonal", dist.HalfNormal(scale).expand([skills]).to_event(1))
    # chi with skills - i degrees of freedom: density of the half normal times x^(skills - 1 - i)
    numpyro.factor("loading_gauge", jnp.sum(jnp.arange(skills)[::-1] * jnp.log(diagonal)))
    top = jnp.diag(diagonal)
    if skills > 1:
        lower = _sample("loading_lower", normal(skills * (skills - 1) // 2))
        top = top.at[np.tril_indices(skills, -1)].set(lower)
    if benchmarks > skills:
        rest = _sample("loading_rest", normal(benchmarks - skills, skills))
        top = jnp.concatenate([top, rest])
    others = [j for j in range(benchmarks) if j not in set(pivots)]
    return top[np.argsort([*pivots, *others])]


def hierarchical_law(
    observations: Observations,
    *,
    skills: int,
    lineages: int,
    pivots: tuple[int, ...] | None = None,
    scales: Scales = Scales(),
) -> State:
    """The joint density of parameters and observed scores, for NumPyro.

    Args:
        observations: arrays of a table; scores that are not observed add nothing.
        skills: number of skills.
        lineages: number of lineages.
        pivots: benchmarks on which loadings are triangular, from :func:`choose_pivots`; None
            leaves the rotation free, with the same prior on everything a rotation does not touch.
        scales: scales of the prior.

    Returns:
        The :class:`State` of this draw.
    """
    benchmarks = observations.scores.shape[1]
    families = observations.lineage.shape[0]
    width = observations.covariates.shape[1]

    def normal(scale: float, *shape: int) -> dist.Distribution:
        return dist.Normal(0.0, scale).expand(shape).to_event(len(shape))

    def learnt_scale(median: float, *shape: int) -> dist.Distribution:
        return dist.LogNormal(jnp.log(median), scales.spread).expand(shape).to_event(len(shape))

    slope = _sample("slope", normal(scales.slope, width, skills))
    loading = _sample_loading(benchmarks, skills, pivots, scales.loading)
    bias = _sample("bias", normal(scales.bias, benchmarks))
    link = Mixture(_sample("link_tilt", normal(scales.link, len(GRID_CENTRES), benchmarks)))
    lineage_scale = _sample("lineage_scale", learnt_scale(scales.lineage))
    lineage = lineage_scale * _sample("lineage_unit", normal(1.0, lineages, skills))
    post_training = _sample("post_training", normal(scales.post_training, skills))
    specific_scale = _sample("specific_scale", learnt_scale(scales.specific, benchmarks))
    growth_scale = _sample("growth_scale", learnt_scale(scales.growth))
    growth = growth_scale * _sample("growth_unit", normal(1.0, families, skills))
    specific_growth_scale = _sample(
        "specific_growth_scale", learnt_scale(scales.growth, benchmarks)
    )
    specific_growth = specific_growth_scale[None, :] * _sample(
        "specific_growth_unit", normal(1.0, families, benchmarks)
    )
    noise = _sample("noise", learnt_scale(scales.noise, benchmarks))

    shift = observations.post_trained[:, None] * post_training[None, :]
    efficiency = lineage[observations.lineage] + shift
    at_mean = efficiency + matmul(observations.family_covariates, slope)
    expected_level = bias[None, :] + matmul(at_mean, loading.T)
    level = _sample(
        "level",
        FamilyLevels(
            expected_level, loading, specific_scale, observations.family_observed
        ).to_event(1),
    )
    mean_size = observations.family_covariates[:, :1]
    params = Params(
        # Growth counts from the family's mean size; the law counts it from zero.
        intercept=efficiency - growth * mean_size,
        slope=slope,
        loading=loading,
        bias=bias,
        specific=level - expected_level - specific_growth * mean_size,
        growth=growth,
        specific_growth=specific_growth,
        floor=observations.floor,
        link=link,
    )
    expected = scores(params, observations.covariates, observations.family)
    with numpyro.handlers.mask(mask=observations.observed):
        numpyro.sample(
            "scores",
            dist.StudentT(scales.noise_df, expected, noise[None, :]),
            obs=observations.scores,
        )
    population = Population(
        lineage,
        lineage_scale,
        post_training,
        specific_scale,
        growth_scale,
        specific_growth_scale,
        noise,
        jnp.asarray(scales.noise_df, noise.dtype),
    )
    return State(params, population, level)


def draw_family_effects(state: State, observations: Observations, key: Array) -> Params:
    """Draw the family effects that the sampler integrated out, from their exact conditional.

    Args:
        state: one draw of :func:`hierarchical_law`.
        observations: what it was conditioned on.
        key: random key.

    Returns:
        Parameters in which ``intercept`` holds each family's effect and ``specific`` its unique
        factors only; for benchmarks on which a family has no score the latter come from the
        prior. Scores of observed pairs are the same as with ``state.params``.
    """
    effect, factor = _conditional_effects(state, observations)
    effect_key, own_key = jax.random.split(key)
    draw = jax.random.normal(effect_key, effect.shape)
    noise = jax.scipy.linalg.solve_triangular(factor, draw[..., None], trans=1, lower=True)
    own = jax.random.normal(own_key, state.level.shape)
    return _with_effects(state, observations, effect + noise[..., 0], own)


def expected_family_effects(state: State, observations: Observations) -> Params:
    """The same with family effects and unobserved unique factors at their conditional means.

    Args:
        state: one draw, or a mode, of :func:`hierarchical_law`.
        observations: what it was conditioned on.
    """
    effect, _ = _conditional_effects(state, observations)
    return _with_effects(state, observations, effect, jnp.zeros_like(state.level))


def _residual(state: State, observations: Observations) -> Array:
    """Levels of families minus what their lineages and covariates predict."""
    params = state.params
    assert params.growth is not None  # of every hierarchical law
    mean_size = observations.family_covariates[:, :1]
    efficiency = params.intercept + params.growth * mean_size
    at_mean = efficiency + matmul(observations.family_covariates, params.slope)
    return state.level - params.bias[None, :] - matmul(at_mean, params.loading.T)


def _conditional_effects(state: State, observations: Observations) -> tuple[Array, Array]:
    """Family effects given the levels: mean, and the Cholesky factor of their precision."""
    params, scale = state.params, state.population.specific_scale
    weight = observations.family_observed / scale[None, :] ** 2
    # effect | level ~ N(G^-1 L' D^-1 r, G^-1),  G = I + L' D^-1 L over the observed benchmarks
    gram = jnp.eye(params.loading.shape[1])[None] + jnp.einsum(
        "fj,ja,jb->fab", weight, params.loading, params.loading, precision="highest"
    )
    pull = matmul(weight * _residual(state, observations), params.loading)
    factor = jnp.linalg.cholesky(gram)
    return jax.scipy.linalg.cho_solve((factor, True), pull[..., None])[..., 0], factor


def _with_effects(state: State, observations: Observations, effect: Array, own: Array) -> Params:
    """Parameters with given family effects; ``own``: unobserved unique factors over their scale."""
    params, scale = state.params, state.population.specific_scale
    assert params.specific_growth is not None  # of every hierarchical law
    mean_size = observations.family_covariates[:, :1]
    rest = _residual(state, observations) - matmul(effect, params.loading.T)
    at_mean_own = jnp.where(observations.family_observed, rest, scale[None, :] * own)
    return params._replace(
        intercept=params.intercept + effect,
        specific=at_mean_own - params.specific_growth * mean_size,
    )
