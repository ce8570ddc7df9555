"""pass@k against exact arithmetic, and what counts are refused."""

from __future__ import annotations

import json
import sys
import types
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from sloth_jax.errors import InputError
from sloth_jax.repeats.attempts import Attempts, chance_at_k, coverage, pass_at_k, read_attempts
from sloth_jax.repeats.hub import download_attempts


def test_pass_at_k_is_exact_to_rounding():
    for n in range(1, 61):
        k = np.arange(1, n + 1)
        found = pass_at_k(n, np.arange(n + 1), k)
        exact = [
            [float(1 - Fraction(comb(n - c, each), comb(n, each))) for c in range(n + 1)]
            for each in range(1, n + 1)
        ]
        np.testing.assert_allclose(found, exact, rtol=0.0, atol=1e-12)


def test_many_tries_stay_in_range_and_in_order():
    n = 10_000
    k = np.unique(np.geomspace(1, n, 200).round().astype(int))
    found = pass_at_k(n, np.arange(n + 1), k)
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert (np.diff(found, axis=0) >= 0.0).all()
    assert (np.diff(found, axis=1) >= 0.0).all()
    np.testing.assert_allclose(found[0], np.arange(n + 1) / n, rtol=0.0, atol=1e-12)
    assert (found[-1, 1:] == 1.0).all()


def test_coverage_is_the_mean_over_tried_problems():
    counts = Attempts(
        ("a", "b"),
        ("x", "y", "z"),
        np.array([[1, 0, 4], [2, 0, 0]]),
        np.array([[4, 4, 4], [4, 2, 0]]),
    )
    found = coverage(counts, np.array([1, 2]))
    np.testing.assert_allclose(found[0], [(0.25 + 0 + 1) / 3, (0.5 + 0 + 1) / 3])
    np.testing.assert_allclose(found[1], [(0.5 + 0) / 2, (1 - 1 / 6) / 2])
    assert counts.select(np.array([False, True])).models == ("b",)


def test_chances_of_rare_successes_are_not_rounded_away():
    found = chance_at_k(np.array([0.0, 1e-17, 0.5, 1.0]), np.array([1, 10]))
    assert found[0].tolist() == [0.0, 1e-17, 0.5, 1.0]
    np.testing.assert_allclose(found[1], [0.0, 1e-16, 1 - 0.5**10, 1.0])


@pytest.mark.parametrize(
    ("successes", "tries", "says"),
    [
        ([[3]], [[2]], "model 'a', problem 'x': 3 are more successes than tries"),
        ([[0.5]], [[2]], "0.5 of successes is not a whole number"),
        ([[-1]], [[2]], "-1 of successes"),
        ([[1]], [[np.nan]], "nan of tries"),
        ([[1, 1]], [[2]], "shape"),
    ],
)
def test_odd_counts_are_refused(successes, tries, says):
    with pytest.raises(InputError, match=says):
        Attempts(("a",), ("x",), np.array(successes), np.array(tries))


def test_odd_questions_are_refused():
    with pytest.raises(InputError, match="k = 5 is not a whole number from 1 to the 4 tries"):
        pass_at_k(4, np.array([1]), np.array([5]))
    with pytest.raises(InputError, match="successes = 6"):
        pass_at_k(4, np.array([6]), np.array([1]))
    nothing = Attempts(("a",), ("x",), np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(InputError, match="tried on no problem"):
        coverage(nothing, np.array([1]))


def test_published_files_are_read(tmp_path):
    rows = [{"is_corrects": [True, False, False]}, {"is_corrects": [False] * 3, "question": "?"}]
    (tmp_path / "MATH_small.json").write_text(json.dumps(rows))
    lines = "\n".join(json.dumps(row) for row in reversed(rows))
    (tmp_path / "MATH_large.json").write_text(lines)
    found = read_attempts(tmp_path)
    assert found.models == ("large", "small")
    assert found.successes.tolist() == [[0, 1], [1, 0]]
    assert (found.tries == 3).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "not JSON"),
        ("[]", "no rows"),
        ('[{"is_corrects": 1}]', "row 1: no list is_corrects"),
        ('[{"is_corrects": [true, "yes"]}]', "row 1: is_corrects holds something else"),
        ('[{"is_corrects": [true]}, {"is_corrects": [true]}]', "2 problems, but MATH_a.json has 1"),
    ],
)
def test_files_that_are_not_what_they_say_are_refused(text, says, tmp_path):
    (tmp_path / "MATH_a.json").write_text('[{"is_corrects": [true]}]')
    (tmp_path / "MATH_b.json").write_text(text)
    with pytest.raises(InputError, match=says):
        read_attempts(tmp_path)
    with pytest.raises(InputError, match="no file"):
        read_attempts(tmp_path, "none_*.json")


def with_hub(monkeypatch, served: dict[str, str]) -> list[str]:
    """A hub that serves some files; the names that were requested."""
    requested = []

    def hf_hub_download(repository, name, *, repo_type, revision, local_dir):
        requested.append(name)
        assert repo_type == "dataset"
        if name not in served:
            raise OSError("no network\nto speak of")
        (local_dir / name).write_text(served[name])

    hub = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return requested


def test_files_from_the_hub_are_fetched_once_and_checked(tmp_path, monkeypatch):
    rows = json.dumps([{"is_corrects": [True, False]}, {"is_corrects": [False, False]}])
    requested = with_hub(monkeypatch, {"MATH_a.json": rows, "MATH_b.json": rows})
    folder = tmp_path / "items"
    for _ in range(2):
        assert download_attempts(folder, models=("a", "b")) == folder
    assert requested == ["MATH_a.json", "MATH_b.json"]
    attempts = read_attempts(folder)
    assert attempts.models == ("a", "b")
    np.testing.assert_array_equal(attempts.successes, [[1, 0], [1, 0]])
    (folder / "MATH_b.json").write_text(rows.replace("true", "false"))
    with pytest.raises(InputError, match=r"MATH_b.json: its SHA-256 is .*remove the file"):
        download_attempts(folder, models=("a", "b"))
    with pytest.raises(InputError, match=r"'MATH_c.json' cannot be fetched.*no network to speak"):
        download_attempts(folder, models=("a", "c"))
    with pytest.raises(InputError, match="its SHA-256"):
        download_attempts(folder, models=("a",), checksums={"MATH_a.json": "0" * 64})


def test_without_the_extra_the_hub_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install .sloth_jax\[hub\]."):
        download_attempts(tmp_path, models=("a",))
