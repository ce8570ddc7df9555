from . import evaluation, forecasting, items, planning, plotting, repeats, skills
from .cli.console import show_progress
from .compilation_cache import use_compilation_cache
from .data.joining import add_models
from .data.leaderboard import Leaderboard
from .data.reading import load_leaderboard
from .data.tables import TableError
from .errors import InputError, TableTooSmall
from .evaluation.crossval import cross_validate
from .evaluation.folds import Folds, lineage_groups, make_folds
from .forecasting.aggregates import aggregate
from .forecasting.averaging import average, stacking_weights
from .forecasting.bundled_tables import bundled_mixtures, load_observational
from .forecasting.forecast import Forecast, forecast, forecast_table
from .forecasting.query import Query, load_query
from .identifiability.check import check_identifiability
from .inference.arviz_groups import to_arviz
from .inference.diagnostics import Diagnostics
from .inference.fit import Fit, fit
from .inference.settings import FitSettings, NutsSettings
from .inference.storage import load_fit, save_fit
from .law.forward import Effects, Params, scores
from .law.links import Logistic, MonotoneNetwork, QuantileMixture
from .law.options import Prior
from .law.surface import Surface, fit_surface
from .planning.budget import Bounds
from .planning.comparison import compare
from .planning.elasticities import elasticity
from .planning.experimental_design import next_measurement
from .planning.family import Family
from .planning.next_benchmark import next_benchmark
from .planning.optimal import compute_optimal
from .planning.requirement import required
from .skills.downstream import fit_task_on_skills
from .skills.interpret import Skills, interpret_skills
from .skills.tasks import Task, load_task, read_task, with_tasks

__version__: str

__all__ = [
    "Bounds",
    "Diagnostics",
    "Effects",
    "Family",
    "Fit",
    "FitSettings",
    "Folds",
    "Forecast",
    "InputError",
    "Leaderboard",
    "Logistic",
    "MonotoneNetwork",
    "NutsSettings",
    "Params",
    "Prior",
    "QuantileMixture",
    "Query",
    "Skills",
    "Surface",
    "TableError",
    "TableTooSmall",
    "Task",
    "add_models",
    "aggregate",
    "average",
    "bundled_mixtures",
    "check_identifiability",
    "compare",
    "compute_optimal",
    "cross_validate",
    "elasticity",
    "evaluation",
    "fit",
    "fit_surface",
    "fit_task_on_skills",
    "forecast",
    "forecast_table",
    "forecasting",
    "interpret_skills",
    "items",
    "lineage_groups",
    "load_fit",
    "load_leaderboard",
    "load_observational",
    "load_query",
    "load_task",
    "make_folds",
    "next_benchmark",
    "next_measurement",
    "planning",
    "plotting",
    "read_task",
    "repeats",
    "required",
    "save_fit",
    "scores",
    "show_progress",
    "skills",
    "stacking_weights",
    "to_arviz",
    "use_compilation_cache",
    "with_tasks",
]
