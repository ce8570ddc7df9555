"""Where numbers are not finite, in words: which model to look at."""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.law.surface import fit_surface


def furthest_in_words(table: Leaderboard) -> str:
    """The model whose size and tokens are furthest from all others', on log scales."""
    table = table.subset(table.known) if table.known.any() else table
    away = np.hypot(
        *(
            np.asarray(axis)
            for axis in fit_surface(table).axes(
                table.params_b, table.tokens_t, table.active_params_b
            )
        )
    )
    m = int(np.argmax(away))
    return (
        f"furthest from all others is {table.models[m]} of family "
        f"{table.families[table.family[m]]}, {table.params_b[m]:g} billion parameters and "
        f"{table.tokens_t[m]:g} trillion tokens"
    )
