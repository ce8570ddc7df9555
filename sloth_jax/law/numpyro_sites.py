"""Priors of the law as NumPyro's distributions: apart, because NumPyro takes long to load."""

from __future__ import annotations

from typing import Any, ClassVar

import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from sloth_jax.law.pivots import TriangularLoadings


class LoadingsSite(dist.Distribution):
    """:class:`sloth_jax.law.pivots.TriangularLoadings`, event shape ``(benchmark, skill)``."""

    # NumPyro declares these as instance attributes and sets them on classes, as here.
    arg_constraints: ClassVar[dict[str, Any]] = {}  # pyright: ignore
    support = constraints.real_matrix  # pyright: ignore

    def __init__(self, loadings: TriangularLoadings) -> None:
        """Wrap a prior of loadings."""
        self.loadings = loadings
        super().__init__((), loadings.shape, validate_args=False)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw raw values, ``sample_shape + (benchmark, skill)``."""
        assert key is not None
        return self.loadings.sample(key, sample_shape)

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of raw values ``(benchmark, skill)``, scalar."""
        return self.loadings.log_prob(value)
