"""How much memory is free, and a refusal in one line where work would need more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from sloth_jax.errors import InputError

# A limit of a container, and what counts towards it: cgroups of version 2, of version 1.
_CGROUPS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def available_bytes(devices: Sequence[Any] | None = None) -> float:
    """Memory that is free on the smallest of some devices, or on a machine; infinite if unknown.

    Args:
        devices: None for the default one.
    """
    found = float("inf")
    for device in devices or jax.local_devices()[:1]:
        stats = device.memory_stats() if device.platform != "cpu" else None
        if stats and "bytes_limit" in stats:
            found = min(found, stats["bytes_limit"] - stats.get("bytes_in_use", 0))
        elif device.platform == "cpu":
            found = min(found, machine_bytes())
    return found


def machine_bytes(root: Path = Path("/")) -> float:
    """Memory that processes may still take, by Linux and its containers; infinite if unknown."""
    found = float("inf")
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        found = next(float(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    for limit, used in _CGROUPS:
        try:
            left = float((root / "sys/fs/cgroup" / limit).read_text())  # or the word max
            left -= float((root / "sys/fs/cgroup" / used).read_text())
            found = min(found, left)
        except (OSError, ValueError):
            pass
    return found


def check_memory(what: str, needed: float, available: float, ways: Sequence[str]) -> None:
    """Raise InputError if something needs more memory than there is.

    Args:
        what: that needs it, for the message.
        needed: bytes.
        available: bytes.
        ways: what would need less.
    """
    if needed > available:
        *first, last = ways
        choice = f"{', '.join(first)} or {last}" if first else last
        raise InputError(
            f"{what} needs about {size_in_words(needed)} of memory, and "
            f"{size_in_words(available)} are free: choose {choice}"
        )


def size_in_words(number: float) -> str:
    """Bytes as gigabytes, in three digits."""
    return f"{max(number, 0.0) / 1e9:.3g} GB"
