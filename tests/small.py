"""Small synthetic tables with known parameters, for tests that fit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.law.forward import Effects, Params, scores
from sloth_jax.law.links import PIECES, Link, Logistic, MonotoneNetwork, QuantileMixture
from sloth_jax.law.surface import fit_surface

BENCHMARKS = ("MMLU", "ARC", "HellaSwag", "GSM8K")
FLOORS = np.array([0.25, 0.25, 0.25, 0.0])

# Rounding of a few hundred float64 operations.
EXACT = 1e-10


def random_params(seed: int, skills: int, benchmarks: int, link: Link) -> Params:
    """Parameters of a law with the columns of a translog surface and of post-training."""
    keys = jax.random.split(jax.random.key(seed), 4)
    normal = jax.random.normal
    return Params(
        slope=normal(keys[0], (4, skills)),
        loading=normal(keys[1], (benchmarks, skills)),
        bias=normal(keys[2], (benchmarks,)),
        floor=jnp.asarray(np.resize(FLOORS, benchmarks)),
        link=link,
        specific_slope=0.3 * normal(keys[3], (4, benchmarks)),
    )


def random_links(seed: int, benchmarks: int, hidden: int = 4) -> dict[str, Link]:
    keys = jax.random.split(jax.random.key(seed), 7)
    normal = jax.random.normal

    def positive(key: jax.Array, *shape: int) -> jax.Array:
        return jnp.exp(0.3 * normal(key, shape))

    return {
        "logistic": Logistic(),
        "quantiles": QuantileMixture(
            tilt=normal(keys[0], (PIECES, benchmarks)),
            slack=jnp.full(benchmarks, 0.02),
            centre=jnp.zeros(benchmarks),
            spread=jnp.ones(benchmarks),
        ),
        "network": MonotoneNetwork(
            input_weight=positive(keys[1], benchmarks, hidden),
            input_bias=normal(keys[2], (benchmarks, hidden)),
            hidden_weight=positive(keys[3], benchmarks, hidden, hidden),
            hidden_bias=normal(keys[4], (benchmarks, hidden)),
            output_weight=positive(keys[5], benchmarks, hidden),
            output_bias=normal(keys[6], (benchmarks,)),
        ),
    }


def table(
    seed: int = 0, *, families: int = 6, sizes: int = 4, noise: float = 0.01
) -> tuple[Leaderboard, Params]:
    """A table drawn from a known basic law, and the law's parameters."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        [
            {
                "model": f"family{f}-{size}",
                "family": f"family{f}",
                "lineage": f"lineage{f // 2}",
                "post_trained": bool(f % 2),
                "params_b": float(2.0 ** (size + f % 3)),
                "tokens_t": float(0.5 + f % 4 + 0.3 * size),
            }
            for f in range(families)
            for size in range(sizes)
        ]
    )
    truth = Params(
        slope=jnp.asarray([[1.0], [0.5], [0.1], [0.0]]),
        loading=jnp.asarray([[1.0], [0.8], [0.6], [1.2]]),
        bias=jnp.asarray([0.0, 0.3, 0.5, -0.5]),
        floor=jnp.asarray(FLOORS),
        link=Logistic(),
    )
    of_family = 0.5 * rng.normal(size=(families, 1))
    effects = Effects(jnp.asarray(np.repeat(of_family, sizes, axis=0)))
    blank = leaderboard(frame, np.zeros((len(frame), len(BENCHMARKS))))
    surface = fit_surface(blank, kind="translog")
    x = surface.of(blank, frame["post_trained"].to_numpy(float))
    expected = np.asarray(scores(truth, x, effects))
    measured = np.clip(expected + noise * rng.standard_normal(expected.shape), 0.0, 1.0)
    return leaderboard(frame, measured), truth


def leaderboard(frame: pd.DataFrame, measured: np.ndarray) -> Leaderboard:
    """A Leaderboard from a frame of models and an array of scores."""
    families = sorted(set(frame["family"]))
    lineages = sorted(set(frame["lineage"]))
    first = frame.drop_duplicates("family").set_index("family")
    return Leaderboard(
        models=tuple(frame["model"]),
        families=tuple(families),
        lineages=tuple(lineages),
        benchmarks=BENCHMARKS,
        family=np.array([families.index(f) for f in frame["family"]]),
        lineage_of_family=np.array([lineages.index(first.loc[f, "lineage"]) for f in families]),
        post_trained_of_family=np.array([float(first.loc[f, "post_trained"]) for f in families]),
        params_b=frame["params_b"].to_numpy(),
        active_params_b=np.full(len(frame), np.nan),
        tokens_t=frame["tokens_t"].to_numpy(),
        released=("",) * len(frame),
        scores=measured,
        floors=FLOORS,
        standard_errors=np.full(measured.shape, np.nan),
        items=np.full(len(BENCHMARKS), np.nan),
        source=np.zeros(measured.shape, dtype=np.int64),
        warnings=(),
    )
