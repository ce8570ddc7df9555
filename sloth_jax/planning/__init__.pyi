from .budget import FLOPS_UNIT, Bounds
from .comparison import compare
from .elasticities import elasticity
from .experimental_design import next_measurement
from .family import Family
from .optimal import Plan, compute_optimal
from .requirement import Requirement, required
from .targets import MEAN, Target

__all__ = [
    "FLOPS_UNIT",
    "MEAN",
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
