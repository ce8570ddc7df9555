"""The posterior of the law for a table: sampling it, and what was sampled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.stats import norm, t
from tqdm import tqdm

from sloth_jax.covariates import Scaling, fit_scaling
from sloth_jax.diagnostics import Diagnostics, diagnose
from sloth_jax.errors import Diverged, InputError
from sloth_jax.finite import furthest_in_words, not_finite_in_words
from sloth_jax.identifiability import Report, check_identifiability
from sloth_jax.law import Params, linear_predictor
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.observations import observe
from sloth_jax.prior import Population, offset_of, sampling_variance
from sloth_jax.sampler import SamplerSettings, Trace, flat_draws, sample_in_parts

_NOT_FINITE = {
    "svi": "svi ran into numbers that overflow on this table: use nuts",
    "laplace": "Laplace's approximation overflows on this table: use nuts",
    "nuts": "chains overflowed: look for extreme sizes or token counts in the table",
}


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior of the law.

    Attributes:
        params: parameters of the law; every array has leading axes ``(chain, draw)``.
        population: what families are drawn from; leading axes ``(chain, draw)``.
        trace: energies, divergences and the like of each draw.
        table: the table it was conditioned on.
        scaling: standardisation of its covariates.
        covariates: which covariates it has, of :data:`sloth_jax.covariates.KINDS`.
        pivots: benchmarks whose loadings fix the rotation of the skills.
        diagnostics: whether to trust it.
        settings: what it was sampled with.
        report: whether the table determines the law's skills and slopes; forecasts do without.
    """

    params: Params
    population: Population
    trace: Trace
    table: Leaderboard
    scaling: Scaling
    covariates: str
    pivots: tuple[int, ...]
    diagnostics: Diagnostics
    settings: SamplerSettings
    report: Report


def sample_posterior(
    table: Leaderboard,
    *,
    key: Array,
    settings: SamplerSettings = SamplerSettings(),
    covariates: str = "translog",
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Posterior:
    """Sample the posterior of the hierarchical law.

    With NUTS chains start near the best of several modes and are spread over JAX's devices; on a
    machine with several cores ``jax.config.update("jax_num_cpu_devices", 2)``, before JAX does
    anything else, makes two.

    Args:
        table: scores to condition on; missing ones are masked.
        key: random key; the same key gives the same draws on as many devices of the same kind.
        settings: how to sample.
        covariates: one of :data:`sloth_jax.covariates.KINDS`.
        progress: whether to show a progress bar on stderr; it does not change the draws.
        checkpoint: file in which NUTS keeps what is done every few seconds; a call with the same
            arguments goes on from there, to the same draws. Remove it when the result is safe.

    Returns:
        A :class:`Posterior`; look at ``diagnostics.problems()``.

    Raises:
        InputError: if the skills do not fit the table, no starting point could be found, the draws
            overflow, or the checkpoint is of another run.
    """
    report = check_identifiability(table, skills=settings.skills, covariates=covariates)
    scaling = fit_scaling(table.params_b, table.tokens_t)
    observations = observe(table, scaling, covariates=covariates)
    total = settings.warmup + settings.draws
    hidden = not progress or settings.inference != "nuts"
    with tqdm(total=total, disable=hidden, desc="sampling") as bar:
        try:
            drawn, start = sample_in_parts(
                observations,
                key,
                settings,
                len(table.lineages),
                on_progress=bar.update,
                show=progress,
                checkpoint=None if checkpoint is None else Path(checkpoint),
            )
        except Diverged as error:
            raise Diverged(f"{error} ({furthest_in_words(table)})") from None
    if not bool(jnp.isfinite(drawn.expected).all()):
        where = not_finite_in_words(np.asarray(drawn.expected), table) or furthest_in_words(table)
        raise InputError(f"{_NOT_FINITE[settings.inference]} ({where})")
    return Posterior(
        params=drawn.params,
        population=drawn.population,
        trace=drawn.trace,
        table=table,
        scaling=scaling,
        covariates=covariates,
        pivots=tuple(int(j) for j in np.argmax(np.asarray(start.gauge.diagonal), axis=0)),
        diagnostics=diagnose(
            np.asarray(drawn.expected)[:, :, np.asarray(observations.observed)],
            energy=np.asarray(drawn.trace.energy),
            diverging=np.asarray(drawn.trace.diverging),
            steps=np.asarray(drawn.trace.steps),
            inference=settings.inference,
        ),
        settings=settings,
        report=report,
    )


def log_likelihood(posterior: Posterior) -> np.ndarray:
    """Log density of each observed score given all parameters, effects of its family included.

    Args:
        posterior: draws from the posterior.

    Returns:
        ``(chain, draw, entry)``, entries in the order of ``numpy.nonzero(table.observed)``.
    """
    table = posterior.table
    observations = observe(table, posterior.scaling, covariates=posterior.covariates)
    model, benchmark = np.nonzero(table.observed)
    share = observations.scores - observations.floor[None, :]
    share = jnp.where(observations.observed, share / (1.0 - observations.floor[None, :]), 0.5)
    df = posterior.settings.scales.noise_df

    def one(draw: tuple[Params, Population]) -> Array:
        params, population = draw
        assert isinstance(params.link, QuantileMixture)  # of every hierarchical law
        reached, rate = params.link.inverse(share)
        expected = linear_predictor(params, observations.covariates, observations.family)
        expected += offset_of(population.offset, observations)
        floor = observations.floor[None, :]
        # A normal of both; beside heavy tails a standard error widens them.
        scale = jnp.sqrt(population.noise[None, :] ** 2 + sampling_variance(rate, observations))
        unit = (reached - expected) / scale
        density = norm.logpdf(unit) if df is None else t.logpdf(unit, df)
        # change of variables from the score to its predictor
        change = jnp.log(rate) - jnp.log1p(-floor)
        return (density - jnp.log(scale) + change)[model, benchmark]

    flat = flat_draws((posterior.params, posterior.population))
    found = jax.jit(lambda flat: jax.lax.map(one, flat, batch_size=10))(flat)
    return np.asarray(found).reshape(*posterior.trace.energy.shape, -1)
