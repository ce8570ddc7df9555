"""Compiled programs on disk, so that the second run of anything need not compile it again."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import warnings
import zlib
from pathlib import Path

import jax

LOG = logging.getLogger(__name__)
VARIABLE = "SLOTH_JAX_CACHE"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"  # first bytes
_LOOKED = ".looked"  # its time is when entries were last looked at


def use_compilation_cache(folder: str | Path | None = None) -> Path | None:
    """Keep compiled programs in a folder, for this process and later ones; call it first of all.

    Several processes may use one folder at once. Where it can only be read, it is read. It may be
    removed at any time. Like all code it has to be trusted: name none that others may write to.

    Args:
        folder: where; None for that of the environment variable ``SLOTH_JAX_CACHE`` (empty or 0:
            no cache), else JAX's own choice (``JAX_COMPILATION_CACHE_DIR``) where there is one,
            else ``sloth_jax`` in the user's folder of caches (``XDG_CACHE_HOME``, ``~/.cache``).

    Returns:
        The folder in use; None where there is none.
    """
    # JAX writes an entry in place. Whoever meets one that another process has not finished, or will
    # never finish, compiles that program itself: nothing that the user has to hear of.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")
    chosen = os.environ.get(VARIABLE) if folder is None else str(folder)
    if chosen in ("", "0"):
        return None
    of_jax = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None and (of_jax or "JAX_COMPILATION_CACHE_DIR" in os.environ):
        return Path(of_jax) if of_jax else None
    try:
        root = Path(chosen) if chosen else _folder_of_caches() / "sloth_jax"
        place = root / f"compiled-{_machine()}"
        place.mkdir(parents=True, exist_ok=True)
        writable = os.access(place, os.W_OK)
    except (OSError, RuntimeError) as error:  # no home, a full disk, a file in its place
        log = LOG.debug if chosen is None else LOG.warning
        log("no cache of compiled programs: %s", error)
        return None
    if writable:
        _remove_broken(place)
    jax.config.update("jax_compilation_cache_dir", str(place))
    # Everything, for small programs are many; nothing where it cannot be written.
    least = 0.0 if writable else float("inf")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return place


def _folder_of_caches() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _machine() -> str:
    """What programs are compiled for: a home may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    kind = f"{platform.system()} {platform.machine()} {features}"
    return hashlib.sha256(kind.encode()).hexdigest()[:8]


def _remove_broken(place: Path) -> None:
    """Remove entries that are not whole, of those written since the last look.

    JAX writes an entry in place: a process that is killed, or a full disk, leaves a part, which JAX
    would never replace.
    """
    looked = place / _LOOKED
    try:
        since = looked.stat().st_mtime if looked.exists() else 0.0
        looked.touch()
        for entry in os.scandir(place):
            if entry.name.endswith("-cache") and entry.stat().st_mtime >= since - 1.0:
                if not _whole(Path(entry.path).read_bytes()):
                    os.unlink(entry.path)
    except OSError as error:  # full, or another process was quicker
        LOG.debug("cache of compiled programs: %s", error)


def _whole(content: bytes) -> bool:
    try:
        if content.startswith(_ZSTANDARD):
            import zstandard  # pyright: ignore[reportMissingImports] - by which JAX wrote it

            zstandard.ZstdDecompressor().decompress(content)
        else:
            zlib.decompress(content)
    except ImportError:  # it cannot be read either
        return True
    except Exception:  # whatever the two make of a part
        return False
    return True
