"""Draws from the posterior of the law as pure functions of arrays, so that folds can be mapped.

Three ways, all from the same start, the mode at which the effects of families are integrated out:

* ``nuts``: the No-U-Turn sampler (Hoffman and Gelman 2014), exact up to Monte Carlo error; the
  default;
* ``laplace``: the normal with the curvature of the mode (Bishop 2006, section 4.4), in seconds;
* ``svi``: the normal that is closest in Kullback-Leibler divergence among those along the axes of
  the start's curvature, by stochastic variational inference (Kucukelbir et al. 2017), in a minute.

The last two approximate what is shared; effects of families are drawn exactly given that in all
three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoDiagonalNormal
from numpyro.infer.hmc import hmc

from sloth_jax.checkpoint import Checkpoint, fingerprint
from sloth_jax.console import busy
from sloth_jax.errors import Diverged
from sloth_jax.law import Params, matmul, scores
from sloth_jax.mode import Density, ModeSettings, find_mode
from sloth_jax.observations import Observations
from sloth_jax.optimise import minimise
from sloth_jax.point import DIVERGED
from sloth_jax.prior import (
    Gauge,
    GaugedLoadings,
    Population,
    Scales,
    choose_gauge,
    draw_family_effects,
)

INFERENCES = ("nuts", "laplace", "svi")

_SVI_STEPS = 3000
_SVI_RATE = 0.01
_SVI_WIDTH = 0.5  # of the normal it starts from, in standard deviations by the curvature


@dataclass(frozen=True)
class SamplerSettings:
    """How the posterior is sampled.

    Attributes:
        skills: number of skills; the default is what ``experiments/number_of_skills.py`` chooses by
            predictions of lineages that are left out of the bundled table.
        warmup: draws per chain spent on adaptation; of NUTS only.
        draws: draws per chain kept.
        chains: number of chains.
        max_tree_depth: longest trajectory is ``2 ** max_tree_depth - 1`` leapfrog steps.
        target_accept: acceptance probability that the step size is tuned to. Trajectories end at
            ``max_tree_depth``, so shorter steps leave slow directions behind, and longer ones fail
            now and then where a benchmark's noise is small.
        scales: scales of the prior.
        starts: random starts of the search for the mode at which chains begin.
        start_steps: optimiser steps of each.
        inference: one of :data:`INFERENCES`.
    """

    skills: int = 4
    warmup: int = 450
    draws: int = 450
    chains: int = 4
    max_tree_depth: int = 6
    target_accept: float = 0.75
    scales: Scales = Scales()
    starts: int = 2
    start_steps: int = 400
    inference: str = "nuts"

    def __post_init__(self) -> None:
        """Check the name of the inference.

        Raises:
            ValueError: if there is none of this name.
        """
        if self.inference not in INFERENCES:
            raise ValueError(f"no inference {self.inference!r}, there are: {', '.join(INFERENCES)}")

    def mode(self, lineages: int) -> ModeSettings:
        """Settings of the search for a mode, in a table with so many lineages."""
        return ModeSettings(self.skills, lineages, self.scales, self.starts, self.start_steps)


class Start(NamedTuple):
    """Where chains begin.

    Attributes:
        sites: unconstrained sites of the mode, in a gauge.
        gauge: loadings that fix the rotation.
        value: minus the log density at the mode; NaN if it was not found.
    """

    sites: dict[str, Array]
    gauge: Gauge
    value: Array


class Trace(NamedTuple):
    """Where the draws of what is shared lie, with leading axes ``(chain, draw)``.

    Attributes:
        position: all sites as one vector of real numbers, ``(chain, draw, number)``.
        energy: Hamiltonian; 0 without one.
        diverging: whether the transition diverged.
        steps: leapfrog steps.
    """

    position: Array
    energy: Array
    diverging: Array
    steps: Array


class Draws(NamedTuple):
    """Draws of the whole law, with leading axes ``(chain, draw)``.

    Attributes:
        params: parameters of the law, effects of families drawn.
        population: what families are drawn from.
        expected: scores of all rows without noise, ``(chain, draw, model, benchmark)``.
        trace: where the draws lie.
    """

    params: Params
    population: Population
    expected: Array
    trace: Trace


def flat_draws(tree: Any) -> Any:
    """Arrays ``(chain, draw, ...)`` with both leading axes as one, chain after chain."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)


