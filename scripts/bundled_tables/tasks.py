"""Write the bundled tables of downstream tasks.

Reads, beside the published table of the leaderboard (for HumanEval):

- the tables of ryoungj/ObsScaling (Apache-2.0), as of mid 2024, in one folder:
  ``obs_base_benchmarks.csv`` and ``obs_instruct_benchmarks.csv`` (benchmarks of base and of chat
  models), ``obs_emergent.csv``, ``obs_post_training.csv`` (prompting variants) and
  ``obs_agent.csv`` (AgentBench and AgentBoard);
- ``scripts/observational_cards.csv``, kept by hand: what their developers state of models in those
  tables that the leaderboard's table does not have; with a ``reason`` where a number differs from
  the published one;
- ``scripts/eq_bench.csv``: EQ-Bench scores that Maia Polo et al. (arXiv 2412.06540) use, percent.

Writes three:

- ``observational.csv``: a row per model with its benchmarks, in the leaderboard's schema. A model
  of the leaderboard has its sizes, tokens, family and lineage from there, corrected as there;
- ``tasks.csv``: a row per task: title, kind, which of the two tables its models are in, chance
  floor, unit it was published in, source;
- ``task_scores.csv``: a row per task and model, the score as a fraction.

Names follow a rule, so that one model has one name: what stands before a slash goes, letters are
small, and the endings ``-hf`` and ``-deduped`` go, as they did in the leaderboard's table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .records import DECIMALS, SCRIPTS, BuildError, read_records

CARDS = SCRIPTS / "observational_cards.csv"
EQ_BENCH = SCRIPTS / "eq_bench.csv"

# Ours -> published, and by what to divide: of base models, then of chat models.
BASE = {
    "MMLU": "MMLU", "ARC": "ARC-C", "HellaSwag": "HellaSwag", "Winogrande": "Winograd",
    "TruthfulQA": "TruthfulQA", "GSM8K": "GSM8K", "XWinograd": "XWinograd",
    "HumanEval": "HumanEval",
}  # fmt: skip
CHAT = {
    "MMLU": "MMLU", "ARC": "ARC-C", "HellaSwag": "HellaSwag", "Winogrande": "Winogrande",
    "TruthfulQA": "TruthfulQA", "GSM8K": "GSM8K", "HumanEval": "HumanEval",
    "MT-Bench grade": "MTBench", "Chatbot Arena": "Arena-Elo",
}  # fmt: skip
OBSERVATIONAL = (*BASE, "MT-Bench grade", "Chatbot Arena")
CARD_COLUMNS = (
    "model", "published_name", "family", "lineage", "post_trained", "params_b", "active_params_b",
    "tokens_t", "released", "source", "reason",
)  # fmt: skip

RUAN = "ryoungj/ObsScaling; arXiv:2405.10938"
FREE = "floor: free answer"
LM_EVAL = "flexible extraction of the answer"
# Task, title, kind, table, floor, unit it was published in, source; then file and column.
TASKS: tuple[tuple[str, str, str, str, float, float, str, str, str], ...] = (
    ("HumanEval", "HumanEval (pass@1)", "code", "leaderboard", 0.0, 1.0,
     f"felipemaiapolo/sloth; arXiv:2107.03374; {FREE}", "", "HumanEval"),
    ("EQ-Bench", "EQ-Bench v2", "emotional intelligence", "leaderboard", 0.0, 100.0,
     "arXiv:2412.06540; arXiv:2312.06281; floor: free answer, rated", "eq_bench.csv", "percent"),
    *(
        (task, title, "emergent", "observational", floor, unit,
         f"{RUAN}; arXiv:2206.04615; floor: {why}", "obs_emergent.csv", column)
        for task, title, floor, unit, why, column in (
            ("Addition (2 digits)", "two-digit addition", 0.0, 1.0, "free answer",
             "arithmetic_2da_2_acc"),
            ("Multiplication (2 digits)", "two-digit multiplication", 0.0, 1.0, "free answer",
             "arithmetic_2dm_2_acc"),
            ("Addition (3 digits)", "three-digit addition", 0.0, 1.0, "free answer",
             "arithmetic_3da_2_acc"),
            ("Subtraction (3 digits)", "three-digit subtraction", 0.0, 1.0, "free answer",
             "arithmetic_3ds_2_acc"),
            ("Word unscrambling", "word unscrambling", 0.0, 1.0, "free answer",
             "word_unscrambling_2_exact_match"),
            ("IPA transliteration", "transliteration into IPA, exact match", 0.0, 1.0,
             "free answer", "ipa_transliterate_2_exact_match"),
            ("IPA transliteration (BLEU)", "transliteration into IPA, BLEU", 0.0, 100.0,
             "free answer", "ipa_transliterate_2_bleu"),
            ("Persian QA", "ParsiNLU question answering", 0.25, 1.0, "4 choices",
             "parsinlu_qa_2_acc"),
        )
    ),
    *(
        (task, title, "prompting", "observational", 0.0, 1.0,
         f"{RUAN}; {LM_EVAL}; {FREE}, and many models stay below a guess", "obs_post_training.csv",
         column)
        for task, title, column in (
            ("GSM8K naive", "GSM8K, 5 examples, answer only",
             "gsm8k_5_exact_match,flexible-extract"),
            ("GSM8K CoT", "GSM8K, 8 examples, chain of thought",
             "gsm8k_cot_8_exact_match,flexible-extract"),
            ("GSM8K CoT majority", "GSM8K, chain of thought, self-consistency",
             "gsm8k_cot_self_consistency_8_exact_match,maj@5-flexible-extract"),
            ("BBH naive", "BIG-Bench Hard, 3 examples, answer only",
             "bbh_fewshot_overall_3_exact_match,flexible-extract"),
            ("BBH CoT", "BIG-Bench Hard, 3 examples, chain of thought",
             "bbh_cot_fewshot_overall_3_exact_match,flexible-extract"),
        )
    ),
    *(
        (f"AgentBench {task}", f"AgentBench: {title}", "agents", "observational", 0.0, 100.0,
         f"{RUAN}; arXiv:2308.03688; {FREE}", "obs_agent.csv", f"ABench-{column}")
        for task, title, column in (
            ("OS", "operating system", "Code_OS"),
            ("DB", "database", "Code_DB"),
            ("KG", "knowledge graph", "Code_KG"),
            ("DCG", "digital card game", "Game_DCG"),
            ("LTP", "lateral thinking puzzles", "Game_LTP"),
            ("HH", "house-holding", "Game_HH"),
            ("WS", "web shopping", "Web_WS"),
            ("WB", "web browsing", "Web_WB"),
        )
    ),
    *(
        (f"AgentBoard {task}", f"AgentBoard: {title}", "agents", "observational", 0.0, 100.0,
         f"{RUAN}; arXiv:2401.13178; {FREE}", "obs_agent.csv", f"ABoard-{column}")
        for task, title, column in (
            *(
                (f"{short} {rate}", f"{long}, {name}", f"{column}_{rate}")
                for short, long, column in (
                    ("ALF", "ALFWorld", "Embodied AI_ALF"),
                    ("SW", "ScienceWorld", "Embodied AI_SW"),
                    ("BA", "BabyAI", "Embodied AI_BA"), ("JC", "Jericho", "Game_JC"),
                    ("PL", "PDDL", "Game_PL"), ("WS", "WebShop", "Web_WS"),
                    ("WA", "WebArena", "Web_WA"), ("TQ", "tool query", "Tool_TQ"),
                    ("TO", "tool operation", "Tool_TO"),
                )
                for rate, name in (("PR", "progress rate"), ("SR", "success rate"))
            ),
            ("mean PR", "mean progress rate", "Avg_PR"),
            ("mean SR", "mean success rate", "Avg_SR"),
        )
    ),
)  # fmt: skip


def model_name(published: str) -> str:
    """Our name of a model: by the rule of this file."""
    name = published.rsplit("/", 1)[-1].lower()
    for ending in ("-hf", "-deduped"):
        name = name.removesuffix(ending)
    return name


def build_tasks(
    folder: Path, source: Path, leaderboard: list[list[str]]
) -> dict[str, list[list[str]]]:
    """Builds the three tables.

    Args:
        folder: the five tables of ObsScaling.
        source: the published table of the leaderboard.
        leaderboard: our corrected one, the header first.

    Returns:
        file name -> rows of cells, the header first.

    Raises:
        BuildError: the files do not fit together, or a score is no fraction.
    """
    observational, names = _observational(folder, leaderboard)
    on_leaderboard = {row[0] for row in leaderboard[1:]}
    meta = [["task", "title", "kind", "table", "floor", "published_unit", "source"]]
    scores = [["task", "model", "score"]]
    for task, title, kind, table, floor, unit, cited, file, column in TASKS:
        path = source if not file else EQ_BENCH if file == EQ_BENCH.name else folder / file
        head = "model" if path == EQ_BENCH else "Model"
        known = on_leaderboard if table == "leaderboard" else set(names.values())
        found = {}
        for row in read_records(path, [head, column]):
            if not row[column]:
                continue
            model = names.get(row[head], row[head])
            if model not in known:
                raise BuildError(f"{path}: {row[head]}: not in the {table} table")
            found[model] = _fraction(row[column], unit, f"{path}: {row[head]}: {column}")
        meta.append([task, title, kind, table, repr(floor), repr(1.0 / unit), cited])
        scores += [[task, model, score] for model, score in sorted(found.items())]
    return {"observational.csv": observational, "tasks.csv": meta, "task_scores.csv": scores}


def _observational(
    folder: Path, leaderboard: list[list[str]]
) -> tuple[list[list[str]], dict[str, str]]:
    """The table of benchmarks, and published name -> ours."""
    header = leaderboard[0][: leaderboard[0].index("released") + 1]
    known = {row[0]: dict(zip(header, row, strict=False)) for row in leaderboard[1:]}
    cards = {row["published_name"]: row for row in read_records(CARDS, list(CARD_COLUMNS))}
    cells, names = [], {}
    for path, columns in _benchmark_files(folder):
        for row in read_records(path, ["Model", *columns.values()]):
            published = row["Model"]
            card = cards.get(published) or known.get(model_name(published))
            if card is None:
                raise BuildError(
                    f"{path}: {published}: not in {CARDS.name}, nor on the leaderboard"
                )
            names[published] = card["model"]
            scores = [
                _fraction(row[columns[name]], 1.0, f"{path}: {published}: {name}")
                if name in columns and row[columns[name]]
                else ""
                for name in OBSERVATIONAL
            ]
            cells.append([*(_cell(card[column]) for column in header), *scores])
    if len(set(names.values())) < len(names):
        raise BuildError(f"{folder}: two published models have one name of ours")
    idle = cards.keys() - names.keys()
    if idle:
        raise BuildError(f"{CARDS.name}: not in the tables: {', '.join(sorted(idle))}")
    return [[*header, *OBSERVATIONAL], *sorted(cells)], names


def _benchmark_files(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    yield folder / "obs_base_benchmarks.csv", BASE
    yield folder / "obs_instruct_benchmarks.csv", CHAT


def _cell(text: str) -> str:
    """Numbers as the shortest text that reads back as the same float."""
    try:
        return repr(float(text))
    except ValueError:
        return text


def _fraction(text: str, unit: float, where: str) -> str:
    try:
        score = float(text) / unit
    except ValueError:
        raise BuildError(f"{where} is {text!r}, not a number") from None
    if not 0.0 <= score <= 1.0:
        raise BuildError(f"{where} is {text!r}, not between 0 and {unit:g}")
    return repr(round(score, DECIMALS))
