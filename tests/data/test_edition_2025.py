"""The edition 2025 of the bundled leaderboard: its build, its facts and how it is loaded."""

from __future__ import annotations

import re

import build_dataset
import numpy as np
import pytest
from bundled_files import BENCHMARKS, DATA, PUBLISHED, ROOT, needs_published, rows
from bundled_tables import edition_2025
from bundled_tables.edition_2025 import (
    MATH,
    NOT_OFFICIAL,
    OTHER_SUBMISSION,
    SIZE_TOLERANCE,
    SOURCES,
    UNREAD,
    V2,
    build_edition_2025,
)
from bundled_tables.leaderboard import CARDS
from bundled_tables.records import BuildError

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.schema import COLUMNS
from sloth_jax.files import csv_text

EXPORT = PUBLISHED.parent / "open_llm_leaderboard_v2_2025-02.csv"
TABLES = ("leaderboard_2025", "corrections_2025", "remeasured_2025", "left_out_2025")
MOST_TOKENS_T, FEWEST_TOKENS_PER_PARAMETER = 25.0, 1.0


def cells(name: str) -> list[list[str]]:
    table = rows(DATA / f"{name}.csv")
    return [list(table[0]), *(list(row.values()) for row in table)]


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    return {row["model"]: row for row in rows(DATA / "leaderboard_2025.csv")}


@pytest.fixture(scope="module")
def cards() -> dict[str, dict[str, str]]:
    return {row["model"]: row for row in rows(edition_2025.CARDS_2025)}


@needs_published
def test_rebuilding_gives_the_same_bytes(tmp_path):
    out = ["--source", str(PUBLISHED), "--out", str(tmp_path)]
    assert build_dataset.main([*out, "--v2-export-2025", str(EXPORT)]) == 0
    for name in TABLES:
        assert (tmp_path / f"{name}.csv").read_bytes() == (DATA / f"{name}.csv").read_bytes()


def test_it_has_the_models_of_2024_and_enough_new_ones(table):
    old = {row["model"]: row for row in rows(DATA / "leaderboard.csv")}
    assert len(old) == 188
    assert old.keys() <= table.keys()
    assert len(table) >= 330
    assert len({row["lineage"] for row in table.values()}) >= 60
    for model, row in old.items():
        new = table[model]
        for column in set(COLUMNS) - {"params_b"}:
            assert new[column] == row[column]
        kept = BENCHMARKS if any(row[name] for name in V2) else BENCHMARKS[:6]
        kept = [name for name in kept if name != MATH or new[MATH] or not row[MATH]]
        assert [new[name] for name in kept] == [row[name] for name in kept]


def test_sizes_of_models_of_2024_are_those_of_their_cards(table):
    for card in rows(CARDS):
        assert float(table[card["model"]]["params_b"]) == float(card["params_b"])


def test_math_has_the_source_that_it_was_measured_by(table):
    old = {row["model"] for row in rows(DATA / "leaderboard.csv") if row[MATH]}
    for model, row in table.items():
        expected = SOURCES["2024" if model in old else "2025"] if row[MATH] else ""
        assert row[f"{MATH} source"] == expected
        assert len({bool(row[name]) for name in V2 if name != MATH}) == 1


def test_scores_of_answers_that_were_not_read_are_left_out(table):
    corrected = {r["model"]: r for r in rows(DATA / "corrections_2025.csv") if r["column"] == MATH}
    for model, row in table.items():
        if model in corrected:
            assert row[MATH] == corrected[model]["corrected"] == ""
            assert float(corrected[model]["published"]) < 0.02
        elif row["MMLU-PRO"]:
            math, knowledge = float(row[MATH]), float(row["MMLU-PRO"])
            assert all(math >= low or knowledge <= high for low, high in UNREAD)
    assert {"qwen2.5-32b-instruct", "deepseek-r1-distill-qwen-32b"} <= corrected.keys()
    assert len(corrected) < 50


@needs_published
def test_sizes_are_those_measured_but_for_corrections_with_a_reason(table, cards):
    measured: dict[str, list[float]] = {}
    for row in rows(EXPORT):
        measured.setdefault(row["fullname"], []).append(float(row["#Params (B)"]))
    corrected = {
        row["model"] for row in rows(DATA / "corrections_2025.csv") if row["column"] == "params_b"
    }
    for model, card in cards.items():
        size = float(table[model]["params_b"])
        near = [abs(size - m) <= SIZE_TOLERANCE * m for m in measured[card["published_name"]]]
        assert any(near) or model in corrected, model


