"""How many parameters a table determines: the rank of the law's Jacobian at a random law."""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.design import TINY, column_lengths, covariates


def local_rank(
    table: Leaderboard, *, skills: int, surface: str = "smooth", seed: int = 0
) -> tuple[int, int]:
    """Rank of the law's Jacobian at a generic point, and what it should be.

    For ``eta_mj = lambda_j' (alpha_f + B' x_m) + b_j`` over the observed entries::

        d eta / d alpha_f = lambda_j    d eta / d B = x_m lambda_j'
        d eta / d lambda_j = theta_m    d eta / d b_j = 1

    Where the parameters are, but for a set of measure zero, does not matter.

    Args:
        table: models and scores, every model with at least one.
        skills: number of skills d.
        surface: one of :data:`sloth_jax.law.surface.KINDS`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the point.

    Returns:
        The rank, and the number of parameters less ``d x d + d``: of one invertible matrix that
        turns skills, and of one shift.
    """
    rng = np.random.default_rng(seed)
    x = covariates(table, surface)
    families, benchmarks = len(table.families), len(table.benchmarks)
    loading = rng.normal(size=(benchmarks, skills))
    theta = rng.normal(size=(families, skills))[table.family]
    theta = theta + x @ rng.normal(size=(x.shape[1], skills))
    model, benchmark = np.nonzero(table.observed)
    entries, width = len(model), x.shape[1]
    of_family = np.zeros((entries, families, skills))
    of_family[np.arange(entries), table.family[model]] = loading[benchmark]
    of_slope = x[model][:, :, None] * loading[benchmark][:, None, :]
    of_loading = np.zeros((entries, benchmarks, skills))
    of_loading[np.arange(entries), benchmark] = theta[model]
    of_bias = np.eye(benchmarks)[benchmark]
    jacobian = np.hstack(
        [
            of_family.reshape(entries, -1),
            of_slope.reshape(entries, width * skills),
            of_loading.reshape(entries, -1),
            of_bias,
        ]
    )
    values = np.linalg.svd(jacobian / column_lengths(jacobian), compute_uv=False)
    rank = int((values > TINY * values[0]).sum())
    return rank, jacobian.shape[1] - skills**2 - skills
