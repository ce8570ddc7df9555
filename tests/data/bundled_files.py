"""The bundled files, the published ones, and the names that both share."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "sloth_jax" / "data" / "bundled"
PUBLISHED = ROOT.parent / "shared" / "data" / "sloth_leaderboard.csv"

needs_published = pytest.mark.skipif(
    not PUBLISHED.exists(),
    reason=f"NOT CHECKED against the published table: {PUBLISHED} is not there",
)

BENCHMARKS = (
    "MMLU", "ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K",
    "IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO",
)  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
