"""CPU cores as JAX devices, so that chains and folds run side by side."""

from __future__ import annotations

import os

import jax


def use_cores(most: int) -> None:
    """Make one CPU device per core, and compile for them quickly.

    Without effect once JAX has computed something, where ``XLA_FLAGS`` says how many there are,
    and on accelerators.

    Args:
        most: no more devices than this, such as the number of chains.
    """
    if jax.__version_info__[:2] == (0, 10):  # a flag that XLA does not know ends the process
        # These emitters take half as long again to compile the law, and it runs no faster.
        flags = os.environ.get("XLA_FLAGS", "")
        if "xla_cpu_use_fusion_emitters" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false".strip()
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(1, min(os.cpu_count() or 1, most)))
    except RuntimeError:
        pass  # JAX has been used before: then as many as there are
