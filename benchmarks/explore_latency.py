"""Milliseconds of a forecast by ``sloth-jax explore``: a hundred in a row, as a browser asks them.

Starts the command on a saved fit and asks for a hundred models of changing size, tokens and family,
one connection after another. Writes ``latency.csv``, a row per request, and ``summary.json``.

Run: python benchmarks/explore_latency.py --fit fit.nc --out out/explore
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.files import frame_csv, write_folder
from sloth_jax.provenance import versions


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fit", help="a fit that `sloth-jax fit` saved (default: makes a mode)")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--smoke", action="store_true", help="ten requests")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    count = 10 if options.smoke else options.requests
    source = ["--fit", options.fit] if options.fit else ["--point", "--edition", "2024"]
    command = [sys.executable, "-m", "sloth_jax", "explore", "--port", "0", *source]
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = _port_of(server)
            started = time.perf_counter() - began
            rows = pd.DataFrame([_ask(port, number) for number in range(count)])
        finally:
            server.send_signal(signal.SIGINT)
            server.stderr.read()  # pyright: ignore[reportOptionalMemberAccess]
    taken = rows["milliseconds"].to_numpy()
    summary = {
        "requests": count,
        "median_ms": float(np.median(taken)),
        "worst_ms": float(taken.max()),
        "first_ms": float(taken[0]),
        "start_s": started,
        "exit_code": server.returncode,
        "versions": versions(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=2) + "\n"
    write_folder(options.out, {"latency.csv": frame_csv(rows, "%.3f"), "summary.json": text})
    print(text, end="")


def _port_of(server: subprocess.Popen[str]) -> int:
    """The port that the command says it serves at."""
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found:
            return int(found[1])
    raise SystemExit("sloth-jax explore ended before it served")


def _ask(port: int, number: int) -> dict[str, float]:
    """Ask for one model and wait for the whole answer."""
    size, tokens = 0.5 * 1.06**number, 0.2 * 1.04**number
    query = f"/forecast?family={number % 20}&params_b={size:.4g}&tokens_t={tokens:.4g}"
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", query)
    reply = connection.getresponse()
    body = json.loads(reply.read())
    connection.close()
    taken = time.perf_counter() - began
    if reply.status != 200:
        raise SystemExit(f"{query}: {body}")
    return {"request": number, "milliseconds": 1e3 * taken}


if __name__ == "__main__":
    main()
