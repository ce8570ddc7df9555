"""Memory that a fit will need, estimated from shapes, so that too large a fit is refused at once.

Pairs of scores (``bin x benchmark x slot x slot``) take most, of which a gradient holds a few dozen
numbers each; a chunk of gradients or of densities is computed at a time. The estimate is within a
factor of 1.5 of XLA's own count for compiled fits (``tests/inference/test_memory.py``).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from sloth_jax.chunks import CHUNK
from sloth_jax.inference.settings import FitSettings, changed
from sloth_jax.law.curvature import gradient_batch
from sloth_jax.law.hierarchical import zero_raw_params
from sloth_jax.law.memory import gradient_numbers
from sloth_jax.law.observations import Observations
from sloth_jax.machine_memory import available_bytes, check_memory, size_in_words


def count_parameters(observations: Observations, settings: FitSettings) -> int:
    """How many parameters are left once effects are integrated out; nothing is computed."""
    blank = jax.eval_shape(lambda: zero_raw_params(observations, settings.skills, settings.prior))
    return sum(leaf.size for leaf in jax.tree.leaves(blank))


def fit_bytes(observations: Observations, settings: FitSettings, mesh: Mesh | None) -> float:
    """About how much memory a fit needs at its peak, on a device, or on a machine of CPU devices.

    Args:
        observations: arrays of a table.
        settings: what is fitted and how.
        mesh: over which lineages are spread.
    """
    parameters = float(count_parameters(observations, settings))
    gradient = gradient_numbers(observations, settings.skills)
    nuts, copies, share = settings.nuts, 1.0, 1.0
    if mesh is not None:  # arrays of parameters are on each device, lineages on one
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        share = (copies := float(len(mesh.local_devices)) if on_cpu else 1.0) / mesh.size
    kept = {"mode": 1, "nuts": nuts.chains * (nuts.warmup + nuts.draws)}
    draws = float(kept.get(settings.inference, settings.draws))
    numbers = share * gradient + copies * parameters * (10.0 + 6.0 * draws)
    if settings.inference != "mode":
        # Gradients of the curvature, or densities of draws, of about a third of their numbers each
        batch = max(gradient_batch(observations, int(parameters)), 0.3 * CHUNK)
        numbers += (batch - 1.0) * share * gradient + 10.0 * copies * parameters**2
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
