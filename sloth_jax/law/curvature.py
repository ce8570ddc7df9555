"""The curvature of the posterior: the Hessian of minus its log density, at a position.

:func:`curvature_by_differences` takes two gradients for every parameter, the plain way, and what
small tables want. :func:`curvature_by_expectation` is for tables of many benchmarks, which have
that many times the parameters. Given skills benchmarks are independent, so that one direction
serves all of them together; the missing information, as skills are not known, is added up lineage
by lineage (:mod:`sloth_jax.effects.missing_information`; Louis 1982). Its cost is that of a few
hundred gradients, however many benchmarks there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from sloth_jax.chunks import map_in_chunks
from sloth_jax.effects.bins import Bins
from sloth_jax.effects.density import Problem
from sloth_jax.effects.missing_information import (
    Latents,
    draw_latents,
    expected_log_density,
    latent_gradient,
    latents_given_scores,
)
from sloth_jax.law.hierarchical import (
    Density,
    RawParams,
    effects_problem,
    in_groups,
    log_likelihood,
)
from sloth_jax.law.observations import Observations
from sloth_jax.law.pivots import TriangularLoadings
from sloth_jax.law.target import Target
from sloth_jax.products import matmul

_STEP = 0.03  # of differences, in standard deviations of the prior
_LINEAGE_DRAWS = 800  # lineages times draws of latents, about: what the Monte Carlo error wants
_BIN_CHUNK = 24  # bins at a time: bounds the memory
_SCORES_PER_BATCH = 100_000  # scores, measured or not, in gradients computed together
_MIN_PARAMETERS = 1000  # from which on a gradient for each costs more than the expectation


def curvature(target: Target, position: Float[Array, " parameter"]) -> Array:
    """Second derivative of the potential, ``(parameter, parameter)``, by the cheaper way."""
    if expectation_is_cheaper(target.density.observations, position.size):
        return curvature_by_expectation(target, position, jax.random.key(0))
    batch = gradient_batch(target.density.observations, position.size)
    return curvature_by_differences(target.potential, position, batch)


def expectation_is_cheaper(observations: Observations, parameters: int) -> bool:
    """Whether :func:`curvature_by_expectation` is cheaper, and possible: no lineage is nested."""
    plain = all(isinstance(some, Bins) for some in observations.bins)
    return plain and parameters >= _MIN_PARAMETERS


def gradient_batch(observations: Observations, parameters: int) -> int:
    """How many gradients :func:`curvature` computes together, which decides on its memory."""
    if expectation_is_cheaper(observations, parameters):
        return 1
    return max(1, min(16, _SCORES_PER_BATCH // observations.scores.size))


def curvature_by_differences(
    potential: Callable[[Array], Array], position: Float[Array, " parameter"], batch: int = 16
) -> Array:
    """Central differences of gradients, one pair for every parameter.

    A second derivative in closed form takes four times as long to compile, and changes widths by a
    thousandth.

    Args:
        potential: of a position, scalar; parameters in units of about their prior's width.
        position: ``(parameter,)``.
        batch: gradients computed together: bounds the memory.

    Returns:
        ``(parameter, parameter)``, symmetric.
    """
    directions = jnp.eye(position.size, dtype=position.dtype)
    found = _difference(potential, position, directions, batch)
    return 0.5 * (found + found.T)


def _difference(
    potential: Callable[[Array], Array], position: Array, directions: Array, batch: int
) -> Array:
    """Change of the gradient along each direction ``(direction, parameter)``."""
    steps = _STEP * jnp.concatenate([directions, -directions])
    moved = map_in_chunks(jax.grad(potential), position[None] + steps, batch)
    ahead, behind = jnp.split(moved, 2)
    return (ahead - behind) / (2.0 * _STEP)


class Layout(NamedTuple):
    """Positions of parameters in the flat vector.

    Attributes:
        shared: of the parameters that all benchmarks share, ``(shared,)``.
        own: of the parameters of each benchmark, ``(row, benchmark)``.
    """

    shared: Int[Array, " shared"]
    own: Int[Array, "row benchmark"]


_OF_BENCHMARKS = {  # field of RawParams -> axis of benchmarks
    "specific_slope": 1,
    "loading": 0,
    "bias": 0,
    "link": 1,
    "spread": 1,
    "noise": 0,
    "offset": 1,
}
_IN_COVARIANCES = ("loading", "link", "spread", "noise")  # on which covariances of scores depend


def layout(raw: RawParams) -> Layout:
    """Positions of shared and of benchmarks' parameters, of raw parameters of that shape."""
    flat, unravel = ravel_pytree(raw)
    places = unravel(jnp.arange(flat.size, dtype=flat.dtype))
    own = [at for _, at in _by_benchmark(places)]
    given = places._asdict().items()
    shared = [at.reshape(-1) for name, at in given if name not in _OF_BENCHMARKS and at is not None]
    return Layout(jnp.concatenate(shared).astype(int), jnp.concatenate(own).astype(int))


