"""What tests of the command share: short fits and a folder of small tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from commands import QUERY
from small import table

from sloth_jax.cli import fitting


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(fitting, "DEFAULTS", replace(fitting.DEFAULTS, steps=40))


@pytest.fixture
def folder(tmp_path):
    data, _ = table(families=4, sizes=3)
    data.to_csv(tmp_path / "table.csv")
    (tmp_path / "query.csv").write_text(QUERY)
    return tmp_path
