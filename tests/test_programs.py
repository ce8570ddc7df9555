"""Traced programs that are kept give what they gave, and are traced once for each use."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from sloth_jax.cli import fitting
from sloth_jax.programs import keep_programs, kept

TRACED = []


class Pair(NamedTuple):
    first: jax.Array
    second: jax.Array


def solver():
    """The same function as another process would have it: it remembers no program."""

    @partial(kept, static=(2,))
    @partial(jax.jit, static_argnames="times")
    def solve(pair: Pair, key: jax.Array, times: int) -> Pair:
        TRACED.append(times)
        found = jnp.linalg.solve(pair.first, jax.random.normal(key, pair.second.shape))
        return Pair(times * found, pair.second)

    return solve


@kept
@jax.jit
def grown(by: jax.Array, value: jax.Array) -> jax.Array:
    return by * value


def applied():
    @kept
    @jax.jit
    def apply(function, value):
        TRACED.append("apply")
        return function(value)

    return apply


PAIR, KEY = Pair(jnp.eye(3) + 0.1, jnp.ones(3)), jax.random.key(0)


@pytest.fixture
def folder(tmp_path):
    TRACED.clear()
    keep_programs(tmp_path)
    yield tmp_path
    keep_programs(None)


def same(one: Pair, other: Pair) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_program_is_traced_once_for_each_kind_of_arguments(folder):
    usual = solver().function(PAIR, KEY, 2)
    TRACED.clear()
    same(solver()(PAIR, KEY, 2), usual)
    assert TRACED == [2]
    same(solver()(PAIR, KEY, 2), usual)
    assert TRACED == [2]
    solver()(PAIR, KEY, 3)
    solver()(Pair(jnp.eye(4), jnp.ones(4)), KEY, 3)
    assert TRACED == [2, 3, 3]
    assert len(list(folder.iterdir())) == 3


def test_a_file_of_no_use_is_replaced(folder):
    usual = solver()(PAIR, KEY, 2)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    same(solver()(PAIR, KEY, 2), usual)
    assert TRACED == [2, 2]
    same(solver()(PAIR, KEY, 2), usual)
    assert TRACED == [2, 2]


def test_functions_are_known_by_name_where_arguments_hold_them(folder):
    for _ in range(2):
        assert applied()(Partial(grown, jnp.asarray(3.0)), jnp.asarray(2.0)) == 6.0
    assert TRACED == ["apply"]


def test_inside_another_program_and_without_a_folder_nothing_is_kept(folder):
    same(jax.jit(lambda pair: solver()(pair, KEY, 2))(PAIR), solver().function(PAIR, KEY, 2))
    keep_programs(None)
    solver()(PAIR, KEY, 2)
    assert not list(folder.iterdir())


def test_where_it_cannot_be_kept_it_is_traced_as_usual(folder):
    keep_programs(folder / "nowhere")
    same(solver()(PAIR, KEY, 2), solver().function(PAIR, KEY, 2))


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_command_that_is_the_whole_process_keeps_them(whole, folder, monkeypatch):
    keep_programs(None)
    monkeypatch.setattr(fitting, "use_compilation_cache", lambda: folder)
    monkeypatch.setattr(fitting, "use_cores", lambda most: None)
    fitting.prepare_jax(Namespace(no_cache=False, whole_process=whole))
    solver()(PAIR, KEY, 2)
    assert len(list(folder.iterdir())) == whole
