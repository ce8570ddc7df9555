"""Sizes and tokens that are not known, integrated out.

An unknown log size or log tokens moves the columns of the design, and by them every predictor of
the model. Around an expansion point ``z0`` that is a straight line,

    eta_mj(z) = eta_mj(z0) + g_mj (z_m - z0_m),        g_mj = dx_m/dz (B lambda_j + d_j)

so that ``z`` is a further normal effect beside skills and benchmarks, with slopes ``g`` instead of
loadings, and is eliminated with them (:mod:`sloth_jax.effects.elimination`). The point moves to the
expectation of ``z`` given the scores while the law is fitted: a Laplace approximation inside the
marginal density (Rue, Martino and Chopin 2009). The prior of ``z`` is in
:mod:`sloth_jax.identifiability.covariate_prior`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from sloth_jax.effects.bins import Bins, NestedBins, ShardedBins
from sloth_jax.effects.walk import walk_basis
from sloth_jax.law.forward import Effects, Params
from sloth_jax.law.surface import Surface
from sloth_jax.products import einsum, matmul


class Covariates(NamedTuple):
    """What is known of the models' covariates, and the point around which the rest is linear.

    A covariate is log size, or log tokens less what log size predicts of them.

    Attributes:
        surface: columns of the design.
        log_params: log of billions of parameters, the prior mean where unknown, ``(model,)``.
        log_tokens: log of trillions of tokens, likewise, ``(model,)``.
        active_params_b: active parameters in billions, NaN where dense, ``(model,)``.
        post_trained: 1 where post-trained, ``(model,)``.
        used: 1 for the columns of the surface that are used, ``(column,)``.
        unknown: 1 where a covariate is unknown, else 0, ``(covariate, model)``.
        direction: what a covariate adds to log size and log tokens, ``(covariate, 2, model)``.
        size_unknown: 1 where some size is unknown, so that positions on random walks move; else
            None, so that programs differ.
        point: z0, less the prior mean, ``(covariate, model)``; 0 where known.
        slope: dx/dz of the columns there, ``(covariate, model, column)``; 0 where known.
    """

    surface: Surface
    log_params: Float[Array, " model"]
    log_tokens: Float[Array, " model"]
    active_params_b: Float[Array, " model"]
    post_trained: Float[Array, " model"]
    used: Float[Array, " column"]
    unknown: Float[Array, "covariate model"]
    direction: Float[Array, "covariate 2 model"]
    size_unknown: Array | None
    point: Float[Array, "covariate model"]
    slope: Float[Array, "covariate model column"]

    def rows(self, rows: Int[Array, " row"]) -> Covariates:
        """Covariates of some models, by their positions ``(row,)``."""
        by_model = ("log_params", "log_tokens", "active_params_b", "post_trained")
        some = {name: getattr(self, name)[rows] for name in by_model}
        some |= {name: getattr(self, name)[:, rows] for name in ("unknown", "point", "slope")}
        return self._replace(direction=self.direction[:, :, rows], **some)

    def logs(self, departure: Float[Array, "covariate model"]) -> tuple[Array, Array]:
        """Log size and log tokens at a departure from the prior mean, ``(model,)`` each."""
        moved = einsum("um,uam->am", departure * self.unknown, self.direction)
        return self.log_params + moved[0], self.log_tokens + moved[1]

    def design(self, departure: Float[Array, "covariate model"]) -> Float[Array, "model column"]:
        """Columns at a departure from the prior mean."""
        log_params, log_tokens = self.logs(departure)
        return self.used[None, :] * self.surface.design(
            jnp.exp(log_params), jnp.exp(log_tokens), self.post_trained, self.active_params_b
        )

    def linearised_at(self, departure: Float[Array, "covariate model"]) -> tuple[Covariates, Array]:
        """The same around another point, and the columns there, ``(model, column)``.

        Args:
            departure: the point, less the prior mean, ``(covariate, model)``.
        """
        # A model's columns depend on its own covariates only: one direction gives all slopes.
        units = jnp.eye(self.unknown.shape[0], dtype=departure.dtype)
        directions = [jnp.broadcast_to(unit[:, None], departure.shape) for unit in units]
        found = [jax.jvp(self.design, (departure,), (one,)) for one in directions]
        slope = jnp.stack([slope for _, slope in found])
        return self._replace(point=departure * self.unknown, slope=slope), found[0][0]

    def basis(self) -> Float[Array, "model coefficient"]:
        """:func:`walk_basis` of the sizes at the point."""
        log_params, _ = self.logs(self.point)
        return walk_basis(self.surface.from_smallest(jnp.exp(log_params), self.active_params_b))


def predictor_slope(
    params: Params, covariates: Covariates
) -> Float[Array, "covariate model benchmark"]:
    """g: how much each covariate of a model moves its predictors."""
    # g_mj = dx_m/dz (B lambda_j + d_j)
    through = matmul(params.slope, params.loading.T)
    if params.specific_slope is not None:
        through += params.specific_slope
    return matmul(covariates.slope, through)


def covariate_effects(
    params: Params, covariates: Covariates, departure: Float[Array, "covariate model"]
) -> Effects:
    """What covariates add to skills and benchmarks beyond the point, as effects of models."""
    moved = einsum("um,umc->mc", departure - covariates.point, covariates.slope)
    specific = params.specific_slope
    of_benchmark = None if specific is None else matmul(moved, specific)
    return Effects(matmul(moved, params.slope), of_benchmark)


def with_walk_at(
    bins: Bins | NestedBins | ShardedBins, basis: Float[Array, "model coefficient"]
) -> Bins | NestedBins | ShardedBins:
    """Bins with the covariance of random walks at other sizes; those of large lineages are known.

    Args:
        bins: of the table.
        basis: :func:`walk_basis` of the sizes, ``(model, coefficient)``.
    """
    if isinstance(bins, NestedBins):
        return bins
    if isinstance(bins, ShardedBins):
        return replace(bins, shards=bins.map(_with_walk_at, basis))
    return _with_walk_at(bins, basis)


def _with_walk_at(bins: Bins, basis: Array) -> Bins:
    # w_mn = sum_q psi_q(m) psi_q(n), without the level, which is the first of the basis
    at = basis[bins.rows][:, :, 1:]
    walk = bins.same_lineage * einsum("lmq,lnq->lmn", at, at)
    blocks = tuple(
        one._replace(walk=one.mask[:, :, None] * one.mask[:, None, :] * walk[one.pairs])
        for one in bins.blocks
    )
    return bins._replace(walk=walk, blocks=blocks)
