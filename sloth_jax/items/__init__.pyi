from .abilities import Ability, ability, arrays_of
from .attempt_forecast import forecast_alone, forecast_attempts
from .attempt_law import fit_attempts
from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .bank import ItemBank, read_bank, read_responses
from .counts import read_counts
from .estimates import calibrate, estimate_score
from .new_version import models_to_evaluate, scores_on_new_items
from .prompt_answers import PromptAnswers, balanced_cells, random_cells, read_prompt_answers
from .prompt_parts import PromptParts, prompt_parts
from .prompts import PromptPerformance, prompt_performance
from .response import fit_items, forecast_coverage, simulate_attempts
from .response_law import ResponseLaw, fit_responses
from .selection import select_items

__all__ = [
    "Ability",
    "Attempts",
    "ItemBank",
    "PromptAnswers",
    "PromptParts",
    "PromptPerformance",
    "ResponseLaw",
    "ability",
    "arrays_of",
    "balanced_cells",
    "calibrate",
    "coverage",
    "estimate_score",
    "fit_attempts",
    "fit_items",
    "fit_responses",
    "forecast_alone",
    "forecast_attempts",
    "forecast_coverage",
    "models_to_evaluate",
    "pass_at_k",
    "prompt_parts",
    "prompt_performance",
    "random_cells",
    "read_attempts",
    "read_bank",
    "read_counts",
    "read_prompt_answers",
    "read_responses",
    "scores_on_new_items",
    "select_items",
    "simulate_attempts",
]
