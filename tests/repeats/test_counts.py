"""Counts from a table: runs, settings, and the lines by which tables are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sloth_jax.errors import InputError
from sloth_jax.repeats.attempts import coverage
from sloth_jax.repeats.counts import read_counts

CRUXEVAL = Path(__file__).resolve().parents[3] / "shared/data/items/cruxeval_attempts.csv.gz"
needs_cruxeval = pytest.mark.skipif(
    not CRUXEVAL.exists(), reason=f"NOT CHECKED against published attempts: no {CRUXEVAL}"
)
HEAD = "model,cot,task,item,successes,tries\n"


def test_a_table_becomes_runs_by_setting(tmp_path):
    path = tmp_path / "counts.csv"
    rows = ["a,0,in,x,1,2", "a,1,in,x,2,2", "b,0,in,y,0,3", "a,0,out,x,3,4", "b,0,in,x,0,0"]
    path.write_text(HEAD + "\n".join(rows))
    first, second = read_counts(path, by=["task"])
    assert (first.setting, second.setting) == ({"task": "in"}, {"task": "out"})
    assert first.attempts.models == ("a, cot 0", "a, cot 1", "b, cot 0")
    assert first.model == ("a", "a", "b")
    assert first.attempts.problems == ("x", "y")
    assert first.attempts.successes.tolist() == [[1, 0], [2, 0], [0, 0]]
    assert first.attempts.tries.tolist() == [[2, 0], [2, 0], [0, 3]]
    assert second.attempts.successes.tolist() == [[3]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "a,0,in,x,3,2", r"row 2 \(model 'a'\).*value '3': more successes than the 2 tries"),
        (HEAD + "a,0,in,x,1,2\na,0,in,x,1,2", "row 3 .*a second row of the same run and item"),
        (HEAD + "a,0,in,x,.5,2", "column 'successes', value '.5': is not a whole number"),
        (HEAD + "a,0,in,x,1,inf", "column 'tries', value 'inf': is not a whole number"),
        (HEAD + "a,0,in,x,,2", "column 'successes', value '': is not a whole number"),
        (HEAD + "a,0,,x,1,2", "column 'task', value '': is empty: fill it in"),
        ("model,task,item,tries\na,in,x,1", "column 'successes': no such column: the table needs"),
        ("model,item,successes,tries\na,x,1,2", "column 'task': no such column"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_in_one_line(text, says, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as found:
        read_counts(path, by=["task"])
    assert str(found.value).startswith(str(path))
    assert "\n" not in str(found.value)


@needs_cruxeval
def test_the_published_attempts_of_cruxeval():
    parts = read_counts(CRUXEVAL, by=["task", "temperature"])
    assert len(parts) == 4
    assert {part.attempts.successes.shape[1] for part in parts} == {800}
    assert sum(len(part.model) for part in parts) == 134
    part = next(p for p in parts if p.setting == {"task": "output", "temperature": "0.8"})
    row = part.attempts.models.index("gpt-4-0613, cot 1")
    one = np.arange(len(part.model)) == row
    assert coverage(part.attempts.select(one), np.array([1]))[0, 0] == pytest.approx(0.77225)
