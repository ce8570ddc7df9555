"""Sampling the posterior of the law with NUTS, and saying whether to trust the result."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import xarray as xr
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from sloth_jax.covariates import Scaling, fit_scaling
from sloth_jax.errors import InputError
from sloth_jax.law import Params, scores
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.mode import ModeSettings, find_mode
from sloth_jax.observations import Observations, observe
from sloth_jax.point import DIVERGED, check_skills
from sloth_jax.prior import (
    Population,
    Scales,
    State,
    choose_pivots,
    draw_family_effects,
    hierarchical_law,
    rotation_to_pivots,
    split_loading,
)


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


def sample_posterior(
    table: Leaderboard,
    *,
    key: Array,
    skills: int = 3,
    warmup: int = 250,
    draws: int = 125,
    chains: int = 4,
    scales: Scales = Scales(),
    covariates: str = "translog",
    max_tree_depth: int = 7,
    target_accept: float = 0.8,
    starts: int = 4,
    start_steps: int = 1500,
    progress: bool = False,
) -> Posterior:
    """Sample the posterior of the hierarchical law with NUTS.

    Chains start near the best of several posterior modes given typical scales, all in one
    vectorised program.

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
        progress: whether to show a progress bar on stderr.

    Returns:
        A :class:`Posterior`; look at ``diagnostics.problems()``.

    Raises:
        InputError: if ``skills`` does not fit the table, or no starting point could be found.
    """
    check_skills(skills, table)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, covariates=covariates)
    lineages = len(table.lineages)
    start_key, jitter_key, chain_key, effect_key = jax.random.split(key, 4)

    settings = ModeSettings(skills, lineages, scales, starts, start_steps)
    mode = find_mode(observations, start_key, settings)
    if not bool(jnp.isfinite(mode.value)):
        raise InputError(DIVERGED)
    values = dict(mode.sites)
    loading = np.asarray(values.pop("loading"))
    pivots = choose_pivots(loading)
    rotation = rotation_to_pivots(loading, pivots)
    for site in ("slope", "lineage_unit", "post_training", "growth_unit"):
        values[site] = values[site] @ rotation
    values |= split_loading(loading @ rotation, pivots)

    def joint(observations: Observations) -> State:
        return hierarchical_law(
            observations, skills=skills, lineages=lineages, pivots=pivots, scales=scales
        )

    sites = {name: jnp.asarray(value) for name, value in values.items()}
    # One flat vector keeps the bookkeeping of NUTS, which goes leaf by leaf, to a single leaf.
    # Compiled, since one eager pass through the prior takes seconds.
    to_unconstrained = jax.jit(lambda sites: unconstrain_fn(joint, (observations,), {}, sites))
    centre, unravel = ravel_pytree(to_unconstrained(sites))

    def potential(flat: Array) -> Array:
        return jnp.asarray(potential_energy(joint, (observations,), {}, unravel(flat)))

    mcmc = MCMC(
        NUTS(
            potential_fn=potential,
            max_tree_depth=max_tree_depth,
            target_accept_prob=target_accept,
        ),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=progress,
    )
    # Chains start apart, or R-hat could not tell that they never moved.
    starts_flat = centre[None, :] + 0.1 * jax.random.normal(jitter_key, (chains, centre.size))
    mcmc.run(
        chain_key,
        init_params=starts_flat if chains > 1 else starts_flat[0],
        extra_fields=("num_steps", "diverging", "energy"),
    )
    flat = mcmc.get_samples(group_by_chain=True)
    extra = mcmc.get_extra_fields(group_by_chain=True)

    @jax.jit
    def finish(flat: Array, keys: Array) -> tuple[Params, Population, Array]:
        def one(inputs: tuple[Array, Array]) -> tuple[Params, Population, Array]:
            position, key = inputs
            sites = constrain_fn(joint, (observations,), {}, unravel(position))
            replay: Any = numpyro.handlers.substitute(numpyro.handlers.seed(joint, 0), sites)
            state: State = replay(observations)
            params = draw_family_effects(state, observations, key)
            expected = scores(params, observations.covariates, observations.family)
            return params, state.population, expected

        return jax.lax.map(one, (flat, keys), batch_size=32)

    keys = jax.random.split(effect_key, chains * draws)
    params, population, expected = jax.tree.map(
        lambda a: a.reshape(chains, draws, *a.shape[1:]),
        finish(flat.reshape(chains * draws, -1), keys),
    )
    return Posterior(
        params=params,
        population=population,
        table=table,
        scaling=scaling,
        covariates=covariates,
        pivots=pivots,
        diagnostics=diagnose(
            np.asarray(expected)[:, :, np.asarray(observations.observed)],
            energy=np.asarray(extra["energy"]),
            diverging=np.asarray(extra["diverging"]),
            steps=np.asarray(extra["num_steps"]),
        ),
        settings={
            "skills": skills,
            "warmup": warmup,
            "draws": draws,
            "chains": chains,
            "max_tree_depth": max_tree_depth,
            "target_accept": target_accept,
            "starts": starts,
            "start_steps": start_steps,
            "scales": scales,
        },
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
    with warnings.catch_warnings():
        # arviz 0.23 announces its own redesign once a day.
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz as az  # costs a second, and only samplers need it

    chains, draws, _ = expected.shape
    rhat = ess = float("nan")
    if draws >= 4:
        entries = xr.Dataset({"score": (("chain", "draw", "entry"), expected.astype(np.float64))})
        ess = float(az.ess(entries)["score"].min())  # pyright: ignore
        if chains > 1:
            rhat = float(az.rhat(entries)["score"].max())  # pyright: ignore
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
