"""Which loadings fix the rotation of the skills, and the prior of loadings under that."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln
from jax.typing import ArrayLike
from jaxtyping import Float

from sloth_jax.products import matmul


class Pivots(NamedTuple):
    """Which loadings fix the rotation of the skills.

    Attributes:
        diagonal: 1 at each pivot benchmark's own skill, whose loading is positive, else 0,
            ``(benchmark, skill)``.
        above: 1 at the skills that follow it, whose loadings are zero, else 0, of the same shape.
    """

    diagonal: Float[Array, "benchmark skill"]
    above: Float[Array, "benchmark skill"]


def choose_pivots(
    loading: Float[Array, "benchmark skill"],
) -> tuple[Float[Array, "skill skill"], Pivots]:
    """Pick as many pivot benchmarks as skills, with loadings that differ most. Pure.

    Args:
        loading: ``(benchmark, skill)`` of a fit, at least as many benchmarks as skills.

    Returns:
        The rotation ``(skill, skill)`` after which the pivots' loadings are lower triangular with
        a positive diagonal, and the pivots. They are those of a column-pivoted QR decomposition
        (Golub and Van Loan, Matrix Computations, section 5.4), so the diagonal is far from zero.
    """
    benchmarks, skills = loading.shape
    rest, pivots = loading, []
    for _ in range(skills):
        pivot = jnp.argmax(jnp.sum(rest**2, axis=1))
        unit = rest[pivot] / jnp.maximum(jnp.linalg.norm(rest[pivot]), 1e-30)
        rest = rest - jnp.outer(matmul(rest, unit), unit)
        pivots.append(pivot)
    # top' = Q R, hence top Q = R', which is lower triangular.
    q, r = jnp.linalg.qr(loading[jnp.stack(pivots)].T)
    rotation = q * jnp.where(jnp.diag(r) < 0, -1.0, 1.0)[None, :]
    diagonal = jax.nn.one_hot(jnp.stack(pivots), benchmarks, dtype=loading.dtype).T
    return rotation, Pivots(diagonal, matmul(diagonal, jnp.triu(jnp.ones((skills, skills)), 1)))


class TriangularLoadings(NamedTuple):
    """Loadings that are lower triangular on the pivots, by unconstrained raw values.

    ``(benchmark, skill)``: a raw value is the loading itself; on the diagonal its logarithm; above
    it an independent standard normal that is not used, so that shapes stay fixed.

    Attributes:
        scale: standard deviation of free loadings, positive.
        pivots: which loadings are fixed.
    """

    scale: float
    pivots: Pivots

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of benchmarks and of skills."""
        return self.pivots.diagonal.shape

    def _freedom(self) -> Array:
        # chi of skill i has skills - i degrees of freedom
        return jnp.broadcast_to(jnp.arange(self.shape[1], 0, -1.0), self.shape)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw raw values, ``sample_shape + (benchmark, skill)``."""
        shape = sample_shape + self.shape
        normal_key, chi_key = jax.random.split(key)
        normal = jax.random.normal(normal_key, shape)
        square = 2.0 * jax.random.gamma(chi_key, jnp.broadcast_to(self._freedom() / 2.0, shape))
        log_chi = math.log(self.scale) + 0.5 * jnp.log(square)
        above, diagonal = (jnp.broadcast_to(mask > 0, shape) for mask in reversed(self.pivots))
        usual = jnp.where(above, normal, self.scale * normal)
        return jnp.where(diagonal, log_chi, usual)

    def log_prob(self, value: ArrayLike) -> Array:
        """Log density of raw values ``(benchmark, skill)``, scalar."""
        value, k = jnp.asarray(value), self._freedom()
        usual, stand_in = _normal_log_prob(value, self.scale), _normal_log_prob(value, 1.0)
        # x ~ scale chi_k:  log p(log x) = k log(x/scale) - x^2/(2 scale^2) - log(2^(k/2-1) G(k/2))
        z = value - math.log(self.scale)
        chi = k * z - 0.5 * jnp.exp(2.0 * z) - (k / 2.0 - 1.0) * math.log(2.0) - gammaln(k / 2.0)
        cell = jnp.where(self.pivots.above > 0, stand_in, usual)
        return jnp.sum(jnp.where(self.pivots.diagonal > 0, chi, cell))

    def loading(self, value: Float[Array, "benchmark skill"]) -> Float[Array, "benchmark skill"]:
        """Loadings of raw values ``(benchmark, skill)``."""
        at_pivot = jnp.where(self.pivots.diagonal > 0, value, 0.0)
        return jnp.where(
            self.pivots.diagonal > 0,
            jnp.exp(at_pivot),
            jnp.where(self.pivots.above > 0, 0.0, value),
        )

    def raw(self, loading: Float[Array, "benchmark skill"]) -> Float[Array, "benchmark skill"]:
        """Raw values of loadings that are triangular on the pivots; zeros above the diagonal."""
        positive = jnp.where(self.pivots.diagonal > 0, jnp.maximum(loading, 1e-6), 1.0)
        return jnp.where(
            self.pivots.diagonal > 0,
            jnp.log(positive),
            jnp.where(self.pivots.above > 0, 0.0, loading),
        )


def _normal_log_prob(value: Array, scale: float) -> Array:
    return -0.5 * (value / scale) ** 2 - math.log(math.sqrt(2.0 * math.pi) * scale)
