"""Models and scores of your own, joined to a table."""

from __future__ import annotations

import pandas as pd
import pytest
from table_texts import assert_same

from sloth_jax.data.joining import add_models
from sloth_jax.data.tables import TableError


def test_own_models_and_benchmarks_join_a_table(board, write):
    mine = write(
        "model,family,params_b,tokens_t,mmlu,Mine\n"
        "ours-3b,beta,3,2.0,0.4,0.2\n"
        "alpha-1b,,,,,0.1\n"
        "beta-7b,beta,7,,0.52,0.3\n"
        "theirs-3b,new,3,2.0,,0.4\n",
        "mine.csv",
    )
    joined = add_models(board, mine)
    assert joined.benchmarks == (*board.benchmarks, "Mine")
    assert set(joined.models) == {*board.models, "ours-3b", "theirs-3b"}
    frame = joined.to_frame().set_index("model")
    assert frame.loc["ours-3b", "lineage"] == "beta"  # as its family's
    assert frame.loc["alpha-1b", "Mine"] == 0.1
    assert frame.loc["alpha-1b", "MMLU"] == 0.3
    assert frame.loc["beta-7b", "MMLU"] == 0.52
    new = [text.removeprefix(f"{mine}: ") for text in joined.warnings[len(board.warnings) :]]
    assert new[0] == "beta-7b on MMLU: 0.52 instead of 0.5"
    assert new[1].startswith("post_trained is not given and taken as false for the families new")
    assert new[2].startswith("chance floor 0 is assumed for Mine")
    assert len(new) == 3
    assert joined.floors[list(joined.benchmarks).index("MMLU")] == 0.25
    again = add_models(board, mine, floors=write("benchmark,floor\nMine,0.1\n", "floors.csv"))
    assert again.floors[-1] == 0.1
    frame = pd.read_csv(mine).assign(**{"Mine floor": 0.2})
    of_frame = add_models(board, frame)
    assert of_frame.floors[-1] == 0.2
    assert_same(of_frame, joined, but=("floors", "warnings"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("beta-7b,beta,13,2,0.5", r"row 2 .*'params_b'.*the table has params_b 7.0"),
        ("beta-7b,gamma,7,2,0.5", "the table has family beta"),
        ("new-7b,beta,7,0,0.5", r"row 2 .*'tokens_t'"),
        ("new-7b,beta,,,", "neither size nor tokens nor a score"),
        ("new-7b,beta,7,2,50", r"row 2 .*scores are fractions"),
        ("new-7b,n,7,2,0.5\nnew-7b,n,7,2,0.4", "row 3 .*stands in row 2 already"),
    ],
)
def test_own_models_that_contradict_the_table_are_refused(board, write, rows, message):
    mine = write(f"model,family,params_b,tokens_t,MMLU\n{rows}\n", "mine.csv")
    with pytest.raises(TableError, match=message) as caught:
        add_models(board, mine)
    assert "mine.csv" in str(caught.value)
