from .abilities import Ability, ability, arrays_of
from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .bank import ItemBank, read_bank, read_responses
from .estimates import calibrate, estimate_score
from .new_version import models_to_evaluate, scores_on_new_items
from .response import fit_items, forecast_coverage, simulate_attempts
from .response_law import ResponseLaw, fit_responses
from .selection import select_items

__all__ = [
    "Ability",
    "Attempts",
    "ItemBank",
    "ResponseLaw",
    "ability",
    "arrays_of",
    "calibrate",
    "coverage",
    "estimate_score",
    "fit_items",
    "fit_responses",
    "forecast_coverage",
    "models_to_evaluate",
    "pass_at_k",
    "read_attempts",
    "read_bank",
    "read_responses",
    "scores_on_new_items",
    "select_items",
    "simulate_attempts",
]
