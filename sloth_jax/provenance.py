"""What a result was made with, to be saved beside it."""

from __future__ import annotations

import platform
from importlib.metadata import version

import jax

import sloth_jax


def versions() -> dict[str, str]:
    """Versions of what decides numbers, and the device they were computed on."""
    packages = ("jax", "jaxlib", "numpyro", "optax", "numpy", "scipy", "pandas")
    found = {name: version(name) for name in packages}
    device = jax.devices()[0]
    return {
        "sloth_jax": sloth_jax.__version__,
        "python": platform.python_version(),
        **found,
        "device": device.device_kind,
    }
