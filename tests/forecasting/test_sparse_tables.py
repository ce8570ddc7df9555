"""Tables with gaps: wide and long, in any units, and what is refused in one line."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from sloth_jax import InputError
from sloth_jax.forecasting import read_sparse

LONG = """model,benchmark,score,family,params_b,tokens_t,se
a-7b,mmlu,45,a,7,2,1
a-7b,Arena,1100,,,,8
a-70b,mmlu,65,a,70,2,1
a-70b,Arena,1250,,,,8
b-8b,MMLU,60,,8,15,
b-8b,Once,3,,,,
c-3b,mmlu,,c,3,1,
"""


def frame(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def wide(text: str, *others: str):
    return read_sparse(*(frame(one) for one in (text, *others)))


def test_a_long_table_in_mixed_units():
    table, scales = wide(LONG)
    assert table.models == ("a-70b", "a-7b", "b-8b", "c-3b")
    assert table.benchmarks == ("MMLU", "Arena")
    assert [scale.kind for scale in scales] == ["percent", "unbounded"]
    np.testing.assert_allclose(table.scores[:, 0], [0.65, 0.45, 0.6, np.nan])
    # 1100 and 1250 are one standard deviation below and above their mean
    np.testing.assert_allclose(table.scores[1, 1], 1.0 / (1.0 + np.e))
    np.testing.assert_allclose(scales[1].to_scores(table.scores[:2, 1]), [1250.0, 1100.0])
    share = table.scores[1, 1]
    expected = [0.01, 8.0 / 75.0 * share * (1.0 - share)]
    np.testing.assert_allclose(table.standard_errors[1], expected)
    assert table.families == ("a", "b-8b", "c")  # a model without a family is its own
    said = "\n".join(table.warnings)
    for words in (
        "fewer than 2 scores are left out: Once (1)",
        "models without a family are families of their own: b-8b",
        "in percent: MMLU",
        "Arena: no shares; the law learns their logistic transform (mean 1175, sd 75)",
    ):
        assert words in said
    assert "floor" not in said


def test_wide_and_long_are_the_same_table():
    rows = frame(LONG)
    scores = rows.pivot_table(index="model", columns="benchmark", values="score")
    scores = pd.DataFrame({"mmlu": scores["mmlu"].fillna(scores["MMLU"]), "Arena": scores["Arena"]})
    facts = rows.groupby("model")[["family", "params_b", "tokens_t"]].first()
    table, _ = read_sparse(facts.join(scores).reset_index())
    other, _ = wide(LONG)
    np.testing.assert_array_equal(table.scores, other.scores)
    assert (table.models, table.families) == (other.models, other.families)


def test_later_tables_add_and_replace_in_their_own_units():
    first = "model,family,params_b,tokens_t,MMLU\na,f,7,2,0.5\nb,f,70,2,0.7\n"
    second = "model,MMLU,Mine\na,55,1\nb,,2\n"
    table, scales = wide(first, second, "model,Mine\na,3\n")
    np.testing.assert_allclose(table.scores[:, 0], [0.55, 0.7])
    assert [scale.kind for scale in scales] == ["fraction", "unbounded"]
    assert any("a on MMLU: 55 instead of 0.5" in text for text in table.warnings)


def test_a_scale_may_be_named():
    text = "model,family,params_b,tokens_t,Mine,Mine scale\na,f,7,2,3,0:10\nb,f,9,2,4,\n"
    table, scales = wide(text)
    np.testing.assert_allclose(table.scores[:, 0], [0.3, 0.4])
    assert table.benchmarks == ("Mine",)
    assert scales[0].kind == "0:10"
    with pytest.raises(InputError, match="two scales, 0:10 and percent"):
        wide(text.replace("2,4,", "2,4,percent"))
    other = "model,Mine,Mine scale\na,5,0:20\n"
    with pytest.raises(InputError, match="two scales, 0:10 and 0:20"):
        wide(text, other.replace("a,", "b,"))


GOOD = "model,benchmark,score,family,params_b,tokens_t\na,X,0.3,f,7,2\nb,X,0.4,g,8,2\n"


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("b,Y,0.5,g,9,2\n", ["row 4", "'b'", "params_b", "'9", "row 3 has 8.0"]),
        ("b,Y,0.5,h,8,2\n", ["row 4", "family", "'h'", "row 3 has g"]),
        ("b,X,0.5,g,8,2\n", ["row 4", "row 3 has the score 0.4", "keep one"]),
        ("c,,,c,,2\n", ["row 4", "'c'", "neither a size nor a score"]),
        ("c,Y,0.5,c,,2\n", ["row 4", "'c'", "neither a size nor a score"]),
        ("c,X,47,c,3,2\n", ["benchmark 'X'", "fractions and percent mixed"]),
        ("c,X,good,c,3,2\n", ["row 4", "'good'", "not a number"]),
        ("c,,0.5,c,3,2\n", ["row 4", "a score without a benchmark"]),
        (",X,0.5,c,3,2\n", ["row 4", "model is empty"]),
    ],
)
def test_bad_tables_are_refused_in_one_line(added, says):
    with pytest.raises(InputError) as error:
        read_sparse(pd.read_csv(io.StringIO(GOOD + added), dtype=str, keep_default_na=False))
    assert "\n" not in str(error.value)
    for words in says:
        assert words in str(error.value)


def test_the_same_row_twice_is_no_contradiction():
    table, _ = wide(GOOD + "b,X,0.4,G,8.0,2\n")
    assert table.models == ("a", "b")


def test_a_score_without_ends_has_no_floor():
    text = "model,family,params_b,tokens_t,Elo,Elo floor\na,f,7,2,1000,0.2\nb,f,9,2,1100,0.2\n"
    with pytest.raises(InputError, match=r"row 2.*Elo has no chance floor"):
        wide(text)
