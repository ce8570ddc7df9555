"""Sampling that survives the day: what is done is kept in a file, and a new call goes on from it.

The file holds the state of the chains and all draws so far, as plain arrays (nothing is unpickled),
and the fingerprint of the run: table, settings, key, versions. It is replaced as a whole, so
that a process killed at any moment leaves the last one readable.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.files import write_bytes
from sloth_jax.provenance import versions

_EVERY = 5.0  # seconds between two savings, at least


def fingerprint(*parts: Any) -> str:
    """A hash of arrays, random keys and anything with a readable ``repr``, and of the versions."""
    digest = hashlib.sha256(repr(sorted(versions().items())).encode())
    for leaf in jax.tree.leaves(parts, is_leaf=lambda part: part is None):
        if isinstance(leaf, jax.Array | np.ndarray):
            values = np.asarray(_plain(leaf))
            digest.update(f"{values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        else:
            digest.update(repr(leaf).encode())
    return digest.hexdigest()


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


@dataclass
class Checkpoint:
    """A file that a sampler saves to and goes on from.

    Attributes:
        path: the file.
        run: fingerprint of what is sampled, from :func:`fingerprint`.
    """

    path: Path
    run: str
    _saved: float = field(default=-np.inf, repr=False)

    def save(self, done: int, state: Any, trace: Any) -> None:
        """Keep the state after so many transitions, unless the last time is seconds ago.

        Args:
            done: transitions.
            state: tree of arrays; random keys may be among them.
            trace: tree of arrays, leading axes ``(chain, transition)``.

        Raises:
            OutputError: if the file cannot be written; the last one is still there.
        """
        if time.monotonic() - self._saved < _EVERY:
            return
        parts: dict[str, Any] = {
            f"state_{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(state))
        }
        parts |= {f"trace_{i}": np.asarray(a) for i, a in enumerate(jax.tree.leaves(trace))}
        buffer = io.BytesIO()
        np.savez(buffer, run=np.array(self.run), done=np.array(done), **parts)
        write_bytes(self.path, buffer.getvalue())
        self._saved = time.monotonic()

    def load(self, state: Any) -> tuple[int, Any, list[np.ndarray]] | None:
        """What was kept: transitions, the state, leaves of the trace; None where there is no file.

        Args:
            state: a state of the same kind, for its structure and types.

        Raises:
            InputError: if the file is of another run, or no checkpoint.
        """
        try:
            content = io.BytesIO(self.path.read_bytes())
            with np.load(content, allow_pickle=False) as kept:
                found = {name: kept[name] for name in kept.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, zipfile.BadZipFile, EOFError):
            raise InputError(f"{self.path}: no checkpoint of sampling: remove it") from None
        if "run" not in found or str(found["run"]) != self.run:
            raise InputError(
                f"{self.path}: a checkpoint of another table, other settings or other versions: "
                "remove it to begin anew"
            )
        leaves, structure = jax.tree.flatten(state)
        kept_state = [
            jax.random.wrap_key_data(
                jnp.asarray(found[f"state_{i}"]), impl=jax.random.key_impl(leaf)
            )
            if _is_key(leaf)
            else jnp.asarray(found[f"state_{i}"], leaf.dtype)
            for i, leaf in enumerate(leaves)
        ]
        trace = [found[name] for name in found if name.startswith("trace_")]
        return int(found["done"]), jax.tree.unflatten(structure, kept_state), trace
