"""The density of a table over one flat vector, as optimisers and samplers want it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from sloth_jax.law.hierarchical import Density, RawParams, SharedLaw, zero_raw_params
from sloth_jax.law.observations import Observations
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots


class Target(NamedTuple):
    """The density over one flat vector, as optimisers and samplers want it."""

    density: Density
    unravel: Callable[[Array], RawParams]

    def potential(self, position: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Minus the log density of a position ``(parameter,)``, scalar."""
        return self.density.potential(self.unravel(position))

    def law(self, position: Float[Array, " parameter"]) -> SharedLaw:
        """The law that a position stands for."""
        return self.density.law(self.unravel(position))

    def evaluate(self, position: Array) -> tuple[Array, Array, SharedLaw]:
        """Minus the log density, the part of each lineage, and the law; see :class:`Density`."""
        return self.density.evaluate(self.unravel(position))


def target_of(observations: Observations, prior: Prior, pivots: Pivots, skills: int) -> Target:
    """The density of a table over one flat vector."""
    blank = zero_raw_params(observations, skills, prior)
    return Target(Density(observations, prior, pivots), ravel_pytree(blank)[1])
