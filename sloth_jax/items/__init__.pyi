from .abilities import Ability, ability, arrays_of
from .bank import ItemBank, read_bank, read_responses
from .check import check_bank
from .estimates import calibrate, estimate_score
from .new_version import models_to_evaluate, scores_on_new_items, with_new_items
from .response_law import ResponseLaw, fit_responses
from .selection import select_items

__all__ = [
    "Ability",
    "ItemBank",
    "ResponseLaw",
    "ability",
    "arrays_of",
    "calibrate",
    "check_bank",
    "estimate_score",
    "fit_responses",
    "models_to_evaluate",
    "read_bank",
    "read_responses",
    "scores_on_new_items",
    "select_items",
    "with_new_items",
]
