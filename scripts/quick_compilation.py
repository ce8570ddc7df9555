"""How tests and commands of pages compile, which takes most of their time: quickly, and once."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path


def quick_flags(level: int = 0) -> str:
    """``XLA_FLAGS`` for programs that are soon there and slow to run; to be set before JAX starts.

    The same for all that run little: programs compiled with other flags are other programs.

    Args:
        level: of optimisation, 0 to 3.
    """
    flags = [f"--xla_backend_optimization_level={level}"]
    flags.append("--xla_gpu_deterministic_ops=true")  # or a GPU would add in any order
    flags.append("--xla_gpu_enable_triton_gemm=false")  # see sloth_jax/devices.py
    if metadata.version("jax").startswith("0.10."):  # a flag that XLA does not know ends a process
        flags.append("--xla_cpu_use_fusion_emitters=false")  # three times as fast to compile
        # Workers have a core each: splitting a program for several takes a fifth longer.
        flags.append("--xla_cpu_parallel_codegen_split_count=1")
    given = os.environ.get("XLA_FLAGS", "").split()
    return " ".join([*given, *(flag for flag in flags if flag not in given)])


def shared_programs(folder: Path) -> dict[str, str]:
    """Variables by which processes share what they compile.

    Args:
        folder: of the programs; that of the environment, which ``.ci/run`` names, comes first.
    """
    return {
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(folder),
        # Small operations take little each, and processes have hundreds in common.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
