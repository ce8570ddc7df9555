"""A disk that fills up loses nothing that was there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest
from small import table

from sloth_jax import fit, load_fit, save_fit
from sloth_jax.files import (
    OutputError,
    check_folder,
    check_writable,
    clear_leftovers,
    write_folder,
    write_text,
)

resource = pytest.importorskip("resource")  # not on Windows


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: writing fails halfway, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["results.csv", "results.csv.gz"])
def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path, name):
    path = tmp_path / name
    write_text(path, "old\n")
    before = path.read_bytes()
    long = "".join(f"{number * 7919 % 10007}\n" for number in range(100_000))
    with full_after(8192), pytest.raises(OutputError, match="could not be written"):
        write_text(path, long)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_fit_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    data, _ = table()
    path = tmp_path / "fit.nc"
    found = fit(data, key=jax.random.key(0), inference="mode", skills=1, steps=20)
    save_fit(found, path)
    before = path.read_bytes()
    with full_after(len(before) // 2), pytest.raises(OutputError):
        save_fit(found, path)
    assert path.read_bytes() == before
    assert load_fit(path).table.models == data.models
    assert [file.name for file in Path(tmp_path).iterdir()] == ["fit.nc"]


def test_write_text_replaces_a_file_whole_and_readable(tmp_path):
    path = tmp_path / "a.csv"
    write_text(path, "old\n")
    write_text(path, "new\n")
    assert path.read_text() == "new\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert path.stat().st_mode & stat.S_IRUSR


def test_only_what_dead_processes_left_is_cleared(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead, alive = (f".fit.nc.{process}.abc" for process in (done.pid, os.getpid()))
    for name in (dead, alive, ".fit.nc.bak", f".fit.nc.unfinished.{done.pid}.abc", "fit.nc"):
        (tmp_path / name).write_text("")
    clear_leftovers(tmp_path / "fit.nc")
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive, ".fit.nc.bak", "fit.nc"]


def test_check_writable_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_checked_before_the_work_and_made_after_it(tmp_path):
    new = check_folder(tmp_path / "new")
    assert not new.exists()
    write_folder(new, {"a.txt": "text\n", "b.png": b"\x89PNG"})
    write_folder(check_folder(new), {"a.txt": "other\n"})
    assert (new / "a.txt").read_text() == "other\n"
    assert (new / "b.png").read_bytes() == b"\x89PNG"
    with pytest.raises(OutputError, match="it is a file; name a folder"):
        check_folder(new / "a.txt")
    with pytest.raises(OutputError, match="no folder"):
        check_folder(tmp_path / "no" / "such")
