"""Predict how language models score on benchmarks before they are trained.

The public face of the package. A table is read by :func:`load_leaderboard`, the law is
:func:`sloth_jax.law.scores`, :func:`fit_point` and :func:`sample_posterior` fit it, and
:func:`forecast` answers queries with predictive draws, :func:`compute_optimal`, :func:`required`
and :func:`compare` decide with them. :func:`make_folds` and
:func:`cross_validate` lay methods side by side on held-out models.
"""

from sloth_jax.covariates import COVARIATES, Scaling, covariate_matrix, fit_scaling
from sloth_jax.crossval import cross_validate
from sloth_jax.diagnostics import Diagnostics
from sloth_jax.downstream import fit_task_on_skills
from sloth_jax.errors import InputError
from sloth_jax.folds import Folds, lineage_groups, make_folds
from sloth_jax.forecasting import Forecast, forecast, forecast_table
from sloth_jax.identifiability import check_identifiability
from sloth_jax.law import Params, scores
from sloth_jax.leaderboard import (
    Leaderboard,
    add_models,
    bundled_mixtures,
    load_leaderboard,
    load_observational,
)
from sloth_jax.links import Logistic, Mixture, MonotoneNetwork
from sloth_jax.measurement import next_measurement
from sloth_jax.planning import Bounds, Family, compare, compute_optimal, elasticity, required
from sloth_jax.point import PointFit, fit_point
from sloth_jax.posterior import Posterior, sample_posterior
from sloth_jax.prior import Scales
from sloth_jax.query import Query, load_query
from sloth_jax.sampler import SamplerSettings
from sloth_jax.skills import Skills, interpret_skills
from sloth_jax.storage import load_posterior, save_posterior, to_arviz
from sloth_jax.tables import TableError
from sloth_jax.tasks import Task, load_task, read_task, with_tasks

__version__ = "0.1.0"

__all__ = [
    "COVARIATES",
    "Bounds",
    "Diagnostics",
    "Family",
    "Folds",
    "Forecast",
    "InputError",
    "Leaderboard",
    "Logistic",
    "Mixture",
    "MonotoneNetwork",
    "Params",
    "PointFit",
    "Posterior",
    "Query",
    "SamplerSettings",
    "Scales",
    "Scaling",
    "Skills",
    "TableError",
    "Task",
    "__version__",
    "add_models",
    "bundled_mixtures",
    "check_identifiability",
    "compare",
    "compute_optimal",
    "covariate_matrix",
    "cross_validate",
    "elasticity",
    "fit_point",
    "fit_scaling",
    "fit_task_on_skills",
    "forecast",
    "forecast_table",
    "interpret_skills",
    "lineage_groups",
    "load_leaderboard",
    "load_observational",
    "load_posterior",
    "load_query",
    "load_task",
    "make_folds",
    "next_measurement",
    "read_task",
    "required",
    "sample_posterior",
    "save_posterior",
    "scores",
    "to_arviz",
    "with_tasks",
]
