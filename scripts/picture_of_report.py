"""The picture of docs/report.md: the top of a report's page, as a browser shows it.

Run: sloth-jax report --fit fit.nc --out report.html
     python scripts/picture_of_report.py report.html --out docs/report.png
Needs the extra test, and chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Open the page and photograph it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="HTML file of `sloth-jax report`")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--width", type=int, default=1000, help="pixels (default: 1000)")
    parser.add_argument("--height", type=int, default=1020, help="pixels (default: 1020)")
    parser.add_argument("--dark", action="store_true", help="as in dark mode")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("no chromium on PATH")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        tab = browser.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
        )
        tab.goto(options.page.resolve().as_uri())
        tab.wait_for_function(
            "[...document.querySelectorAll('.chart')].every((one) => one.dataset.drawn)"
        )
        tab.screenshot(path=options.out)
        browser.close()


if __name__ == "__main__":
    main()
