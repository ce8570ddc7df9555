"""Sampling the posterior of the law with NUTS, and saying whether to trust the result."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.hmc import hmc
from tqdm import tqdm

from sloth_jax.covariates import Scaling, fit_scaling
from sloth_jax.errors import InputError
from sloth_jax.law import Params, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.mode import Density, ModeSettings, find_mode
from sloth_jax.observations import Observations, observe
from sloth_jax.point import DIVERGED, check_skills
from sloth_jax.prior import (
    Gauge,
    GaugedLoadings,
    Population,
    Scales,
    choose_gauge,
    draw_family_effects,
)

_CHUNK = 25  # transitions per compiled call at most; after each the progress bar moves


@dataclass(frozen=True)
class Diagnostics:
    """Whether the chains agree, judged on the expected scores of the training table.

    Loadings and skills are judged elsewhere: they are defined up to a rotation only.

    Attributes:
        max_rhat: largest rank-normalised R-hat (Vehtari et al. 2021).
        min_ess: smallest bulk effective sample size.
        divergences: number of divergent transitions after warm-up.
        min_bfmi: smallest Bayesian fraction of missing information over chains (Betancourt 2016).
        mean_steps: mean number of leapfrog steps per draw.
        draws: draws of all chains together.
    """

    max_rhat: float
    min_ess: float
    divergences: int
    min_bfmi: float
    mean_steps: float
    draws: int

    def problems(self) -> tuple[str, ...]:
        """What fails and what to try, one line each; empty if the result may be trusted.

        Thresholds: R-hat below 1.01 and bulk ESS above 400 (Vehtari et al. 2021), no divergence,
        BFMI above 0.3 (Betancourt 2016).
        """
        found = []
        # Written so that NaN fails.
        if not self.max_rhat < 1.01:
            found.append(f"R-hat {self.max_rhat:.3f}, not below 1.01: raise the warm-up and draws")
        if not self.min_ess > 400:
            found.append(f"bulk ESS {self.min_ess:.0f}, not above 400: raise the draws")
        if self.divergences:
            found.append(f"{self.divergences} of {self.draws} draws diverged: raise target_accept")
        if not self.min_bfmi > 0.3:
            found.append(f"BFMI {self.min_bfmi:.2f}, not above 0.3: raise the warm-up")
        return tuple(found)


@dataclass(frozen=True)
class SamplerSettings:
    """How the posterior is sampled.

    Attributes:
        skills: number of skills.
        warmup: draws per chain spent on adaptation.
        draws: draws per chain kept.
        chains: number of chains.
        max_tree_depth: longest trajectory is ``2 ** max_tree_depth - 1`` leapfrog steps.
        target_accept: acceptance probability that the step size is tuned to.
        scales: scales of the prior.
        starts: random starts of the search for the mode at which chains begin.
        start_steps: optimiser steps of each.
    """

    skills: int = 3
    warmup: int = 300
    draws: int = 500
    chains: int = 4
    max_tree_depth: int = 6
    target_accept: float = 0.8
    scales: Scales = Scales()
    starts: int = 2
    start_steps: int = 400

    def mode(self, lineages: int) -> ModeSettings:
        """Settings of the search for a mode, in a table with so many lineages."""
        return ModeSettings(self.skills, lineages, self.scales, self.starts, self.start_steps)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior of the law.

    Attributes:
        params: parameters of the law; every array has leading axes ``(chain, draw)``.
        population: what families are drawn from; leading axes ``(chain, draw)``.
        table: the table it was conditioned on.
        scaling: standardisation of its covariates.
        covariates: which covariates it has, of :data:`sloth_jax.covariates.KINDS`.
        pivots: benchmarks whose loadings fix the rotation of the skills.
        diagnostics: whether to trust it.
        settings: what it was sampled with.
    """

    params: Params
    population: Population
    table: Leaderboard
    scaling: Scaling
    covariates: str
    pivots: tuple[int, ...]
    diagnostics: Diagnostics
    settings: dict[str, Any]


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


class Chains(NamedTuple):
    """What chains leave behind, with leading axes ``(chain, draw)``.

    Attributes:
        params: parameters of the law, effects of families drawn.
        population: what families are drawn from.
        expected: scores of all rows without noise, ``(chain, draw, model, benchmark)``.
        energy: Hamiltonian.
        diverging: whether the transition diverged.
        steps: leapfrog steps.
    """

    params: Params
    population: Population
    expected: Array
    energy: Array
    diverging: Array
    steps: Array


def find_start(
    observations: Observations, key: Array, settings: SamplerSettings, lineages: int
) -> Start:
    """The mode and the gauge that suits it: a pure function of arrays."""
    mode = find_mode(observations, key, settings.mode(lineages))
    rotation, gauge = choose_gauge(mode.sites["loading"])
    sites = dict(mode.sites)
    for site in ("slope", "post_training", "loading"):
        sites[site] = jnp.matmul(sites[site], rotation, precision="highest")
    sites["loading"] = GaugedLoadings(settings.scales.loading, gauge).numbers(sites["loading"])
    return Start(sites, gauge, mode.value)


