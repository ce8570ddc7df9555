"""Queries, checked against the training table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from table_texts import GOOD, QUERY, assert_same, message

from sloth_jax.data.tables import TableError
from sloth_jax.forecasting.query import load_query


def test_query(write, board):
    query = load_query(write(QUERY), board)
    assert query.models == ("new-3b", "other-9b")
    assert query.families == ("alpha", "gamma")
    assert query.lineages == ("alpha", "gamma")
    np.testing.assert_array_equal(query.post_trained, [0.0, np.nan])
    assert query.params_b.tolist() == [3.0, 9.0]
    assert query.tokens_t.tolist() == [2.0, 8.0]
    assert np.isnan(query.active_params_b).all()
    assert query.warnings == ()


def test_query_from_frame_equals_the_file(write, board):
    path = write(QUERY)
    frame = pd.read_csv(path)
    assert_same(load_query(frame, board), load_query(path, board))
    assert_same(load_query(frame.set_index("model"), board), load_query(path, board))


def test_query_fills_in_what_is_known(write, board):
    text = (
        "model,family,lineage,post_trained,active_params_b,released,params_b,tokens_t\n"
        "c,beta-chat,,,,2026-01,70,2\n"
        "d,delta,beta,yes,,,7,2\n"
        "e,delta,,,3,,13,2\n"
    )
    query = load_query(write(text), board)
    assert query.lineages == ("beta", "beta", "beta")
    assert query.post_trained.tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(query.active_params_b, [np.nan, np.nan, 3.0])


def test_query_ignores_scores_and_warns_about_spelling(write, board):
    query = load_query(write("model,family,params_b,tokens_t,mmlu\na,Beta_Chat,1,1,oops\n"), board)
    unused, misspelt = query.warnings
    assert unused.endswith(": scores are not used to predict: mmlu")
    assert misspelt.endswith("'Beta_Chat' is taken as a new one; did you mean 'beta-chat'?")


def test_the_training_table_is_a_query(write, board):
    query = load_query(write(GOOD), board)
    assert sorted(query.models) == list(board.models)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("model,family,params_b,tokens_t,MMLLU\na,f,1,1,\n", ["no such benchmark", "'MMLU'?"]),
        ("model,family,params_b,tokens_t,linage\na,f,1,1,x\n", ["did you mean 'lineage'?"]),
        ("model,family,params_b,tokens_t,zzz\na,f,1,1,x\n", ["remove the column"]),
        ("model,family,params_b\na,f,1\n", ["column 'tokens_t' is missing"]),
        ("model,family,params_b,tokens_t\n", ["no rows"]),
        ("", ["empty"]),
        ("model,family,params_b,tokens_t\na,f,1,1\na,f,2,1\n", ["row 3", "already"]),
        ("model,family,params_b,tokens_t\na,f,1,\n", ["tokens_t is empty"]),
        ("model,family,params_b,tokens_t\na,f,0,1\n", ["must be positive"]),
        ("model,family,params_b,tokens_t\na,,1,1\n", ["family is empty"]),
        (
            "model,family,lineage,params_b,tokens_t\na,beta,alpha,1,1\n",
            ["row 2", "'alpha' here but 'beta' in the training table"],
        ),
        (
            "model,family,post_trained,params_b,tokens_t\na,beta,true,1,1\n",
            ["post_trained 'True' here but 'False' in the training table"],
        ),
        (
            "model,family,lineage,params_b,tokens_t\na,f,x,1,1\nb,f,y,1,1\n",
            ["row 3", "'y' here but 'x' in row 2 (model 'a')"],
        ),
        (
            "model,family,post_trained,params_b,tokens_t\na,f,0,1,1\nb,f,1,1,1\n",
            ["row 3", "two families"],
        ),
    ],
)
def test_bad_queries(write, board, text, parts):
    with pytest.raises(TableError) as error:
        load_query(write(text, "query.csv"), board)
    assert "query.csv: " in message(error)
    for part in parts:
        assert part in message(error)


def test_a_query_survives_a_frame(write, board):
    query = load_query(write(QUERY + "known,beta-chat,7,2\n"), board)
    assert np.isnan(query.post_trained[1])
    assert_same(load_query(query.to_frame(), board), query)


def test_bad_frames_name_the_row(board):
    frame = pd.DataFrame({"model": ["a"], "family": ["f"], "params_b": [-1.0], "tokens_t": [1]})
    with pytest.raises(TableError, match=r"^query: row 2 \(model 'a'\), column 'params_b'"):
        load_query(frame, board)
    with pytest.raises(TableError, match="no rows"):
        load_query(frame.iloc[:0], board)
