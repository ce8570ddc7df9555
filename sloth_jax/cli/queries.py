"""The query that an option names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sloth_jax.cli.console import tell
from sloth_jax.errors import InputError

if TYPE_CHECKING:
    from sloth_jax.data.leaderboard import Leaderboard
    from sloth_jax.forecasting.query import Query

_STDIN = "-"


def query_of(path: str, table: Leaderboard) -> Query:
    """The query in a file, or from standard input for ``-``; tells its warnings.

    Raises:
        InputError: if there is none, or it cannot be used.
    """
    from sloth_jax.forecasting.query import load_query, parse_query

    if path != _STDIN:
        query = load_query(path, table)
    elif sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "--query -: nothing is piped into standard input; pipe CSV or JSON into it, or name a "
            "file"
        )
    else:
        query = parse_query(sys.stdin.buffer.read(), table, "standard input")
    for warning in query.warnings:
        tell(f"note: {warning}")
    return query