def rows_in_covariances(raw: RawParams, unknown: bool) -> np.ndarray:
    """Which rows of :attr:`Layout.own` covariances of scores depend on, ``(row,)``, bool.

    Args:
        raw: of that shape.
        unknown: whether some covariates are unknown: they move predictors by all slopes.
    """
    names = {*_IN_COVARIANCES, "specific_slope"} if unknown else _IN_COVARIANCES
    return np.concatenate([np.full(len(at), name in names) for name, at in _by_benchmark(raw)])


def _by_benchmark(raw: RawParams) -> list[tuple[str, Array]]:
    """Parameters of benchmarks by field, ``(row, benchmark)`` each."""
    given = [(name, getattr(raw, name), axis) for name, axis in _OF_BENCHMARKS.items()]
    benchmarks = raw.bias.size
    return [
        (name, jnp.moveaxis(at, axis, -1).reshape(-1, benchmarks))
        for name, at, axis in given
        if at is not None
    ]


def curvature_by_expectation(
    target: Target, position: Float[Array, " parameter"], key: Array
) -> Array:
    """The expected curvature of scores and skills together, less the missing information.

    Args:
        target: without nested bins, and on one device.
        position: ``(parameter,)``.
        key: of draws of skills: the missing information about loadings, links, spreads and noise
            is an average over them, and has a Monte Carlo error.
    """
    density, unravel = target.density, target.unravel
    # Parameters are independent a priori: all second derivatives at once.
    log_prior = jax.grad(lambda at: density.log_prior(unravel(at)))
    prior = -jax.jvp(log_prior, (position,), (jnp.ones_like(position),))[1]
    # Benchmarks of a group have parameters in common: first f, as if each had its own, of g(x).
    single, to_single = without_groups(density)

    def g(x: Array) -> Array:
        return ravel_pytree(to_single(unravel(x)))[0]

    one = _Complete(Target(single, unravel), g(position), layout(unravel(position)))
    found = one.expected() - one.missing(key)
    if single is not density:
        # d2 f(g(x)) = g' f'' g' + f' g''
        jacobian = jax.jacfwd(g)(position)
        found = matmul(matmul(jacobian.T, found), jacobian)
        slope = jax.grad(lambda at: -log_likelihood(single.law(unravel(at)), single.observations))
        gradient = slope(g(position))
        found += jax.jacfwd(jax.grad(lambda x: jnp.sum(gradient * g(x))))(position)
    return 0.5 * (found + found.T) + jnp.diag(prior)


def without_groups(density: Density) -> tuple[Density, Callable[[RawParams], RawParams]]:
    """The same density of scores, by raw parameters that no benchmarks have in common.

    Returns:
        A density without groups, whose prior is another; and a function that takes raw parameters
        of the given density to those of the same law in the other.
    """
    observations, prior, pivots = density
    if observations.group is None:
        return density, lambda raw: raw

    def to_single(raw: RawParams) -> RawParams:
        if pivots is None:
            raw, loading = in_groups(raw, raw.loading, observations, prior, None)
            return raw._replace(loading=loading)
        triangle = TriangularLoadings(prior.loading, pivots)
        raw, loading = in_groups(raw, triangle.loading(raw.loading), observations, prior, pivots)
        return raw._replace(loading=triangle.raw(loading))

    return density._replace(observations=observations._replace(group=None)), to_single


