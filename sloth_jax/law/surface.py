"""The surface: how size and tokens become skill, as columns of a design.

Skills are smooth functions of log size and log tokens. Four kinds:

* ``smooth``, the default: the translog below, and a Gaussian process on top of it, by its values
  at nine inducing points (Rasmussen and Williams 2006, section 8.3): one column each, with standard
  normal coefficients;
* ``translog``: log size, log tokens and their product, as in the published law (Maia Polo et al.,
  arXiv 2412.06540, section 3.1; Christensen, Jorgenson and Lau 1973);
* ``additive``: the translog without the product;
* ``flops``: nothing but training compute, 6 s t (Owen, arXiv 2401.04757).

The logs are standardised over the training table, and that is remembered: a query is placed on the
same axes, and units cancel. Beyond the sizes and tokens of the table the product goes on along its
tangent, so that a surface is a straight line far out: no table tells how a product of two logs
goes on.

A mixture of experts has more parameters than a token meets. Its size is what a token meets
(``"active"``), which predicts better, or all of them (``"total"``). Dense models are the same in
both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from sloth_jax.law.options import SIZES

# Of the Gaussian process, on the standardised axes: three inducing points along each cover the two
# standard deviations in which nearly all models lie, and the length scale is about their distance,
# so that more points change nothing.
_INDUCING = (-1.5, 0.0, 1.5)
_LENGTH_SCALE = 1.7
_STANDARD_DEVIATION = 1.0

Number = float | Array  # an array where a surface is an argument of a compiled function

LINEAR = {
    "smooth": ("log_params", "log_tokens", "log_params_x_log_tokens"),
    "translog": ("log_params", "log_tokens", "log_params_x_log_tokens"),
    "additive": ("log_params", "log_tokens"),
    "flops": ("log_flops",),
}
"""Kind of surface -> names of its columns whose slopes a table may determine by itself."""
KINDS = ("smooth", "translog", "additive", "flops")


@runtime_checkable
class Sized(Protocol):
    """What has sizes and tokens of models: a table or a query."""

    @property
    def params_b(self) -> np.ndarray:
        """Parameters in billions, ``(model,)``; of a mixture of experts, all of them."""
        ...

    @property
    def active_params_b(self) -> np.ndarray:
        """Parameters active per token in billions, ``(model,)``; NaN where dense."""
        ...

    @property
    def tokens_t(self) -> np.ndarray:
        """Pretraining tokens in trillions, ``(model,)``."""
        ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["centre", "spread", "low", "high"],
    meta_fields=["kind", "size"],
)
@dataclass(frozen=True)
class Surface:
    """A kind of surface on the axes of a training table.

    Attributes:
        kind: one of :data:`KINDS`.
        size: what counts as the size of a mixture of experts, one of :data:`SIZES`.
        centre: mean of log parameters (billions) and of log tokens (trillions), ``(2,)``.
        spread: their standard deviations, ``(2,)``.
        low: the smallest of each in the table, standardised, ``(2,)``.
        high: the largest, ``(2,)``.
    """

    kind: str
    size: str
    centre: tuple[Number, Number]
    spread: tuple[Number, Number]
    low: tuple[Number, Number]
    high: tuple[Number, Number]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`design`."""
        inducing = len(_INDUCING) ** 2 if self.kind == "smooth" else 0
        smooth = tuple(f"smooth_{k + 1}" for k in range(inducing))
        return (*LINEAR[self.kind], *smooth, "post_trained")

    def axes(
        self, params_b: ArrayLike, tokens_t: ArrayLike, active_params_b: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Standardised log size and log tokens, ``(model,)`` each; see :meth:`design`."""
        size = jnp.asarray(params_b, float)
        if active_params_b is not None and (self.size == "active" or self.kind == "flops"):
            active = jnp.asarray(active_params_b, float)
            size = jnp.where(jnp.isnan(active), size, active)
        log_params = (jnp.log(size) - self.centre[0]) / self.spread[0]
        log_tokens = (jnp.log(jnp.asarray(tokens_t, float)) - self.centre[1]) / self.spread[1]
        return log_params, log_tokens

    @jax.jit
    def from_smallest(self, params_b: ArrayLike, active_params_b: ArrayLike | None = None) -> Array:
        """Log size from the table's smallest, in standard deviations, ``(model,)``."""
        return self.axes(params_b, 1.0, active_params_b)[0] - self.low[0]

    @jax.jit
    def design(
        self,
        params_b: ArrayLike,
        tokens_t: ArrayLike,
        post_trained: ArrayLike,
        active_params_b: ArrayLike | None = None,
    ) -> Array:
        """Columns of models; pure, so that it can be compiled.

        Args:
            params_b: parameters in billions, ``(model,)``, positive.
            tokens_t: pretraining tokens in trillions, ``(model,)``, positive.
            post_trained: 1 where post-trained, 0 where not, ``(model,)``.
            active_params_b: parameters active per token in billions, ``(model,)``; NaN where
                dense, None where all are. Training FLOPs are theirs in any case.

        Returns:
            ``(model, column)`` with the columns :attr:`names`.
        """
        log_params, log_tokens = self.axes(params_b, tokens_t, active_params_b)
        shift = jnp.broadcast_to(jnp.asarray(post_trained, log_params.dtype), log_params.shape)
        columns = COLUMNS[self.kind](self, log_params, log_tokens)
        return jnp.stack([*columns, shift], axis=-1)

    def linear(self, rows: Sized) -> Array:
        """The columns that are no smooth part and no post-training, ``(model, column)``.

        Those whose slopes a table may determine by itself: the coefficients of the others have a
        prior that says how far they go.
        """
        return self.of(rows, 0.0)[:, : len(LINEAR[self.kind])]

    def of(self, rows: Sized, post_trained: ArrayLike) -> Array:
        """Columns of a table's or a query's models; see :meth:`design`."""
        return self.design(rows.params_b, rows.tokens_t, post_trained, rows.active_params_b)


def log_flops(rows: Sized) -> np.ndarray:
    """Log of training compute, 6 s t, in units of 1e21 operations, ``(model,)``; dense models."""
    return np.log(6.0 * rows.params_b * rows.tokens_t)


def used_columns(kind: str) -> tuple[bool, ...]:
    """Which columns of the smooth surface another kind uses; all others are zero in it.

    Args:
        kind: ``"smooth"``, ``"translog"`` or ``"additive"``.
    """
    inducing = len(_INDUCING) ** 2
    linear = tuple(name in LINEAR[kind] for name in LINEAR["smooth"])
    return (*linear, *(kind == "smooth",) * inducing, True)


def fit_surface(
    rows: Sized, *, kind: str = "smooth", size: str = "active", seen: np.ndarray | None = None
) -> Surface:
    """The axes of a training table.

    Args:
        rows: its models.
        kind: a name in :data:`COLUMNS`.
        size: one of :data:`SIZES`.
        seen: which models have a score, ``(model,)``, bool; the range is theirs. None for all.

    Returns:
        A :class:`Surface`, of the models whose size and tokens are both known. A log that never
        varies keeps its mean and gets standard deviation 1; where no model has both, the axes are
        those of models of 1 to 100 billion parameters and 0.1 to 10 trillion tokens.

    Raises:
        ValueError: if there is no such kind or size.
    """
    for name, value, known in (("surface", kind, COLUMNS), ("size", size, SIZES)):
        if value not in known:
            raise ValueError(f"no {name} {value!r}: choose one of {', '.join(known)}")
    seen = np.ones(len(rows.params_b), bool) if seen is None or not seen.any() else seen
    params = np.asarray(rows.params_b, float)
    if size == "active":
        params = np.where(np.isnan(rows.active_params_b), params, rows.active_params_b)
    logs = np.log(np.stack([params, np.asarray(rows.tokens_t, float)]))
    known = np.isfinite(logs).all(axis=0)
    if not known.any():
        logs = np.log([[1.0, 100.0], [0.1, 10.0]])
        known = seen = np.ones(2, bool)
    centre, spread = logs[:, known].mean(axis=1), logs[:, known].std(axis=1)
    spread = np.where(spread > 1e-9, spread, 1.0)
    seen = np.asarray(seen & known if (seen & known).any() else known)
    unit = ((logs - centre[:, None]) / spread[:, None])[:, seen]

    def pair(values: np.ndarray) -> tuple[float, float]:
        return float(values[0]), float(values[1])

    low, high = pair(unit.min(axis=1)), pair(unit.max(axis=1))
    return Surface(kind, size, pair(centre), pair(spread), low, high)


def _smooth_columns(log_params: Array, log_tokens: Array) -> list[Array]:
    """Columns whose sum with standard normal coefficients is the Gaussian process.

    Its covariance is ``sd^2 exp(-|x - y|^2 / (2 length^2))``.
    """
    points = np.array([(p, q) for p in _INDUCING for q in _INDUCING])

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        square = ((one[:, None] - other[None]) ** 2).sum(axis=-1)
        return _STANDARD_DEVIATION**2 * np.exp(-0.5 * square / _LENGTH_SCALE**2)

    # k(x, Z) K(Z, Z)^(-1/2): with coefficients N(0, 1) the covariance k(x, Z) K^-1 k(Z, y)
    values, vectors = np.linalg.eigh(kernel(points, points) + 1e-6 * np.eye(len(points)))
    root = (vectors / np.sqrt(values)) @ vectors.T
    at = [
        _STANDARD_DEVIATION**2
        * jnp.exp(-0.5 * ((log_params - p) ** 2 + (log_tokens - q) ** 2) / _LENGTH_SCALE**2)
        for p, q in points
    ]
    return [sum(w * k for w, k in zip(row, at, strict=True)) for row in root]  # pyright: ignore


def _flops(surface: Surface, log_params: Array, log_tokens: Array) -> list[Array]:
    # log(6 s t) = log s + log t + constant, on a scale like that of the two
    first, second = surface.spread
    return [(first * log_params + second * log_tokens) / jnp.hypot(first, second)]


def _additive(surface: Surface, log_params: Array, log_tokens: Array) -> list[Array]:
    return [log_params, log_tokens]


def _translog(surface: Surface, log_params: Array, log_tokens: Array) -> list[Array]:
    # p q inside the table's range, beyond it the tangent at the nearest point (c, d) of the range:
    # c d + d (p - c) + c (q - d)
    c = jnp.clip(log_params, surface.low[0], surface.high[0])
    d = jnp.clip(log_tokens, surface.low[1], surface.high[1])
    return [log_params, log_tokens, c * d + d * (log_params - c) + c * (log_tokens - d)]


def _smooth(surface: Surface, log_params: Array, log_tokens: Array) -> list[Array]:
    linear = _translog(surface, log_params, log_tokens)
    return [*linear, *_smooth_columns(log_params, log_tokens)]


COLUMNS: dict[str, Callable[[Surface, Array, Array], list[Array]]] = {
    "smooth": _smooth,
    "translog": _translog,
    "additive": _additive,
    "flops": _flops,
}
"""Kind of surface -> its columns at standardised log size and log tokens, ``(model,)`` each."""
