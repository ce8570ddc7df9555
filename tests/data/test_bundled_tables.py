"""The bundled tables: complete, plausible, and traceable to what was published."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bundled_files import BENCHMARKS, DATA, PUBLISHED, ROOT, needs_published, rows

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.schema import COLUMNS
from sloth_jax.forecasting.bundled_tables import (
    bundled_mixtures,
    load_observational,
    observational_frame,
)

# A size in a name differs from the parameter count by at most this fraction of the count.
NAME_TOLERANCE = 0.40


def size_in_name(model: str) -> tuple[float, bool] | None:
    """Returns the size in billions that a name states, and whether it is an upper bound."""
    start, end = r"(?:^|[-_])", r"(?=[-_]|$)"
    if match := re.search(start + r"(\d+)x(\d+)b" + end, model):
        return float(match[1]) * float(match[2]), True  # experts share layers: 8x7b is less than 56
    if match := re.search(start + r"(\d+)(?:[._](\d+))?b" + end, model):  # 70b, 1.5b, 1_6b
        return float(f"{match[1]}.{match[2] or 0}"), False
    if match := re.search(start + r"(\d+)b(\d+)" + end, model):  # 7b1
        return float(f"{match[1]}.{match[2]}"), False
    if match := re.search(start + r"(\d+)m" + end, model):  # 560m
        return float(match[1]) / 1000, False
    return None


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("llama-2-70b-chat", 70.0),
        ("qwen1.5-1.8b", 1.8),
        ("qwen1.5-0.5b-chat", 0.5),
        ("stablelm-2-1_6b", 1.6),
        ("bloom-7b1", 7.1),
        ("rwkv-4-1b5-pile", 1.5),
        ("bloom-560m", 0.56),
        ("mixtral-8x7b-v0.1", 56.0),
        ("orca_mini_v3_13b", 13.0),
        ("phi-1_5", None),
        ("gpt2", None),
    ],
)
def test_the_name_parser_reads_names(name, size):
    found = size_in_name(name)
    assert (found[0] if found else None) == size


def test_every_published_model_is_there():
    table = rows(DATA / "leaderboard.csv")
    assert len(table) == 188
    models = [row["model"] for row in table]
    assert models == sorted(set(models))
    assert tuple(table[0])[8:] == BENCHMARKS
    assert models == [row["model"] for row in rows(ROOT / "scripts" / "model_cards.csv")]


def test_bundled_table_loads():
    board = load_leaderboard(edition="2024")
    assert board.benchmarks == BENCHMARKS
    assert len(board.models) == 188
    assert load_leaderboard(benchmarks=["GSM8K"], edition="2024").benchmarks == ("GSM8K",)
    # The one thing to warn about: models whose developers keep the token count to themselves.
    assert len(board.warnings) == 1
    unknown = set(board.warnings[0].split(": ")[-1].split(", "))
    empty = {row["model"] for row in rows(DATA / "leaderboard.csv") if not row["tokens_t"]}
    assert unknown == empty == {board.models[m] for m in np.flatnonzero(~board.known)}
    assert len(empty) == 10


def test_floors_are_in_range_and_add_up():
    table = rows(DATA / "benchmarks.csv")
    assert tuple(row["benchmark"] for row in table) == BENCHMARKS
    floors = {row["benchmark"]: float(row["floor"]) for row in table}
    assert all(0 <= floor < 1 for floor in floors.values())
    items = {row["benchmark"]: int(row["items"]) for row in table}
    assert items["BBH"] == 21 * 250 + 187 + 146 + 178
    assert items["MUSR"] == 756
    assert floors["MUSR"] == pytest.approx((125 + 256 / 5 + 250 / 3) / 756, abs=1e-6)
    # A mean of 1/choices lies between that of 19 choices and that of 2.
    assert 1 / 19 < floors["BBH"] < 1 / 2


def test_sizes_agree_with_names():
    checked = 0
    for row in rows(DATA / "leaderboard.csv"):
        stated = size_in_name(row["model"])
        if stated is None:
            continue
        checked += 1
        size, is_bound = stated
        count = float(row["params_b"])
        if is_bound:
            assert size / 2 < count <= size, row["model"]
            assert 0 < float(row["active_params_b"]) < count, row["model"]
        else:
            assert abs(size - count) <= NAME_TOLERANCE * count, row["model"]
    assert checked > 170


def test_each_family_has_one_lineage_and_one_kind():
    for columns in (("family", "lineage"), ("family", "post_trained")):
        pairs = {tuple(row[column] for column in columns) for row in rows(DATA / "leaderboard.csv")}
        assert len(pairs) == len({family for family, _ in pairs})


def test_every_correction_reproduces():
    table = {row["model"]: row for row in rows(DATA / "leaderboard.csv")}
    corrections = rows(DATA / "corrections.csv")
    assert len({(row["model"], row["column"]) for row in corrections}) == len(corrections)
    for row in corrections:
        assert table[row["model"]][row["column"]] == row["corrected"]
        assert row["published"] != row["corrected"]
        assert row["reason"]
        assert row["source"]


def test_known_faults_are_mended():
    board = load_leaderboard(edition="2024")
    size = dict(zip(board.models, board.params_b, strict=True))
    tokens = dict(zip(board.models, board.tokens_t, strict=True))
    family = {m: board.families[f] for m, f in zip(board.models, board.family, strict=True)}
    assert size["stablelm-2-1_6b"] == size["stablelm-2-1_6b-chat"] == 1.64
    assert size["bloom-1b1"] == 1.07
    assert size["rwkv-4-1b5-pile"] == 1.52
    assert (tokens["gemma-2-9b"], tokens["gemma-2-2b"]) == (8.0, 2.0)
    assert family["stablelm-2-1_6b"] == "stablelm-2"
    published = load_leaderboard(corrected=False)
    assert published.params_b[published.models.index("stablelm-2-1_6b")] == 6.0


def test_no_hosts_in_the_files():
    for path in (*DATA.glob("*.csv"), ROOT / "scripts" / "model_cards.csv"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "www." not in text
        assert "\r" not in text
        assert text.endswith("\n")


@needs_published
def test_uncorrected_values_are_those_published():
    published = {row["Model"]: row for row in rows(PUBLISHED)}
    with_tokens = {m for m, row in published.items() if row["Pretraining Data Size (T)"]}
    board = load_leaderboard(corrected=False)
    assert set(board.models) == set(published)
    board = board.subset(board.known)
    assert set(board.models) == with_tokens
    assert len(with_tokens) == 175
    assert np.isnan(board.active_params_b).all()
    for m, model in enumerate(board.models):
        row = published[model]
        f = board.family[m]
        assert board.families[f] == row["Family2"]
        assert board.lineages[board.lineage_of_family[f]] == row["Family"]
        assert board.post_trained_of_family[f] == (row["Instruct"] == "True")
        assert board.params_b[m] == float(row["#Params (B)"])
        assert board.tokens_t[m] == float(row["Pretraining Data Size (T)"])


@needs_published
def test_scores_are_those_published():
    published = {row["Model"]: row for row in rows(PUBLISHED)}
    for row in rows(DATA / "leaderboard.csv"):
        for name in BENCHMARKS:
            theirs = published[row["model"]][name]
            assert bool(row[name]) == bool(theirs)
            if theirs:
                assert float(row[name]) == round(float(theirs), 6)


def test_bundled_mixtures_are_a_table():
    frame = bundled_mixtures()
    assert list(frame.columns) == [*COLUMNS, *load_leaderboard(edition="2024").benchmarks]
    assert (frame["active_params_b"] < frame["params_b"]).all()
    assert frame["tokens_t"].notna().all()
    scores = frame[list(load_leaderboard(edition="2024").benchmarks)].to_numpy()
    given = np.isfinite(scores)
    assert ((scores[given] > 0) & (scores[given] < 1)).all()
    assert given.any(axis=1).all()


def test_published_errors_are_those_published(shared):
    published = rows(shared / "data" / "reference_cv_summary.csv")
    table = rows(DATA / "published_errors.csv")
    assert len(table) == 28 * 6
    assert list(dict.fromkeys(row["method"] for row in table)) == [p["method"] for p in published]
    ours = {(r["method"], r["leaderboard"], r["n_train"]): r["mean_abs_error"] for r in table}
    assert len(ours) == len(table)
    for row in published:
        for name in ("v1", "v2", "both"):
            for n_train in "12":
                error = float(row[f"{name}_n{n_train}"])
                assert float(ours[row["method"], name, n_train]) == error


def test_published_errors_are_plausible():
    table = rows(DATA / "published_errors.csv")
    error = {
        (row["method"], row["leaderboard"], row["n_train"]): float(row["mean_abs_error"])
        for row in table
    }
    assert error["logF_sigmoid_faminter", "v1", "1"] == 0.049  # the paper's plain baseline
    assert all(0.02 < value < 0.3 for value in error.values())


def test_tested_families_are_in_the_table():
    published = load_leaderboard(corrected=False)
    table = rows(DATA / "folds.csv")
    assert {row["family"] for row in table} <= set(published.families)
    folds = {(row["leaderboard"], row["n_train"], row["fold"]) for row in table}
    assert len(folds) == 73
    tested = {(row["leaderboard"], row["n_train"], row["family"]) for row in table}
    assert len(tested) == len(table) == 109


def test_the_observational_table_leaves_out_what_is_not_public():
    board = load_observational()
    left_out = set(board.warnings[0].split(": ")[-1].split(", "))
    assert set(observational_frame().index) - set(board.models) == left_out
    assert not any("integrated out" in warning for warning in board.warnings)
    assert "gpt-4-0613" in left_out
    assert "gpt-4-0613" not in board.models
    assert "gpt-4-0613" in observational_frame().index
    assert np.isfinite(board.tokens_t).all()
    assert dict(zip(board.benchmarks, board.floors, strict=True))["XWinograd"] == 0.5
    # The same model has the same sizes and family in both bundled tables.
    other = load_leaderboard(edition="2024")
    other = other.subset(other.known)
    for model in set(board.models) & set(other.models):
        m, n = board.models.index(model), other.models.index(model)
        assert board.params_b[m] == other.params_b[n]
        assert board.tokens_t[m] == other.tokens_t[n]
        assert board.families[board.family[m]] == other.families[other.family[n]]
