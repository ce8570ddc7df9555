"""Reading tables: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from table_texts import GOOD, assert_same, edited, message

from sloth_jax.data.reading import load_floors, load_leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.errors import InputError


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
    ignored = "ignored columns: the first, which has no name, FLOPs (1E21), Arena-Elo, MTBench"
    assert [text.partition(": ")[2] for text in loaded.warnings[:1]] == [ignored]


def test_defaults_of_optional_columns(write):
    board = load_leaderboard(write("model,family,params_b,tokens_t,MMLU\na,f,1,1,0.4\nb,g,1,1,1\n"))
    assert board.lineages == ("f", "g")
    assert board.post_trained_of_family.tolist() == [0.0, 0.0]
    assert np.isnan(board.active_params_b).all()
    assert board.released == ("", "")
    (warning,) = board.warnings
    assert "post_trained is not given and taken as false for all families" in warning


def test_a_packed_table_is_read(write, board):
    packed = gzip.compress(GOOD.encode())
    assert_same(load_leaderboard(write(packed, "good.csv.gz")), board, but=("warnings",))
    with pytest.raises(TableError, match=r"cut\.csv\.gz: cannot be read"):
        load_leaderboard(write(packed[:50], "cut.csv.gz"))


@pytest.mark.parametrize(
    ("size", "tokens", "says"),
    [
        ("7e9", "1", "column 'params_b', value '7e9': params_b is in billions of parameters"),
        ("7e9", "1", "did you mean billions: 7?"),
        ("560000000", "1", "did you mean billions: 0.56?"),
        ("7", "2e12", "did you mean trillions: 2?"),
        ("7", "15000", "did you mean trillions: 15?"),
    ],
)
def test_numbers_in_another_unit_are_refused(write, size, tokens, says):
    text = f"model,family,params_b,tokens_t,MMLU\na,f,{size},{tokens},0.4\n"
    with pytest.raises(TableError) as error:
        load_leaderboard(write(text))
    assert says in message(error)


def test_warnings_for_missing_scores(write):
    board = load_leaderboard(
        write("model,family,params_b,tokens_t,MMLU,ARC\na,f,7,1,0.4,\nb,g,1,1,,\n")
    )
    assert [text.partition(": ")[2] for text in board.warnings] == [
        "post_trained is not given and taken as false for all families",
        "no model has a score on ARC",
        "models without a score: b",
    ]


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
    "neither size nor score": (
        edited("False,1,,1.5,2023-01,0.3,,0.0", "False,,,1.5,2023-01,,,"),
        ["row 3 (model 'alpha-1b')", "neither its size nor a score is known", "remove the row"],
    ),
    "blank model": (edited("alpha-1b", ""), ["row 3, column 'model'", "model is empty"]),
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
    "text size": (edited("False,1,", "False,1B,"), ["'params_b'", "value '1B'", "not a number"]),
    "infinite size": (edited("False,1,", "False,-Infinity,"), ["'params_b'", "infinite"]),
    "zero tokens": (edited("1.5,2023", "0.0,2023"), ["'tokens_t'", "positive", "trillions"]),
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
    "semicolons and decimal commas": (
        GOOD.replace(",", ";").replace(".", ","),
        ["value '1,5'", "write the decimal point as '.'"],
    ),
    "decimal commas": (edited("0.45,NA", "0,45,NA"), ["12 cells", "decimal points as '.'"]),
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


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\ufeff\r\n" + text.replace(",", ";").replace("\n", "\r\n"),
    ],
)
def test_separators_line_ends_and_byte_order_marks_are_read(write, change):
    same = load_leaderboard(write(GOOD))
    other = load_leaderboard(write(change(GOOD), "other.csv"))
    pd.testing.assert_frame_equal(other.to_frame(), same.to_frame())


def test_a_file_that_changes_while_it_is_read(write, monkeypatch):
    path = write(GOOD)
    status_of = os.fstat

    def while_it_grows(number: int) -> os.stat_result:
        status = status_of(number)
        with path.open("a") as file:
            file.write("more")
        return status

    monkeypatch.setattr(os, "fstat", while_it_grows)
    with pytest.raises(InputError, match="changed while it was read: run again"):
        load_leaderboard(path)


def test_sizes_tokens_and_families_may_be_unknown(write, board):
    table = load_leaderboard(write(edited("False,1,,1.5", "False,,,")))
    m = table.models.index("alpha-1b")
    assert np.isnan([table.params_b[m], table.tokens_t[m]]).all()
    assert table.known.tolist() == [model != "alpha-1b" for model in table.models]
    assert (
        sum("of 1 model are not known and integrated out: alpha-1b" in w for w in table.warnings)
        == 2
    )
    nothing = load_leaderboard(write("model,MMLU\na,0.5\nb,0.4\n", "nothing.csv"))
    assert nothing.families == nothing.lineages == ("a", "b")
    assert not nothing.known.any()
    assert_same(load_leaderboard(table.to_frame()), table, but=("warnings",))


def test_row_numbers_count_empty_rows(write):
    with pytest.raises(TableError, match=r"row 5, column 'model'.*model is empty"):
        load_leaderboard(write(edited("\nalpha-1b,alpha,", "\n\n,,,,,,,,,,\n,alpha,")))


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
