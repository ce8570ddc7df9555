"""Names of skills by a rule, and tables of everything that is asked of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sloth_jax import InputError
from sloth_jax.identifiability.report import Finding, Report
from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.labels import label_support, propose_labels
from sloth_jax.skills.tables import _grid, may_interpret

BENCHMARKS = ("MMLU", "ARC", "GSM8K", "MATH")
LOADING = np.array([[0.9, 0.6, 0.0], [0.8, -0.1, 0.1], [0.1, 0.9, 0.1], [0.0, 0.1, -0.7]])


def of_loadings(*draws, inference: str = "laplace") -> Skills:
    """Skills of which nothing but loadings is known."""
    loading = np.stack(draws)
    table = SimpleNamespace(benchmarks=BENCHMARKS)
    fit: Any = SimpleNamespace(table=table, settings=SimpleNamespace(inference=inference))
    labels = tuple(f"skill {k + 1}" for k in range(loading.shape[2]))
    none: Any = None
    return Skills(labels, loading, none, none, none, none, fit, none, 1.0, 1.0)


def test_a_name_is_the_benchmarks_that_tell_most_of_a_skill():
    # MMLU loads most on the first skill, but on the second too: ARC tells more of the first.
    found = propose_labels(of_loadings(LOADING))
    assert found == ("ARC + MMLU", "GSM8K + MMLU", "not MATH + ARC")
    assert found == propose_labels(of_loadings(LOADING, LOADING + 0.01, LOADING - 0.01))
    assert propose_labels(of_loadings(LOADING), top=1) == ("ARC", "GSM8K", "not MATH")
    named = of_loadings(LOADING).named(["a", "b", "c"])
    assert named.labels == ("a", "b", "c")
    with pytest.raises(InputError, match="2 names, 2 different ones, for 3 skills"):
        named.named(["a", "b"])


def test_no_two_skills_have_one_name():
    alike = np.array([[0.9, 0.8], [0.8, 0.9], [0.3, 0.0], [0.0, 0.2]])
    assert propose_labels(of_loadings(alike)) == ("MMLU + ARC + GSM8K", "ARC + MMLU + MATH")
    same = np.array([[0.9, 0.9], [0.8, 0.8], [0.3, 0.3], [0.1, 0.1]])
    assert propose_labels(of_loadings(same)) == ("skill 1", "skill 2")


def test_draws_say_how_sure_a_name_is():
    other = LOADING[[2, 1, 0, 3]]  # MMLU and GSM8K change places
    found = label_support(of_loadings(LOADING, LOADING, LOADING, other))
    np.testing.assert_allclose(found, [0.75, 1.0, 1.0])
    assert np.isnan(label_support(of_loadings(LOADING, inference="mode"))).all()


def report(*kinds: str) -> Report:
    findings = tuple(Finding(kind, "cause", "text") for kind in kinds)
    return Report(1, 9, 3, 4, 4, 4, 1.0, (1.0,), 9, 9, None, findings)


def test_what_fails_forbids_an_interpretation():
    assert may_interpret(report()) == may_interpret(report("note")) == "yes"
    assert may_interpret(report("note", "weak")) == "weakly"
    assert may_interpret(report("weak", "fails")) == "no"


def test_level_curves_have_a_range_where_the_table_has_none():
    np.testing.assert_allclose(_grid(np.array([7.0, 1.0, 70.0]))[[0, -1]], [1.0, 70.0])
    np.testing.assert_allclose(_grid(np.array([7.0, 7.0]))[[0, -1]], [3.5, 14.0])
