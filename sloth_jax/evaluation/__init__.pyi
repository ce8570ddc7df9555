from .averaging import average, stacking_weights
from .crossval import cross_validate
from .downstream import fit_task_on_skills, skills_of_query
from .folds import Folds, lineage_groups, make_folds
from .leave_lineage_out import leave_lineages_out
from .scoring_rules import central_interval, covered, crps
from .splits import Split, small_tables, split_by_corner, split_by_date, split_by_lineage

__all__ = [
    "Folds",
    "Split",
    "average",
    "central_interval",
    "covered",
    "cross_validate",
    "crps",
    "fit_task_on_skills",
    "leave_lineages_out",
    "lineage_groups",
    "make_folds",
    "skills_of_query",
    "small_tables",
    "split_by_corner",
    "split_by_date",
    "split_by_lineage",
    "stacking_weights",
]
