"""Reading tables: what is accepted, what is refused and in which words, what comes out."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sloth_jax.data.joining import add_models
from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.query import Query, load_query
from sloth_jax.data.reading import load_floors, load_leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.files import frame_csv

GOOD = """\
model,family,lineage,post_trained,params_b,active_params_b,tokens_t,released,MMLU,ARC,Coding
beta-7b,beta,beta,False,7,,2,2024-01-02,0.5,0.6,0.1
alpha-1b,alpha,alpha,False,1,,1.5,2023-01,0.3,,0.0
alpha-8x3b,alpha,alpha,False,20,5,1.5,,0.4,0.45,NA
beta-7b-chat,beta-chat,beta,True,7,,2,,0.55,0.61,1
"""
QUERY = """\
model,family,params_b,tokens_t
new-3b,alpha,3,2
other-9b,gamma,9,8
"""


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


def assert_same(left: Leaderboard | Query, right: Leaderboard | Query, but: tuple[str, ...] = ()):
    assert type(left) is type(right)
    for field in fields(left):
        if field.name in but:
            continue
        a, b = getattr(left, field.name), getattr(right, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        else:
            assert a == b, field.name


def message(error: pytest.ExceptionInfo[TableError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


def edited(old: str, new: str, table: str = GOOD) -> str:
    assert table.count(old) >= 1
    return table.replace(old, new, 1)


# What comes out.


def test_fields(board):
    assert board.models == ("alpha-1b", "alpha-8x3b", "beta-7b", "beta-7b-chat")
    assert board.families == ("alpha", "beta", "beta-chat")
    assert board.lineages == ("alpha", "beta")
    assert board.benchmarks == ("MMLU", "ARC", "Coding")
    assert board.family.tolist() == [0, 0, 1, 2]
    assert board.lineage_of_family.tolist() == [0, 1, 1]
    assert board.post_trained_of_family.tolist() == [0.0, 0.0, 1.0]
    assert board.params_b.tolist() == [1.0, 20.0, 7.0, 7.0]
    np.testing.assert_array_equal(board.active_params_b, [np.nan, 5.0, np.nan, np.nan])
    assert board.tokens_t.tolist() == [1.5, 1.5, 2.0, 2.0]
    assert board.released == ("2023-01", "", "2024-01-02", "")
    nan = np.nan
    expected = [[0.3, nan, 0.0], [0.4, 0.45, nan], [0.5, 0.6, 0.1], [0.55, 0.61, 1.0]]
    np.testing.assert_array_equal(board.scores, expected)
    np.testing.assert_array_equal(board.observed, ~np.isnan(expected))
    assert board.floors.tolist() == [0.25, 0.25, 0.0]
    assert len(board.warnings) == 1
    assert "floor 0 is assumed for Coding" in board.warnings[0]


def test_subset_forgets_families_without_models(board):
    few = board.subset(np.array([False, False, True, True]))
    assert few.models == ("beta-7b", "beta-7b-chat")
    assert few.families == ("beta", "beta-chat")
    assert few.lineages == ("beta",)
    assert few.family.tolist() == [0, 1]
    assert few.lineage_of_family.tolist() == [0, 0]
    assert few.post_trained_of_family.tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(few.scores, board.scores[2:])
    assert few.released == board.released[2:]
    assert_same(board.subset(np.ones(4, dtype=bool)), board)


@pytest.mark.parametrize(
    "keep", [np.array([1, 0, 1, 0]), np.array([True]), np.zeros(4, dtype=bool)]
)
def test_subset_refuses_what_is_no_mask(board, keep):
    with pytest.raises(ValueError, match="keep"):
        board.subset(keep)


def test_hide_takes_scores_and_nothing_else(board):
    hidden = board.hide(np.array([False, True, False, False]))
    assert not hidden.observed[1].any()
    np.testing.assert_array_equal(hidden.scores[[0, 2, 3]], board.scores[[0, 2, 3]])
    assert_same(hidden, board, but=("scores",))
    assert board.observed[1].any()
    with pytest.raises(ValueError, match="hidden"):
        board.hide(np.array([1, 0, 0, 0]))


def test_select_benchmarks(board):
    selected = board.select_benchmarks(["coding", "ARC"])
    assert selected.benchmarks == ("Coding", "ARC")
    np.testing.assert_array_equal(selected.scores, board.scores[:, [2, 1]])
    assert selected.floors.tolist() == [0.0, 0.25]
    assert board.select_benchmarks(["ARC"]).models == board.models  # alpha-1b has no score on it
    with pytest.raises(TableError, match="did you mean 'MMLU'"):
        board.select_benchmarks(["MMLLU"])
    with pytest.raises(TableError, match="twice"):
        board.select_benchmarks(["ARC", "arc_challenge"])
    with pytest.raises(TableError, match="no benchmark was chosen"):
        board.select_benchmarks([])


def test_benchmarks_argument(write, board):
    path = write(GOOD)
    assert_same(
        load_leaderboard(path, benchmarks=["ARC", "MMLU"]),
        board.select_benchmarks(["ARC", "MMLU"]),
        but=("warnings",),
    )


# What is accepted.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model,", "Model,"),
        ("model,", "model_name,"),
        ("model,", "name,"),
        ("params_b,", "#Params (B),"),
        ("params_b,", "Params (B),"),
        ("params_b,", "Model Size (B),"),
        ("params_b,", "parameters_b,"),
        ("params_b,", "size_b,"),
        ("tokens_t", "Pretraining Data Size (T)"),
        ("tokens_t", "tokens (T)"),
        ("tokens_t", "pretraining_tokens_t"),
        ("family,lineage", "Model Family,Lineage"),
        ("family,lineage", "Family2,Family"),
        ("post_trained", "Instruct"),
        ("post_trained", "post-trained"),
        ("post_trained", "posttrained"),
        ("released", "date"),
        ("released", "release_date"),
        ("MMLU,ARC", "mmlu,ARC-C"),
        ("MMLU,ARC", " mmlu ,arc_challenge"),
        ("0.3,,0.0", "0.3,N/A,0.0"),
        ("0.3,,0.0", "0.3,null,0.0"),
        ("0.3,,0.0", " .3 ,NaN,-0.0"),
        ("0.3,,0.0", "3e-1,None,+0"),
        ("False,1,,1.5", "no,1.0,,1.50"),
        ("False,1,,1.5", "0,1.0,nan,15e-1"),
        ("True,7", "1,7"),
        ("True,7", "YES,7"),
        ("alpha,alpha,False,20", "alpha,,,20"),  # the family's other row says both
        ("beta-7b,", '"beta-7b ",'),
        ("\nbeta-7b,", "\n\n,,,,,,,,,,\nbeta-7b,"),
        ("model", "\ufeffmodel"),
    ],
)
def test_spellings(write, board, old, new):
    assert_same(load_leaderboard(write(edited(old, new), "good.csv")), board)


def test_windows_line_ends(write, board):
    assert_same(load_leaderboard(write(GOOD.replace("\n", "\r\n"), "good.csv")), board)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("mmlu_pro", "MMLU-PRO"),
        ("MMLU-Pro", "MMLU-PRO"),
        ("math_lvl_5", "MATH Lvl 5"),
        ("MuSR", "MUSR"),
        ("truthfulqa_mc2", "TruthfulQA"),
        ("Winograd", "Winogrande"),
    ],
)
def test_benchmark_spellings(write, header, name):
    board = load_leaderboard(write(edited("Coding", header)))
    assert board.benchmarks == ("MMLU", "ARC", name)
    assert not board.warnings  # so its floor is known


def test_winograd_beside_winogrande_is_another_benchmark(write):
    board = load_leaderboard(write(edited("ARC,Coding", "Winograd,Winogrande")))
    assert board.benchmarks == ("MMLU", "Winograd", "Winogrande")


def test_ignored_columns(write, board):
    extra = ",FLOPs (1E21),Arena-Elo,MTBench\n"
    lines = GOOD.splitlines()
    table = "," + lines[0] + extra
    table += "".join(f"{i},{line},1e30,1200,8.5\n" for i, line in enumerate(lines[1:]))
    loaded = load_leaderboard(write(table, "good.csv"))
    assert_same(loaded, board, but=("warnings",))
    assert "ignored columns: the first" in loaded.warnings[0]
    assert "MTBench" in loaded.warnings[0]


def test_defaults_of_optional_columns(write):
    board = load_leaderboard(write("model,family,params_b,tokens_t,MMLU\na,f,1,1,0.4\nb,g,1,1,1\n"))
    assert board.lineages == ("f", "g")
    assert board.post_trained_of_family.tolist() == [0.0, 0.0]
    assert np.isnan(board.active_params_b).all()
    assert board.released == ("", "")
    assert any("post_trained is not given" in warning for warning in board.warnings)


def test_warnings_for_missing_scores_and_units(write):
    board = load_leaderboard(
        write("model,family,params_b,tokens_t,MMLU,ARC\na,f,7e9,1,0.4,\nb,g,1,1,,\n")
    )
    text = "\n".join(board.warnings)
    assert "no model has a score on ARC" in text
    assert "models without a score: b" in text
    assert "params_b goes up to 7e+09: is it in billions of parameters?" in text


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", 'quo"te', "com,ma", "ünï"])
def test_odd_names_survive(write, tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    board = load_leaderboard(write(edited("beta-7b,", f"{quoted},")))
    assert name in board.models
    board.to_csv(tmp_path / "again.csv")
    assert load_leaderboard(tmp_path / "again.csv").models == board.models


@pytest.mark.parametrize("suffix", [".parquet", ".pq"])
def test_parquet_equals_csv(tmp_path, board, suffix):
    path = tmp_path / f"good{suffix}"
    board.to_frame().to_parquet(path)
    assert_same(load_leaderboard(path), board, but=("warnings",))
    board.to_frame().set_index("model").to_parquet(path)
    assert_same(load_leaderboard(path), board, but=("warnings",))


# What is refused, and in which words.

BAD_TABLES = {
    "missing column": (
        edited("tokens_t", "tokenz_t"),
        ["column 'tokens_t' is missing", "did you mean 'tokenz_t'?"],
    ),
    "no model column": ("family,params_b,tokens_t,MMLU\nf,1,1,0.4\n", ["'model' is missing"]),
    "same header twice": (edited("ARC", "MMLU"), ["column 'MMLU'", "twice"]),
    "two spellings": (edited("Coding", "mmlu"), ["column 'mmlu'", "same as 'MMLU'", "keep one"]),
    "two models": (edited("Coding", "Model"), ["column 'Model'", "same as 'model'"]),
    "unnamed column": (edited("Coding", ""), ["column 11 has no name"]),
    "model twice": (
        edited("alpha-1b", "beta-7b"),
        ["row 3 (model 'beta-7b')", "stands in row 2 already"],
    ),
    "blank model": (edited("alpha-1b", ""), ["row 3, column 'model'", "model is empty"]),
    "blank family": (edited("alpha,alpha", "NA,alpha"), ["row 3", "family is empty"]),
    "percent": (
        edited("0.45,NA", "45.2,NA"),
        [
            "row 4 (model 'alpha-8x3b'), column 'ARC', value '45.2': scores are fractions in"
            " [0, 1]; did you mean fractions? divide percent by 100"
        ],
    ),
    "percent sign": (edited("0.45,NA", "45%,NA"), ["value '45%'", "without the percent sign"]),
    "decimal comma": (edited("0.45,NA", '"0,45",NA'), ["value '0,45'", "decimal point"]),
    "negative score": (edited("0.45,NA", "-0.1,NA"), ["value '-0.1'", "raw score"]),
    "text score": (edited("0.45,NA", "good,NA"), ["value 'good'", "not a number"]),
    "underscores": (edited("0.45,NA", "0_1,NA"), ["value '0_1'", "not a number"]),
    "infinite score": (edited("0.45,NA", "inf,NA"), ["value 'inf'", "infinite"]),
    "huge": (edited("0.45,NA", "1e999,NA"), ["value '1e999'", "infinite"]),
    "zero size": (edited("False,1,", "False,0,"), ["'params_b'", "value '0'", "positive"]),
    "tiny size": (edited("False,1,", "False,1e-999,"), ["'params_b'", "positive"]),
    "negative size": (edited("False,1,", "False,-1,"), ["'params_b'", "value '-1'", "positive"]),
    "missing size": (edited("False,1,", "False,,"), ["'params_b'", "empty", "billions"]),
    "text size": (edited("False,1,", "False,1B,"), ["'params_b'", "value '1B'", "not a number"]),
    "infinite size": (edited("False,1,", "False,-Infinity,"), ["'params_b'", "infinite"]),
    "zero tokens": (edited("1.5,2023", "0.0,2023"), ["'tokens_t'", "positive", "trillions"]),
    "missing tokens": (edited("1.5,2023", ",2023"), ["'tokens_t'", "fill in", "remove the row"]),
    "text tokens": (edited("1.5,2023", "1.5T,2023"), ["'tokens_t'", "value '1.5T'"]),
    "zero active": (edited("20,5,", "20,0,"), ["'active_params_b'", "positive"]),
    "too many active": (edited("20,5,", "20,21,"), ["value '21'", "params_b is 20.0"]),
    "bad boolean": (edited("True,7", "maybe,7"), ["'post_trained'", "value 'maybe'", "true or"]),
    "two lineages": (
        edited("alpha,alpha,False,20", "alpha,omega,False,20"),
        ["row 4 (model 'alpha-8x3b')", "'omega' here", "'alpha' in row 3 (model 'alpha-1b')"],
    ),
    "two kinds": (
        edited("alpha,alpha,False,20", "alpha,alpha,True,20"),
        ["row 4", "post_trained 'True' here", "'False' in row 3", "one post_trained"],
    ),
    "misspelt optional column": (
        edited("lineage", "linage"),
        ["column 'linage'", "not a number", "did you mean 'lineage'?"],
    ),
    "empty file": ("", ["the file is empty"]),
    "only a mark": ("\ufeff", ["the file is empty"]),
    "header alone": (GOOD.splitlines()[0] + "\n", ["no rows"]),
    "no benchmark": ("model,family,params_b,tokens_t\na,f,1,1\n", ["a table without scores"]),
    "no score": ("model,family,params_b,tokens_t,ARC\na,f,1,1,\n", ["a table without scores"]),
    "long row": (edited("0.3,,0.0", "0.3,,0.0,9"), ["row 3", "12 cells", "header has 11"]),
    "short row": (edited("0.3,,0.0", "0.3,"), ["row 3", "10 cells"]),
    "open quote": (edited("alpha-1b", '"alpha-1b'), ["malformed CSV"]),
    "text after quote": (edited("alpha-1b", '"alpha"-1b'), ["row 3", "malformed CSV"]),
    "semicolons": (GOOD.replace(",", ";"), ["not separated by commas"]),
    "latin-1": (GOOD.replace("alpha-1b", "é").encode("latin-1"), ["row 3", "not UTF-8"]),
    "utf-16": (GOOD.encode("utf-16"), ["not UTF-8"]),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(write, case):
    text, parts = BAD_TABLES[case]
    path = write(text)
    with pytest.raises(TableError) as error:
        load_leaderboard(path)
    assert message(error).startswith(f"{path}: ")
    for part in parts:
        assert part in message(error)


def test_row_numbers_count_empty_rows(write):
    with pytest.raises(TableError, match="row 5 "):
        load_leaderboard(write(edited("\nalpha-1b,alpha,", "\n\n,,,,,,,,,,\nalpha-1b,,")))


def test_long_and_strange_values_stay_on_one_line(write):
    value = '"' + "x\n\x1b" * 100 + '"'
    with pytest.raises(TableError) as error:
        load_leaderboard(write(edited("0.45,NA", f"{value},NA")))
    assert len(message(error)) < 400


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("nowhere.csv", None, "no such file"),
        ("folder.csv", "folder", "is a directory"),
        ("folder.parquet", "folder", "is a directory"),
        ("broken.parquet", b"PAR1 no parquet PAR1", "not a readable parquet file"),
        ("empty.parquet", b"", "not a readable parquet file"),
        ("really.csv", b"PAR1\x00\xff\xfe", "not UTF-8"),
    ],
)
def test_unreadable_files(tmp_path, name, content, part):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError) as error:
        load_leaderboard(path)
    assert part in message(error)
    assert name in message(error)


def test_parquet_faults_name_the_row(tmp_path, board):
    frame = board.to_frame()
    frame.loc[2, "MMLU"] = 50.0
    frame.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(TableError, match=r"row 4 \(model 'beta-7b'\), column 'MMLU', value '50.0'"):
        load_leaderboard(tmp_path / "bad.parquet")


def test_corrected_is_for_the_bundled_table(write):
    with pytest.raises(ValueError, match="give no path"):
        load_leaderboard(write(GOOD), corrected=False)


# Floors.


def test_floors_file(write):
    floors = write("Benchmark,Floor,why\nMMLU,0.3,\ncoding,0.05,\n", "floors.csv")
    board = load_leaderboard(write(GOOD), floors=floors)
    assert board.floors.tolist() == [0.3, 0.25, 0.05]
    assert not board.warnings
    assert load_floors(floors, board.benchmarks) == {"MMLU": 0.3, "Coding": 0.05}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("benchmark,floor\nMMLU,1\n", ["row 2", "column 'floor'", "value '1'", "[0, 1)"]),
        ("benchmark,floor\nMMLU,-0.1\n", ["value '-0.1'"]),
        ("benchmark,floor\nMMLU,\n", ["floor is empty"]),
        ("benchmark,floor\nMMLU,a quarter\n", ["not a number"]),
        ("benchmark,floor\nMMLLU,0\n", ["value 'MMLLU'", "did you mean 'MMLU'?"]),
        ("benchmark,floor\nARC,0\nARC-C,0\n", ["row 3", "'ARC' has a floor already"]),
        ("benchmark\nARC\n", ["column 'floor' is missing"]),
        ("benchmark,floor,FLOOR\nARC,0,0\n", ["column 'FLOOR'", "keep one"]),
        ("", ["empty"]),
    ],
)
def test_bad_floors(write, text, parts):
    with pytest.raises(TableError) as error:
        load_leaderboard(write(GOOD), floors=write(text, "floors.csv"))
    for part in ["floors.csv", *parts]:
        assert part in message(error)


# Queries.


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
    assert_same(Query.from_frame(frame, board), load_query(path, board))
    assert_same(Query.from_frame(frame.set_index("model"), board), load_query(path, board))


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
    assert any("scores are not used to predict: mmlu" in text for text in query.warnings)
    assert any("did you mean 'beta-chat'?" in text for text in query.warnings)


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


def test_bad_frames_name_their_source(board):
    frame = pd.DataFrame({"model": ["a"], "family": ["f"], "params_b": [-1.0], "tokens_t": [1]})
    with pytest.raises(TableError, match=r"^plan: row 2 \(model 'a'\), column 'params_b'"):
        Query.from_frame(frame, board, source="plan")
    with pytest.raises(TableError, match="no rows"):
        Query.from_frame(frame.iloc[:0], board)


# Properties.


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(4)))
def test_row_order_never_matters(write, board, order):
    lines = GOOD.splitlines()
    shuffled = [lines[0], *(lines[1 + row] for row in order)]
    assert_same(load_leaderboard(write("\n".join(shuffled), "good.csv")), board)


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8
).map(lambda text: "m" + text)
fractions = st.floats(0, 1) | st.just(float("nan"))
positive = st.floats(1e-9, 1e15)


def squeezed(name: str) -> str:
    """A name as it is read: white space inside becomes single spaces."""
    return " ".join(name.split())


@st.composite
def tables(draw) -> pd.DataFrame:
    models = draw(st.lists(names, min_size=1, max_size=6, unique_by=squeezed))
    families = {
        name: draw(names)
        for name in draw(st.lists(names, min_size=1, max_size=3, unique_by=squeezed))
    }
    kinds = {family: draw(st.booleans()) for family in families}
    family = [draw(st.sampled_from(sorted(families))) for _ in models]
    frame = pd.DataFrame(
        {
            "model": models,
            "family": family,
            "lineage": [families[name] for name in family],
            "post_trained": [kinds[name] for name in family],
            "params_b": [draw(positive) for _ in models],
            "tokens_t": [draw(positive) for _ in models],
            "released": [draw(st.just("") | names) for _ in models],
            "MMLU": [draw(fractions) for _ in models],
            "A benchmark, of mine": [draw(fractions) for _ in models],
        }
    )
    frame.loc[0, "MMLU"] = draw(st.floats(0, 1))  # a table without any score is refused
    return frame


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=tables())
def test_writing_and_reading_is_the_identity(tmp_path_factory, frame):
    folder = tmp_path_factory.getbasetemp()
    frame.to_parquet(folder / "drawn.parquet")
    board = load_leaderboard(folder / "drawn.parquet")
    board.to_csv(folder / "again.csv")
    assert_same(load_leaderboard(folder / "again.csv"), board, but=("warnings",))
    by_model = {squeezed(row.model): row for row in frame.itertuples()}
    assert board.params_b.tolist() == [by_model[model].params_b for model in board.models]
    np.testing.assert_array_equal(
        board.scores[:, 0], [by_model[model].MMLU for model in board.models]
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_table_or_a_table_error(write, content):
    for name in ("any.csv", "any.parquet"):
        with pytest.raises(TableError) as error:
            load_leaderboard(write(content, name))
        message(error)
    with pytest.raises(TableError) as error:  # a sane header, then anything
        load_leaderboard(write(b"model,family,params_b,tokens_t,MMLU\n" + content, "any.csv"))
    message(error)


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
    assert any("beta-7b on MMLU: 0.52 instead of 0.5" in note for note in joined.warnings)
    assert joined.floors[list(joined.benchmarks).index("MMLU")] == 0.25
    again = add_models(board, mine, floors=write("benchmark,floor\nMine,0.1\n", "floors.csv"))
    assert again.floors[-1] == 0.1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("beta-7b,beta,13,2,0.5", r"row 2 .*'params_b'.*the table has params_b 7.0"),
        ("beta-7b,gamma,7,2,0.5", "the table has family beta"),
        ("new-7b,,7,2,0.5", r"row 2 .*family is empty"),
        ("new-7b,beta,7,,0.5", r"row 2 .*'tokens_t'"),
        ("new-7b,beta,7,2,50", r"row 2 .*scores are fractions"),
        ("new-7b,n,7,2,0.5\nnew-7b,n,7,2,0.4", "row 3 .*stands in row 2 already"),
    ],
)
def test_own_models_that_contradict_the_table_are_refused(board, write, rows, message):
    mine = write(f"model,family,params_b,tokens_t,MMLU\n{rows}\n", "mine.csv")
    with pytest.raises(TableError, match=message) as caught:
        add_models(board, mine)
    assert "mine.csv" in str(caught.value)


def test_names_that_look_like_formulas_are_written_for_spreadsheets_and_read_back(write, tmp_path):
    names = ["=cmd()", "+1b", "-ours", "@home", "-1", "plain"]
    rows = "".join(f"{name},{name},7,2,0.5\n" for name in names)
    board = load_leaderboard(write(f"model,family,params_b,tokens_t,=SUM(A1)\n{rows}"))
    out = tmp_path / "out.csv"
    board.to_csv(out)
    cells = [line.split(",") for line in out.read_text().splitlines()]
    assert not [cell for row in cells for cell in row if cell[:1] in {"=", "+", "@"}]
    assert ["'-ours", "-1"] == [row[0] for row in cells if row[0].lstrip("'")[:1] == "-"][::-1]
    assert_same(load_leaderboard(out), board, but=("warnings",))
    summary = pd.DataFrame({"model": names, "median": [-0.5] * 6})
    written = frame_csv(summary, "%.2f").splitlines()
    assert written[1:3] == ["'=cmd(),-0.50", "'+1b,-0.50"]
