"""Does the sampler recover what the prior generates? Simulation-based calibration of a small law.

Draws a law from the prior and scores from the law, samples the posterior given the scores, and
ranks the truth among the draws. Over many simulations ranks are uniform if, and in practice only
if, density and sampler are right (Talts et al. 2018, arXiv 1804.06788). Writes ranks.csv,
summary.json and ranks.png.

Run: python experiments/simulation_based.py --out out/simulation_based
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")  # a script writes files and needs no window
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import pandas as pd
from jax import Array
from scipy import stats

from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.crossval import map_folds
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.forecasting import noisy_scores
from sloth_jax.law import Params, scores
from sloth_jax.observations import Observations, nothing_said, with_mask
from sloth_jax.plots import style
from sloth_jax.prior import Population, Scales, draw_family_effects, hierarchical_law
from sloth_jax.provenance import versions
from sloth_jax.sampler import SamplerSettings, sample_observations

# A law that can be drawn from: its link does not look at the scores. Effects are smaller than in
# the default prior, so that few scores end beyond the shares that a link knows of.
SCALES = Scales(
    slope=0.7, loading=0.5, bias=0.4, lineage=0.5, specific=0.2, spread=0.4, link_from_scores=False
)
SETTINGS = SamplerSettings(
    skills=1, warmup=200, draws=200, chains=2, scales=SCALES, starts=1, start_steps=200
)
THIN = 10  # draws this far apart are nearly independent, which ranks have to be
BINS = 8
LEAST_P = 0.01  # over all quantities together
QUANTITIES = (
    "lineage_scale", "growth_scale", "specific_scale", "specific_growth_scale", "noise", "bias",
    "size_effect", "expected_score", "predicted_score",
)  # fmt: skip
_FAMILIES, _SIZES, _LINEAGES, _BENCHMARKS = 6, 3, 3, 4


def design() -> Observations:
    """A small table: families of three sizes, two families a lineage, a base and a tuned one."""
    family = jnp.repeat(jnp.arange(_FAMILIES), _SIZES)
    size = jnp.tile(jnp.linspace(-1.0, 1.0, _SIZES), _FAMILIES)
    tokens = jnp.repeat(jnp.tile(jnp.linspace(-1.0, 1.0, _LINEAGES), 2), _SIZES)
    shape = (_FAMILIES * _SIZES, _BENCHMARKS)
    blank = Observations(
        scores=jnp.full(shape, 0.5),
        observed=jnp.ones(shape, bool),
        covariates=jnp.stack([size, tokens, size * tokens], axis=1),
        family=family,
        lineage=jnp.arange(_FAMILIES) // 2,
        post_trained=jnp.arange(_FAMILIES) % 2.0,
        floor=jnp.array([0.25, 0.25, 0.0, 0.0]),
        family_covariates=jnp.zeros(()),
        family_observed=jnp.zeros(()),
        **nothing_said(*shape),
    )
    return with_mask(blank, blank.observed)


@dataclass(frozen=True)
class Simulate:
    """One simulation, for :func:`sloth_jax.crossval.map_folds`."""

    settings: SamplerSettings

    def __call__(self, key: Array, observations: Observations) -> tuple[Array, Array]:
        """The truth, ``(quantity,)``, and thinned draws of it, ``(draw, quantity)``."""
        law_key, effect_key, noise_key, fit_key, redraw_key = jax.random.split(key, 5)
        settings = self.settings
        law: Any = numpyro.handlers.seed(hierarchical_law, law_key)
        nothing = observations._replace(observed=jnp.zeros_like(observations.observed))
        state = law(nothing, skills=settings.skills, lineages=_LINEAGES, scales=settings.scales)
        params, population = draw_family_effects(state, effect_key)
        unit = jax.random.normal(noise_key, observations.scores.shape)
        made = self._measure(params, population, unit, observations)
        # The last model is held out, its family seen at smaller sizes.
        mask = observations.observed.at[-1].set(False)
        data = with_mask(observations._replace(scores=made), mask)
        drawn = sample_observations(data, fit_key, settings, _LINEAGES)
        thin_params, thin_population = jax.tree.map(
            lambda a: a[:, ::THIN].reshape(-1, *a.shape[2:]), (drawn.params, drawn.population)
        )
        units = jax.random.normal(redraw_key, (thin_population.noise.shape[0], *unit.shape))

        def look(params: Params, population: Population, unit: Array) -> Array:
            predicted = self._measure(params, population, unit, data)
            expected = scores(params, data.covariates, data.family)
            return jnp.stack(
                [
                    population.lineage_scale,
                    population.growth_scale,
                    population.specific_scale[0],
                    population.specific_growth_scale[0],
                    population.noise[0],
                    params.bias[0],
                    jnp.sum(params.slope[0] * params.loading[0]),
                    expected[0, 0],
                    predicted[-1, 2],
                ]
            )

        return look(params, population, unit), jax.vmap(look)(thin_params, thin_population, units)

    @staticmethod
    def _measure(
        params: Params, population: Population, unit: Array, observations: Observations
    ) -> Array:
        noise = population.noise[None, :] * unit
        return noisy_scores(params, observations.covariates, observations.family, noise, clip=False)


def ranks(settings: SamplerSettings, simulations: int, key: Array, block: int = 10) -> pd.DataFrame:
    """Rank of the truth among draws, ties by lot.

    Args:
        settings: how to sample.
        simulations: how many.
        key: random key.
        block: simulations side by side on a device.

    Returns:
        Columns :data:`QUANTITIES`, one row per simulation, integers from 0 to the number of draws.
    """
    keys = jax.random.split(key, simulations)
    truth, draws = map_folds(Simulate(settings), keys, design(), block=block)
    truth, draws = np.asarray(truth), np.asarray(draws)
    below = (draws < truth[:, None]).sum(axis=1)
    ties = (draws == truth[:, None]).sum(axis=1)
    place = np.random.default_rng(0).integers(0, ties + 1)
    return pd.DataFrame(below + place, columns=list(QUANTITIES))


def uniformity(found: pd.DataFrame, draws: int) -> pd.Series:
    """p-value of a chi-squared test of uniform ranks, one per quantity.

    Args:
        found: from :func:`ranks`.
        draws: ranks go from 0 to this.
    """
    edges = np.linspace(0, draws + 1, min(BINS, draws + 1) + 1)
    counts = [np.histogram(found[name] + 0.5, edges)[0] for name in found]
    # Bins of ranks differ in size where the number of ranks is no multiple of theirs.
    share = np.histogram(np.arange(draws + 1) + 0.5, edges)[0] / (draws + 1)
    values = [float(stats.chisquare(c, share * c.sum()).pvalue) for c in counts]
    return pd.Series(values, index=found.columns)


def run(options: argparse.Namespace) -> None:
    """Simulate, rank, test, save and draw."""
    settings, simulations = SETTINGS, options.simulations
    if options.smoke:
        settings = replace(SETTINGS, warmup=10, draws=20, max_tree_depth=3, start_steps=10)
        simulations = 4
    began = time.perf_counter()
    found = ranks(
        settings, simulations, jax.random.key(options.seed), block=2 if options.smoke else 10
    )
    draws = settings.chains * -(-settings.draws // THIN)
    p = uniformity(found, draws)
    summary = {
        "simulations": simulations,
        "draws": draws,
        "p_values": {str(name): round(value, 4) for name, value in p.items()},
        # Bonferroni: the smallest of so many p-values
        "p_of_all": round(min(1.0, float(p.min()) * len(p)), 4),
        "uniform": bool(p.min() * len(p) > LEAST_P),
        "seed": options.seed,
        "smoke": options.smoke,
        "seconds": round(time.perf_counter() - began, 1),
        "settings": asdict(settings),
        "versions": versions(),
    }
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "ranks.csv", found.to_csv(index=False))
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    with style():
        figure, axes = plt.subplots(3, 3, figsize=(9.0, 6.5), sharey=True, layout="constrained")
        inside = stats.binom.ppf([0.005, 0.995], simulations, 1 / BINS)
        for axis, name in zip(axes.ravel(), QUANTITIES, strict=True):
            axis.axhspan(*inside, color="#DDDDDD", zorder=0)
            axis.hist(found[name] + 0.5, np.linspace(0, draws + 1, BINS + 1), color="#0072B2")
            axis.set_title(f"{name.replace('_', ' ')}, p = {p[name]:.2f}")
        figure.supxlabel("rank of the truth among draws; grey holds 99 % of uniform bins")
        figure.savefig(out / "ranks.png", dpi=150)
        plt.close(figure)
    verdict = "uniform" if summary["uniform"] else "NOT uniform"
    print(f"ranks over {simulations} simulations are {verdict}: p = {summary['p_of_all']:.3f}")
    tell(f"{summary['seconds']:.0f} s. Results: {out}")


def main() -> None:
    """Read the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--simulations", type=number(20), default=300, help="default: 300")
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="four, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit(
        "simulation_based", lambda: run(options), interrupted="stopped; nothing was written"
    )


if __name__ == "__main__":
    main()
