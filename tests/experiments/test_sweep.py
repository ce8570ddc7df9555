"""Sweeps: what a file asks for, what is kept, and that order and workers do not matter."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sweep
from running import refused, run

from sloth_jax import load_leaderboard

TEXT = """
methods = ["fit", "logF_sigmoid"]
splits = ["by lineage, n = 1"]
seeds = [0, 1]
[tables]
few = "few.csv"
[grid]
inference = ["mode"]
skills = [1, 2]
"""


@pytest.fixture
def asked(tmp_path) -> Path:
    table = load_leaderboard(edition="2024").to_frame()
    table = table[table["family"].isin(["pythia", "llama-2", "qwen1.5", "gemma"])]
    table.to_csv(tmp_path / "few.csv", index=False)
    (tmp_path / "sweep.toml").write_text(TEXT)
    return tmp_path / "sweep.toml"


@pytest.fixture
def here(monkeypatch) -> list[int]:
    """Tasks run in this process; how many, by sweep."""
    counts = []

    @contextmanager
    def engine(options):
        with ThreadPoolExecutor(1) as workers:
            counts.append(0)
            submit = workers.submit

            def counted(*call):
                counts[-1] += 1
                return submit(*call)

            workers.submit = counted
            yield workers

    monkeypatch.setattr(sweep, "engine", engine)
    return counts


def fake(task):
    """Numbers that depend on the task alone."""
    skills = task["grid"].get("skills", 0)
    return {"mae": skills + task["seed"] / 10, "mae_se": 0.5, "problem": "", "seconds": 1.0}


def test_a_point_method_and_a_fit_are_judged_on_held_out_models(asked, here):
    text = TEXT.replace("seeds = [0, 1]", "seeds = [0]").replace("[1, 2]", "[1]")
    asked.write_text(text)
    table = run(sweep.main, asked.parent / "out", str(asked), "--smoke").csv("results")
    assert table["method"].tolist() == ["logF_sigmoid", "fit"]
    assert table["problem"].isna().all()
    assert ((table["mae"] > 0.0) & (table["mae"] < 0.5)).all()
    assert table["scores"].nunique() == 1  # the same held-out scores
    assert table.loc[1, "coverage_90"] >= 0.0


def test_only_what_is_new_is_computed_and_rows_are_in_the_order_of_the_file(
    asked, here, monkeypatch
):
    monkeypatch.setattr(sweep, "run_task", fake)
    out = asked.parent / "out"
    first = run(sweep.main, out, str(asked)).csv("results")
    assert here == [6]  # a method without settings has no grid
    assert list(zip(first["method"], first["skills"].fillna(0), first["seed"], strict=True)) == [
        *(("logF_sigmoid", 0, seed) for seed in (0, 1)),
        *(("fit", skills, seed) for skills in (1, 2) for seed in (0, 1)),
    ]
    before = (out / "results.csv").read_bytes()
    run(sweep.main, out, str(asked))
    assert here == [6]
    assert (out / "results.csv").read_bytes() == before
    asked.write_text(TEXT.replace("seeds = [0, 1]", "seeds = [2, 1, 0]"))
    longer = run(sweep.main, out, str(asked)).csv("results")
    assert here == [6, 3]
    assert longer["seed"].tolist()[:3] == [2, 1, 0]


def test_a_table_that_changed_is_computed_anew(asked, here, monkeypatch):
    monkeypatch.setattr(sweep, "run_task", fake)
    run(sweep.main, asked.parent / "out", str(asked))
    table = asked.parent / "few.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    run(sweep.main, asked.parent / "out", str(asked))
    assert here == [6, 6]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("logF_sigmoid", "logF_sigmoit", "no method 'logF_sigmoit'"),
        ("by lineage, n = 1", "by linage", "no split 'by linage'"),
        ("skills", "skill", "no setting 'skill'"),
        ("[1, 2]", "[0]", "skills 0 is not a positive whole number"),
        ("[1, 2]", "3", "each setting of the grid is a list"),
        ("seeds = [0, 1]", 'seeds = ["a"]', "not all whole numbers"),
        ("seeds = [0, 1]", "", "seeds is missing"),
        ("few.csv", "none.csv", "none.csv"),
        ("methods", "method", "no entry 'method'"),
        ("[grid]", "[grid", "cannot be read as TOML"),
    ],
)
def test_bad_files_get_one_line(asked, old, new, says):
    asked.write_text(TEXT.replace(old, new, 1))
    out = asked.parent / "out"
    assert says in refused(sweep.main, str(asked), "--out", str(out))
    assert not out.exists()


def test_a_second_sweep_of_a_folder_is_refused(asked):
    out = asked.parent / "out"
    out.mkdir()
    with (out / ".at_work").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another sweep is at work" in refused(sweep.main, str(asked), "--out", str(out))
