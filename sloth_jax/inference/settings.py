"""What is fitted and how."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sloth_jax.data.tables import did_you_mean, quoted
from sloth_jax.inference.nuts import NutsSettings
from sloth_jax.law.hierarchical import Prior
from sloth_jax.law.surface import SIZES, SURFACES

INFERENCES = ("laplace", "nuts", "svi", "mode")


@dataclass(frozen=True)
class FitSettings:
    """What is fitted and how.

    Attributes:
        inference: one of :data:`INFERENCES`.
        skills: number of skills; fewer where a table has fewer benchmarks.
        surface: one of :data:`sloth_jax.law.surface.SURFACES`.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.surface.SIZES`.
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
            if not (isinstance(value, bool) or value > 0.0):
                raise ValueError(f"prior.{part.name} {value} is not a positive number")
