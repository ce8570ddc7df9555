"""Queries, checked against the training table."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from table_texts import GOOD, QUERY, assert_same, message

from sloth_jax.data.tables import TableError
from sloth_jax.forecasting.query import load_query, parse_query


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


def test_query_ignores_scores(write, board):
    query = load_query(write("model,family,params_b,tokens_t,mmlu\na,beta,1,1,oops\n"), board)
    (unused,) = query.warnings
    assert unused.endswith(": scores are not used to predict: mmlu")


def test_families_are_known_in_any_case_and_punctuation(write, board):
    text = "model,family,lineage,params_b,tokens_t\na,Beta_Chat,BETA,1,1\nb,Beta_Chat,,2,1\n"
    query = load_query(write(text), board)
    assert query.families == ("beta-chat", "beta-chat")
    assert query.lineages == ("beta", "beta")
    assert query.post_trained.tolist() == [1.0, 1.0]
    of_family, of_lineage = query.warnings
    assert "family 'Beta_Chat' is taken for 'beta-chat' of the training table" in of_family
    assert "lineage 'BETA' is taken for 'beta'" in of_lineage


def test_a_spelling_of_two_families_is_refused(board):
    two = replace(board, families=("al-pha", "alpha", "beta"))
    frame = pd.DataFrame({"model": ["a"], "family": "Alpha", "params_b": 1.0, "tokens_t": 1.0})
    with pytest.raises(TableError, match=r"row 2 .*'Alpha' may be 'al-pha' or 'alpha'"):
        load_query(frame, two)
    assert load_query(frame.assign(family="al-pha"), two).families == ("al-pha",)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("beta-7b,beta,7,2", ()),
        ("Beta-7B,Beta,7.1,2", ()),
        ("beta-7b,beta,70,2", ("params_b 70 here and 7 there",)),
        ("Beta_7b,gamma,7,4", ("tokens_t 4 here and 2 there", "'gamma' here and 'beta' there")),
    ],
)
def test_a_model_that_the_table_knows_otherwise_is_told(write, board, row, says):
    query = load_query(write(f"model,family,params_b,tokens_t\n{row}\n"), board)
    told = [warning for warning in query.warnings if "another one than" in warning]
    assert len(told) == bool(says)
    assert all(words in told[0] for words in says)


def test_models_whose_names_are_spelt_alike_are_told_apart(write, board):
    opt = replace(board, models=("opt-1.3b", "opt-13b", *board.models[2:]))
    query = load_query(write("model,family,params_b,tokens_t\nopt13b,new,13,1\n"), opt)
    assert query.warnings == ()


def test_a_json_query_is_the_csv_query(write, board):
    text = json.dumps(pd.read_csv(io.StringIO(QUERY)).to_dict("records"))
    same = load_query(write(QUERY), board)
    assert_same(load_query(write(text, "query.json"), board), same)
    for content in (text, "\n" + text, QUERY):
        assert_same(parse_query(content.encode(), board, "standard input"), same)


GIVEN = '"model": "a", "family": "f", "tokens_t": 1'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "the list has no models"),
        ("{}", "no list of models: write [{"),
        ("[1]", "row 1: not a model"),
        ("[{}]", "no rows"),
        ('[{"model"', "line 1: not JSON"),
        ("[" * 100_000, "not usable JSON"),
        (f'[{{{GIVEN}, "params_b": [7]}}]', "row 1, column 'params_b': a list is no value"),
        (f'[{{{GIVEN}, "params_b": {{}}}}]', "column 'params_b': an object is no value"),
        (f'[{{{GIVEN}, "params_b": true}}]', "row 1 (model 'a'), column 'params_b', value 'True'"),
        (f'[{{{GIVEN}, "params_b": "seven"}}]', "value 'seven': not a number"),
        (f'[{{{GIVEN}, "params_b": NaN}}]', "params_b is empty"),
        (f'[{{{GIVEN}, "params_b": Infinity}}]', "the number is infinite"),
        (f'[{{{GIVEN}, "params_b": 7e9}}]', "did you mean billions: 7?"),
        (f'[{{{GIVEN}, "params_b": 7, "params_b": 8}}]', "'params_b' is given twice"),
        (f"[{{{GIVEN}}}]", "column 'params_b' is missing"),
        ('[{"model": 5}]', "column 'model': a number is no name"),
        ('[{"model": "a", "family": false}]', "column 'family': a truth value is no name"),
        (" \n", "is empty: give CSV with a header, or JSON"),
    ],
)
def test_bad_json(board, text, says):
    with pytest.raises(TableError) as error:
        parse_query(text.encode(), board, "standard input")
    assert message(error).startswith("standard input: ")
    assert says in message(error)


def test_a_json_query_that_cannot_be_read(tmp_path, write, board):
    (tmp_path / "folder.json").mkdir()
    for path, says in (
        (tmp_path / "folder.json", "is a directory"),
        (tmp_path / "none.json", "no such file"),
        (write(b"\xff\xfe", "bytes.json"), "not UTF-8"),
    ):
        with pytest.raises(TableError, match=says):
            load_query(path, board)


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
