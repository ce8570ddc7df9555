"""Answers that lm-evaluation-harness logs with ``--log_samples``, as rows of an item bank."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloth_jax.errors import InputError
from sloth_jax.wording import listed, quoted

if TYPE_CHECKING:
    import pandas as pd

# samples_TASK_TIME.jsonl in a folder that is called after the model, with __ for a slash.
_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT.+))?\.jsonl")
# As the Open LLM Leaderboards count an answer: the first that a sample has.
_METRICS = ("acc_norm", "exact_match", "acc", "prompt_level_strict_acc")
_FILTER = "strict-match"  # of those that read an answer in several ways


def is_samples(path: Path) -> bool:
    """Whether a path names logged samples: a folder, a pattern, or one of their files."""
    return path.is_dir() or path.suffix == ".jsonl" or "*" in str(path)


def read_samples(path: Path) -> pd.DataFrame:
    """Read logged samples of one benchmark: its tasks are categories, and hashes digests.

    Args:
        path: the folder that ``lm_eval --output_path`` named, or a pattern such as
            ``results/*/samples_mmlu_*.jsonl``. Of several runs of a task by one model the newest
            counts.

    Returns:
        A row per answer: ``model``, ``item`` (task and number), ``correct``, ``category``,
        ``digest``.

    Raises:
        InputError: there are no samples, or those of several benchmarks; a line cannot be read; or
            answers are neither right nor wrong.
    """
    import pandas as pd

    newest: dict[tuple[str, str], tuple[str, Path]] = {}
    for file in _files(path):
        found = _NAME.fullmatch(file.name)
        if found is None:
            continue
        one = (file.parent.name.replace("__", "/"), found["task"])
        newest[one] = max(newest.get(one, ("", file)), (found["time"] or "", file))
    if not newest:
        raise InputError("no samples_*.jsonl in it: run lm_eval with --log_samples")
    suites = sorted({task.partition("_")[0] for _, task in newest})
    if len(suites) > 1:
        raise InputError(
            f"samples of several benchmarks, {listed(suites)}: name those of one by a pattern, as "
            f"'FOLDER/*/samples_{suites[0]}*.jsonl'"
        )
    rows: list[tuple[str, str, float, str, str]] = []
    for (model, task), (_, file) in sorted(newest.items()):
        answers: dict[str, tuple[bool, float, str]] = {}
        for sample in _samples(file):
            number, wanted = str(sample["doc_id"]), sample.get("filter") == _FILTER
            if number not in answers or (wanted and not answers[number][0]):
                answers[number] = (wanted, _correct(sample, file), str(sample.get("doc_hash", "")))
        rows += [
            (model, f"{task}/{number}", right, task, digest)
            for number, (_, right, digest) in answers.items()
        ]
    return pd.DataFrame(rows, columns=["model", "item", "correct", "category", "digest"])


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("samples_*.jsonl"))
    return sorted(Path(name) for name in glob.glob(str(path), recursive=True))


def _samples(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                sample = json.loads(line)
                if not isinstance(sample, dict) or "doc_id" not in sample:
                    raise InputError(f"{file}, line {number}: no sample with a doc_id")
                yield sample
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: cannot be read as JSON, line by line ({error})") from None


def _correct(sample: dict[str, Any], file: Path) -> float:
    """1 for a right answer, 0 for a wrong one."""
    metric = next((name for name in _METRICS if name in sample), None)
    if metric is None:
        raise InputError(f"{file}: samples have none of the metrics {listed(_METRICS)}")
    value = sample[metric]
    if value not in (0, 1):
        raise InputError(
            f"{file}: {metric} of item {quoted(str(sample['doc_id']))} is {value}: an item bank "
            "holds answers that are right or wrong"
        )
    return float(value)
