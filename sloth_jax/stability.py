"""Would the skills come out again? Loadings from other starts, other families, another d.

All with the point fit, whose seconds allow a hundred repetitions, in one compiled program.
Intervals of loadings under the law are the posterior's (:mod:`sloth_jax.skills`); here is what
happens had the table held other families of the same kind (the bootstrap; Efron and Tibshirani
1993, chapter 6), or the optimiser begun elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.covariates import fit_scaling
from sloth_jax.identifiability import check_skills
from sloth_jax.law import skills as skills_of
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.observations import Observations, observe, with_mask
from sloth_jax.point import PointSettings, fit_observations
from sloth_jax.rotation import canonical_order, match_skills, rotate, whitening

_ROTATION_STARTS = 10
_BOOTSTRAP_STARTS = 3


def stability(
    table: Leaderboard,
    *,
    key: Array,
    settings: PointSettings = PointSettings(),
    seeds: int = 10,
    bootstraps: int = 30,
    others: tuple[int, ...] = (2, 4),
) -> pd.DataFrame:
    """Congruence of each skill with its partner in repetitions of the fit.

    Args:
        table: scores to fit.
        key: random key.
        settings: the fit. Repetitions from another start have that one, those with other families
            at most three, the reference has all.
        seeds: how many single starts.
        bootstraps: how many tables of families drawn with replacement.
        others: other numbers of skills. Of more skills, those most alike count; with fewer, only
            as many of ours have a partner.

    Returns:
        One row per repetition and skill: ``reason`` (``"start"``, ``"families"``, or
        ``"d = 2"``), ``repetition``, ``skill`` (from 1, by falling strength in the reference),
        ``congruence``.

    Raises:
        InputError: if the skills do not fit the table.
    """
    check_skills(settings.skills, table)
    observations = observe(table, fit_scaling(table.params_b, table.tokens_t))
    keys = jax.random.split(key, 3 + len(others))
    weights = observations.observed.astype(observations.scores.dtype)
    reference = np.asarray(_loadings(observations, weights[None], keys[:1], settings)[0])
    single = replace(settings, starts=1)
    rows: list[dict[str, object]] = []

    def add(reason: str, loadings: np.ndarray) -> None:
        for at, loading in enumerate(loadings):
            if loading.shape[1] >= reference.shape[1]:
                alike, _ = match_skills(reference, loading)
            else:
                alike = np.full(reference.shape[1], np.nan)
                back, partner = match_skills(loading, reference)
                alike[partner] = back
            rows.extend(
                {"reason": reason, "repetition": at, "skill": k + 1, "congruence": float(value)}
                for k, value in enumerate(alike)
                if np.isfinite(value)
            )

    if seeds:
        same = jnp.broadcast_to(weights[None], (seeds, *weights.shape))
        add(
            "start",
            np.asarray(_loadings(observations, same, jax.random.split(keys[1], seeds), single)),
        )
    if bootstraps:
        families = len(table.families)
        drawn = jax.random.randint(keys[2], (bootstraps, families), 0, families)
        counts = jax.vmap(partial(jnp.bincount, length=families))(drawn)
        many = counts[:, observations.family, None] * weights[None]
        again = jax.random.split(keys[2], bootstraps)
        few = replace(settings, starts=min(settings.starts, _BOOTSTRAP_STARTS))
        add("families", np.asarray(_loadings(observations, many, again, few)))
    for at, skills in enumerate(others):
        if 1 <= skills <= len(table.benchmarks) and skills != settings.skills:
            more = replace(settings, skills=skills)
            one = _loadings(observations, weights[None], keys[3 + at][None], more)
            add(f"d = {skills}", np.asarray(one))
    return pd.DataFrame(rows)


@partial(jax.jit, static_argnames="settings")
def _loadings(
    observations: Observations, weights: Array, keys: Array, settings: PointSettings
) -> Array:
    """Rotated loadings of fits with different weights of scores, ``(fit, benchmark, skill)``."""

    def one(inputs: tuple[Array, Array]) -> Array:
        weight, key = inputs
        fit_key, rotation_key = jax.random.split(key)
        some = with_mask(observations, weight > 0)._replace(observed=weight)
        params = fit_observations(some, fit_key, settings).params
        theta = skills_of(params, some.covariates, some.family)
        white = whitening(theta, jnp.max(weight, axis=1))
        loading = jnp.linalg.solve(white, params.loading.T).T
        rotated = rotate(loading, rotation_key, starts=_ROTATION_STARTS).loading
        return rotated @ canonical_order(rotated)

    return jax.lax.map(one, (weights, keys))
