"""Tables drawn from a law with known parameters, to see what a fit or a check makes of them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sloth_jax.covariates import covariate_matrix, fit_scaling
from sloth_jax.law import Params
from sloth_jax.law import skills as skills_of
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import PIECES, SLACK
from sloth_jax.prior import Scales, standardised_link

_SLOPES = (1.2, 0.7, 0.2)  # of log size, log tokens and their product, about
_WEAK = 0.1  # what a benchmark owes to the other skills, beside about 1 to its own


def synthetic_table(
    seed: int,
    *,
    families: int = 8,
    sizes: int = 4,
    benchmarks: int = 4,
    skills: int = 2,
    noise: float = 0.1,
    tilt: float = 0.3,
    own: float = Scales().model,
    spread: float = 0.6,
) -> tuple[Leaderboard, Params]:
    """A table drawn from a law with a simple structure: each benchmark measures mainly one skill.

    Two families, a base and a post-trained one, descend from each lineage. Sizes and tokens vary
    inside families. Every second benchmark has a floor of 0.25.

    Args:
        seed: of everything that is drawn.
        families: how many.
        sizes: models per family.
        benchmarks: how many.
        skills: how many; benchmark ``j`` measures mainly skill ``j`` modulo this number.
        noise: standard deviation of the noise inside the link, in predictor units; a benchmark's
            predictors have standard deviation ``spread``.
        tilt: how far links leave their neutral shape.
        own: spread of models around their families, in units of the spread of families; that of
            the hierarchical prior unless given, which takes it as known.
        spread: of each benchmark's predictors without noise. Much more, and scores would be cut at
            0 and 1, which no link undoes.

    Returns:
        The table, and the law that it was drawn from, on the covariates of the table.
    """
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), sizes)
    size = np.tile(np.arange(sizes), families)
    models = len(family)
    digits = len(str(families - 1))
    params_b = 2.0 ** (size + family % 3)
    tokens_t = np.exp(0.6 * rng.normal(size=models))
    x = np.asarray(covariate_matrix(fit_scaling(params_b, tokens_t), params_b, tokens_t), float)

    simple = _WEAK * rng.normal(size=(benchmarks, skills))
    simple[np.arange(benchmarks), np.arange(benchmarks) % skills] += rng.uniform(
        0.8, 1.2, benchmarks
    )
    law = Params(
        intercept=jnp.asarray(rng.normal(size=(families, skills))),
        slope=jnp.asarray(np.array(_SLOPES)[:, None] * rng.uniform(0.5, 1.5, (3, skills))),
        loading=jnp.asarray(simple),
        bias=jnp.zeros(benchmarks),
        specific=None,
        growth=None,
        specific_growth=None,
        growth_from=None,
        floor=jnp.asarray(np.resize([0.25, 0.0], benchmarks)),
        # For shares that are evenly spread, predictors have mean 0 and standard deviation 1.
        link=standardised_link(
            jnp.asarray(tilt * rng.normal(size=(PIECES, benchmarks))),
            jnp.full(benchmarks, SLACK),
            jnp.zeros((1, benchmarks)),
            jnp.zeros((1, benchmarks), bool),
        ),
        own=jnp.asarray(own * rng.normal(size=(models, skills))),
    )
    theta = np.asarray(skills_of(law, jnp.asarray(x), jnp.asarray(family)), dtype=float)
    eta = theta @ simple.T
    scale = spread / eta.std(axis=0)
    law = law._replace(
        loading=jnp.asarray(simple * scale[:, None]), bias=jnp.asarray(-eta.mean(axis=0) * scale)
    )
    noisy = (eta - eta.mean(axis=0)) * scale + noise * rng.normal(size=eta.shape)
    floors = np.asarray(law.floor, dtype=float)
    share = np.asarray(law.link.share(jnp.asarray(noisy)), dtype=float)  # pyright: ignore
    table = Leaderboard(
        models=tuple(f"family{f:0{digits}d}-{s}" for f, s in zip(family, size, strict=True)),
        families=tuple(f"family{f:0{digits}d}" for f in range(families)),
        lineages=tuple(f"lineage{f:0{digits}d}" for f in range((families + 1) // 2)),
        benchmarks=tuple(f"benchmark{j + 1}" for j in range(benchmarks)),
        family=family,
        lineage_of_family=np.arange(families) // 2,
        post_trained_of_family=np.arange(families) % 2.0,
        params_b=params_b,
        active_params_b=np.full(models, np.nan),
        tokens_t=tokens_t,
        released=("",) * models,
        scores=np.clip(floors + (1.0 - floors) * share, 0.0, 1.0),
        floors=floors,
        standard_errors=np.full((models, benchmarks), np.nan),
        items=np.full(benchmarks, np.nan),
        source=np.zeros((models, benchmarks), dtype=np.int64),
    )
    return table, law
