"""How far queries lie outside the training table, and outside their family."""

from __future__ import annotations

import numpy as np
import pytest
from small import table

from sloth_jax.forecasting.extrapolation import beyond, beyond_in_words, in_short


@pytest.fixture(scope="module")
def data():
    made, _ = table()  # of family0 1, 2, 4, 8 billion parameters; of family2 4 to 32
    return made


def test_a_query_inside_the_table_may_be_far_from_its_family(data):
    sizes, tokens = np.array([8.0, 16.0, 32.0, 32.0, 1.0]), np.array([1.0, 1.4, 2.6, 2.6, 2.5])
    families = ["family0", "family0", "family0", "nobody", "family2"]
    factors = beyond(data, sizes, tokens, families)
    assert factors["family_params_b"].tolist() == pytest.approx([1.0, 2.0, 4.0, 1.0, 0.25])
    assert (factors["params_b"] == 1.0).all()
    words = beyond_in_words(data, sizes, tokens, families)
    assert words[:2] == ["", ""]  # twice the largest is the next size
    assert words[2] == "params_b 4 x the largest of its family"
    assert words[3] == ""
    assert words[4] == "params_b 0.25 x the smallest of its family"
    assert beyond_in_words(data, sizes, tokens)[2] == ""


def test_models_without_a_score_are_not_seen(data):
    hidden = data.hide((data.family == 0) & (data.params_b > 1.0))
    (words,) = beyond_in_words(hidden, np.array([8.0]), np.array([0.8]), ["family0"])
    assert words == "params_b 8 x the largest of its family"


def test_words_in_short():
    assert in_short("") == ""
    assert in_short("params_b 4 x the largest of its family") == "params_b 4 x"
    assert in_short("params_b 4 x the largest; tokens_t 3 x the largest") == "params_b 4 x ..."
