"""Does NUTS recover what the prior generates? Simulation-based calibration of a small law.

Draws a law from the prior and scores from the law, samples the posterior given the scores, and
ranks the truth among the draws. Over many simulations ranks are uniform if, and in practice only
if, density and sampler are right (Talts et al. 2018, arXiv 1804.06788). Writes ranks.csv,
summary.json and ranks.png.

Run: python experiments/simulation_based.py --out out/simulation_based
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from _runner import command_line, drawing_grid, execute, save
from jax import Array
from jax.flatten_util import ravel_pytree
from scipy import stats

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.crossval import map_folds
from sloth_jax.evaluation.methods import sample_observations
from sloth_jax.identifiability.synthetic import synthetic_table
from sloth_jax.inference.observe import observe
from sloth_jax.law.forward import linear_predictor
from sloth_jax.law.hierarchical import SharedLaw, log_likelihood, shared_law, zero_raw_params
from sloth_jax.law.links import QuantileMixture
from sloth_jax.law.observations import Observations
from sloth_jax.law.predictive import effects_of_table
from sloth_jax.plotting.figure_style import BLUE

# A law that can be drawn from: its link does not look at the scores. It is a little narrower than
# the default, so that most scores lie between chance and perfect.
SETTINGS = sj.FitSettings(
    inference="nuts",
    skills=2,
    surface="translog",
    steps=200,
    nuts=sj.NutsSettings(chains=2, warmup=200, draws=200),
    prior=sj.Prior(slope=0.5, loading=0.5, bias=0.5, post_training=0.5, link_from_scores=False),
)
THIN = 10  # draws this far apart are nearly independent, which ranks have to be
BINS = 8
LEAST_P = 0.01  # over all quantities together
# None of them changes when skills are rotated.
QUANTITIES = (
    "lineage_spread family_walk model_spread noise bias size_effect log_likelihood expected_score "
    "predicted_score"
).split()
_FURTHEST = 100.0  # shares above chance that no score exceeds


def design() -> Observations:
    """A small table: six families of three sizes, two of a lineage, a base and a tuned one."""
    table, truth = synthetic_table(0, families=6, sizes=3, benchmarks=4)
    return observe(table, truth.surface)


@dataclass(frozen=True)
class Simulate:
    """One simulation, for :func:`sloth_jax.evaluation.crossval.map_folds`."""

    settings: sj.FitSettings
    sees: bool = True  # its scores; else the posterior is the prior, which is quick to draw from

    def __call__(self, key: Array, observations: Observations) -> tuple[Array, Array]:
        """The truth, ``(quantity,)``, and thinned draws of it, ``(draw, quantity)``."""
        law_key, effect_key, fit_key, draw_key = jax.random.split(key, 4)
        settings = self.settings
        blank, unravel = ravel_pytree(
            zero_raw_params(observations, settings.skills, settings.prior)
        )
        raw = unravel(jax.random.normal(law_key, blank.shape, blank.dtype))
        law = shared_law(raw, observations, settings.prior)
        # Effects given no score are draws of the prior.
        nothing = observations._replace(observed=jnp.zeros_like(observations.observed))
        effects, normals = effects_of_table(nothing, law, effect_key)
        # The last model is held out, its family seen at smaller sizes.
        data = observations._replace(
            scores=measure(law, observations, effects, normals.replicate_noise),
            observed=observations.observed.at[-1].set(False) & self.sees,
        )
        if self.sees:
            sampled, _ = sample_observations(data, fit_key, settings)
            laws = jax.tree.map(lambda a: a[::THIN], sampled.law)
        else:
            normal = jax.random.normal(fit_key, (draws_of(settings), *blank.shape), blank.dtype)
            laws = jax.vmap(lambda one: shared_law(unravel(one), data, settings.prior))(normal)

        def again(law: SharedLaw, key: Array) -> Array:
            effects, normals = effects_of_table(data, law, key)
            return look(law, data, effects, normals.replicate_noise)

        keys = jax.random.split(draw_key, laws.noise.shape[0])
        return look(law, data, effects, normals.replicate_noise), jax.vmap(again)(laws, keys)


def draws_of(settings: sj.FitSettings) -> int:
    """Number of draws that the truth is ranked among."""
    return settings.nuts.chains * settings.nuts.draws // THIN


def measure(law: SharedLaw, observations: Observations, effects: sj.Effects, noise: Array) -> Array:
    """Scores as the density has them: beyond chance and perfect they go on, as the link does.

    Args:
        law: one draw.
        observations: whose models are measured.
        effects: of the models.
        noise: standard normal, ``(model, benchmark)``.

    Returns:
        ``(model, benchmark)``, real.
    """
    link, floor = law.params.link, observations.floor[None, :]
    assert isinstance(link, QuantileMixture)  # of every hierarchical law
    wanted = linear_predictor(law.params, observations.design, effects)
    wanted += law.noise[None, :] * noise

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        below = link.inverse(middle)[0] < wanted
        return jnp.where(below, middle, ends[0]), jnp.where(below, ends[1], middle)

    ends = (jnp.full_like(wanted, -_FURTHEST), jnp.full_like(wanted, _FURTHEST))
    share, _ = jax.lax.fori_loop(0, 40, halve, ends)
    return floor + (1.0 - floor) * share


def look(law: SharedLaw, data: Observations, effects: sj.Effects, noise: Array) -> Array:
    """The numbers that are ranked, ``(quantity,)``; arguments as for :func:`measure`."""
    assert effects.benchmark is not None  # of every hierarchical law
    params = law.params
    noisy = effects._replace(benchmark=effects.benchmark + law.noise[None, :] * noise)
    # B lambda' + d
    size_effect = jnp.sum(params.slope[0] * params.loading[0])
    if params.specific_slope is not None:
        size_effect += params.specific_slope[0, 0]
    return jnp.stack(
        [
            law.skill.lineage[0],
            law.skill.family_walk[0],
            law.skill.model[0],
            law.noise[0],
            params.bias[0],
            size_effect,
            log_likelihood(law, data),
            sj.scores(params, data.design, effects)[0, 0],
            sj.scores(params, data.design, noisy)[-1, 2],
        ]
    )


def ranks(simulate: Simulate, simulations: int, key: Array) -> pd.DataFrame:
    """Ranks of the truth among draws of simulations.

    Args:
        simulate: one of them.
        simulations: how many.
        key: random key.

    Returns:
        Columns :data:`QUANTITIES`, one row per simulation, integers from 0 to the number of draws.
    """
    keys = jax.random.split(key, simulations)
    # One at a time on a device: on CPUs, eigenvectors of several matrices at once would wait for
    # threads that all devices share.
    truth, draws = map_folds(simulate, keys, design(), block=1)
    return pd.DataFrame(rank(truth, draws), columns=list(QUANTITIES))


def rank(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """How many draws are below the truth, ties by lot.

    Args:
        truth: ``(simulation, quantity)``.
        draws: ``(simulation, draw, quantity)``.

    Returns:
        ``(simulation, quantity)``, integers from 0 to the number of draws.
    """
    below = (draws < truth[:, None]).sum(axis=1)
    ties = (draws == truth[:, None]).sum(axis=1)
    return below + np.random.default_rng(0).integers(0, ties + 1)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, rank, test, save and draw."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--simulations", type=number(20), default=300, help="default: 300")
    options = parser.parse_args(arguments)
    settings, simulations = SETTINGS, 60 if options.smoke else options.simulations
    simulate = Simulate(settings, sees=not options.smoke)
    found = ranks(simulate, simulations, jax.random.key(options.seed))
    draws = draws_of(settings)
    p = uniformity(found, draws)
    # Bonferroni: the smallest of so many p-values
    p_of_all = min(1.0, float(p.min()) * len(p))
    record = save(
        options,
        {"ranks": found},
        settings,
        simulations=simulations,
        draws=draws,
        scores_seen=simulate.sees,
        p_values={str(name): round(value, 4) for name, value in p.items()},
        p_of_all=round(p_of_all, 4),
        uniform=p_of_all > LEAST_P,
    )
    draw(options.out / "ranks.png", found, p, draws)
    verdict = "uniform" if record["uniform"] else "NOT uniform"
    print(f"ranks over {simulations} simulations are {verdict}: p = {p_of_all:.3f}")
    tell(f"{record['seconds']:.0f} s. Results: {options.out}")


def draw(path: Path, found: pd.DataFrame, p: pd.Series, draws: int) -> None:
    """Histograms of ranks, one per quantity."""
    edges = np.linspace(0, draws + 1, BINS + 1)
    inside = stats.binom.ppf([0.005, 0.995], len(found), 1 / BINS)
    with drawing_grid(path, len(QUANTITIES), 3, (3.0, 2.2), sharex=False) as (figure, axes):
        for ax, name in zip(axes, QUANTITIES, strict=True):
            ax.axhspan(*inside, color="#DDDDDD", zorder=0)
            ax.hist(found[name] + 0.5, list(edges), color=BLUE)
            ax.set_title(f"{name.replace('_', ' ')}, p = {p[name]:.2f}")
        figure.supxlabel("rank of the truth among draws; grey holds 99 % of uniform bins")


if __name__ == "__main__":
    execute(main)
