"""Questions that have no answer are refused with a message that says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from laws import KEY

from sloth_jax.errors import InputError
from sloth_jax.planning.budget import Bounds
from sloth_jax.planning.family import Family
from sloth_jax.planning.optimal import compute_optimal
from sloth_jax.planning.requirement import required

ASKED = {"family": "family0", "key": KEY}
BAD = {
    "no budget": (lambda f: compute_optimal(f, 0.0, **ASKED), "budget 0 FLOPs"),
    "endless budget": (lambda f: compute_optimal(f, np.inf, **ASKED), "budget inf"),
    "small budget": (lambda f: compute_optimal(f, 1e10, **ASKED), "smallest model"),
    "crossed bounds": (lambda _: Bounds((10.0, 1.0)), "are crossed, 10 to 1"),
    "no bounds": (lambda _: Bounds((0.0, 1.0)), "positive numbers"),
    "no such target": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target="MMLUU"),
        "did you mean 'MMLU'?",
    ),
    "weights": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target={"MMLU": -1.0}),
        "positive numbers",
    ),
    "twice": (
        lambda f: compute_optimal(f, 1e23, **ASKED, target={"MMLU": 1, "mmlu": 1}),
        "twice",
    ),
    "certain": (
        lambda f: required(f, "MMLU", 0.5, **ASKED, probability=1.0),
        "probability 1 is not between 0 and 1",
    ),
    "percent": (lambda f: required(f, "MMLU", 80.0, **ASKED), "score 80"),
    "both": (
        lambda f: required(f, "MMLU", 0.5, **ASKED, params_b=1.0, tokens_t=1.0),
        "nothing to solve for",
    ),
    "active": (lambda _: Family("family0", active_fraction=0.0), "active fraction 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_refused(case, fit):
    ask, says = BAD[case]
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        ask(fit)
