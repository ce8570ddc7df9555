"""The column ``run``: what it may say, what is refused, and that it is kept."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from table_texts import assert_same, edited, message

from sloth_jax.data.joining import add_models
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.forecasting.query import load_query

RUNS = """\
model,family,lineage,post_trained,params_b,active_params_b,tokens_t,Training run,MMLU
a-1,a,a,False,1,,0.1,a at 1b,0.3
a-2,a,a,False,1,,0.2,a at 1b,0.4
a-3,a,a,False,1,,0.3,a at 1b,
a-7b,a,a,False,7,,0.3,,0.5
"""


def table(text: str = RUNS) -> Leaderboard:
    return load_leaderboard(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False))


def test_runs_are_read_written_and_picked(tmp_path):
    board = table()
    assert board.run == ("a at 1b", "a at 1b", "a at 1b", "")
    board.to_csv(tmp_path / "again.csv")
    assert_same(load_leaderboard(tmp_path / "again.csv"), board, but=("warnings",))
    assert board.subset(np.array([True, False, False, True])).run == ("a at 1b", "")
    assert board.subset(np.array([False, False, False, True])).run == ()
    assert board.hide(np.ones(4, bool)).run == board.run
    # Without a run there is no such column.
    plain = table(RUNS.replace("a at 1b", ""))
    assert plain.run == ()
    assert "run" not in plain.to_frame()


def test_runs_stay_when_models_are_added():
    new = pd.DataFrame({"model": ["a-4"], "family": "a", "params_b": 1.0, "tokens_t": 0.4})
    both = add_models(table(), new.assign(run="a at 1b", MMLU=0.45))
    assert both.run == ("a at 1b", "a at 1b", "a at 1b", "a at 1b", "")
    with pytest.raises(TableError, match="a run is of one model"):
        add_models(table(), new.assign(run="a at 1b", MMLU=0.45, params_b=2.0))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("a-2,a,a,False,1", "a-2,a,a,False,2", ["row 3", "params_b '2.0'", "'1.0' in row 2"]),
        ("a-2,a,", "a-2,b,", ["row 3", "family 'b' here", "'a' in row 2 (model 'a-1')"]),
        ("1,,0.2", "1,0.5,0.2", ["active_params_b", "a run is of one model"]),
        ("0.2,a at", "0.1,a at", ["row 3", "the same tokens_t as row 2", "keep one"]),
        ("0.2,a at", "0.10001,a at", ["the same tokens_t"]),
        ("0.2,a at", ",a at", ["row 3", "tokens_t", "is empty: fill it in"]),
        ("1,,0.2", ",,0.2", ["params_b", "is empty: fill it in"]),
    ],
)
def test_rows_that_are_not_checkpoints_of_one_model_are_refused(old, new, words):
    with pytest.raises(TableError) as error:
        table(edited(old, new, RUNS))
    for word in [*words, "run"]:
        assert word in message(error)


def query(text: str):
    return load_query(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False), table())


def test_queries_name_runs():
    found = query("model,family,params_b,tokens_t,run\nend,a,1,0.6,A at 1B\nnew,a,2,0.6,\n")
    assert found.runs == ("a at 1b", "")
    assert any("'A at 1B' is taken for 'a at 1b'" in warning for warning in found.warnings)
    assert_same(load_query(found.to_frame(), table()), found, but=("warnings",))
    new = query("model,family,params_b,tokens_t,run\nend,a,1,0.6,other\n")
    assert any("predicted as a new model" in warning for warning in new.warnings)
    assert query("model,family,params_b,tokens_t,run\nend,a,1,0.6,\n").runs == ()


@pytest.mark.parametrize(("row", "what"), [("end,a,2,0.6", "params_b"), ("end,b,1,0.6", "family")])
def test_queries_of_a_run_are_of_its_model(row, what):
    with pytest.raises(TableError) as error:
        query(f"model,family,params_b,tokens_t,run\n{row},a at 1b\n")
    assert f"run 'a at 1b' has {what}" in message(error)
    assert "a run is of one model" in message(error)