class _Complete(NamedTuple):
    """The complete log density, of scores and latents, where benchmarks share no parameter.

    Attributes:
        target: the posterior.
        position: where its curvature is computed, ``(parameter,)``.
        layout: positions of the parameters.
    """

    target: Target
    position: Array
    layout: Layout

    @property
    def bins(self) -> list[Bins]:
        """Bins of all lineages, none nested or sharded."""
        bins = self.target.density.observations.bins
        found = [some for some in bins if isinstance(some, Bins)]
        assert len(found) == len(bins)
        return found

    def problem(self, at: Array) -> tuple[Problem, Array]:
        """The linear mixed model at a position, and the change of variables of each score."""
        return effects_problem(self.target.law(at), self.target.density.observations)

    def expected(self) -> Array:
        """Expected curvature of minus the complete log density, ``(parameter, parameter)``."""
        (shared, own), position = self.layout, self.position
        observations = self.target.density.observations
        problem, _ = self.problem(position)
        given = [latents_given_scores(problem, some) for some in self.bins]

        def potential(at: Array) -> Array:
            problem, change = self.problem(at)
            whole = jnp.sum(change)
            for some, latents in zip(self.bins, given, strict=True):
                whole += expected_log_density(problem, some, latents)
            return -whole

        # One direction for each parameter of all, and for each row of benchmarks' parameters.
        directions = jnp.zeros((shared.size + own.shape[0], position.size), position.dtype)
        directions = directions.at[jnp.arange(shared.size), shared].set(1.0)
        rows = shared.size + jnp.arange(own.shape[0])
        directions = directions.at[rows[:, None], own].set(1.0)
        changes = _difference(potential, position, directions, gradient_batch(observations, 0))
        of_shared, of_own = changes[: shared.size], changes[shared.size :]
        found = jnp.zeros((position.size, position.size), position.dtype)
        # A benchmark's parameters move its own gradient, and that of what all share.
        found = found.at[own[:, None], own[None]].set(of_own[:, own])
        return found.at[shared].set(of_shared).at[:, shared].set(of_shared.T)

    def missing(self, key: Array) -> Array:
        """Missing information: variance of the gradient of the complete log density."""
        lineages = self.target.density.observations.members.lineage_hash.size
        draws = max(2, min(8, _LINEAGE_DRAWS // lineages))
        parts = [self._missing(some, key, draws) for some in self.bins]
        return sum(parts, jnp.zeros((), self.position.dtype))

    def _missing(self, some: Bins, key: Array, draws: int) -> Array:
        latents = latents_given_scores(self.problem(self.position)[0], some)

        # Cov(d_a, d_b) = d_a u' M^-1 d_b u + E[(d_a M y)' M^-1 (d_b M y)] / 2,  u = h - M m
        def at_mean(at: Array) -> tuple[Array, Array]:
            return latent_gradient(self.problem(at)[0], some, latents.mean, residuals=True)

        found = self._gram(at_mean, self.layout.own, latents)
        # M, unlike h, does not depend on the predictors themselves, only on covariances.
        unknown = self.target.density.observations.covariates is not None
        own = self.layout.own[rows_in_covariances(self.target.unravel(self.position), unknown)]

        def add(total: Array, other: Array) -> tuple[Array, None]:
            def at_draw(at: Array) -> tuple[Array, Array]:
                return latent_gradient(self.problem(at)[0], some, -other, residuals=False)

            return total + self._gram(at_draw, own, latents), None

        others = draw_latents(latents, some, key, draws)
        square, _ = jax.lax.scan(add, jnp.zeros_like(found), others)
        return found + square / (2.0 * draws)

    def _gram(
        self, gradient: Callable[[Array], tuple[Array, Array]], own: Array, latents: Latents
    ) -> Array:
        """``d_a u' M^-1 d_b u`` for all parameters, ``(parameter, parameter)``.

        Args:
            gradient: u as a function of the position; see :func:`latent_gradient`.
            own: positions of the benchmarks' parameters that it depends on, ``(row, benchmark)``.
            latents: whose covariance M^-1 is.
        """
        shared, position = self.layout.shared, self.position

        _, along = jax.linearize(gradient, position)

        def change(row: Array) -> tuple[Array, Array]:
            return along(jnp.zeros_like(position).at[row].set(1.0))

        def of_shared(row: Array) -> Array:
            by_benchmark, alone = change(row)
            return jnp.sum(by_benchmark, axis=2) + alone

        by_row = jax.lax.map(lambda row: change(row)[0], own)  # row bin latent benchmark slot
        by_shared = jax.lax.map(of_shared, shared)  # shared bin latent slot
        bins, count, size = by_shared.shape[1:]
        covariance = latents.covariance.reshape(bins, count * size, count * size)

        def add(total: Array, some: tuple[Array, Array]) -> tuple[Array, None]:
            at, real = some
            wide = by_shared[:, at].transpose(1, 2, 3, 0)
            rows = by_row[:, at].transpose(1, 2, 4, 0, 3)
            both = jnp.concatenate([wide, rows.reshape(*rows.shape[:3], -1)], axis=-1)
            both = both.reshape(at.size, count * size, -1) * real[:, None, None]
            solved = matmul(covariance[at], both)
            flat = (at.size * count * size, -1)
            return total + matmul(both.reshape(flat).T, solved.reshape(flat)), None

        # The last chunk is filled up with bins that count 0.
        chunk = min(_BIN_CHUNK, bins)
        places = np.arange(-(-bins // chunk) * chunk).reshape(-1, chunk)
        real = jnp.asarray(places < bins, position.dtype)
        width = shared.size + own.size
        total = jnp.zeros((width, width), position.dtype)
        total, _ = jax.lax.scan(add, total, (jnp.asarray(np.minimum(places, bins - 1)), real))
        order = jnp.concatenate([shared, own.reshape(-1)])
        whole = jnp.zeros((position.size, position.size), position.dtype)
        return whole.at[order[:, None], order[None]].set(total)
