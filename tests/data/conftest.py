"""Tables written to files, the small one read, and the path of the build script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bundled_files import ROOT
from table_texts import GOOD

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard

sys.path.insert(0, str(ROOT / "scripts"))  # where a script finds its own parts


@pytest.fixture
def write(tmp_path):
    """Writes a table and returns its path."""

    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def board(write) -> Leaderboard:
    return load_leaderboard(write(GOOD, "good.csv"))
