"""The contents of a report as one HTML file that asks nothing of a network.

Charts are drawn by Vega-Lite, which the package ``vl-convert-python`` brings along and whose
scripts are written into the page. A content security policy forbids the page every request, and
every script but its own, which it names by their digests. Vega's expressions are interpreted
(``ast``), not compiled, so that no ``eval`` need be allowed.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sloth_jax.errors import InputError

_NEEDED = {"report": ("jinja2", "vl_convert"), "explore": ("jinja2", "starlette", "uvicorn")}
_WORDS = {
    "params_b": "size",
    "tokens_t": "tokens",
    "tokens_per_param": "tokens per parameter",
    " x the ": " × the ",
}
# Characters that end a script's data, or a line of it, wherever they stand.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*map(ord, "<>&"), 0x2028, 0x2029)}


def check_installed(command: str) -> None:
    """Make sure that the libraries of a page are there, before the work that it would show.

    Raises:
        InputError: naming the extra that brings them.
    """
    wanted = {*_NEEDED["report"], *_NEEDED[command]}
    lacking = sorted(name for name in wanted if importlib.util.find_spec(name) is None)
    if lacking:
        raise InputError(
            f"{command} needs {' and '.join(lacking)}, which the extra report brings: "
            'pip install "sloth-jax[report]"'
        )


def page_of(contents: Mapping[str, Any], *, live: bool = False) -> str:
    """The page as HTML; the same contents give the same bytes.

    Args:
        contents: from :func:`sloth_jax.plotting.report.contents.report_contents`.
        live: whether a server answers it, see :mod:`sloth_jax.plotting.report.explore`.
    """
    import jinja2

    scripts = (_vega(), _beside("page.js"))
    engine = jinja2.Environment(
        loader=jinja2.FunctionLoader(_beside),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    engine.filters.update(number=_number, interval=_interval, percent=_percent, flops=_flops)
    engine.filters.update(words=_in_words)
    return engine.get_template("template.html").render(
        contents,
        live=live,
        policy=policy(scripts, live=live),
        style=_beside("style.css"),
        scripts=scripts,
        data=as_data(contents),
    )


def policy(scripts: tuple[str, ...], *, live: bool) -> str:
    """The content security policy: own scripts by digest, no request but to an own server."""
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]
    named = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {named}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {chr(39)}{'self' if live else 'none'}{chr(39)}; base-uri 'none'; "
        "form-action 'none'"
    )


def as_data(contents: Mapping[str, Any]) -> str:
    """JSON that no text in it can end the script element of."""
    text = json.dumps(contents, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


@cache
def _beside(name: str) -> str:
    return files("sloth_jax.plotting.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as a script that sets ``vegaEmbed``."""
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed; window.vega = vega;")
    # A parser of HTML reads any line end as \n, which would give the script another digest.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in text.lower() or "<!--" in text:
        text = text.replace("<!--", "\\x3c!--").replace("</script", "<\\/script")
    return text


def _number(value: float | None, digits: int = 3) -> str:
    """A number as people write it; a dash where there is none."""
    if value is None:
        return "–"
    if value and not 1e-3 <= abs(value) < 1e6:
        return _flops(value)
    text = f"{value:.{digits}g}"
    return (f"{float(text):,.0f}" if "e" in text or abs(value) >= 1000 else text).replace("-", "−")


def _flops(value: float | None) -> str:
    """A large number by its power of ten: ``3.2e24``."""
    return "–" if value is None else f"{value:.2g}".replace("e+", "e")


def _in_words(outside: str | None) -> str:
    """How far a model lies outside the table, without the names of columns."""
    words = outside or ""
    for name, word in _WORDS.items():
        words = words.replace(name, word)
    return words


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100.0 * value:.{digits}f}\u202f%"


def _interval(row: Mapping[str, Any], digits: int = 2) -> str:
    """``median (lower to upper)``; of a mode the median alone."""

    def text(value: float) -> str:
        return f"{value:.{digits}f}".replace("-", "−")

    if row["lower"] is None:
        return text(row["median"])
    return f"{text(row['median'])} ({text(row['lower'])} to {text(row['upper'])})"
