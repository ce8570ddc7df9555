"""Write the bundled table of benchmarks."""

from __future__ import annotations

from typing import NamedTuple

from .records import DECIMALS


class Benchmark(NamedTuple):
    """A benchmark of the leaderboards; its floor and items are None where its tasks have them."""

    name: str
    title: str
    leaderboard: str
    floor: float | None
    items: int | None
    source: str


BENCHMARKS = tuple(Benchmark(*row) for row in (
    ("MMLU", "Massive Multitask Language Understanding", "v1", 0.25, 14042,
     "arXiv:2009.03300; floor: 4 choices"),
    ("ARC", "AI2 Reasoning Challenge (challenge set)", "v1", 0.25, 1172,
     "arXiv:1803.05457; floor: 4 choices"),
    ("HellaSwag", "HellaSwag", "v1", 0.25, 10042, "arXiv:1905.07830; floor: 4 choices"),
    ("Winogrande", "WinoGrande", "v1", 0.5, 1267, "arXiv:1907.10641; floor: 2 choices"),
    ("TruthfulQA", "TruthfulQA (mc2)", "v1", 0.31, 817,
     "arXiv:2109.07958; floor: first percentile of the leaderboard (arXiv:2412.06540)"),
    ("GSM8K", "Grade School Math 8K", "v1", 0.0, 1319, "arXiv:2110.14168; floor: free answer"),
    ("IFEval", "Instruction-Following Evaluation", "v2", 0.0, 541,
     "arXiv:2311.07911; floor: free answer"),
    ("BBH", "BIG-Bench Hard", "v2", None, None,
     "arXiv:2210.09261; floor: item-weighted mean of 1/choices over 24 tasks"),
    ("MATH Lvl 5", "MATH (level 5)", "v2", 0.0, 1324, "arXiv:2103.03874; floor: free answer"),
    ("GPQA", "Graduate-Level Google-Proof Q&A", "v2", 0.25, 1192,
     "arXiv:2311.12022; floor: 4 choices"),
    ("MUSR", "Multistep Soft Reasoning", "v2", None, None,
     "arXiv:2310.16049; floor: item-weighted mean of 1/choices over 3 tasks"),
    ("MMLU-PRO", "MMLU-Pro", "v2", 0.1, 12032, "arXiv:2406.01574; floor: 10 choices"),
))  # fmt: skip
# Items that sampling errors come from, where they are not simply counted. TruthfulQA (mc2) is a
# mean of probabilities, not of right answers. The leaderboard's GPQA is the mean over three sets of
# 448, 546 and 198 items, each part of the second: 198 items count three times, 250 twice and 98
# once, so that 1192^2 / (198 * 9 + 250 * 4 + 98) = 493 would scatter as much.
INDEPENDENT: dict[str, int | str] = {"TruthfulQA": "", "GPQA": 493}
# Benchmark -> task -> (items, choices per item).
TASKS: dict[str, dict[str, tuple[int, int]]] = {
    "BBH": {
        "boolean_expressions": (250, 2),
        "causal_judgement": (187, 2),
        "date_understanding": (250, 6),
        "disambiguation_qa": (250, 3),
        "formal_fallacies": (250, 2),
        "geometric_shapes": (250, 11),
        "hyperbaton": (250, 2),
        "logical_deduction_five_objects": (250, 5),
        "logical_deduction_seven_objects": (250, 7),
        "logical_deduction_three_objects": (250, 3),
        "movie_recommendation": (250, 6),
        "navigate": (250, 2),
        "object_counting": (250, 19),
        "penguins_in_a_table": (146, 5),
        "reasoning_about_colored_objects": (250, 18),
        "ruin_names": (250, 6),
        "salient_translation_error_detection": (250, 6),
        "snarks": (178, 2),
        "sports_understanding": (250, 2),
        "temporal_sequences": (250, 4),
        "tracking_shuffled_objects_five_objects": (250, 5),
        "tracking_shuffled_objects_seven_objects": (250, 7),
        "tracking_shuffled_objects_three_objects": (250, 3),
        "web_of_lies": (250, 2),
    },
    "MUSR": {
        "murder_mysteries": (250, 2),
        "object_placements": (256, 5),
        "team_allocation": (250, 3),
    },
}
# Benchmark -> tasks of lm-evaluation-harness that are it, their metrics in order of preference (a
# filter follows a comma; the mean of all of them for IFEval), and examples in the prompt.
HARNESS: dict[str, tuple[str, str, int]] = {
    "MMLU": ("mmlu", "acc", 5),
    "ARC": ("arc_challenge arc:challenge", "acc_norm", 25),
    "HellaSwag": ("hellaswag", "acc_norm", 10),
    "Winogrande": ("winogrande", "acc", 5),
    "TruthfulQA": ("truthfulqa_mc2 truthfulqa_mc", "acc mc2", 0),
    "GSM8K": ("gsm8k", "exact_match,strict-match exact_match acc", 5),
    "IFEval": ("leaderboard_ifeval ifeval", "prompt_level_strict_acc inst_level_strict_acc", 0),
    "BBH": ("leaderboard_bbh", "acc_norm", 3),
    "MATH Lvl 5": ("leaderboard_math_hard", "exact_match", 4),
    "GPQA": ("leaderboard_gpqa", "acc_norm", 0),
    "MUSR": ("leaderboard_musr", "acc_norm", 0),
    "MMLU-PRO": ("leaderboard_mmlu_pro", "acc", 5),
}
HEADER: tuple[str, ...] = (
    "benchmark", "title", "leaderboard", "floor", "items", "independent",
    "tasks", "metrics", "shots", "source",
)  # fmt: skip


def chance_floor(tasks: dict[str, tuple[int, int]]) -> tuple[float, int]:
    """Returns the item-weighted mean of 1/choices (a fraction) and the number of items."""
    items = sum(n for n, _ in tasks.values())
    return sum(n / choices for n, choices in tasks.values()) / items, items


def build_benchmarks() -> list[list[str]]:
    """Builds the table of benchmarks: rows of cells, the header first."""
    cells: list[list[str]] = [list(HEADER)]
    for name, title, leaderboard, floor, items, source in BENCHMARKS:
        if floor is None or items is None:
            floor, items = chance_floor(TASKS[name])
        independent = str(INDEPENDENT.get(name, items))
        harness = map(str, HARNESS[name])
        shown = repr(round(floor, DECIMALS))
        cells.append([name, title, leaderboard, shown, str(items), independent, *harness, source])
    return cells