def sample_observations(
    observations: Observations, key: Array, settings: SamplerSettings, lineages: int
) -> Draws:
    """Find the mode and draw from there: one pure function of arrays.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key.
        settings: how to sample.
        lineages: number of lineages in the table.

    Returns:
        :class:`Draws`; NaN where no start was found.
    """
    start_key, chain_key, effect_key = jax.random.split(key, 3)
    start = find_start(observations, start_key, settings, lineages)
    law = _law(observations, start, settings, lineages)
    if settings.inference in _APPROXIMATIONS:
        trace = _APPROXIMATIONS[settings.inference](law, chain_key, settings)
    else:
        state = _begin_chains(law, chain_key, settings)
        # One loop over warm-up and draws, since a second would be compiled anew.
        _, trace = _transitions(law, state, settings, settings.warmup + settings.draws)
        trace = jax.tree.map(lambda a: a[:, settings.warmup :], trace)
    return _with_effects(law, trace, effect_key)


def find_start(
    observations: Observations, key: Array, settings: SamplerSettings, lineages: int
) -> Start:
    """The mode and the gauge that suits it: a pure function of arrays."""
    mode = find_mode(observations, key, settings.mode(lineages))
    rotation, gauge = choose_gauge(mode.sites["loading"])
    sites = dict(mode.sites)
    for site in ("slope", "post_training", "loading", "own"):
        sites[site] = matmul(sites[site], rotation)
    sites["loading"] = GaugedLoadings(settings.scales.loading, gauge).numbers(sites["loading"])
    return Start(sites, gauge, mode.value)


class _Law(NamedTuple):
    """The density over one flat vector: a sampler's bookkeeping goes leaf by leaf."""

    density: Density
    centre: Array
    unravel: Callable[[Array], dict[str, Array]]

    def potential(self, position: Array) -> Array:
        return self.density.potential(self.unravel(position))


def _law(
    observations: Observations, start: Start, settings: SamplerSettings, lineages: int
) -> _Law:
    centre, unravel = ravel_pytree(start.sites)
    return _Law(Density(observations, settings.mode(lineages), start.gauge), centre, unravel)


_ENERGY = 1e10  # of where chains begin: above that of any place they could go to
_FIRST_STEP = 0.02  # short, so that the first transition, which is not judged, stays close


def _begin_chains(law: _Law, key: Array, settings: SamplerSettings) -> Any:
    # NumPyro begins with a value and a gradient of the density. Instead of compiling both once
    # more, chains begin at a constant energy so high that the first transition always leaves it.
    begin, _ = hmc(potential_fn=lambda position: jnp.full((), _ENERGY), algo="NUTS")
    jitter_key, chain_key = jax.random.split(key)
    # Chains start apart, or R-hat could not tell that they never moved.
    away = 0.1 * jax.random.normal(jitter_key, (settings.chains, law.centre.size))
    keys = jax.random.split(chain_key, settings.chains)

    def begin_here(position: Array, key: Array) -> Any:
        return begin(position, rng_key=key, **_kernel_settings(settings))

    state = jax.vmap(begin_here)(law.centre[None, :] + away, keys)
    # A type as weak as Python's numbers would change in the first transition, and with it the
    # program.
    return jax.tree.map(
        lambda a: a if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else jnp.asarray(a, a.dtype),
        state,
    )


def _kernel_settings(settings: SamplerSettings) -> dict[str, Any]:
    return {
        "num_warmup": settings.warmup,
        "max_tree_depth": settings.max_tree_depth,
        "target_accept_prob": settings.target_accept,
        "step_size": _FIRST_STEP,
    }


def _transitions(law: _Law, state: Any, settings: SamplerSettings, count: int) -> tuple[Any, Trace]:
    """Move chains so many transitions; the new state and what they passed."""
    # Compiled on its own it is traced once, not at each of the places where NUTS asks for it.
    begin, step = hmc(potential_fn=jax.jit(law.potential), algo="NUTS")
    # NumPyro's step takes its settings from the last call of begin; what this one computes is not
    # used, and so is not compiled.
    begin(law.centre, rng_key=jax.random.key(0), **_kernel_settings(settings))

    def move(state: Any, _: None) -> tuple[Any, Trace]:
        state = jax.vmap(step)(state)
        return state, Trace(state.z, state.energy, state.diverging, state.num_steps)

    state, trace = jax.lax.scan(move, state, length=count)
    return state, jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), trace)


class _Normal(NamedTuple):
    """A normal distribution of positions.

    Attributes:
        mean: ``(number,)``.
        axes: its principal axes, each as long as its standard deviation, ``(number, axis)``.
    """

    mean: Array
    axes: Array

    def position(self, unit: Array) -> Array:
        """Where a draw of the standard normal, ``(..., axis)``, lies."""
        return jnp.broadcast_to(self.mean, unit.shape) + matmul(unit, self.axes.T)


