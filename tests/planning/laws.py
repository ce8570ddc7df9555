"""Laws whose optima are known, for tests of planning."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from small import BENCHMARKS, random_params

from sloth_jax.effects.spread import Spread
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import scores
from sloth_jax.planning.family import Family

KEY = jax.random.key(3)
UNIT = 6e21
NOBODY = Family("nobody", post_trained=False)


def known(seed: int, plain: Fit, draws: int = 1) -> Fit:
    """Random laws in place of a fit, with families all alike and nearly no noise.

    The product of size and tokens goes on for ever, so that optima have a closed form.
    """
    count = len(BENCHMARKS)
    link = jax.tree.map(lambda a: a[0], plain.law.params.link)
    several = [random_params(seed + draw, 2, count, link) for draw in range(draws)]
    params = jax.tree.map(lambda *parts: jnp.stack(parts), *several)
    of_skill, of_benchmark = jnp.zeros((draws, 2)), jnp.zeros((draws, count))
    law = plain.law._replace(
        params=params,
        skill=Spread(*[of_skill] * 5),
        benchmark=Spread(*[of_benchmark] * 5),
        noise=of_benchmark + 1e-9,
        offset=jnp.zeros((draws, 1, count)),
    )
    surface = replace(plain.surface, low=(-50.0, -50.0), high=(50.0, 50.0))
    return replace(
        plain, law=law, surface=surface, settings=replace(plain.settings, inference="laplace")
    )


def law_at(fit: Fit, size, tokens) -> np.ndarray:
    """Expected scores of the average family, ``(draw, point, benchmark)``."""
    x = fit.surface.design(np.atleast_1d(size), np.atleast_1d(tokens), 0.0)
    return np.asarray(jax.vmap(lambda one: scores(one, x))(fit.law.params))
