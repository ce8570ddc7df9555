"""What is fitted and how: plain Python, so that a command line loads no JAX for its defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sloth_jax.law.options import AVERAGED, SIZES, SURFACES, Prior
from sloth_jax.wording import did_you_mean, quoted

INFERENCES = ("laplace", "nuts", "svi", "mode")


@dataclass(frozen=True)
class NutsSettings:
    """How chains move.

    Attributes:
        chains: number of chains.
        warmup: draws per chain spent on adaptation.
        draws: draws per chain kept.
        max_tree_depth: longest trajectory is ``2 ** max_tree_depth - 1`` leapfrog steps.
        target_accept: acceptance probability that the step size is tuned to.
    """

    chains: int = 4
    warmup: int = 200
    draws: int = 400
    max_tree_depth: int = 6
    target_accept: float = 0.8

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: naming the setting that cannot be.
        """
        for name in ("chains", "warmup", "draws", "max_tree_depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not a positive whole number")
        if not 0.0 < self.target_accept < 1.0:
            raise ValueError(f"target_accept {self.target_accept} is not between 0 and 1")


@dataclass(frozen=True)
class FitSettings:
    """What is fitted and how.

    Attributes:
        inference: one of :data:`INFERENCES`.
        skills: number of skills; fewer where a table has fewer benchmarks.
        surface: one of :data:`sloth_jax.law.options.SURFACES`. ``averaged`` weighs the smooth and
            the translog surface by how well each predicts lineages that it leaves out; NUTS and
            the mode take the smooth one.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.options.SIZES`.
        draws: of an approximation.
        starts: of the search for the mode.
        steps: of each.
        nuts: how chains move.
        prior: what is believed before any score is seen.
    """

    inference: str = "laplace"
    skills: int = 3
    surface: str = "smooth"
    size: str = "active"
    draws: int = 1000
    starts: int = 1
    steps: int = 400
    nuts: NutsSettings = NutsSettings()
    prior: Prior = Prior()

    @property
    def averages(self) -> bool:
        """Whether draws of several surfaces are weighed."""
        return self.surface == "averaged" and self.inference in ("laplace", "svi")

    @property
    def kind(self) -> str:
        """The surface whose columns the design has; it contains those that are averaged."""
        return AVERAGED[0] if self.surface == "averaged" else self.surface

    def __post_init__(self) -> None:
        """Check names and numbers.

        Raises:
            ValueError: naming the setting that cannot be.
        """
        known = {"inference": INFERENCES, "surface": SURFACES, "size": SIZES}
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in choices:
                hint = did_you_mean(str(value), choices)
                raise ValueError(f"no {name} {quoted(str(value))}{hint}: {', '.join(choices)}")
        for name in ("skills", "draws", "starts", "steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} {value!r} is not a positive whole number")
        for part in fields(Prior):
            value = getattr(self.prior, part.name)
            if not (isinstance(value, bool | str) or value > 0.0):
                raise ValueError(f"prior.{part.name} {value} is not a positive number")