def _by_curvature(law: _Law, mean: Array, settings: SamplerSettings) -> _Normal:
    """The normal with the curvature of the density at a place."""
    values, vectors = jnp.linalg.eigh(jax.hessian(law.potential)(mean))
    # N(mean, H^-1), but in no direction wider than the widest prior, where the density is flat or,
    # away from the mode, curves the wrong way.
    widest = max(settings.scales.slope, settings.scales.bias, settings.scales.post_training)
    return _Normal(mean, vectors / jnp.sqrt(jnp.maximum(values, 1.0 / widest**2)))


def _laplace(law: _Law, key: Array, settings: SamplerSettings) -> Trace:
    # The start is the mode without a gauge; with one, the density has its mode nearby.
    start = law.centre[None, :]
    mode, _, _ = minimise(
        law.potential, start, steps=settings.start_steps, learning_rate=0.01
    ).best()
    unit = jax.random.normal(key, (settings.chains, settings.draws, mode.size))
    return _still(_by_curvature(law, mode, settings).position(unit))


def _svi(law: _Law, key: Array, settings: SamplerSettings) -> Trace:
    # Along given axes a normal needs a mean and a width for each. The covariance of any normal has
    # half a million entries, each jostled by every step: on large tables they added up to draws so
    # far out that the density overflowed. The axes are taken where chains start, since at the mode
    # over models' departures too the learnt scales have shrunk.
    around = _by_curvature(law, law.centre, settings)

    def model() -> None:
        flat = dist.ImproperUniform(constraints.real_vector, (), law.centre.shape)
        unit = jnp.asarray(numpyro.sample("unit", flat))
        # The density is built with NumPyro too, whose sites are no sites of this model.
        with numpyro.handlers.block():
            density = -law.potential(around.position(unit))
        numpyro.factor("density", density)

    guide = AutoDiagonalNormal(
        model,
        init_loc_fn=init_to_value(values={"unit": jnp.zeros_like(law.centre)}),
        init_scale=_SVI_WIDTH,
    )
    rate = optax.cosine_decay_schedule(_SVI_RATE, _SVI_STEPS)
    svi = SVI(model, guide, numpyro.optim.optax_to_numpyro(optax.adam(rate)), Trace_ELBO())
    fit_key, draw_key = jax.random.split(key)
    state = svi.init(fit_key)
    state, _ = jax.lax.scan(
        lambda state, _: (svi.stable_update(state)[0], None), state, length=_SVI_STEPS
    )
    normal = guide.get_posterior(svi.get_params(state))
    drawn = normal.sample(draw_key, (settings.chains, settings.draws))
    return _still(around.position(drawn))


_APPROXIMATIONS = {"laplace": _laplace, "svi": _svi}


def _still(position: Array) -> Trace:
    """Independent draws as a trace."""
    blank = jnp.zeros(position.shape[:2])
    return Trace(position, blank, blank > 0.0, blank)


def _with_effects(law: _Law, trace: Trace, key: Array) -> Draws:
    observations = law.density.observations

    def one(inputs: tuple[Array, Array]) -> tuple[Params, Population, Array]:
        position, key = inputs
        params, population = draw_family_effects(law.density.state(law.unravel(position)), key)
        expected = scores(params, observations.covariates, observations.family)
        return params, population, expected

    chains, draws, size = trace.position.shape
    keys = jax.random.split(key, chains * draws)
    drawn = jax.lax.map(one, (trace.position.reshape(-1, size), keys), batch_size=10)
    params, population, expected = jax.tree.map(
        lambda a: a.reshape(chains, draws, *a.shape[1:]), drawn
    )
    return Draws(params, population, expected, trace)


# The same in parts, each compiled once for all tables of a shape, so that somebody can watch, and
# with chains spread over devices.
@partial(jax.jit, static_argnames=("settings", "lineages"))
def _start(
    observations: Observations, key: Array, settings: SamplerSettings, lineages: int
) -> Start:
    return find_start(observations, key, settings, lineages)


@partial(jax.jit, static_argnames=("settings", "lineages"))
def _begin(
    observations: Observations, start: Start, key: Array, settings: SamplerSettings, lineages: int
) -> Any:
    return _begin_chains(_law(observations, start, settings, lineages), key, settings)


