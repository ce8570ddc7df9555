"""What an interrupt must not break, and what it has to tell: shared by whoever writes files."""

from __future__ import annotations

import threading

unbroken = threading.RLock()
"""Held while files are being written: an interrupt ends the process before that or after."""

written: list[str] = []
"""Files that this process has written so far, in that order."""
