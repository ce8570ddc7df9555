from .alignment import congruence, match_skills
from .contraction import contraction
from .downstream import fit_task_on_skills, skills_of_query
from .gradient_projection import geomin, quartimin, varimax
from .interpret import Skills, interpret_skills
from .labels import label_support, propose_labels
from .progress import efficiency_by_date, yearly_progress
from .rotation import rotate
from .stability import stability
from .tables import skill_tables

__all__ = [
    "Skills",
    "congruence",
    "contraction",
    "efficiency_by_date",
    "fit_task_on_skills",
    "geomin",
    "interpret_skills",
    "label_support",
    "match_skills",
    "propose_labels",
    "quartimin",
    "rotate",
    "skill_tables",
    "skills_of_query",
    "stability",
    "varimax",
    "yearly_progress",
]
