"""``sloth-jax report`` and what it refuses before any work; the page itself: tests/plotting."""

from __future__ import annotations

import socket

import pytest
from commands import run


def test_a_page_by_the_mode_says_what_its_bands_leave_out(folder, capsys):
    page = folder / "report.html"
    given = ("--data", folder / "table.csv", "--query", folder / "query.csv")
    assert run("report", *given, "--inference", "mode", "--skills", "1", "--out", page) == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "how uncertain the law itself is" in text
    assert "Not tested here" in text
    assert "<code>sloth-jax report --data" in text
    assert f"--skills 1 --out {page}</code>" in text
    assert str(page) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--out", "{folder}/report.txt"), ".html"),
        (("--out", "{folder}/none/report.html"), "no folder"),
        (("--out", "{folder}/r.html", "--query", "{folder}/none.csv"), "none.csv"),
        (("--out", "{folder}/r.html", "--evaluation", "{folder}"), "evaluate"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(folder, capsys, more, says):
    before = sorted(folder.iterdir())
    given = (one.format(folder=folder) for one in more)
    assert run("report", "--data", folder / "table.csv", *given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert sorted(folder.iterdir()) == before


def test_a_port_that_is_taken_is_named(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("explore", "--data", folder / "table.csv", "--port", str(port)) == 2
    assert f"--port {port}: cannot serve there" in capsys.readouterr().err
