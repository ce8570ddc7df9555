from .aggregates import aggregate
from .averaging import average, stacking_weights
from .completion import Completion, complete
from .extrapolation import beyond
from .forecast import Forecast, forecast, forecast_table
from .sparse_tables import SparseTable, read_sparse
from .unknown_covariates import unknown_covariates

__all__ = [
    "Completion",
    "Forecast",
    "SparseTable",
    "aggregate",
    "average",
    "beyond",
    "complete",
    "forecast",
    "forecast_table",
    "read_sparse",
    "stacking_weights",
    "unknown_covariates",
]
