"""Memory that a fit will need, foreseen from shapes: where it will not do, that is said at once.

Pairs of scores (entries of bins, ``bin x benchmark x place x place``) take most, of which a
gradient holds a few dozen numbers each, and the curvature computes a chunk of gradients at a time.
Against XLA's own count of compiled fits the estimate is within a factor of 1.5
(``tests/inference/test_memory.py``).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from sloth_jax.chunks import CHUNK
from sloth_jax.effects.bins import NestedBins, plain_bins
from sloth_jax.inference.settings import FitSettings, changed
from sloth_jax.law.hierarchical import zero_raw_params
from sloth_jax.law.observations import Observations
from sloth_jax.machine_memory import available_bytes, check_memory, size_in_words


def gradient_numbers(observations: Observations, skills: int) -> float:
    """About how many numbers a gradient of the density holds at a time."""
    models, benchmarks = observations.scores.shape
    units = skills + (0 if observations.covariates is None else 2)
    found = 12.0 * models * benchmarks
    for bins in plain_bins(observations.bins):
        # R_j and the like, and P_jk = sum_k lambda_jk M^-1_k for every unit k
        found += (4.5 + 2.0 * units) * bins.entry.size
        found += 3.0 * bins.rows.shape[0] * (units * bins.rows.shape[1]) ** 2
    for bins in observations.bins:
        if isinstance(bins, NestedBins):  # W Z of each size, and what is made of it
            found += 4.0 * benchmarks**2 * sum(basis.size for basis in bins.basis)
    return found


def fit_bytes(observations: Observations, settings: FitSettings, mesh: Mesh | None) -> float:
    """About how much memory a fit needs at its peak, on a device, or on a machine of CPU devices.

    Args:
        observations: arrays of a table.
        settings: what is fitted and how.
        mesh: over which lineages are spread.
    """
    blank = jax.eval_shape(lambda: zero_raw_params(observations, settings.skills, settings.prior))
    parameters = float(sum(leaf.size for leaf in jax.tree.leaves(blank)))
    gradient = gradient_numbers(observations, settings.skills)
    nuts, copies, share = settings.nuts, 1.0, 1.0
    if mesh is not None:  # arrays of parameters are on each device, lineages on one
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        copies = float(len(mesh.local_devices)) if on_cpu else 1.0
        share = copies / mesh.size
    draws = nuts.chains * (nuts.warmup + nuts.draws) if settings.inference == "nuts" else 1.0
    if settings.inference in ("laplace", "svi"):
        draws = float(settings.draws)
    numbers = share * gradient + copies * parameters * (10.0 + 6.0 * draws)
    if settings.inference != "mode":
        chunk = min(CHUNK, 2.0 * parameters)
        numbers += (chunk - 1.0) * share * gradient + 10.0 * copies * parameters**2
    if settings.inference == "nuts":
        numbers = max(numbers, nuts.chains * gradient + 6.0 * parameters * draws)
    given = sum(leaf.nbytes for leaf in jax.tree.leaves(observations))
    return numbers * jnp.zeros(()).dtype.itemsize + given


def check_fit_memory(observations: Observations, settings: FitSettings, mesh: Mesh | None) -> None:
    """Raise InputError if the memory is too little for a fit; arguments as :func:`fit_bytes`."""
    needed = fit_bytes(observations, settings, mesh)
    devices = None if mesh is None else mesh.local_devices
    ways = ["fewer benchmarks or models", "more devices or a machine with more memory"]
    if settings.inference != "mode":
        point = fit_bytes(observations, changed(settings, {"inference": "mode"}), mesh)
        ways.insert(1, f"--inference mode (about {size_in_words(point)})")
    check_memory("the fit", needed, available_bytes(devices), ways)
