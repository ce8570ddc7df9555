from .experimental_design import next_measurement
from .optimal import (
    Bounds,
    Family,
    Plan,
    Requirement,
    compare,
    compute_optimal,
    elasticity,
    required,
)
from .targets import Target

__all__ = [
    "Bounds",
    "Family",
    "Plan",
    "Requirement",
    "Target",
    "compare",
    "compute_optimal",
    "elasticity",
    "next_measurement",
    "required",
]