class _Sampler(NamedTuple):
    """NUTS from a start, over one flat vector: its bookkeeping goes leaf by leaf."""

    begin: Callable[[Array, Array], Any]
    step: Callable[[Any], Any]
    unravel: Callable[[Array], dict[str, Array]]
    centre: Array


def _sampler(density: Density, start: Start, settings: SamplerSettings) -> _Sampler:
    centre, unravel = ravel_pytree(start.sites)
    begin, step = hmc(potential_fn=lambda flat: density.potential(unravel(flat)), algo="NUTS")
    begin_here = partial(
        begin,
        num_warmup=settings.warmup,
        max_tree_depth=settings.max_tree_depth,
        target_accept_prob=settings.target_accept,
    )

    def begin_chain(position: Array, key: Array) -> Any:
        return begin_here(position, rng_key=key)

    return _Sampler(begin_chain, step, unravel, centre)


def _begin_chains(sampler: _Sampler, key: Array, chains: int) -> Any:
    jitter_key, chain_key = jax.random.split(key)
    # Chains start apart, or R-hat could not tell that they never moved.
    away = 0.1 * jax.random.normal(jitter_key, (chains, sampler.centre.size))
    positions = sampler.centre[None, :] + away
    return jax.vmap(sampler.begin)(positions, jax.random.split(chain_key, chains))


def _transitions(sampler: _Sampler, state: Any, count: int) -> tuple[Any, Any]:
    """Move all chains so many transitions; what they pass, with leading ``(draw, chain)``."""

    def move(state: Any, _: None) -> tuple[Any, Any]:
        state = jax.vmap(sampler.step)(state)
        return state, (state.z, state.energy, state.diverging, state.num_steps)

    return jax.lax.scan(move, state, length=count)


def _finish(
    density: Density, unravel: Callable[[Array], dict[str, Array]], trace: Any, key: Array
) -> Chains:
    flat, energy, diverging, steps = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), trace)
    observations = density.observations

    def one(inputs: tuple[Array, Array]) -> tuple[Params, Population, Array]:
        position, key = inputs
        params, population = draw_family_effects(density.state(unravel(position)), key)
        expected = scores(params, observations.covariates, observations.family)
        return params, population, expected

    chains, draws, size = flat.shape
    keys = jax.random.split(key, chains * draws)
    drawn = jax.lax.map(one, (flat.reshape(-1, size), keys), batch_size=10)
    params, population, expected = jax.tree.map(
        lambda a: a.reshape(chains, draws, *a.shape[1:]), drawn
    )
    return Chains(params, population, expected, energy, diverging, steps)


def sample_observations(
    observations: Observations, key: Array, settings: SamplerSettings, lineages: int
) -> Chains:
    """Find the mode and sample from there: a pure function of arrays, so folds can be mapped.

    Args:
        observations: arrays of a table, perhaps with a mask.
        key: random key.
        settings: how to sample.
        lineages: number of lineages in the table.

    Returns:
        :class:`Chains`; NaN where no start was found.
    """
    start_key, chain_key, effect_key = jax.random.split(key, 3)
    start = find_start(observations, start_key, settings, lineages)
    density = Density(observations, settings.mode(lineages), start.gauge)
    sampler = _sampler(density, start, settings)
    state = _begin_chains(sampler, chain_key, settings.chains)
    # One loop over warm-up and draws, since a second would be compiled anew.
    _, trace = _transitions(sampler, state, settings.warmup + settings.draws)
    trace = jax.tree.map(lambda a: a[settings.warmup :], trace)
    return _finish(density, sampler.unravel, trace, effect_key)


