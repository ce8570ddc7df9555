"""A leaderboard's fields, its parts, and what it writes: read back, it is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from table_texts import GOOD, assert_same, edited

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.files import frame_csv


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


DETAILED = """\
model,family,post_trained,params_b,active_params_b,tokens_t,released,A,A se,A floor,B,B items,source
m3,f,False,3,,1,2024-01,0.5,0.01,0.2,0.7,1000,x
m1,f,False,1,0.5,1,,0.3,0.02,,0.6,500,y
m2,g,True,2,,1,2024-03-05,0.4,0.03,0.2,,,x
"""


def test_the_frame_of_a_table_is_the_table(write, board):
    for known in (load_leaderboard(edition="2024"), board, load_leaderboard(write(DETAILED))):
        assert_same(load_leaderboard(known.to_frame()), known, but=("warnings",))
    assert known.floors.tolist() == [0.2, 0.0]
    assert known.sources == ("x", "y")
    assert np.isfinite(known.items).all()
    one = load_leaderboard(write(DETAILED.replace(",y\n", ",x\n")))
    assert one.sources == ("x",)
    assert_same(load_leaderboard(one.to_frame()), one, but=("warnings",))


def test_frames_of_other_kinds_of_columns(board):
    frame = board.to_frame()
    frame["params_b"] = frame["params_b"].astype(int)
    frame["tokens_t"] = frame["tokens_t"].astype("Float64")
    frame["family"] = frame["family"].astype("category")
    frame["released"] = frame["released"].replace("", None).astype("string")
    assert_same(load_leaderboard(frame.set_index("model")), board, but=("warnings",))


def test_faults_of_a_frame_name_the_row(board):
    frame = board.to_frame()
    frame.loc[2, "MMLU"] = 50.0
    with pytest.raises(TableError, match=r"^data frame: row 4 \(model 'beta-7b'\), column 'MMLU'"):
        load_leaderboard(frame)


@pytest.mark.parametrize(("cell", "reason"), [("0.3", "a row above has 0.2"), ("25", "fractions")])
def test_a_benchmark_has_one_floor(write, cell, reason):
    with pytest.raises(TableError, match=f"row 4 .*column 'A floor', value '{cell}': .*{reason}"):
        load_leaderboard(write(DETAILED.replace("0.03,0.2", f"0.03,{cell}")))


def test_floors_that_are_given_come_before_a_column(write):
    floors = pd.DataFrame({"benchmark": ["A"], "floor": [0.1]})
    assert load_leaderboard(write(DETAILED), floors=floors).floors.tolist() == [0.1, 0.0]


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
positive = st.floats(1e-9, 1e4)


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
