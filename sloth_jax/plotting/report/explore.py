"""The page served on this machine alone, with forecasts of models that are typed in.

Nothing is sampled when a question comes: what sets families apart is drawn once, and one compiled
function of fixed shapes evaluates the draws at a size and a number of tokens. The server listens on
127.0.0.1 and answers only requests that name it as their host and come from its own page, so that
no other site can ask through a visitor's browser (DNS rebinding).
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.forecasting.extrapolation import beyond_in_words
from sloth_jax.forecasting.family_curves import (
    family_laws,
    family_query,
    paths_of,
    quantiles_at,
    query_of_families,
    thinned,
)
from sloth_jax.forecasting.predictive_law import PredictiveLaw
from sloth_jax.forecasting.query import Query
from sloth_jax.inference.fit import Fit
from sloth_jax.law.surface import Surface

HOST = "127.0.0.1"
_NEW = {"base": "a new base family", "chat": "a new post-trained family"}
_DRAWS = 400  # evenly chosen: a link is tabulated for each of them, which takes most of the time
_NUMBERS = 60_000_000  # of the draws of all families that are held: a quarter of a gigabyte
_SECURITY = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def open_port(port: int) -> socket.socket:
    """Take a port of this machine's own address; 0 takes one that is free.

    Raises:
        InputError: if it is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--port {port}: cannot serve there ({reason}); name another") from None
    return found


class Answers:
    """Forecasts of one model at a time, from draws that were made beforehand.

    Args:
        fit: whose draws answer, some hundred of them.
        more: models that the page shows, whose families may be new.
        level: probability inside the wide intervals.
        key: random key; with that of ``forecast`` the answers are those of ``forecast``.
    """

    def __init__(self, fit: Fit, more: Query | None, level: float, key: Array) -> None:
        known = family_query(fit.table, more)
        self.page_families = len(known.families)
        query = _with_new(known)
        size = len(query.families) * (len(fit.table.benchmarks) + fit.settings.skills) * 30
        most = int(np.clip(_NUMBERS // size, 200, _DRAWS))
        laws = family_laws(thinned(fit, most), query, key)
        # A mode has one law, which was repeated.
        law = jax.tree.map(lambda a: a[:most], laws.law)
        self.table, self.query, self.level = fit.table, query, level
        self.active = paths_of(fit.table, query, None, 2).active_share
        self._given = law, laws.surface, jnp.asarray(laws.items)
        self.forecast(self.page_families, 1.0, 1.0)  # compiles

    def position(self, family: str) -> int | None:
        """Number of a family that a request names, by number or as a new one; None for no such."""
        if family in _NEW:
            return self.query.families.index(_NEW[family])
        few = family.isascii() and family.isdecimal() and len(family) < 7
        return int(family) if few and int(family) < self.page_families else None

    def forecast(self, family: int, params_b: float, tokens_t: float) -> dict[str, Any]:
        """Quantiles of a model's scores on every benchmark, and how far it leaves the table.

        Args:
            family: number of its family.
            params_b: billions.
            tokens_t: trillions.
        """
        active = params_b * self.active[family]
        at = np.array([params_b, tokens_t, active])
        draws = np.asarray(_one_model(*self._given, np.int32(family), at))
        ends = np.quantile(draws, quantiles_at(self.level), axis=0).T
        name = self.query.families[family]
        (outside,) = beyond_in_words(self.table, at[:1], at[1:2], [name])
        return {
            "family": family if family < self.page_families else None,
            "params_b": params_b,
            "tokens_t": tokens_t,
            "active_b": None if math.isnan(active) else float(active),
            "outside": outside,
            "scores": np.round(ends, 5).tolist(),
        }


@jax.jit
def _one_model(
    law: PredictiveLaw, surface: Surface, items: Array, family: Array, at: Array
) -> Array:
    """Scores of one model, ``(draw, benchmark)``, at ``at``: size, tokens, active parameters."""
    by_family = ("walk", "own", "noise", "item_noise", "post_trained")
    one = PredictiveLaw(
        shared=law.shared,
        **{name: getattr(law, name)[:, family][:, None] for name in by_family},
    )
    x, basis = one.design(surface, at[:1], at[1:2], at[2:])
    return jax.vmap(lambda each, row: each.scores(row, basis, items))(one, x)[:, 0]


def _with_new(query: Query) -> Query:
    """The families of a query, and one of each kind that nobody has seen."""
    names = tuple(_NEW.values())
    post_trained = [*query.post_trained, 0.0, 1.0]
    return query_of_families([*query.families, *names], [*query.lineages, *names], post_trained)


def application(page: str, answers: Answers, port: int) -> Any:
    """The server as an ASGI application: the page, and forecasts as JSON.

    Args:
        page: HTML.
        answers: what forecasts come from.
        port: that it is reached by.
    """
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    def home(request: Request) -> Response:
        return HTMLResponse(page, headers=_SECURITY)

    def forecast(request: Request) -> Response:
        try:
            given = asked_of(dict(request.query_params), answers)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 400, headers=_SECURITY)
        return JSONResponse(answers.forecast(*given), headers=_SECURITY)

    routes = [Route("/", home), Route("/forecast", forecast)]
    return own_requests(Starlette(routes=routes), port)


def asked_of(given: Mapping[str, str], answers: Answers) -> tuple[int, float, float]:
    """Family, size and tokens of a request.

    Raises:
        InputError: if one of them is missing or cannot be.
    """
    if set(given) != {"family", "params_b", "tokens_t"}:
        raise InputError("a forecast needs family, params_b and tokens_t, and nothing else")
    family = answers.position(given["family"])
    if family is None:
        raise InputError("there is no such family on the page")
    found = []
    for name, most in (("params_b", 1e5), ("tokens_t", 1e3)):
        try:
            value = float(given[name])
        except ValueError:
            raise InputError(f"{name} is not a number") from None
        if not 1e-4 <= value <= most:
            raise InputError(f"{name} has to be between 0.0001 and {most:g}")
        found.append(value)
    return family, found[0], found[1]


def own_requests(inner: Callable[..., Any], port: int) -> Callable[..., Any]:
    """Refuse requests that name another host, or that another site's page sent."""
    hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}
    origins = {b"http://" + host for host in hosts}

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = scope["headers"]
            named = [value.lower() for name, value in headers if name == b"host"]
            origin = [value.lower() for name, value in headers if name == b"origin"]
            site = [value for name, value in headers if name == b"sec-fetch-site"]
            own = len(named) == 1 and named[0] in hosts and set(origin) <= origins
            if not own or set(site) - {b"same-origin", b"none"}:
                await _refuse(send)
                return
        elif scope["type"] != "lifespan":
            return  # no other kind is served
        await inner(scope, receive, send)

    return guarded


async def _refuse(send: Any) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 421, "headers": head})
    await send({"type": "http.response.body", "body": b"not a request of this page\n"})


def serve(app: Any, port: socket.socket) -> None:
    """Serve until the process is interrupted."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws="none", server_header=False
    )

    class Server(uvicorn.Server):
        """Leaves interrupts to the command, which on a busy machine might hear of them second."""

        def capture_signals(self) -> AbstractContextManager[None]:
            return nullcontext()

    Server(config).run(sockets=[port])
