"""Item data from the hub, cached and checked: a part for machines with a network.

Needs the extra ``hub`` (``pip install "sloth_jax[hub]"``). The files are those that
:func:`sloth_jax.repeats.attempts.read_attempts` reads from a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sloth_jax.errors import InputError
from sloth_jax.files import write_text
from sloth_jax.wording import one_line, quoted

REPOSITORY = "ScalingIntelligence/monkey_business"
"""Data set of Brown et al. 2024: 128 problems of MATH, 10,000 attempts at each."""

MODELS = (
    *("Llama-3-8B", "Llama-3-8B-Instruct", "Llama-3-70B-Instruct", "Gemma-2B", "Gemma-7B"),
    *("Pythia-160M", "Pythia-1.4B", "Pythia-2.8B", "Pythia-6.9B", "Pythia-12B"),
)
"""The models whose files the published analysis uses."""

_MANIFEST = "checksums.json"


def download_attempts(
    folder: str | Path,
    *,
    models: Sequence[str] = MODELS,
    repository: str = REPOSITORY,
    revision: str = "main",
    checksums: Mapping[str, str] | None = None,
) -> Path:
    """Fetch ``MATH_<model>.json`` of some models into a folder, once.

    What is there already is not fetched again. The SHA-256 of every file is kept beside it, in
    ``checksums.json``, and checked on every call, so that results do not change unnoticed.

    Args:
        folder: where the files go; made if it is not there.
        models: whose files.
        repository: data set on the hub.
        revision: branch, tag or commit; a commit is the same for ever.
        checksums: file name -> SHA-256 that it must have; None trusts the first download.

    Returns:
        The folder, for :func:`sloth_jax.repeats.attempts.read_attempts`.

    Raises:
        InputError: if the extra is not installed, a file cannot be had, or its checksum differs.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / _MANIFEST
    try:
        kept = json.loads(manifest.read_text()) if manifest.exists() else {}
    except (OSError, ValueError):
        raise InputError(f"{manifest}: not JSON: remove it, and the files beside it") from None
    known = {**kept, **(checksums or {})}
    for model in models:
        name = f"MATH_{model}.json"
        if not (folder / name).exists():
            _fetch(folder, name, repository, revision)
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if known.setdefault(name, found) != found:
            raise InputError(
                f"{folder / name}: its SHA-256 is {found[:12]}..., not {known[name][:12]}...: "
                "remove the file to fetch it anew"
            )
    write_text(manifest, json.dumps(dict(sorted(known.items())), indent=2) + "\n")
    return folder


def _fetch(folder: Path, name: str, repository: str, revision: str) -> None:
    try:
        # an optional extra, not needed to read folders
        from huggingface_hub import hf_hub_download  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            'fetching from the hub needs an extra: pip install "sloth_jax[hub]"; or put the files '
            f"into {folder} yourself"
        ) from None
    try:
        hf_hub_download(repository, name, repo_type="dataset", revision=revision, local_dir=folder)
    # Whatever goes wrong between here and there has a class of its own.
    except Exception as error:
        raise InputError(
            f"{quoted(name)} cannot be fetched from {repository}: {one_line(str(error))}; put the "
            f"file into {folder} yourself"
        ) from error
