"""Item banks from files: every form gives the same counts, faults are named by row."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sloth_jax.errors import InputError
from sloth_jax.items.bank import ItemBank, read_bank, read_responses

WIDE = "model,q1,q2,q3\na,1,0,\nb,0,1,1\n"
LONG = "model,item,correct\na,q1,1\na,q2,0\nb,q1,0\nb,q2,1\nb,q3,1\n"


def written(folder, text: str, name: str = "bank.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_all_forms_give_the_same_counts(tmp_path):
    wide = read_bank(written(tmp_path, WIDE))
    long = read_bank(written(tmp_path, LONG))
    pd.read_csv(tmp_path / "bank.csv").to_parquet(tmp_path / "bank.parquet")
    answers = {"models": ["a", "b"], "items": ["q1", "q2", "q3"]}
    np.savez(tmp_path / "b.npz", successes=[[1, 0, np.nan], [0, 1, 1]], **answers)
    others = (long, read_bank(tmp_path / "bank.parquet"), read_bank(tmp_path / "b.npz"))
    for bank in others:
        assert (bank.models, bank.items) == (("a", "b"), ("q1", "q2", "q3"))
        np.testing.assert_array_equal(bank.successes, wide.successes)
        np.testing.assert_array_equal(bank.tries, [[1, 1, 0], [1, 1, 1]])
        assert bank.digest == wide.digest
    np.testing.assert_allclose(wide.scores(), [0.5, 2 / 3])


def test_single_answers_by_position_are_a_bank(tmp_path):
    long = read_bank(written(tmp_path, LONG))
    names = {"models": ["a", "b"], "items": ["q1", "q2", "q3"]}
    at = {"model": [0, 0, 1, 1, 1], "item": [0, 1, 0, 1, 2]}
    np.savez(tmp_path / "b.npz", successes=[1, 0, 0, 1, 1], **names, **at)
    found = read_bank(tmp_path / "b.npz")
    np.testing.assert_array_equal(found.successes, long.successes)
    np.testing.assert_array_equal(found.tries, long.tries)
    assert found.tries.dtype == np.uint8
    for changed, says in (
        ({"model": [0, 0, 1, 1, 2]}, "array model: positions go from 0 to 1"),
        ({"item": [0, 0, 0, 1, 2]}, "answer 1: model 'a' answers item 'q1' again"),
        ({"item": [0.0, 1, 0, 1, 2]}, "array item: give the position of each answer's item"),
        ({"tries": [1, 1, 1, 1, 0.5]}, "item 'q3': 0.5 of tries is not a whole number"),
    ):
        np.savez(tmp_path / "c.npz", successes=[1, 0, 0, 1, 1], **{**names, **at, **changed})
        with pytest.raises(InputError, match=says):
            read_bank(tmp_path / "c.npz")


def test_names_stay_as_they_are_written_and_many_tries_take_two_bytes(tmp_path):
    text = "model,item,successes,tries\n01,007,3,300\n01,7,0,2\n2,007,1,1\n"
    bank = read_bank(written(tmp_path, text))
    assert (bank.models, bank.items) == (("01", "2"), ("007", "7"))
    assert bank.tries.dtype == np.uint16
    np.testing.assert_array_equal(bank.tries, [[300, 2], [1, 0]])
    with pytest.raises(InputError, match="row 3: no item: name it"):
        read_bank(written(tmp_path, "model,item,correct\na,q,1\na,,1\n"))


def test_labels_give_categories_and_questions(tmp_path):
    labels = written(tmp_path, "item,category,digest\nq1,x,A\nq3,y,C\nq2,x,B\n", "labels.csv")
    bank = read_bank(written(tmp_path, WIDE), labels)
    assert bank.categories == ("x", "y")
    np.testing.assert_array_equal(bank.category, [0, 0, 1])
    assert bank.digests == ("A", "B", "C")
    assert bank.digest != read_bank(tmp_path / "bank.csv").digest
    mine = written(tmp_path, "item,correct,digest\nq1,1,A\nq2,1,OTHER\n", "new.csv")
    with pytest.raises(InputError, match=r"1 items are another question .*digests differ\): q2"):
        read_responses(mine, bank)


def test_answers_of_one_model_are_named_by_their_file(tmp_path):
    bank = read_bank(written(tmp_path, WIDE))
    mine = read_responses(written(tmp_path, "item,correct\nq3,1\nq1,0\n", "new.csv"), bank)
    assert mine.models == ("new",)
    np.testing.assert_array_equal(mine.tries, [[1, 0, 1]])
    np.testing.assert_array_equal(mine.successes, [[0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,q1\na,2\n", "row 2, item 'q1': '2' is not 0, 1 or empty"),
        ("model,item,correct\na,q,1\na,q,0\n", "row 3: model 'a' answers item 'q' again"),
        ("model,item,successes,tries\na,q,3,2\n", "row 2: successes is 3 of 2 tries"),
        ("model,item,score\na,q,1\n", "column correct is missing"),
        ("name,q1\na,1\n", "column model is missing"),
        ("model,q1\na,1\na,0\n", "model 'a' stands twice"),
    ],
)
def test_faults_are_named(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        read_bank(written(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path))


def test_items_that_the_bank_lacks_are_named(tmp_path):
    bank = read_bank(written(tmp_path, WIDE))
    with pytest.raises(InputError, match="1 of 2 items are not in the bank: q9"):
        read_responses(written(tmp_path, "item,correct\nq9,1\nq1,0\n", "new.csv"), bank)


def test_more_successes_than_tries_are_refused():
    with pytest.raises(InputError, match="model 'a', item 'q': 2 are more successes than tries"):
        ItemBank(("a",), ("q",), np.array([[2]]), np.array([[1]]))


def test_items_all_or_none_get_right_are_told():
    bank = ItemBank(("a", "b"), ("q", "r"), np.array([[1, 0], [1, 0]]), np.ones((2, 2)))
    assert [line.split(":")[0] for line in bank.warnings] == [
        "1 of 2 items answered right by no model",
        "1 of 2 items answered right by every model",
    ]


def logged(folder, model: str, task: str, time: str, *samples: dict) -> None:
    """Writes samples as lm-evaluation-harness does."""
    path = folder / "results" / model / f"samples_{task}_{time}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples), encoding="utf-8")


def answer(number: int, right: object, **more: object) -> dict:
    return {
        "doc_id": number,
        "doc_hash": f"h{number}",
        "doc": {"question": "?"},
        "acc": right,
    } | more


EARLY, LATE = "2025-01-02T03-04-05.678", "2025-02-02T03-04-05.678"


def test_samples_of_lm_evaluation_harness_are_a_bank(tmp_path):
    logged(tmp_path, "org__one", "mmlu_law", EARLY, answer(0, 0.0), answer(1, 0.0))
    logged(tmp_path, "org__one", "mmlu_law", LATE, answer(0, 1.0), answer(1, 0.0))
    logged(tmp_path, "org__one", "mmlu_art", EARLY, answer(0, 1.0))
    logged(tmp_path, "two", "mmlu_law", EARLY, answer(1, 1.0))
    bank = read_bank(tmp_path / "results")
    assert bank.models == ("org/one", "two")
    assert bank.items == ("mmlu_art/0", "mmlu_law/0", "mmlu_law/1")
    np.testing.assert_array_equal(bank.successes, [[1, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(bank.tries, [[1, 1, 1], [0, 0, 1]])
    assert bank.categories == ("mmlu_art", "mmlu_law")
    assert bank.digests == ("h0", "h0", "h1")
    mine = read_responses(tmp_path / "results" / "*" / "samples_mmlu_law_*.jsonl", bank)
    np.testing.assert_array_equal(mine.tries, [[0, 1, 1], [0, 0, 1]])


def test_an_answer_counts_as_the_leaderboards_count_it(tmp_path):
    read = {"exact_match": 1, "filter": "strict-match"}
    loose = {"exact_match": 0, "filter": "flexible-extract"}
    both = [{"doc_id": 7, **one} for one in (loose, read)]
    logged(tmp_path, "one", "gsm8k", EARLY, *both, {"doc_id": 8, **loose}, {"doc_id": 9, **read})
    assert read_bank(tmp_path / "results").successes.tolist() == [[1, 0, 1]]
    logged(tmp_path, "one", "gsm8k", LATE, answer(7, 0.0, acc_norm=1.0))
    assert read_bank(tmp_path / "results").successes.tolist() == [[1]]


@pytest.mark.parametrize(
    ("task", "samples", "says"),
    [
        ("arc_easy", [answer(0, 1)], "samples of several benchmarks, arc, mmlu: name those of one"),
        ("mmlu_x", [answer(0, 0.4)], "acc of item '0' is 0.4: an item bank holds answers that are"),
        ("mmlu_x", [{"doc_id": 0, "bleu": 1}], "samples have none of the metrics acc_norm, exact"),
        ("mmlu_x", [{"acc": 1}], "line 1: no sample with a doc_id"),
        ("mmlu_law", [answer(0, 1, doc_hash="other")], "has several categories or digests"),
    ],
)
def test_samples_that_are_no_bank_are_refused(tmp_path, task, samples, says):
    logged(tmp_path, "one", "mmlu_law", EARLY, answer(0, 1.0))
    logged(tmp_path, "two", task, EARLY, *samples)
    with pytest.raises(InputError, match=says):
        read_bank(tmp_path / "results")


def test_broken_and_missing_samples_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no samples_\*\.jsonl in it: run lm_eval with"):
        read_bank(tmp_path)
    logged(tmp_path, "one", "mmlu_law", EARLY, answer(0, 1.0))
    (tmp_path / "results" / "one" / f"samples_mmlu_art_{EARLY}.jsonl").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON, line by line"):
        read_bank(tmp_path / "results")
