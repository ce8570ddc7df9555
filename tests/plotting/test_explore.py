"""The page that answers: the same forecasts, from its own machine's requests only."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from functools import cache
from urllib.parse import urlencode

import jax
import numpy as np
import pytest
from quick_fits import quick_fit, read_query

from sloth_jax.errors import InputError
from sloth_jax.forecasting.forecast import forecast
from sloth_jax.inference.storage import save_fit
from sloth_jax.plotting.report.explore import Answers, application, open_port

KEY = jax.random.key(5)
PORT = 4321
OWN = {"host": f"127.0.0.1:{PORT}"}
ASKED = {"family": "0", "params_b": "16", "tokens_t": "2"}


@cache
def answers() -> Answers:
    return Answers(quick_fit(), None, 0.9, KEY)


def request(
    path: str, given: dict | None = None, headers: dict | None = None, method: str = "GET"
) -> tuple[int, str]:
    """Status and body of a request, by the protocol itself."""
    app = application("<p>the page</p>", answers(), PORT)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(given or {}).encode(),
        "headers": [(n.encode(), v.encode()) for n, v in (headers or OWN).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", PORT),
    }
    sent: list[dict] = []

    async def run() -> None:
        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        await app(scope, receive, send)

    asyncio.run(run())
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:]).decode()


def test_answers_are_forecasts_to_the_last_digit_shown():
    fit = quick_fit()
    text = "model,family,params_b,tokens_t\nfamily0,family0,16,2\n"  # draws are by name
    found = forecast(fit, read_query(text, fit.table), key=KEY)
    status, body = request("/forecast", ASKED)
    assert status == 200
    shown = json.loads(body)
    wanted = np.quantile(found.draws[:, 0], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
    np.testing.assert_allclose(shown["scores"], wanted, atol=1e-5)
    assert shown["outside"] == found.outside[0]


def test_families_that_nobody_has_seen_are_answered_too():
    for kind in ("base", "chat"):
        status, body = request("/forecast", {**ASKED, "family": kind})
        assert status == 200
        assert json.loads(body)["family"] is None
    known = np.array(json.loads(request("/forecast", ASKED)[1])["scores"])
    new = np.array(json.loads(body)["scores"])
    assert (new[:, 4] - new[:, 0]).mean() > (known[:, 4] - known[:, 0]).mean()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"family": "99"}, "no such family"),
        ({"family": "-1"}, "no such family"),
        ({"family": "٣"}, "no such family"),
        ({"params_b": "large"}, "params_b is not a number"),
        ({"params_b": "nan"}, "params_b has to be between"),
        ({"tokens_t": "inf"}, "tokens_t has to be between"),
        ({"tokens_t": "0"}, "tokens_t has to be between"),
        ({"more": "1"}, "and nothing else"),
    ],
)
def test_what_it_does_not_know_is_refused(changed, says):
    status, body = request("/forecast", {**ASKED, **changed})
    assert status == 400
    assert says in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 200),
        ({"host": f"localhost:{PORT}"}, 200),
        (OWN | {"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": f"evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1:80"}, 421),
        ({"x-nothing": "no host"}, 421),
        (OWN | {"origin": "http://evil.example"}, 421),
        (OWN | {"sec-fetch-site": "cross-site"}, 421),
    ],
)
def test_requests_of_other_hosts_and_sites_are_refused(headers, status):
    for path in ("/", "/forecast"):
        given = ASKED if path == "/forecast" else None
        assert request(path, given, headers)[0] == status


def test_other_paths_and_methods_are_refused():
    assert request("/etc/passwd")[0] == 404
    assert request("/", method="POST")[0] == 405


def test_a_port_that_is_taken_is_said():
    with open_port(0) as taken:
        taken.listen()
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(InputError, match="cannot serve there"):
            open_port(taken.getsockname()[1])
    with pytest.raises(InputError, match="--port 99999"):
        open_port(99999)


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    save_fit(quick_fit("mode"), tmp_path / "fit.nc")
    command = [sys.executable, "-m", "sloth_jax", "explore", "--fit", tmp_path / "fit.nc"]
    with subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = None
            while found is None:
                line = server.stderr.readline()
                assert line, "it ended"
                found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            with socket.create_connection(("127.0.0.1", int(found[1])), timeout=30) as wire:
                wire.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
                assert wire.recv(100).startswith(b"HTTP/1.1 421")
        finally:
            server.send_signal(signal.SIGINT)
        said = server.stderr.read()
    assert server.returncode == 130
    assert said == "interrupted: the page is no longer served\n"
