from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .averaging import average, stacking_weights
from .extrapolation import beyond
from .forecast import Forecast, forecast, forecast_table
from .response import fit_items, forecast_coverage, simulate_attempts
from .unknown_covariates import unknown_covariates

__all__ = [
    "Attempts",
    "Forecast",
    "average",
    "beyond",
    "coverage",
    "fit_items",
    "forecast",
    "forecast_coverage",
    "forecast_table",
    "pass_at_k",
    "read_attempts",
    "simulate_attempts",
    "stacking_weights",
    "unknown_covariates",
]
