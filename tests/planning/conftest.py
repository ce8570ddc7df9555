"""Fits that tests of planning share."""

from __future__ import annotations

import jax
import pytest
from small import table

from sloth_jax.inference.fit import fit as fit_law


@pytest.fixture(scope="session")
def data():
    return table()[0]


@pytest.fixture(scope="session")
def fit(data):
    return fit_law(data, key=jax.random.key(0), skills=1, steps=60, draws=200)


@pytest.fixture(scope="session")
def plain(data):
    """A fit whose place others take: two skills on a translog surface."""
    return fit_law(
        data, key=jax.random.key(0), skills=2, surface="translog", steps=2, inference="mode"
    )
