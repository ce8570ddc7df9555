"""Where numbers are not finite, in words: which benchmark or family to look at."""

from __future__ import annotations

import numpy as np

from sloth_jax.covariates import fit_scaling
from sloth_jax.leaderboard import Leaderboard

_SHOWN = 3


def not_finite_in_words(values: np.ndarray, table: Leaderboard) -> str:
    """Benchmarks, or else families, whose numbers are not finite; empty where that is all of them.

    Args:
        values: ``(..., model, benchmark)``.
        table: whose models and benchmarks these are.
    """
    flat = values.reshape(-1, *values.shape[-2:])
    broken = np.logical_not(np.isfinite(flat).all(axis=0))
    if broken.all() or not broken.any():
        return ""
    of_benchmark, of_model = broken.any(axis=0), broken.any(axis=1)
    if not of_benchmark.all():
        return "on " + _listed([table.benchmarks[j] for j in np.flatnonzero(of_benchmark)])
    families = dict.fromkeys(table.families[f] for f in table.family[of_model])
    return "for models of " + _listed(list(families))


def furthest_in_words(table: Leaderboard) -> str:
    """The model whose size and tokens are furthest from all others', on log scales."""
    scaling = fit_scaling(table.params_b, table.tokens_t)
    away = np.hypot(
        (np.log(table.params_b) - scaling.log_params_mean) / scaling.log_params_sd,
        (np.log(table.tokens_t) - scaling.log_tokens_mean) / scaling.log_tokens_sd,
    )
    m = int(np.argmax(away))
    return (
        f"furthest from all others is {table.models[m]} of family "
        f"{table.families[table.family[m]]}, {table.params_b[m]:g} billion parameters and "
        f"{table.tokens_t[m]:g} trillion tokens"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
