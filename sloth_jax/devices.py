"""CPU cores as JAX devices, so that chains and folds run side by side."""

from __future__ import annotations

import os

import jax


def use_cores(most: int) -> None:
    """Make one CPU device per core.

    Without effect once JAX has computed something, where ``XLA_FLAGS`` says how many there are,
    and on accelerators.

    Args:
        most: no more devices than this, such as the number of chains.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(1, min(os.cpu_count() or 1, most)))
    except RuntimeError:
        pass  # somebody has used JAX before: then as many as there are
