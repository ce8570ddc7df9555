"""Whether draws from a posterior may be trusted."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Diagnostics:
    """Whether draws may be trusted, by the numbers that each inference has.

    Loadings and skills are not judged here: they are defined up to a rotation only.

    Attributes:
        inference: how they were drawn, of :data:`sloth_jax.inference.settings.INFERENCES`.
        draws: draws of all chains together.
        seconds: that the fit took, compilation included.
        max_rhat: of NUTS, the largest rank-normalised R-hat of the expected scores of the training
            table (Vehtari et al. 2021); NaN otherwise, as the four below.
        min_ess: the smallest bulk effective sample size of the same.
        divergences: number of divergent transitions after warm-up; 0 where there are no chains.
        min_bfmi: smallest Bayesian fraction of missing information over chains (Betancourt 2016).
        mean_steps: mean number of leapfrog steps per draw.
        pareto_k: of an approximation, the shape of the tail of its importance ratios; NaN
            otherwise.
        gradient: length of the gradient at the mode, in standard deviations of the prior; of a
            large table in those of the posterior, which are smaller.
        weights: stacking weight of each surface that was averaged; empty where there is one.
    """

    inference: str
    draws: int
    seconds: float
    max_rhat: float = math.nan
    min_ess: float = math.nan
    divergences: int = 0
    min_bfmi: float = math.nan
    mean_steps: float = math.nan
    pareto_k: float = math.nan
    gradient: float = math.nan
    weights: dict[str, float] = field(default_factory=dict)

    def problems(self) -> tuple[str, ...]:
        """What fails and what to try, one line each; empty if the result may be trusted.

        Thresholds: R-hat below 1.01 and bulk ESS above 400 (Vehtari et al. 2021), no divergence,
        BFMI above 0.3 (Betancourt 2016), Pareto k below 0.7 (Vehtari et al. 2024).
        """
        found = []
        # Written so that NaN fails.
        if self.inference == "nuts":
            if not self.max_rhat < 1.01:
                found.append(f"R-hat {self.max_rhat:.3f}, not below 1.01: raise warm-up and draws")
            if not self.min_ess > 400:
                found.append(f"bulk ESS {self.min_ess:.0f}, not above 400: raise the draws")
            if self.divergences:
                found.append(
                    f"{self.divergences} of {self.draws} draws diverged: raise the "
                    "target acceptance"
                )
            if not self.min_bfmi > 0.3:
                found.append(f"BFMI {self.min_bfmi:.2f}, not above 0.3: raise the warm-up")
        elif self.inference != "mode" and not self.pareto_k < 0.7:
            found.append(
                f"Pareto k {self.pareto_k:.1f}, not below 0.7: {self.inference} approximates the "
                "posterior; sample with nuts before you rely on the last digit of an interval"
            )
        if not self.gradient < 20.0:
            found.append(
                f"the search for the mode had not settled (gradient {self.gradient:.0f}): raise "
                "the steps"
            )
        return tuple(found)

    def summary(self) -> str:
        """The numbers in one line."""
        parts = [f"{self.inference}, {self.draws} draws"]
        if self.inference == "nuts":
            parts.append(
                f"R-hat {self.max_rhat:.3f}, effective sample size {self.min_ess:.0f}, "
                f"{self.divergences} divergences"
            )
        elif self.inference == "mode":
            parts = ["mode, no draws: effects and noise vary, what all families share does not"]
        else:
            parts.append(f"Pareto k {self.pareto_k:.2f}")
        parts += [f"{name} surface {weight:.2f}" for name, weight in self.weights.items()]
        return ", ".join([*parts, f"{self.seconds:.0f} s"])


def judge_chains(
    expected: np.ndarray, *, energy: np.ndarray, diverging: np.ndarray, steps: np.ndarray
) -> dict[str, Any]:
    """Diagnostics of chains, as fields of :class:`Diagnostics`.

    Args:
        expected: ``(chain, draw, entry)``, expected scores of observed entries, fractions.
        energy: Hamiltonian at each draw, ``(chain, draw)``.
        diverging: ``(chain, draw)``, bool.
        steps: leapfrog steps of each draw, ``(chain, draw)``.
    """
    rhat, ess = agreement(expected)
    # BFMI = mean squared change of the energy / its variance
    change = np.mean(np.diff(energy.astype(np.float64), axis=1) ** 2, axis=1)
    bfmi = change / np.maximum(energy.astype(np.float64).var(axis=1), 1e-12)
    return {
        "max_rhat": rhat,
        "min_ess": ess,
        "divergences": int(diverging.sum()),
        "min_bfmi": float(bfmi.min()),
        "mean_steps": float(steps.mean()),
    }


def smooth_ratios(log_ratio: np.ndarray) -> tuple[np.ndarray, float]:
    """Pareto-smoothed importance weights (Vehtari et al. 2024).

    Args:
        log_ratio: log of the density over the approximation's, ``(draw,)``.

    Returns:
        Weights that sum to 1, ``(draw,)``, and Pareto's k: infinite where ratios are not numbers,
        or too few of them differ to tell.
    """
    if log_ratio.size == 1 or not np.isfinite(log_ratio).all():
        return np.full(log_ratio.shape, 1.0 / log_ratio.size), float("inf")
    weights = np.exp(log_ratio.astype(np.float64) - log_ratio.max())
    # The tail: the largest min(n / 5, 3 sqrt n) ratios, as excesses over the largest of the others.
    count = math.ceil(min(0.2 * weights.size, 3.0 * math.sqrt(weights.size)))
    order = np.argsort(weights, kind="stable")
    threshold = weights[order[-count - 1]]
    tail = order[weights[order] > threshold]
    if tail.size < 5:
        return weights / weights.sum(), float("inf")
    k, scale = _fit_pareto(weights[tail] - threshold)
    # Each becomes the quantile of the fitted tail at its rank, and none is above the largest.
    above = -np.log1p(-(np.arange(tail.size) + 0.5) / tail.size)
    quantiles = scale * (np.expm1(k * above) / k if abs(k) > 1e-9 else above)
    weights[tail] = np.minimum(threshold + quantiles, 1.0)
    return weights / weights.sum(), k


def _fit_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution of sorted, positive excesses.

    Zhang and Stephens 2009: the posterior mean of b = -k / scale over a grid, under a prior by the
    first quartile; k is drawn towards 1/2 by ten observations (Vehtari et al. 2024, appendix C).
    """
    n, most = excess.size, excess[-1]
    grid = 30 + int(math.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    b = (1.0 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3.0 * quartile) + 1.0 / most
    # k(b) = mean_i log(1 - b x_i), profile log likelihood n (log(-b / k) - k - 1)
    k = np.log1p(-b[:, None] * excess[None]).mean(axis=1)
    log_likelihood = n * (np.log(-b / k) - k - 1.0)
    weight = np.exp(log_likelihood - log_likelihood.max())
    mean = float((b * weight).sum() / weight.sum())
    shape = float(np.log1p(-mean * excess).mean())
    return (n * shape + 10 * 0.5) / (n + 10), -shape / mean


def agreement(expected: np.ndarray) -> tuple[float, float]:
    """Largest rank-normalised R-hat and smallest bulk ESS (Vehtari et al. 2021).

    Args:
        expected: ``(chain, draw, entry)``. Entries that never move, such as a score that is 0 in
            every draw, are left out: they have neither.

    Returns:
        NaN for the R-hat of a single chain, and for both with fewer than four draws or if no entry
        moves.
    """
    import xarray as xr

    az = import_arviz()
    chains, draws, _ = expected.shape
    moving = expected[:, :, np.ptp(expected, axis=(0, 1)) > 0.0].astype(np.float64)
    if draws < 4 or not moving.size:
        return float("nan"), float("nan")
    entries = xr.Dataset({"score": (("chain", "draw", "entry"), moving)})
    # An entry that moves in one draw alone has no variance once it is split or folded: NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = float(az.ess(entries)["score"].min())
        if chains == 1:
            return float("nan"), ess
        return float(az.rhat(entries)["score"].max()), ess


def import_arviz() -> Any:
    """The module arviz; it costs a second to import, and only samplers need it."""
    with warnings.catch_warnings():
        # arviz 0.23 announces its own redesign once a day.
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz as az
    return az


def arviz_object(groups: dict[str, xr.Dataset]) -> Any:
    """Datasets by group as the object that arviz works on, which depends on its version."""
    import xarray as xr

    az = import_arviz()
    kind = getattr(az, "InferenceData", xr.DataTree)
    # Since 1.0 the name is one of xarray's trees, if it is there at all.
    return xr.DataTree.from_dict(groups) if issubclass(kind, xr.DataTree) else kind(**groups)
