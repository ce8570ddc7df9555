from .contraction import contraction
from .interpret import Skills, interpret_skills, propose_labels
from .rotation import congruence, geomin, match_skills, quartimin, rotate, varimax
from .stability import stability

__all__ = [
    "Skills",
    "congruence",
    "contraction",
    "geomin",
    "interpret_skills",
    "match_skills",
    "propose_labels",
    "quartimin",
    "rotate",
    "stability",
    "varimax",
]