def test_every_value_has_a_source_and_a_plausible_size(table, cards):
    new = table.keys() - {row["model"] for row in rows(DATA / "leaderboard.csv")}
    assert new == {model for model, card in cards.items() if card["params_b"]}
    for model in new:
        card, row = cards[model], table[model]
        assert card["params_source"]
        assert bool(card["tokens_source"]) == bool(row["tokens_t"])
        assert re.fullmatch(r"20(19|2[0-5])-(0[1-9]|1[0-2])(-\d\d)?", row["released"])
        size = float(row["params_b"])
        assert not row["active_params_b"] or 0.0 < float(row["active_params_b"]) < size
        if row["tokens_t"]:
            assert float(row["tokens_t"]) <= MOST_TOKENS_T
            assert 1000.0 * float(row["tokens_t"]) / size >= FEWEST_TOKENS_PER_PARAMETER


def test_corrections_say_what_they_change_and_why(table):
    for row in rows(DATA / "corrections_2025.csv"):
        assert row["column"] in ("params_b", "post_trained", MATH)
        assert row["corrected"] != row["published"]
        assert float(table[row["model"]]["params_b"]) > 0.0
        assert row["reason"]
        assert row["source"]


@needs_published
def test_all_rows_of_the_export_are_accounted_for(cards):
    left_out = rows(DATA / "left_out_2025.csv")
    assert len(cards) + sum(int(row["rows"]) for row in left_out) == len(rows(EXPORT))
    for row in left_out:
        names = row["names"].split()
        assert len(names) == (0 if row["reason"] == NOT_OFFICIAL else int(row["models"]))


def test_loading_an_edition(table):
    board = load_leaderboard(edition="2025")
    assert set(board.models) == set(table)
    known = {board.models[m] for m in np.flatnonzero(board.known)}
    assert known == {model for model, row in table.items() if row["tokens_t"]}
    assert board.sources == ("", *SOURCES.values())
    column = board.source[:, board.benchmarks.index(MATH)]
    scored = board.observed[:, board.benchmarks.index(MATH)]
    assert set(column[scored]) == {1, 2}
    assert load_leaderboard().models == board.models
    assert len(load_leaderboard(edition="2024").models) == 188


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"edition": "2023"}, r"no edition .2023.*2025, 2024"),
        ({"edition": "2025", "corrected": False}, "is a bundled table with corrections"),
        ({"edition": "2025", "path": "table.csv"}, "leave it out"),
    ],
)
def test_what_an_edition_does_not_go_with(options, part):
    with pytest.raises(ValueError, match=part):
        load_leaderboard(**options)


# A small export: one model of 2024 without scores of v2 there, two new ones, one left out.
CARD = "tiny-1b,maker/Tiny-1B,tiny,tiny,False,1.0,,2,2024-11,a card,a paper,\n"
OLD = "gpt-j-6b,EleutherAI/gpt-j-6b,,,,,,,,,,\n"
EXPORTED = (
    "maker/Tiny-1B,float16,pretrained,1.01,False,True,2024-10-01,0.2,0.3,0.1,0.3,0.4,0.2\n"
    "maker/Tiny-1B,bfloat16,pretrained,1.01,False,True,2024-09-01,0.3,0.3,0.1,0.3,0.4,0.2\n"
    "maker/Tiny-1B,bfloat16,pretrained,1.01,True,True,2024-11-01,0.4,0.3,0.1,0.3,0.4,0.2\n"
    "EleutherAI/gpt-j-6b,bfloat16,pretrained,6.0,False,True,2022-03-02,0.5,0.3,0,0.3,0.4,0.2\n"
    "other/merge,bfloat16,pretrained,7.0,False,False,2024-10-01,0.5,0.3,0.1,0.3,0.4,0.2\n"
    "maker/rm,bfloat16,pretrained,7.0,False,True,2024-10-01,0.5,0.3,0.1,0.3,0.4,0.2\n"
)
REASONS = "name,reason\nmaker/rm,a reward model\n"


def build(folder, cards: str = CARD + OLD, exported: str = EXPORTED, reasons: str = REASONS):
    for name, header, text in (
        ("cards", ",".join(edition_2025.CARD_COLUMNS), cards),
        ("export", ",".join(edition_2025.EXPORT_COLUMNS), exported),
    ):
        (folder / f"{name}.csv").write_text(f"{header}\n{text}", encoding="utf-8")
    (folder / "left_out.csv").write_text(reasons, encoding="utf-8")
    paths = (folder / "cards.csv", folder / "left_out.csv")
    return build_edition_2025(folder / "export.csv", cells("leaderboard"), *paths)


