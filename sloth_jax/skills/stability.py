"""Would the skills come out again? Loadings from half of the lineages, or with another d.

By the mode, whose seconds allow dozens of repetitions, in one compiled program. Intervals of
loadings under the law are the posterior's (:mod:`sloth_jax.skills.interpret`); here is what happens
had the table held other lineages of the same kind. A fit to a random half of them differs from the
fit to all, to first order, as much as this one from the truth (the delete-half jackknife: Shao and
Wu 1989, "A general theory for jackknife variance estimation").
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.check import check_skills
from sloth_jax.inference.draws import fit_observations
from sloth_jax.inference.observe import observe
from sloth_jax.inference.settings import FitSettings
from sloth_jax.law.forward import skills as skills_of
from sloth_jax.law.observations import Observations, linearised_at
from sloth_jax.law.predictive import effects_of_table
from sloth_jax.law.surface import fit_surface
from sloth_jax.skills.alignment import canonical_order, match_skills, whitening
from sloth_jax.skills.gradient_projection import rotate_loading
from sloth_jax.skills.rotation import rotate

_ROTATION_STARTS = 10


def stability(
    table: Leaderboard,
    *,
    key: Array,
    settings: FitSettings | None = None,
    halves: int = 30,
    others: tuple[int, ...] = (2, 4),
) -> pd.DataFrame:
    """Congruence of each skill with its partner in repetitions of the fit.

    Args:
        table: scores to fit.
        key: random key.
        settings: the fit, by its mode whatever the inference; None for the defaults.
        halves: how many random halves of the lineages.
        others: other numbers of skills. Of more skills, those most alike count; with fewer, only
            as many of ours have a partner.

    Returns:
        One row per repetition and skill: ``reason`` (``"half of the lineages"``, or ``"d = 2"``),
        ``repetition``, ``skill`` (from 1, by falling strength in the reference), ``congruence``.

    Raises:
        InputError: if the skills do not fit the table.
    """
    settings = replace(settings or FitSettings(), inference="mode")
    check_skills(settings.skills, table)
    seen = np.asarray(table.observed.any(axis=1))
    surface = fit_surface(table, kind=settings.kind, size=settings.size, seen=seen)
    observations = observe(table, surface)
    first_key, key, half_key = jax.random.split(key, 3)
    every = jnp.ones((1, len(table.models)), bool)
    reference = np.asarray(_loadings(observations, every, first_key[None], settings)[0])
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

    if halves:
        lineages = jnp.unique(observations.members.lineage[jnp.asarray(seen)])
        orders = jax.vmap(lambda one: jax.random.permutation(one, lineages))(
            jax.random.split(half_key, halves)
        )
        kept = orders[:, : -(-lineages.size // 2)]
        masks = (observations.members.lineage[None, :, None] == kept[:, None, :]).any(axis=2)
        keys = jax.random.split(key, halves)
        found = _loadings(observations, masks, keys, settings)
        add("half of the lineages", np.asarray(found))
    for skills in others:
        if 1 <= skills <= len(table.benchmarks) and skills != settings.skills:
            more = replace(settings, skills=skills)
            add(f"d = {skills}", np.asarray(_loadings(observations, every, key[None], more)))
    return pd.DataFrame(rows)


@partial(jax.jit, static_argnames="settings")
def _loadings(
    observations: Observations, masks: Array, keys: Array, settings: FitSettings
) -> Array:
    """Rotated loadings of fits to some models ``(fit, model)``, ``(fit, benchmark, skill)``."""

    def one(inputs: tuple[Array, Array]) -> Array:
        mask, key = inputs
        fit_key, rotation_key = jax.random.split(key)
        some = observations._replace(observed=observations.observed & mask[:, None])
        draws = fit_observations(some, fit_key, settings)
        some = linearised_at(some, draws.mode.covariates)
        law = jax.tree.map(lambda a: a[0], draws.law)
        effects, _ = effects_of_table(some, law)
        theta = skills_of(law.params, some.design, effects)
        white = whitening(theta, some.observed.any(axis=1))
        loading = rotate_loading(law.params.loading, white)
        rotated = rotate(loading, rotation_key, starts=_ROTATION_STARTS).loading
        return rotated @ canonical_order(rotated)

    return jax.lax.map(one, (masks, keys))
