"""Predict how language models score on benchmarks before they are trained.

The public face of the package. A table is read by :func:`load_leaderboard`; the law is
:func:`sloth_jax.law.forward.scores`, and :func:`fit` fits it, by Laplace's approximation, NUTS, SVI
or at its mode. :func:`forecast` answers queries with predictive draws, :func:`compute_optimal`,
:func:`required` and :func:`compare` decide with them. :func:`make_folds` and
:func:`cross_validate` lay methods side by side on held-out models.
"""

from sloth_jax.data.leaderboard import (
    Leaderboard,
    add_models,
    bundled_mixtures,
    load_leaderboard,
    load_observational,
)
from sloth_jax.data.query import Query, load_query
from sloth_jax.data.tables import TableError
from sloth_jax.data.tasks import Task, load_task, read_task, with_tasks
from sloth_jax.errors import InputError
from sloth_jax.evaluation.averaging import average, stacking_weights
from sloth_jax.evaluation.crossval import cross_validate
from sloth_jax.evaluation.downstream import fit_task_on_skills
from sloth_jax.evaluation.folds import Folds, lineage_groups, make_folds
from sloth_jax.forecasting.forecast import Forecast, forecast, forecast_table
from sloth_jax.identifiability.report import check_identifiability
from sloth_jax.inference.diagnostics import Diagnostics
from sloth_jax.inference.fit import Fit, fit
from sloth_jax.inference.nuts import NutsSettings
from sloth_jax.inference.settings import FitSettings
from sloth_jax.inference.storage import load_fit, save_fit, to_arviz
from sloth_jax.law.forward import Effects, Params, scores
from sloth_jax.law.hierarchical import Prior
from sloth_jax.law.links import Logistic, MonotoneNetwork, QuantileMixture
from sloth_jax.law.surface import Surface, fit_surface
from sloth_jax.planning.experimental_design import next_measurement
from sloth_jax.planning.optimal import (
    Bounds,
    Family,
    compare,
    compute_optimal,
    elasticity,
    required,
)
from sloth_jax.skills.interpret import Skills, interpret_skills

__version__ = "0.2.0"

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
    "Task",
    "__version__",
    "add_models",
    "average",
    "bundled_mixtures",
    "check_identifiability",
    "compare",
    "compute_optimal",
    "cross_validate",
    "elasticity",
    "fit",
    "fit_surface",
    "fit_task_on_skills",
    "forecast",
    "forecast_table",
    "interpret_skills",
    "lineage_groups",
    "load_fit",
    "load_leaderboard",
    "load_observational",
    "load_query",
    "load_task",
    "make_folds",
    "next_measurement",
    "read_task",
    "required",
    "save_fit",
    "scores",
    "stacking_weights",
    "to_arviz",
    "with_tasks",
]
