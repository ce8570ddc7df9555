"""Checkpoints of sampling: a call that was interrupted goes on from a file, to the same draws.

The file holds the state of the chains and all draws so far, as plain arrays (nothing is unpickled),
and what the run is of: table, settings, key, versions. It is replaced as a whole, so that a process
killed at any moment leaves the last one readable.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.files import write_bytes
from sloth_jax.inference.settings import FitSettings
from sloth_jax.provenance import versions

_SHOWN = 4  # settings that differ, before the rest is counted
_EVERY = 5.0  # seconds between two savings, at least


def describe_run(observations: Any, key: jax.Array, settings: FitSettings) -> dict[str, str]:
    """All that decides the draws of a run, by name: table, settings, key, versions.

    Args:
        observations: tree of arrays, of which a hash is taken.
        key: random key.
        settings: of the fit; those of NUTS and of the prior have names of their own.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(observations):
        values = np.asarray(leaf)
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    parts = asdict(settings)
    parts |= parts.pop("nuts") | parts.pop("prior")
    parts |= {"seed": _plain(key).tolist(), "devices": len(jax.devices()), **versions()}
    return {"table": digest.hexdigest()[:12], **{name: str(part) for name, part in parts.items()}}


def _difference(kept: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """In what two runs differ, in words; empty if in nothing."""
    names = [name for name in {**kept, **wanted} if kept.get(name) != wanted.get(name)]
    shown = [f"{name} {kept.get(name)}, now {wanted.get(name)}" for name in names[:_SHOWN]]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return "; ".join([*shown, *more])


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


@dataclass
class Checkpoint:
    """A file that a sampler saves to and goes on from.

    Attributes:
        path: the file.
        run: what is sampled, from :func:`describe_run`.
    """

    path: Path
    run: dict[str, str]
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
        np.savez(buffer, run=np.array(json.dumps(self.run)), done=np.array(done), **parts)
        write_bytes(self.path, buffer.getvalue())
        self._saved = time.monotonic()

    def done(self) -> int:
        """How many transitions are kept, 0 where there is no file.

        Raises:
            InputError: if the file is of another run, or no checkpoint.
        """
        found = self._read()
        return 0 if found is None else int(found["done"])

    def load(self, state: Any) -> tuple[int, Any, list[np.ndarray]] | None:
        """What was kept: transitions, the state, leaves of the trace; None where there is no file.

        Args:
            state: a state of the same kind, for its structure and types.

        Raises:
            InputError: if the file is of another run, or no checkpoint.
        """
        found = self._read()
        if found is None:
            return None
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

    def _read(self) -> dict[str, np.ndarray] | None:
        try:
            content = io.BytesIO(self.path.read_bytes())
            with np.load(content, allow_pickle=False) as kept:
                found = {name: kept[name] for name in kept.files}
            run = json.loads(str(found["run"]))
            difference = _difference(run, self.run)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile, EOFError):
            raise InputError(f"{self.path}: no checkpoint of sampling: remove it") from None
        if difference:
            raise InputError(
                f"{self.path}: the checkpoint of another run ({difference}): repeat that one, or "
                "remove the file to begin anew"
            )
        return found
