from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .extrapolation import beyond
from .forecast import Forecast, forecast, forecast_table
from .response import fit_items, forecast_coverage, sample_items, simulate_attempts

__all__ = [
    "Attempts",
    "Forecast",
    "beyond",
    "coverage",
    "fit_items",
    "forecast",
    "forecast_coverage",
    "forecast_table",
    "pass_at_k",
    "read_attempts",
    "sample_items",
    "simulate_attempts",
]
