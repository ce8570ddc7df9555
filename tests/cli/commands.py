"""Running the command in tests, and the small tables that it is given."""

from __future__ import annotations

import pytest

from sloth_jax.cli.main import main

QUERY = "model,family,params_b,tokens_t\nbig,family0,64,2\nother,unheard-of,8,2\n"
POINT = ["--skills", "1", "--point"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return 0 if stop.value.code is None else int(stop.value.code)


def predict(folder, *more: object, table="table.csv", query="query.csv") -> int:
    return run("predict", "--data", folder / table, "--query", folder / query, *more)


def refused(capsys, out, *says: str) -> None:
    captured = capsys.readouterr()
    error = [line for line in captured.err.splitlines() if line.startswith("sloth-jax")]
    assert len(error) == 1, captured.err
    assert captured.err.endswith(error[0] + "\n")
    for words in says:
        assert words in error[0]
    assert captured.out == ""
    assert not out.exists()
