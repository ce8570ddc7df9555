"""Groups of benchmarks in tables and files of floors."""

from __future__ import annotations

import pandas as pd
import pytest
from small import table

import sloth_jax as sj

PLAIN, _ = table()
FRAME = PLAIN.to_frame()
FLOORS = pd.DataFrame(
    {"benchmark": ["MMLU", "arc", "GSM8K"], "floor": [0.25, 0.25, 0.0], "group": ["S", "S", ""]}
)


def test_groups_come_from_the_table_of_floors_or_from_columns_and_go_back():
    found = sj.load_leaderboard(FRAME, floors=FLOORS)
    assert found.group_of_benchmark == ("S", "S", "", "")
    assert found.groups() == {"S": (0, 1)}
    again = sj.load_leaderboard(found.to_frame())
    assert again.group_of_benchmark == found.group_of_benchmark
    assert again.to_csv_text() == found.to_csv_text()
    assert sj.load_leaderboard(FRAME).group_of_benchmark == ()
    assert sj.load_leaderboard(FRAME).to_csv_text() == PLAIN.to_csv_text()


def test_groups_follow_their_benchmarks():
    found = sj.load_leaderboard(FRAME, floors=FLOORS)
    assert found.select_benchmarks(["GSM8K", "ARC"]).group_of_benchmark == ("", "S")
    assert found.select_benchmarks(["GSM8K", "ARC"]).groups() == {}
    first = found.subset(found.family == 0)
    assert first.group_of_benchmark == found.group_of_benchmark


def test_added_benchmarks_join_groups():
    before = sj.load_leaderboard(FRAME, floors=FLOORS)
    added = FRAME[["model"]].assign(New=0.4)
    floors = pd.DataFrame({"benchmark": ["New"], "floor": [0.0], "group": ["S"]})
    found = sj.add_models(before, added, floors=floors)
    assert found.groups() == {"S": (0, 1, 4)}
    with pytest.raises(sj.TableError, match="benchmark 'S' is also the group of 2"):
        sj.add_models(before, FRAME[["model"]].assign(S=0.4))


def test_saved_fits_keep_groups(tmp_path):
    import jax

    board = sj.load_leaderboard(FRAME, floors=FLOORS)
    fit = sj.fit(board, key=jax.random.key(0), inference="mode", skills=1, steps=5)
    sj.save_fit(fit, tmp_path / "fit.nc")
    assert sj.load_fit(tmp_path / "fit.nc", board).table.groups() == board.groups()
    plain = sj.load_leaderboard(FRAME)
    with pytest.raises(sj.InputError, match="group_of_benchmark differs"):
        sj.load_fit(tmp_path / "fit.nc", plain)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MMLU group": ["S", "T"] * 12}, "a row above has S: a benchmark is in one group"),
        ({"MMLU group": "GSM8K", "ARC group": "gsm8k"}, None),
        ({"MMLU group": "GSM8K", "ARC group": "GSM8K"}, "benchmark 'GSM8K' is also the group of 2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, told):
    frame = FRAME.assign(**changes)
    if told is None:
        assert sj.load_leaderboard(frame).groups() == {}
        return
    with pytest.raises(sj.TableError, match=told) as error:
        sj.load_leaderboard(frame)
    assert "\n" not in str(error.value)


def test_faults_of_a_table_of_floors_with_groups_are_told():
    twice = pd.concat([FLOORS, FLOORS.head(1)])
    with pytest.raises(sj.TableError, match="'MMLU' has a floor already"):
        sj.load_leaderboard(FRAME, floors=twice)
    two = FLOORS.assign(Group="S")
    with pytest.raises(sj.TableError, match="two columns mean 'group'"):
        sj.load_leaderboard(FRAME, floors=two)
