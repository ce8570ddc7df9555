from .attempt_forecast import forecast_alone, forecast_attempts
from .attempt_law import fit_attempts
from .attempts import Attempts, coverage, pass_at_k, read_attempts
from .counts import read_counts
from .prompt_answers import PromptAnswers, balanced_cells, random_cells, read_prompt_answers
from .prompt_parts import PromptParts, prompt_parts
from .prompts import PromptPerformance, prompt_performance
from .response import fit_items, forecast_coverage, simulate_attempts

__all__ = [
    "Attempts",
    "PromptAnswers",
    "PromptParts",
    "PromptPerformance",
    "balanced_cells",
    "coverage",
    "fit_attempts",
    "fit_items",
    "forecast_alone",
    "forecast_attempts",
    "forecast_coverage",
    "pass_at_k",
    "prompt_parts",
    "prompt_performance",
    "random_cells",
    "read_attempts",
    "read_counts",
    "read_prompt_answers",
    "simulate_attempts",
]
