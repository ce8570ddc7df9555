from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .averaging import average, stacking_weights
from .completion import Completion, complete
from .extrapolation import beyond
from .forecast import Forecast, forecast, forecast_table
from .response import fit_items, forecast_coverage, simulate_attempts
from .sparse_tables import SparseTable, read_sparse
from .unknown_covariates import unknown_covariates

__all__ = [
    "Attempts",
    "Completion",
    "Forecast",
    "SparseTable",
    "average",
    "beyond",
    "complete",
    "coverage",
    "fit_items",
    "forecast",
    "forecast_coverage",
    "forecast_table",
    "pass_at_k",
    "read_attempts",
    "read_sparse",
    "simulate_attempts",
    "stacking_weights",
    "unknown_covariates",
]
