"""Sizes and tokens that are not known, integrated out.

An unknown log size or log tokens moves the columns of the design, and by them every predictor of
the model. Around a place ``z0`` that is a straight line,

    eta_mj(z) = eta_mj(z0) + g_mj (z_m - z0_m),        g_mj = dx_m/dz (B lambda_j + d_j)

so that ``z`` is a further normal effect beside skills and benchmarks, with slopes ``g`` instead of
loadings, and is eliminated with them (:mod:`sloth_jax.effects.elimination`). The place moves to the
expectation of ``z`` given the scores while the law is fitted: a Laplace approximation inside the
marginal density (Rue, Martino and Chopin 2009). What is believed of ``z`` before is in
:mod:`sloth_jax.identifiability.covariate_prior`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from sloth_jax.effects.bins import Bins, NestedBins, SplitBins
from sloth_jax.effects.walk import walk_basis
from sloth_jax.law.forward import Effects, Params
from sloth_jax.law.surface import Surface
from sloth_jax.products import einsum, matmul


class Covariates(NamedTuple):
    """What is known of the models' covariates, and the place around which the rest is linear.

    A unit is log size, or log tokens beyond what they follow from size.

    Attributes:
        surface: columns of the design.
        log_params: log of billions of parameters, the prior mean where unknown, ``(model,)``.
        log_tokens: log of trillions of tokens, likewise, ``(model,)``.
        active_params_b: active parameters in billions, NaN where dense, ``(model,)``.
        post_trained: 1 where post-trained, ``(model,)``.
        used: 1 for the columns of the surface that are used, ``(column,)``.
        unknown: 1 where a unit is unknown, else 0, ``(unit, model)``.
        direction: what a unit adds to log size and log tokens, ``(unit, 2, model)``.
        sized: a number where some size is unknown, so that places on walks move; else None.
        at: the place, from the prior mean, ``(unit, model)``; 0 where known.
        slope: of the columns there, ``(unit, model, column)``; 0 where known.
    """

    surface: Surface
    log_params: Float[Array, " model"]
    log_tokens: Float[Array, " model"]
    active_params_b: Float[Array, " model"]
    post_trained: Float[Array, " model"]
    used: Float[Array, " column"]
    unknown: Float[Array, "unit model"]
    direction: Float[Array, "unit 2 model"]
    sized: Array | None
    at: Float[Array, "unit model"]
    slope: Float[Array, "unit model column"]

    def rows(self, rows: Int[Array, " row"]) -> Covariates:
        """Those of some models."""
        by_model = ("log_params", "log_tokens", "active_params_b", "post_trained")
        some = {name: getattr(self, name)[rows] for name in by_model}
        some |= {name: getattr(self, name)[:, rows] for name in ("unknown", "at", "slope")}
        return self._replace(direction=self.direction[:, :, rows], **some)

    def logs(self, departure: Float[Array, "unit model"]) -> tuple[Array, Array]:
        """Log size and log tokens at a departure from the prior mean, ``(model,)`` each."""
        moved = einsum("um,uam->am", departure * self.unknown, self.direction)
        return self.log_params + moved[0], self.log_tokens + moved[1]

    def design(self, departure: Float[Array, "unit model"]) -> Float[Array, "model column"]:
        """Columns at a departure from the prior mean."""
        log_params, log_tokens = self.logs(departure)
        return self.used[None, :] * self.surface.design(
            jnp.exp(log_params), jnp.exp(log_tokens), self.post_trained, self.active_params_b
        )

    def linear_at(self, departure: Float[Array, "unit model"]) -> tuple[Covariates, Array]:
        """The same around another place, and the columns there, ``(model, column)``."""
        # Every model moves by itself, so that one direction tells the slopes of all.
        units = jnp.eye(self.unknown.shape[0], dtype=departure.dtype)
        moved = [jnp.broadcast_to(unit[:, None], departure.shape) for unit in units]
        found = [jax.jvp(self.design, (departure,), (one,)) for one in moved]
        slope = jnp.stack([slope for _, slope in found])
        return self._replace(at=departure * self.unknown, slope=slope), found[0][0]

    def basis(self) -> Float[Array, "model coefficient"]:
        """Places on walks, by the sizes at the place."""
        log_params, _ = self.logs(self.at)
        return walk_basis(self.surface.from_smallest(jnp.exp(log_params), self.active_params_b))


def predictor_slope(params: Params, covariates: Covariates) -> Float[Array, "unit model benchmark"]:
    """How much each unit of a model moves its predictors: g."""
    # g_mj = dx_m/dz (B lambda_j + d_j)
    through = matmul(params.slope, params.loading.T)
    if params.specific_slope is not None:
        through += params.specific_slope
    return matmul(covariates.slope, through)


def covariate_effects(
    params: Params, covariates: Covariates, departure: Float[Array, "unit model"]
) -> Effects:
    """What covariates add to skills and benchmarks beyond the place, as effects of models."""
    moved = einsum("um,umc->mc", departure - covariates.at, covariates.slope)
    specific = params.specific_slope
    of_benchmark = None if specific is None else matmul(moved, specific)
    return Effects(matmul(moved, params.slope), of_benchmark)


def walk_in(
    some: Bins | NestedBins | SplitBins, basis: Float[Array, "model coefficient"]
) -> Bins | NestedBins | SplitBins:
    """Bins with the walk's covariance at other places; sizes of large lineages are known."""
    if isinstance(some, NestedBins):
        return some
    if isinstance(some, SplitBins):
        return replace(some, parts=some.map(_walk_in, basis))
    return _walk_in(some, basis)


def _walk_in(some: Bins, basis: Array) -> Bins:
    at = basis[some.rows][:, :, 1:]
    walk = some.same_lineage * einsum("lmq,lnq->lmn", at, at)
    blocks = tuple(
        one._replace(
            walk=one.real[:, :, None]
            * one.real[:, None, :]
            * walk[one.bin[:, None, None], one.place[:, :, None], one.place[:, None, :]]
        )
        for one in some.blocks
    )
    return some._replace(walk=walk, blocks=blocks)
