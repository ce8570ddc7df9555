"""Benchmarks run, and their ratios are those of their times."""

from __future__ import annotations

import json

import command_times
import cost
import item_bank
import items
import numpy as np
import pytest
from running import run, shows

from sloth_jax.errors import InputError


def test_cost(tmp_path):
    done = run(cost.main, tmp_path / "out", "--repeats", "1", "--smoke")
    table = done.csv("cost")
    assert (table[["seconds", "per_second", "busy_ratio"]] > 0).all(axis=None)
    assert (table["busy_processes"] >= 1).all()
    assert (table.groupby("axis", dropna=False)["ratio"].first() == 1.0).all()
    assert {"mode", "Laplace", "NUTS transitions"} <= set(table["what"])
    np.testing.assert_allclose(
        table["busy_ratio"], table["busy_seconds"] / table["seconds"], rtol=1e-4
    )
    record = json.loads((done.out / "cost.json").read_text())
    assert record["worst_busy_ratio"] == pytest.approx(table["busy_ratio"].max(), rel=1e-4)
    sizes, busy = done.axes("cost")
    assert shows(sizes, cost.FACTORS)
    assert shows(busy, table.loc[table["axis"].isna(), "busy_ratio"])


def test_cost_of_commands(tmp_path):
    done = run(command_times.main, tmp_path / "out", "--smoke")
    table = done.csv("command_times")
    assert table["command"].tolist() == list(command_times.QUICK)
    assert (table["warm_least"] <= table["warm_median"]).all()
    assert (table[["cold", "warm_least"]] > 0).all(axis=None)
    record = json.loads((done.out / "command_times.json").read_text())
    assert record["runs"] == 1


def test_a_command_that_fails_is_named(tmp_path):
    with pytest.raises(InputError, match=r"sloth-jax predict --fit .*fit\.nc.*: .*fit\.nc"):
        command_times.seconds(command_times.COMMANDS["predict --fit"], tmp_path, tmp_path / "cache")


def test_cost_of_items(tmp_path):
    rows = run(items.main, tmp_path / "out", "--smoke").csv("items")
    assert rows["skills"].tolist() == ["2 given", "1 free"]
    assert (rows["difficulty_correlation"] > 0.9).all()
    assert (rows[["seconds", "peak_gb", "ratio"]] > 0).all(axis=None)


def test_cost_of_a_large_item_bank(tmp_path):
    table = run(item_bank.main, tmp_path / "out", "--smoke").csv("item_bank")
    assert set(table["file"]) == set(item_bank.FORMS)
    steps = ["start", "read", "fit", "choose 100 items", "score of a model"]
    assert table.loc[table["file"] == "npz", "step"].tolist() == steps
    assert table["answers"].dropna().nunique() == 1
    assert (table["peak_gb"] > 0).all()