def sample_posterior(
    table: Leaderboard,
    *,
    key: Array,
    skills: int = SamplerSettings.skills,
    warmup: int = SamplerSettings.warmup,
    draws: int = SamplerSettings.draws,
    chains: int = SamplerSettings.chains,
    scales: Scales = Scales(),
    covariates: str = "translog",
    max_tree_depth: int = SamplerSettings.max_tree_depth,
    target_accept: float = SamplerSettings.target_accept,
    starts: int = SamplerSettings.starts,
    start_steps: int = SamplerSettings.start_steps,
    progress: bool = False,
) -> Posterior:
    """Sample the posterior of the hierarchical law with NUTS.

    Chains start near the best of several modes, all in one vectorised program.

    Args:
        table: scores to condition on; missing ones are masked.
        key: random key; the same key gives the same draws.
        skills: number of skills, at most the number of benchmarks.
        warmup: draws per chain spent on adaptation.
        draws: draws per chain kept.
        chains: number of chains.
        scales: scales of the prior.
        covariates: one of :data:`sloth_jax.covariates.KINDS`.
        max_tree_depth: longest trajectory is ``2 ** max_tree_depth - 1`` leapfrog steps.
        target_accept: acceptance probability that the step size is tuned to.
        starts: random starts of the mode search.
        start_steps: optimiser steps of each.
        progress: whether to show a progress bar on stderr; it does not change the draws.

    Returns:
        A :class:`Posterior`; look at ``diagnostics.problems()``.

    Raises:
        InputError: if ``skills`` does not fit the table, or no starting point could be found.
    """
    check_skills(skills, table)
    settings = SamplerSettings(
        skills=skills, warmup=warmup, draws=draws, chains=chains,
        max_tree_depth=max_tree_depth, target_accept=target_accept, scales=scales,
        starts=starts, start_steps=start_steps,
    )  # fmt: skip
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, covariates=covariates)
    lineages = len(table.lineages)
    start_key, chain_key, effect_key = jax.random.split(key, 3)
    start = jax.jit(lambda observations, key: find_start(observations, key, settings, lineages))(
        observations, start_key
    )
    if not bool(jnp.isfinite(start.value)):
        raise InputError(DIVERGED)
    density = Density(observations, settings.mode(lineages), start.gauge)
    sampler = _sampler(density, start, settings)
    state = jax.jit(lambda key: _begin_chains(sampler, key, chains))(chain_key)
    advance = jax.jit(lambda state, count: _transitions(sampler, state, count), static_argnums=1)
    # The same number in every call, or there would be two programs to compile.
    common = math.gcd(warmup, draws)
    count = next(size for size in range(min(_CHUNK, common), 0, -1) if common % size == 0)
    kept = []
    with tqdm(total=warmup + draws, disable=not progress, desc="sampling") as bar:
        for total, keep in ((warmup, False), (draws, True)):
            for _ in range(total // count):
                state, trace = jax.block_until_ready(advance(state, count))
                kept += [trace] if keep else []
                bar.update(count)
    trace = jax.tree.map(lambda *parts: jnp.concatenate(parts), *kept)
    finish = jax.jit(lambda trace, key: _finish(density, sampler.unravel, trace, key))
    sampled: Chains = finish(trace, effect_key)
    return Posterior(
        params=sampled.params,
        population=sampled.population,
        table=table,
        scaling=scaling,
        covariates=covariates,
        pivots=tuple(int(j) for j in np.argmax(np.asarray(start.gauge.diagonal), axis=0)),
        diagnostics=diagnose(
            np.asarray(sampled.expected)[:, :, np.asarray(observations.observed)],
            energy=np.asarray(sampled.energy),
            diverging=np.asarray(sampled.diverging),
            steps=np.asarray(sampled.steps),
        ),
        settings=asdict(settings) | {"scales": scales},
    )


def diagnose(
    expected: np.ndarray, *, energy: np.ndarray, diverging: np.ndarray, steps: np.ndarray
) -> Diagnostics:
    """Judge chains by the expected scores they give.

    Args:
        expected: ``(chain, draw, entry)``, expected scores of observed entries, fractions.
        energy: Hamiltonian at each draw, ``(chain, draw)``.
        diverging: ``(chain, draw)``, bool.
        steps: leapfrog steps of each draw, ``(chain, draw)``.

    Returns:
        :class:`Diagnostics`. With a single chain or fewer than four draws R-hat is NaN, which no
        threshold accepts.
    """
    chains, draws, _ = expected.shape
    rhat, ess = agreement(expected)
    # BFMI = mean squared change of the energy / its variance
    change = np.mean(np.diff(energy.astype(np.float64), axis=1) ** 2, axis=1)
    bfmi = change / np.maximum(energy.astype(np.float64).var(axis=1), 1e-12)
    return Diagnostics(
        max_rhat=rhat,
        min_ess=ess,
        divergences=int(diverging.sum()),
        min_bfmi=float(bfmi.min()),
        mean_steps=float(steps.mean()),
        draws=chains * draws,
    )


def agreement(expected: np.ndarray) -> tuple[float, float]:
    """Largest rank-normalised R-hat and smallest bulk ESS (Vehtari et al. 2021).

    Args:
        expected: ``(chain, draw, entry)``. Entries that never move, such as a score that is 0 in
            every draw, are left out: they have neither.

    Returns:
        NaN for the R-hat of a single chain, and for both with fewer than four draws or if no entry
        moves.
    """
    with warnings.catch_warnings():
        # arviz 0.23 announces its own redesign once a day.
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz as az  # costs a second, and only samplers need it

    chains, draws, _ = expected.shape
    moving = expected[:, :, np.ptp(expected, axis=(0, 1)) > 0.0].astype(np.float64)
    if draws < 4 or not moving.size:
        return float("nan"), float("nan")
    entries = xr.Dataset({"score": (("chain", "draw", "entry"), moving)})
    ess = float(az.ess(entries)["score"].min())  # pyright: ignore
    if chains == 1:
        return float("nan"), ess
    return float(az.rhat(entries)["score"].max()), ess  # pyright: ignore
