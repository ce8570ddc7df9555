"""Small tables as text, and what tests of them share."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.tables import TableError
from sloth_jax.forecasting.query import Query

GOOD = """\
model,family,lineage,post_trained,params_b,active_params_b,tokens_t,released,MMLU,ARC,Coding
beta-7b,beta,beta,False,7,,2,2024-01-02,0.5,0.6,0.1
alpha-1b,alpha,alpha,False,1,,1.5,2023-01,0.3,,0.0
alpha-8x3b,alpha,alpha,False,20,5,1.5,,0.4,0.45,NA
beta-7b-chat,beta-chat,beta,True,7,,2,,0.55,0.61,1
"""
QUERY = """\
model,family,params_b,tokens_t
new-3b,alpha,3,2
other-9b,gamma,9,8
"""


def assert_same(left: Leaderboard | Query, right: Leaderboard | Query, but: tuple[str, ...] = ()):
    assert type(left) is type(right)
    for field in fields(left):
        if field.name in but:
            continue
        a, b = getattr(left, field.name), getattr(right, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        else:
            assert a == b, field.name


def message(error: pytest.ExceptionInfo[TableError]) -> str:
    """The message, which is one printable line."""
    text = str(error.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


def edited(old: str, new: str, table: str = GOOD) -> str:
    assert table.count(old) >= 1
    return table.replace(old, new, 1)