@partial(jax.jit, static_argnames=("settings", "lineages", "count", "mesh"))
def _advance(
    observations: Observations,
    start: Start,
    state: Any,
    settings: SamplerSettings,
    lineages: int,
    count: int,
    mesh: Mesh,
) -> tuple[Any, Trace]:
    def on_one_device(observations: Observations, start: Start, state: Any) -> tuple[Any, Trace]:
        return _transitions(_law(observations, start, settings, lineages), state, settings, count)

    by_chain, everywhere = PartitionSpec("chain"), PartitionSpec()
    # Not jit's own partitioning: at every leapfrog step it would stop a device to ask the others.
    return jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(everywhere, everywhere, by_chain),
        out_specs=(by_chain, by_chain),
        check_vma=False,
    )(observations, start, state)


@partial(jax.jit, static_argnames=("settings", "lineages"))
def _conclude(
    observations: Observations,
    start: Start,
    trace: Trace,
    key: Array,
    settings: SamplerSettings,
    lineages: int,
) -> Draws:
    return _with_effects(_law(observations, start, settings, lineages), trace, key)


@partial(jax.jit, static_argnames=("settings", "lineages"))
def _approximate(
    observations: Observations, start: Start, key: Array, settings: SamplerSettings, lineages: int
) -> Trace:
    law = _law(observations, start, settings, lineages)
    return _APPROXIMATIONS[settings.inference](law, key, settings)


_CHUNK = 25  # transitions per compiled call; after each the progress bar moves


def sample_in_parts(
    observations: Observations,
    key: Array,
    settings: SamplerSettings,
    lineages: int,
    *,
    on_progress: Callable[[int], Any] = lambda count: None,
    show: bool = False,
    checkpoint: Path | None = None,
) -> tuple[Draws, Start]:
    """What :func:`sample_observations` does, with chains spread over devices and progress told.

    Args:
        observations: arrays of a table.
        key: random key.
        settings: how to sample.
        lineages: number of lineages in the table.
        on_progress: called with the number of transitions after each part.
        show: whether to show on a terminal what else is being done.
        checkpoint: file in which NUTS keeps what is done, and from which it goes on; the draws are
            the same as without an interruption. It is left there.

    Returns:
        The draws and where they started.

    Raises:
        InputError: if no start was found, or the checkpoint is of another run.
    """
    start_key, chain_key, effect_key = jax.random.split(key, 3)
    with busy("finding where chains begin", show=show):
        start = _start(observations, start_key, settings, lineages)
        found = bool(jnp.isfinite(start.value))
    if not found:
        raise Diverged(DIVERGED)
    how = {"settings": settings, "lineages": lineages}
    if settings.inference in _APPROXIMATIONS:
        with busy(f"approximating the posterior ({settings.inference})", show=show):
            trace = _approximate(observations, start, chain_key, **how)
            return jax.block_until_ready(
                _conclude(observations, start, trace, effect_key, **how)
            ), start
    devices = jax.devices()
    share = next(n for n in range(len(devices), 0, -1) if settings.chains % n == 0)
    mesh = Mesh(np.asarray(devices[:share]), ("chain",))
    # Placed where they will be after each part, or the second would be compiled anew.
    state = jax.device_put(
        _begin(observations, start, chain_key, **how), NamedSharding(mesh, PartitionSpec("chain"))
    )
    total = settings.warmup + settings.draws
    # The same number in every call, or there would be a second program to compile; draws beyond
    # the last one wanted are dropped.
    count = min(_CHUNK, total)
    keeper = checkpoint and Checkpoint(
        checkpoint, fingerprint(observations, key, settings, lineages, count, share)
    )
    done, whole = 0, None
    if keeper and (kept := keeper.load(state)):
        done, restored, arrays = kept
        whole = Trace(*(jnp.asarray(array) for array in arrays))
        state = jax.device_put(restored, NamedSharding(mesh, PartitionSpec("chain")))
        on_progress(done)
    while done < total:
        state, trace = jax.block_until_ready(
            _advance(observations, start, state, count=count, mesh=mesh, **how)
        )
        trace = jax.device_get(trace)
        whole = trace if whole is None else jax.tree.map(
            lambda *parts: np.concatenate(parts, axis=1), whole, trace
        )  # fmt: skip
        done += count
        if keeper:
            keeper.save(done, state, whole)
        on_progress(count)
    kept = jax.tree.map(lambda a: a[:, settings.warmup : total], whole)
    with busy("drawing effects of families", show=show):
        drawn = jax.block_until_ready(_conclude(observations, start, kept, effect_key, **how))
    return drawn, start
