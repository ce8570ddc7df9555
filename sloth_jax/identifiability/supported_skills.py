"""How many skills a table supports: singular values that stand out of the noise."""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.design import TINY, FamilyColumns, covariates

# Quantiles of the strongest direction of noise: a skill above the first is clear, and one below the
# second is as weak as noise usually is.
_CLEAR, _POSSIBLE = 0.95, 0.5
_NOISE_TABLES = 200


def supported_skills(
    table: Leaderboard, *, surface: str = "smooth", seed: int = 0
) -> tuple[int, int] | None:
    """How many skills stand out of the noise in what the design explains.

    On models with all scores, logits of shares above chance are regressed on covariates and
    families. If there are d skills, the fitted values have rank d but for noise. Counted are
    singular values above the largest of noise fitted in the same way (parallel analysis: Horn
    1965; for reduced-rank regression, Reinsel and Velu 1998). The noise is the residuals with the
    signs of whole rows drawn at random (the wild bootstrap: Wu 1986), so that models whose logits
    scatter more, or on all benchmarks together, are noise as well.

    Args:
        table: models and scores.
        surface: one of :data:`sloth_jax.law.surface.KINDS`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the noise.

    Returns:
        How many clearly do, above 95 % of noise tables, and how many possibly do, above half of
        them. None where the complete models leave fewer residual degrees of freedom than there
        are benchmarks.
    """
    complete = np.asarray(table.observed.all(axis=1))
    if complete.sum() < 3:
        return None
    table = table.subset(complete)
    x, families = covariates(table, surface), FamilyColumns.of(table)
    # An orthonormal basis of the design: families, and what covariates vary inside them.
    inside, values, _ = np.linalg.svd(x - families.spread(families.sums(x)), full_matrices=False)
    largest = np.hypot(np.linalg.norm(x, 2), 1.0 / families.scale.min())
    inside = inside[:, values > TINY * largest]
    free = len(x) - len(families.first) - inside.shape[1]
    if free < len(table.benchmarks):
        return None
    logits = _centred_logits(table)
    of_family, of_covariates = families.sums(logits), inside.T @ logits
    residual = logits - families.spread(of_family) - inside @ of_covariates
    # A residual is smaller than its noise by sqrt(1 - h), h its row's leverage.
    left = 1.0 - families.scale[families.family] ** 2 - (inside**2).sum(axis=1)
    informative = left > 0.01
    rows = residual[informative] / np.sqrt(left[informative])[:, None]
    sd = np.sqrt((rows**2).mean(axis=0))
    sd = np.where(sd > 0, sd, 1.0)
    fitted = np.vstack([of_family, of_covariates])
    found = np.linalg.svd(fitted / sd, compute_uv=False)
    # Every skill against the strongest direction of noise: after d skills what is left is noise
    # in its own strongest directions.
    strongest = _strongest_noise(families, inside, rows / sd, informative, seed)
    clear, possible = (
        int((found > np.quantile(strongest, level)).sum()) for level in (_CLEAR, _POSSIBLE)
    )
    return clear, possible


def _centred_logits(table: Leaderboard) -> np.ndarray:
    share = (table.scores - table.floors) / (1.0 - table.floors)
    share = np.clip(share, 0.02, 0.98)  # scores scatter around chance, where logits are extreme
    logits = np.log(share) - np.log1p(-share)
    return logits - logits.mean(axis=0)


def _strongest_noise(
    families: FamilyColumns,
    inside: np.ndarray,
    rows: np.ndarray,
    informative: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Largest singular value of what the design explains of noise, for each noise table."""
    rng = np.random.default_rng(seed)
    models, squares = len(inside), []
    for _ in range(_NOISE_TABLES):
        drawn = rows[rng.integers(len(rows), size=models)]  # for models alone in their family
        drawn[informative] = rows
        noise = rng.choice([-1.0, 1.0], size=(models, 1)) * drawn
        of_family, of_covariates = families.sums(noise), inside.T @ noise
        squares.append(of_family.T @ of_family + of_covariates.T @ of_covariates)
    return np.sqrt(np.linalg.eigvalsh(np.array(squares))[:, -1])
