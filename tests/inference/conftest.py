"""A small table, a query and a fit."""

from __future__ import annotations

import pytest
from quick_fits import QUERY, half_observed, quick_fit, read_query


@pytest.fixture(scope="session")
def data():
    return half_observed()


@pytest.fixture(scope="session")
def query(data):
    return read_query(QUERY, data)


@pytest.fixture(scope="session")
def fitted():
    return quick_fit()
