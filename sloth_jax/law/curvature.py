"""The curvature of the density at a place.

``by_differences`` takes a gradient for every parameter and direction: exact, and what small tables
want. ``by_expectation`` is for tables of many benchmarks, whose parameters are as many. Given
skills benchmarks are independent, so that one direction serves all of them together; what the
unknown skills take away is added up lineage by lineage (:mod:`sloth_jax.effects.expected`; Louis
1982). Its cost is that of a few hundred gradients, however many benchmarks there are.
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
from sloth_jax.effects.expected import (
    Units,
    draw_units,
    expected_log_density,
    pulls,
    units_given,
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
_DRAWN = 800  # lineages times draws of skills that stand for their variance, about
_BINS = 24  # at a time: bounds the memory
_SCORES = 100_000  # scores, measured or not, of all gradients that are computed together
_MANY = 1000  # parameters from which on gradients for each cost more than the expectation


def curvature(target: Target, position: Float[Array, " parameter"]) -> Array:
    """Second derivative of the potential, ``(parameter, parameter)``, by what is cheaper."""
    if by_expectation_is_cheaper(target.density.observations, position.size):
        return by_expectation(target, position, jax.random.key(0))
    at_once = gradients_at_once(target.density.observations, position.size)
    return by_differences(target.potential, position, at_once)


def by_expectation_is_cheaper(observations: Observations, parameters: int) -> bool:
    """Whether it is, and can be done: no lineage is taken apart."""
    plain = all(isinstance(some, Bins) for some in observations.bins)
    return plain and parameters >= _MANY


def gradients_at_once(observations: Observations, parameters: int) -> int:
    """How many gradients :func:`curvature` computes together, which decides on its memory."""
    if by_expectation_is_cheaper(observations, parameters):
        return 1
    return max(1, min(16, _SCORES // observations.scores.size))


def by_differences(
    potential: Callable[[Array], Array], position: Float[Array, " parameter"], at_once: int = 16
) -> Array:
    """Central differences of gradients, one pair for every parameter.

    A second derivative in closed form takes four times as long to compile, and changes widths by a
    thousandth.

    Args:
        potential: of a position, scalar; parameters in units of about their prior's width.
        position: ``(parameter,)``.
        at_once: gradients that are computed together: bounds the memory.

    Returns:
        ``(parameter, parameter)``, symmetric.
    """
    unit = jnp.eye(position.size, dtype=position.dtype)
    found = _difference(potential, position, unit, at_once)
    return 0.5 * (found + found.T)


def _difference(
    potential: Callable[[Array], Array], position: Array, directions: Array, at_once: int
) -> Array:
    """Change of the gradient along each direction ``(direction, parameter)``."""
    steps = _STEP * jnp.concatenate([directions, -directions])
    moved = map_in_chunks(jax.grad(potential), position[None] + steps, at_once)
    ahead, behind = jnp.split(moved, 2)
    return (ahead - behind) / (2.0 * _STEP)


class Layout(NamedTuple):
    """Positions of parameters in the flat vector.

    Attributes:
        shared: of those of no single benchmark, ``(shared,)``.
        own: of those of each benchmark, ``(row, benchmark)``.
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
_COVARYING = ("loading", "link", "spread", "noise")  # on which covariances of scores depend


def layout(raw: RawParams) -> Layout:
    """Where the parameters of each benchmark stand, of raw parameters of that shape."""
    flat, unravel = ravel_pytree(raw)
    places = unravel(jnp.arange(flat.size, dtype=flat.dtype))
    own = [at for _, at in _by_benchmark(places)]
    given = places._asdict().items()
    shared = [at.reshape(-1) for name, at in given if name not in _OF_BENCHMARKS and at is not None]
    return Layout(jnp.concatenate(shared).astype(int), jnp.concatenate(own).astype(int))


def covarying_rows(raw: RawParams, unknown: bool) -> np.ndarray:
    """Which rows of :attr:`Layout.own` covariances depend on, ``(row,)``, bool.

    Args:
        raw: of that shape.
        unknown: whether some covariates are, which move predictors by all slopes.
    """
    names = {*_COVARYING, "specific_slope"} if unknown else _COVARYING
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


def by_expectation(target: Target, position: Float[Array, " parameter"], key: Array) -> Array:
    """The expected curvature of scores and skills, less what is missing: the skills.

    Args:
        target: without lineages that are taken apart, and on one device.
        position: ``(parameter,)``.
        key: of the draws of skills that stand for their variance. By how much loadings, spreads
            and noise are known less than if skills were known has a Monte Carlo error.
    """
    density, unravel = target.density, target.unravel
    # Parameters are independent a priori: all second derivatives at once.
    log_prior = jax.grad(lambda at: density.log_prior(unravel(at)))
    prior = -jax.jvp(log_prior, (position,), (jnp.ones_like(position),))[1]
    # Benchmarks of a group share part of their parameters: first as if each had its own.
    alone, apart = without_groups(density)

    def mixed(at: Array) -> Array:
        return ravel_pytree(apart(unravel(at)))[0]

    one = _Complete(Target(alone, unravel), mixed(position), layout(unravel(position)))
    found = one.expected() - one.missing(key)
    if alone is not density:
        turn = jax.jacfwd(mixed)(position)
        found = matmul(matmul(turn.T, found), turn)
        # d2 f(g(x)) = g' f'' g' + f' g''
        pull = jax.grad(lambda at: -log_likelihood(alone.law(unravel(at)), alone.observations))
        pulled = pull(mixed(position))
        found += jax.jacfwd(jax.grad(lambda at: jnp.sum(pulled * mixed(at))))(position)
    return 0.5 * (found + found.T) + jnp.diag(prior)


