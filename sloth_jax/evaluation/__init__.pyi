from .crossval import cross_validate
from .folds import Folds, lineage_groups, make_folds
from .scoring_rules import central_interval, covered, crps
from .splits import Split, small_tables, split_by_corner, split_by_date, split_by_lineage

__all__ = [
    "Folds",
    "Split",
    "central_interval",
    "covered",
    "cross_validate",
    "crps",
    "lineage_groups",
    "make_folds",
    "small_tables",
    "split_by_corner",
    "split_by_date",
    "split_by_lineage",
]
