"""Compiled programs on disk: where they are kept, shared by processes, and repaired."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax
from sloth_jax import use_compilation_cache
found = use_compilation_cache()
import jax.numpy as jnp
value = jax.jit(lambda x: jnp.sin(x) @ x.T)(jnp.ones((3, 3)))[0, 0]
print(found, jax.config.jax_compilation_cache_dir, float(value))
"""


def start(*flags: str, **environment: str) -> subprocess.Popen[str]:
    unset = ("JAX_COMPILATION_CACHE_DIR", "SLOTH_JAX_CACHE", "XDG_CACHE_HOME")
    rest = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, *flags, "-c", PROGRAM]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=rest | environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[str, str, float]:
    out, said = process.communicate()
    assert process.returncode == 0, said
    found, used, value = out.split()
    return found, used, float(value)


def entries(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*/*-cache")}


def test_two_processes_share_a_cache_and_a_broken_one_is_repaired(tmp_path):
    both = [start(SLOTH_JAX_CACHE=str(tmp_path)) for _ in range(2)]
    (found, used, value), other = [finish(process) for process in both]
    assert other == (found, used, value)
    assert found == used
    assert found.startswith(f"{tmp_path}/compiled-")
    whole = entries(tmp_path)
    assert whole
    # A process that was killed while it wrote, and a full disk, leave a part, or nothing.
    for place, (name, content) in enumerate(whole.items()):
        path = next(tmp_path.glob(f"*/{name}"))
        path.write_bytes(b"" if place == 0 else content[: len(content) // 2])
    again = start("-W", "error", SLOTH_JAX_CACHE=str(tmp_path))  # JAX warns of a part
    assert finish(again) == (found, used, value)
    assert entries(tmp_path).keys() == whole.keys()
    assert all(entries(tmp_path).values())


def test_an_entry_that_another_process_is_writing_is_compiled_without_a_word(tmp_path):
    place = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "of_jax")}
    always = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    value = finish(start(**place, **always))[2]
    parts = list((tmp_path / "of_jax").glob("*-cache"))
    assert parts
    for path in parts:
        path.write_bytes(b"")
    again = start("-W", "error", **place, **always)
    out, said = again.communicate()
    assert said == ""
    assert float(out.split()[2]) == value


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"XDG_CACHE_HOME": "{}"}, "{}/sloth_jax/compiled-"),
        ({"XDG_CACHE_HOME": "{}", "SLOTH_JAX_CACHE": "0"}, "None"),
        ({"XDG_CACHE_HOME": "{}", "SLOTH_JAX_CACHE": ""}, "None"),
        ({"XDG_CACHE_HOME": "{}/file/folder"}, "None"),
        ({"JAX_COMPILATION_CACHE_DIR": "{}/mine"}, "{}/mine"),
    ],
)
def test_programs_are_kept_where_the_user_says(tmp_path, chosen, found):
    (tmp_path / "file").write_text("")
    environment = {name: value.format(tmp_path) for name, value in chosen.items()}
    used = finish(start(**environment))[1]
    assert used.startswith(found.format(tmp_path))


def test_a_folder_that_can_only_be_read_is_read(tmp_path, monkeypatch):
    from sloth_jax import compilation_cache as module

    told: dict[str, object] = {}
    monkeypatch.setattr(module.jax.config, "update", told.__setitem__)
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    place = module.use_compilation_cache(tmp_path)
    assert told["jax_compilation_cache_dir"] == str(place)
    assert told["jax_persistent_cache_min_compile_time_secs"] == float("inf")
