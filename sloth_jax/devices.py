"""Before the work: CPU cores as JAX devices, and random keys."""

from __future__ import annotations

import os
from functools import partial

import jax
from jax import Array


def use_cores(most: int) -> None:
    """Make one CPU device per core, and compile for them quickly; let a GPU repeat itself.

    Without effect once JAX has computed something. What ``XLA_FLAGS`` says already
    stays.

    Args:
        most: no more devices than this, such as the number of chains.
    """
    # Sums over models are scattered additions, which a GPU does in any order unless it is told not
    # to: the same seed would give other last digits.
    # Triton has no program for some small products in double precision: XLA 0.11 gives up there.
    wanted = {"xla_gpu_deterministic_ops": "true", "xla_gpu_enable_triton_gemm": "false"}
    if jax.__version_info__[:2] == (0, 10):  # a flag that XLA does not know ends the process
        # These emitters take half as long again to compile the law, and it runs no faster.
        wanted["xla_cpu_use_fusion_emitters"] = "false"
    flags = os.environ.get("XLA_FLAGS", "")
    added = [f"--{name}={value}" for name, value in wanted.items() if name not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(1, min(os.cpu_count() or 1, most)))
    except RuntimeError:
        pass  # JAX has been used before: then as many as there are


@partial(jax.jit, static_argnames=("seed", "count"))
def random_keys(seed: int, count: int) -> tuple[Array, ...]:
    """Independent random keys of a seed; compiled, because each would be a program otherwise."""
    return tuple(jax.random.split(jax.random.key(seed), count))
