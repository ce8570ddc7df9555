from .budget import FLOPS_UNIT, Bounds
from .comparison import compare
from .elasticities import elasticity
from .experimental_design import next_measurement
from .family import Family
from .next_benchmark import benchmark_costs, next_benchmark
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
    "benchmark_costs",
    "compare",
    "compute_optimal",
    "elasticity",
    "next_benchmark",
    "next_measurement",
    "required",
]
