"""Whether draws from a posterior may be trusted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class Diagnostics:
    """Whether the chains agree, judged on the expected scores of the training table.

    Loadings and skills are not judged here: they are defined up to a rotation only.

    Attributes:
        max_rhat: largest rank-normalised R-hat (Vehtari et al. 2021).
        min_ess: smallest bulk effective sample size.
        divergences: number of divergent transitions after warm-up.
        min_bfmi: smallest Bayesian fraction of missing information over chains (Betancourt 2016).
        mean_steps: mean number of leapfrog steps per draw.
        draws: draws of all chains together.
        inference: how they were drawn, of :data:`sloth_jax.sampler.INFERENCES`.
    """

    max_rhat: float
    min_ess: float
    divergences: int
    min_bfmi: float
    mean_steps: float
    draws: int
    inference: str = "nuts"

    def problems(self) -> tuple[str, ...]:
        """What fails and what to try, one line each; empty if the result may be trusted.

        Thresholds: R-hat below 1.01 and bulk ESS above 400 (Vehtari et al. 2021), no divergence,
        BFMI above 0.3 (Betancourt 2016).
        """
        if self.inference != "nuts":
            return (
                f"{self.inference} approximates the posterior and no diagnostic tells how well: "
                "sample with nuts before you rely on an interval",
            )
        found = []
        # Written so that NaN fails.
        if not self.max_rhat < 1.01:
            found.append(f"R-hat {self.max_rhat:.3f}, not below 1.01: raise the warm-up and draws")
        if not self.min_ess > 400:
            found.append(f"bulk ESS {self.min_ess:.0f}, not above 400: raise the draws")
        if self.divergences:
            found.append(f"{self.divergences} of {self.draws} draws diverged: raise target_accept")
        if not self.min_bfmi > 0.3:
            found.append(f"BFMI {self.min_bfmi:.2f}, not above 0.3: raise the warm-up")
        return tuple(found)


def diagnose(
    expected: np.ndarray,
    *,
    energy: np.ndarray,
    diverging: np.ndarray,
    steps: np.ndarray,
    inference: str = "nuts",
) -> Diagnostics:
    """Judge chains by the expected scores they give.

    Args:
        expected: ``(chain, draw, entry)``, expected scores of observed entries, fractions.
        energy: Hamiltonian at each draw, ``(chain, draw)``.
        diverging: ``(chain, draw)``, bool.
        steps: leapfrog steps of each draw, ``(chain, draw)``.
        inference: how they were drawn.

    Returns:
        :class:`Diagnostics`. With a single chain or fewer than four draws R-hat is NaN, which no
        threshold accepts.
    """
    chains, draws, _ = expected.shape
    rhat, ess = agreement(expected)
    # BFMI = mean squared change of the energy / its variance
    change = np.mean(np.diff(energy.astype(np.float64), axis=1) ** 2, axis=1)
    bfmi = change / np.maximum(energy.astype(np.float64).var(axis=1), 1e-12)
    return Diagnostics(
        max_rhat=rhat,
        min_ess=ess,
        divergences=int(diverging.sum()),
        min_bfmi=float(bfmi.min()),
        mean_steps=float(steps.mean()),
        draws=chains * draws,
        inference=inference,
    )


def agreement(expected: np.ndarray) -> tuple[float, float]:
    """Largest rank-normalised R-hat and smallest bulk ESS (Vehtari et al. 2021).

    Args:
        expected: ``(chain, draw, entry)``. Entries that never move, such as a score that is 0 in
            every draw, are left out: they have neither.

    Returns:
        NaN for the R-hat of a single chain, and for both with fewer than four draws or if no entry
        moves.
    """
    az = import_arviz()
    chains, draws, _ = expected.shape
    moving = expected[:, :, np.ptp(expected, axis=(0, 1)) > 0.0].astype(np.float64)
    if draws < 4 or not moving.size:
        return float("nan"), float("nan")
    entries = xr.Dataset({"score": (("chain", "draw", "entry"), moving)})
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
    az = import_arviz()
    kind = getattr(az, "InferenceData", xr.DataTree)
    # Since 1.0 the name is one of xarray's trees, if it is there at all.
    return xr.DataTree.from_dict(groups) if issubclass(kind, xr.DataTree) else kind(**groups)
