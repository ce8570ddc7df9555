from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .response import fit_items, forecast_coverage, simulate_attempts

__all__ = [
    "Attempts",
    "coverage",
    "fit_items",
    "forecast_coverage",
    "pass_at_k",
    "read_attempts",
    "simulate_attempts",
]