def test_a_small_export(tmp_path):
    built = build(tmp_path)
    table = {row[0]: row for row in built["leaderboard_2025.csv"]}
    assert len(table) == 190
    assert table["tiny-1b"][1:8] == ["tiny", "tiny", "False", "1.0", "", "2.0", "2024-11"]
    assert table["tiny-1b"][14:] == ["0.3", "0.3", "0.1", "0.3", "0.4", "0.2", SOURCES["2025"]]
    assert table["gpt-j-6b"][14:] == ["0.5", "0.3", "0.0", "0.3", "0.4", "0.2", SOURCES["2025"]]
    assert built["left_out_2025.csv"][1:] == [
        [OTHER_SUBMISSION, "2", "1", "maker/Tiny-1B"],
        ["a reward model", "1", "1", "maker/rm"],
        [NOT_OFFICIAL, "1", "1", ""],
    ]
    assert {row[1] for row in built["corrections_2025.csv"][1:]} == {MATH}  # of models of 2024
    assert built["remeasured_2025.csv"][1:] == []
    assert csv_text(built["leaderboard_2025.csv"]).count("\n") == 190


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"cards": CARD.replace("1.0", "1.1")}, "the export differs in ['params_b']"),
        ({"cards": CARD.replace("a card,a paper,", "a card,a paper,params_b: x")}, "differs in []"),
        ({"cards": CARD.replace("tiny,False", "tiny,True")}, "differs in ['post_trained']"),
        ({"cards": CARD.replace("a paper", "")}, "tokens_t and its source go together"),
        ({"cards": CARD.replace("1.0,,", ",,")}, "params_b and its source go together"),
        ({"cards": CARD.replace("2024-11", "")}, "a fact is missing"),
        ({"cards": CARD.replace("2024-11", "2025-03")}, "long after its upload"),
        ({"cards": CARD.replace("Tiny-1B", "No-1B")}, "not in the export"),
        ({"cards": CARD + CARD.replace("tiny-1b", "tiny_1B")}, "two models have the name tiny-1b"),
        ({"cards": CARD + CARD.replace("tiny-1b", "x")}, "two models have the name maker/tiny-1b"),
        ({"cards": OLD.replace("6b,,", "6b,x,")}, "family stand in model_cards.csv"),
        ({"cards": CARD}, "no reason for 'EleutherAI/gpt-j-6b', nor a card"),
        ({"exported": EXPORTED.replace("0.3,0.1", "30,0.1")}, "not a fraction"),
        ({"reasons": REASONS + "nobody,gone\n"}, "nothing is left out by nobody"),
    ],
)
def test_the_script_refuses_what_does_not_fit(tmp_path, change, part):
    with pytest.raises(BuildError, match=re.escape(part)):
        build(tmp_path, **change)


def test_the_documentation_counts_what_is_there(table):
    text = " ".join((ROOT / "docs" / "data.md").read_text(encoding="utf-8").split())
    for edition, records in (
        ("2024", rows(DATA / "leaderboard.csv")),
        ("2025, the default", list(table.values())),
    ):
        public = sum(bool(row["tokens_t"]) for row in records)
        lineages = len({row["lineage"] for row in records})
        assert f"| {edition} | {len(records)} ({public}) | {lineages} |" in text
    changed = [row for row in rows(DATA / "remeasured_2025.csv") if row["benchmark"] == MATH]
    both = sum(bool(row[MATH]) for row in rows(DATA / "leaderboard.csv"))
    assert f"{len(changed)} of {both} models changed by more than rounding" in text


def test_tokens_are_those_of_the_registry():
    registered = [
        (run, float(size))
        for run in rows(DATA / "pretraining.csv")
        for size in run["sizes_b"].split()
    ]
    looked_at = 0
    for model in rows(DATA / "leaderboard_2025.csv"):
        tokens = {
            float(run["tokens_t"])
            for run, size in registered
            if run["lineage"] == model["lineage"] == model["family"]  # not trained any further
            and abs(size / float(model["params_b"]) - 1.0) < SIZE_TOLERANCE
            and run["tokens_t"]
        }
        if tokens and model["tokens_t"]:
            assert float(model["tokens_t"]) in tokens, model["model"]
            looked_at += 1
    assert looked_at > 80
