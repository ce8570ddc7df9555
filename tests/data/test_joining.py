"""Models and scores of your own, joined to a table."""

from __future__ import annotations

import pandas as pd
import pytest
from table_texts import GOOD, assert_same

from sloth_jax import load_leaderboard
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


def test_own_rows_fill_in_sizes_and_tokens_that_the_table_lacks(write):
    text = GOOD.replace("False,1,,1.5,2023-01", "False,,,,").replace("True,7,,2,", "True,7,,,")
    table = load_leaderboard(write(text, "table.csv"))
    assert table.known.sum() == 2
    rows = "model,params_b,active_params_b,tokens_t,MMLU\nalpha-1b,1,0.5,1.5,\nours,,,,0.4\n"
    mine = write(rows, "mine.csv")
    joined = add_models(table, mine)
    frame = joined.to_frame().set_index("model")
    facts = ["params_b", "active_params_b", "tokens_t"]
    assert frame.loc["alpha-1b", facts].tolist() == [1.0, 0.5, 1.5]
    assert frame.loc["ours", "family"] == "ours"
    told = [text.removeprefix(f"{mine}: ") for text in joined.warnings[len(table.warnings) :]]
    assert told[:3] == [
        "alpha-1b has params_b 1, not known before",
        "alpha-1b has active_params_b 0.5, not known before",
        "alpha-1b has tokens_t 1.5, not known before",
    ]
    # What the table lacks was told of it, and is not told again of the rows that join it.
    assert [text for text in told if "integrated out" in text] == [
        "sizes of 1 model are not known and integrated out: ours",
        "token counts of 1 model are not known and integrated out: ours",
    ]
    with pytest.raises(TableError, match="the table has active_params_b empty, and facts must agr"):
        add_models(table, write("model,active_params_b,MMLU\nbeta-7b,2,0.5\n", "mine.csv"))


def test_a_row_of_the_table_may_lose_its_only_scores_before_others_join_it(write):
    table = load_leaderboard(write("model,MMLU,ARC\na,0.5,\nb,,0.4\n", "table.csv"))
    joined = add_models(table.select_benchmarks(["ARC"]), write("model,ARC\nc,0.3\n", "mine.csv"))
    assert joined.models == ("a", "b", "c")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("beta-7b,beta,13,2,0.5", r"row 2 .*'params_b'.*the table has params_b 7.0"),
        (
            "beta-7b,gamma,7,2,0.5",
            "the table has family beta, and facts must agree: leave it empty",
        ),
        ("new-7b,beta,7,0,0.5", r"row 2 .*'tokens_t'"),
        ("new-7b,beta,,2,", r"mine.csv: row 2 .*neither its size nor a score is known"),
        ("new-7b,beta,7,2,50", r"row 2 .*scores are fractions"),
        ("new-7b,n,7,2,0.5\nnew-7b,n,7,2,0.4", "row 3 .*stands in row 2 already"),
    ],
)
def test_own_models_that_contradict_the_table_are_refused(board, write, rows, message):
    mine = write(f"model,family,params_b,tokens_t,MMLU\n{rows}\n", "mine.csv")
    with pytest.raises(TableError, match=message) as caught:
        add_models(board, mine)
    assert "mine.csv" in str(caught.value)


def test_own_models_that_contradict_a_family_of_the_table_are_refused(board, write):
    mine = write("model,family,lineage,MMLU\nnew-7b,beta,mine,0.5\n", "mine.csv")
    with pytest.raises(TableError) as caught:
        add_models(board, mine)
    assert str(caught.value) == (
        f"{mine}: row 2 (model 'new-7b'), column 'lineage': family 'beta' has lineage 'mine' here"
        " but 'beta' in the table (model 'beta-7b'): a family has one lineage: mend a row, or make"
        " two families of it"
    )
