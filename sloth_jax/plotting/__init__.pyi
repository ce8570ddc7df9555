from .calibration import plot_coverage, plot_pit, plot_reliability
from .comparison import heatmap_size, plot_differences, plot_heatmap
from .figure_style import AMBER, BLUE, COLOURS, GREEN, GREY, INK, ORANGE, PURPLE, SKY, style
from .held_out import left_out_figures, plot_errors, plot_predicted
from .panels import interval_panels, plot_panels
from .planning import (
    plan_panels,
    plot_candidates,
    plot_frontier,
    plot_reached,
    plot_requirement,
    plot_splits,
)
from .scores import plot_curves, plot_intervals
from .skill_figures import skill_figures
from .skills import (
    plot_best_models,
    plot_congruence,
    plot_growth,
    plot_level_curves,
    plot_loadings,
    plot_pairs,
    plot_progress,
    plot_shifts,
)
from .tasks import plot_family_errors, plot_task_curve, plot_task_loadings, plot_task_panel

__all__ = [
    "AMBER",
    "BLUE",
    "COLOURS",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "SKY",
    "heatmap_size",
    "interval_panels",
    "left_out_figures",
    "plan_panels",
    "plot_best_models",
    "plot_candidates",
    "plot_congruence",
    "plot_coverage",
    "plot_curves",
    "plot_differences",
    "plot_errors",
    "plot_family_errors",
    "plot_frontier",
    "plot_growth",
    "plot_heatmap",
    "plot_intervals",
    "plot_level_curves",
    "plot_loadings",
    "plot_pairs",
    "plot_panels",
    "plot_pit",
    "plot_predicted",
    "plot_progress",
    "plot_reached",
    "plot_reliability",
    "plot_requirement",
    "plot_shifts",
    "plot_splits",
    "plot_task_curve",
    "plot_task_loadings",
    "plot_task_panel",
    "skill_figures",
    "style",
]