def without_groups(density: Density) -> tuple[Density, Callable[[RawParams], RawParams]]:
    """The density of scores where no benchmarks are of one group, and where it is the same.

    Returns:
        A density of other raw parameters, whose prior is another; and what takes raw parameters
        of the given one to those of the same law.
    """
    observations, prior, pivots = density
    if observations.group is None:
        return density, lambda raw: raw

    def apart(raw: RawParams) -> RawParams:
        if pivots is None:
            raw, loading = in_groups(raw, raw.loading, observations, prior, None)
            return raw._replace(loading=loading)
        triangle = TriangularLoadings(prior.loading, pivots)
        made = in_groups(raw, triangle.loading(raw.loading), observations, prior, pivots)
        return made[0]._replace(loading=triangle.raw(made[1]))

    return density._replace(observations=observations._replace(group=None)), apart


class _Complete(NamedTuple):
    """Scores and skills together, of benchmarks that share no parameter of their own."""

    target: Target
    position: Array
    places: Layout

    @property
    def bins(self) -> list[Bins]:
        """Bins of all lineages, none taken apart or split."""
        bins = self.target.density.observations.bins
        found = [some for some in bins if isinstance(some, Bins)]
        assert len(found) == len(bins)
        return found

    def problem(self, at: Array) -> tuple[Problem, Array]:
        """What scores say about effects at a position."""
        return effects_problem(self.target.law(at), self.target.density.observations)

    def expected(self) -> Array:
        """Expected curvature of minus their log density, ``(parameter, parameter)``."""
        (shared, own), position = self.places, self.position
        observations = self.target.density.observations
        problem, _ = self.problem(position)
        given = [units_given(problem, some) for some in self.bins]

        def potential(at: Array) -> Array:
            problem, change = self.problem(at)
            whole = jnp.sum(change)
            for some, units in zip(self.bins, given, strict=True):
                whole += expected_log_density(problem, some, units)
            return -whole

        unit = jnp.zeros((shared.size + own.shape[0], position.size), position.dtype)
        unit = unit.at[jnp.arange(shared.size), shared].set(1.0)
        rows = shared.size + jnp.arange(own.shape[0])
        unit = unit.at[rows[:, None], own].set(1.0)
        changes = _difference(potential, position, unit, gradients_at_once(observations, 0))
        of_shared, of_own = changes[: shared.size], changes[shared.size :]
        found = jnp.zeros((position.size, position.size), position.dtype)
        # A benchmark's parameters move its own gradient, and that of what all share.
        found = found.at[own[:, None], own[None]].set(of_own[:, own])
        return found.at[shared].set(of_shared).at[:, shared].set(of_shared.T)

    def missing(self, key: Array) -> Array:
        """Variance of the derivative of their log density, as skills are not known."""
        lineages = self.target.density.observations.members.lineage_name.size
        draws = max(2, min(8, _DRAWN // lineages))
        parts = [self._missing(some, key, draws) for some in self.bins]
        return sum(parts, jnp.zeros((), self.position.dtype))

    def _missing(self, some: Bins, key: Array, draws: int) -> Array:
        units = units_given(self.problem(self.position)[0], some)

        def mean(at: Array) -> tuple[Array, Array]:
            return pulls(self.problem(at)[0], some, units.mean, True)

        found = self._gram(mean, self.places.own, units)
        # M, unlike h, does not depend on where predictors are.
        unknown = self.target.density.observations.covariates is not None
        own = self.places.own[covarying_rows(self.target.unravel(self.position), unknown)]

        def add(total: Array, other: Array) -> tuple[Array, None]:
            def drawn(at: Array) -> tuple[Array, Array]:
                return pulls(self.problem(at)[0], some, -other, False)

            return total + self._gram(drawn, own, units), None

        others = draw_units(units, some, key, draws)
        square, _ = jax.lax.scan(add, jnp.zeros_like(found), others)
        return found + square / (2.0 * draws)

    def _gram(
        self, pulled: Callable[[Array], tuple[Array, Array]], own: Array, units: Units
    ) -> Array:
        """Derivatives of what is pulled, multiplied by the covariance of units between them."""
        shared, position = self.places.shared, self.position

        _, along = jax.linearize(pulled, position)

        def change(row: Array) -> tuple[Array, Array]:
            return along(jnp.zeros_like(position).at[row].set(1.0))

        def of_shared(row: Array) -> Array:
            by_benchmark, alone = change(row)
            return jnp.sum(by_benchmark, axis=2) + alone

        by_row = jax.lax.map(lambda row: change(row)[0], own)  # row bin unit benchmark place
        by_shared = jax.lax.map(of_shared, shared)  # shared bin unit place
        bins, count, size = by_shared.shape[1:]
        covariance = units.covariance.reshape(bins, count * size, count * size)

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
        chunk = min(_BINS, bins)
        places = np.arange(-(-bins // chunk) * chunk).reshape(-1, chunk)
        real = jnp.asarray(places < bins, position.dtype)
        width = shared.size + own.size
        total = jnp.zeros((width, width), position.dtype)
        total, _ = jax.lax.scan(add, total, (jnp.asarray(np.minimum(places, bins - 1)), real))
        order = jnp.concatenate([shared, own.reshape(-1)])
        whole = jnp.zeros((position.size, position.size), position.dtype)
        return whole.at[order[:, None], order[None]].set(total)
