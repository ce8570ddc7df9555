"""A headless browser that is installed on this machine, for tests that look at pages."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATH = next((found for found in map(shutil.which, NAMES) if found), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
MISSING = f"NO BROWSER: none of {', '.join(NAMES)} is installed, pages were not looked at"
