"""Fits one table on several devices, or as one of several processes; started by test_devices.py.

Run: many_devices.py OUT.npz INFERENCE:DEVICES...              on this process's CPU devices
     many_devices.py OUT.npz --process AT OF HOST:PORT INFERENCE   as process AT of so many
"""

from __future__ import annotations

import sys
from dataclasses import replace

import jax
import numpy as np


def table():
    """Lineages of one, two and three families, half of the scores, some token counts unknown."""
    from sloth_jax.identifiability.synthetic import synthetic_table

    made, _ = synthetic_table(0, families=13, sizes=3, benchmarks=4, skills=1)
    rng = np.random.default_rng(1)
    lineage = np.minimum(made.lineage_of_family, 5)
    hidden = rng.random(made.scores.shape) < 0.5
    unknown = np.arange(len(made.models)) % 11 == 3
    return replace(
        made,
        lineage_of_family=lineage,
        lineages=made.lineages[:6],
        scores=np.where(hidden, np.nan, made.scores),
        tokens_t=np.where(unknown, np.nan, made.tokens_t),
    )


def fitted(inference: str, devices: list) -> dict[str, np.ndarray]:
    """Positions ``(draw, parameter)``, quantiles of forecasts ``(quantile, model, benchmark)``."""
    import sloth_jax as sj

    if inference == "density":
        return densities(devices)
    settings = sj.FitSettings(inference=inference, skills=1, draws=60, steps=60)
    found = sj.fit(table(), key=jax.random.key(0), settings=settings, devices=devices)
    draws = sj.forecast_table(found, key=jax.random.key(1)).draws
    quantiles = np.quantile(draws, (0.05, 0.5, 0.95), axis=0)
    return {"position": np.asarray(found.position), "quantiles": quantiles}


def densities(devices: list) -> dict[str, np.ndarray]:
    """The density's gradient, its part of each lineage, and what moves unknown covariates."""
    from sloth_jax.inference.observe import observe
    from sloth_jax.law.on_mesh import devices_for, on_mesh
    from sloth_jax.law.surface import fit_surface

    made = table()
    observations = observe(made, fit_surface(made))
    mesh = devices_for(observations, devices)
    covariates = observations.covariates
    assert covariates is not None
    facts = observations, covariates.point + 0.1 * covariates.unknown, 1
    return on_mesh(evaluated, *facts, mesh) if mesh else evaluated(*facts)


def evaluated(observations, at, skills: int) -> dict[str, jax.Array]:
    """A pure function of arrays; see :func:`densities`."""
    from jax.flatten_util import ravel_pytree

    from sloth_jax import Prior
    from sloth_jax.effects.conditioning import times_covariate_prior
    from sloth_jax.law.hierarchical import Density, zero_raw_params
    from sloth_jax.law.observations import linearised_at

    around = linearised_at(observations, at)
    blank, unravel = ravel_pytree(zero_raw_params(around, skills, Prior()))
    position = 0.3 * jax.random.normal(jax.random.key(2), blank.shape)
    density = Density(around, Prior())
    gradient = jax.grad(lambda where: density.potential(unravel(where)))(position)
    lineages = density.evaluate(unravel(position))[1]
    return {
        "gradient": gradient,
        "lineages": lineages,
        "moved": times_covariate_prior(around.bins, at),
    }


def main(out: str, *what: str) -> None:
    """Fit and save."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    if what[0] == "--process":
        at, of, address, inference = what[1:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.config.update("jax_num_cpu_devices", 1)
        jax.distributed.initialize(address, num_processes=int(of), process_id=int(at))
        assert jax.process_count() == len(jax.devices()) == int(of)
        results = {inference: fitted(inference, jax.devices())}
    else:
        runs = [run.split(":") for run in what]
        jax.config.update("jax_num_cpu_devices", max(int(count) for _, count in runs))
        results = {f"{run}{n}": fitted(run, jax.devices()[: int(n)]) for run, n in runs}
    arrays = {f"{run} {name}": a for run, one in results.items() for name, a in one.items()}
    np.savez(out, **arrays)
    if what[0] == "--process":
        jax.distributed.shutdown()  # or the one that is done first waits for the others at its end


if __name__ == "__main__":
    main(*sys.argv[1:])
