"""What every test runs under: 64-bit floats, no silent rank promotion, no windows."""

from pathlib import Path

import jax
import matplotlib
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
matplotlib.use("Agg")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the published files that some tests compare with."""
    if not SHARED.is_dir():
        pytest.skip("shared/ is not beside the repository: comparison with published files skipped")
    return SHARED
