from .attempts import Attempts, coverage, pass_at_k, read_attempts
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
    "fit_items",
    "forecast_coverage",
    "pass_at_k",
    "prompt_parts",
    "prompt_performance",
    "random_cells",
    "read_attempts",
    "read_prompt_answers",
    "simulate_attempts",
]
