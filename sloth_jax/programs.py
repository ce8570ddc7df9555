"""Traced programs on disk, for the command line: a later process need not trace them again.

JAX keeps what it compiled, but looks a program up by what it is traced and lowered to, which takes
seconds in every process. A program that is :func:`kept` is exported (``jax.export``) once it is
traced, into a file whose name stands for all that it depends on: the package's own code, versions
and settings of JAX, shapes and kinds of the arguments. Where that fails it is traced as usual.

Only a process that runs nothing but this package may use it: what a program of one's own registers,
a link say, is in no name of a file. Like compiled programs, the files have to be trusted.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import jax.core
import numpy as np

LOG = logging.getLogger(__name__)
Given = ParamSpec("Given")
Found = TypeVar("Found")
_in_use: list[Path] = []  # a folder; empty for none


def keep_programs(folder: Path | None) -> None:
    """Keep traced programs in a folder, for this process and later ones; None keeps none."""
    _in_use[:] = [] if folder is None else [folder]


class _Kept(Generic[Given, Found]):
    """A compiled function whose traced programs are kept where :func:`keep_programs` says."""

    __qualname__: str  # the function's

    def __init__(self, function: Callable[Given, Found], static: tuple[int, ...]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.static = function, static
        self.known: dict[Path, Callable[..., Any]] = {}

    def __repr__(self) -> str:  # the same in every process, since names of files are made of it
        return f"{self.__module__}.{self.__qualname__}"

    def __reduce__(self) -> str:  # by its name, where an argument holds it
        return self.__qualname__

    def __call__(self, *given: Given.args, **options: Given.kwargs) -> Found:
        arrays = tuple(one for at, one in enumerate(given) if at not in self.static)
        leaves, tree = jax.tree.flatten(arrays)
        inside = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)  # of another program
        if not _in_use or options or inside:
            return self.function(*given, **options)
        fixed = [given[at] for at in self.static]
        kinds = [(str(jax.typeof(leaf)), jax.typeof(leaf).weak_type) for leaf in leaves]
        settings = sorted(jax.config.values.items()), jax.config.jax_enable_x64  # pyright: ignore
        name = repr((_everywhere(), settings, self, fixed, tree, kinds))
        path = _in_use[0] / f"{hashlib.sha256(name.encode()).hexdigest()}.traced"
        if path not in self.known:
            self.known[path] = _load_or_trace(path, self._of_arrays(given), arrays)
        return self.known[path](*arrays)

    def _of_arrays(self, given: tuple[Any, ...]) -> Callable[..., Any]:
        """The function of the arrays only."""

        def function(*arrays: Any) -> Any:
            rest = iter(arrays)
            whole = [one if at in self.static else next(rest) for at, one in enumerate(given)]
            return self.function(*whole)  # pyright: ignore[reportCallIssue]

        return jax.jit(function)


def kept(function: Callable[Given, Found], static: tuple[int, ...] = ()) -> Callable[Given, Found]:
    """Have a compiled function's traced programs kept; a decorator.

    Args:
        function: pure and compiled, of trees of arrays.
        static: positions of arguments that are none; their ``repr`` has to say all of them.
    """
    return _Kept(function, static)


def _load_or_trace(path: Path, function: Any, arrays: tuple) -> Callable[..., Any]:
    """The program in a file, or else the function's, put there; or the function itself."""
    from jax import export

    try:
        try:
            program = pickle.loads(path.read_bytes())
        except Exception:  # not there, or of no use
            # Its way to a gradient cannot be written, and is not needed.
            program = dataclasses.replace(export.export(function)(*arrays), _get_vjp=None)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps(program))
            part.replace(path)
        return jax.jit(program.call)
    except Exception as error:  # a full disk, or JAX cannot export it
        LOG.debug("traced program not kept: %s", error)
        return function


@functools.cache
def _everywhere() -> str:
    """What all programs depend on: this package's code, versions, the kind of device."""
    root = Path(__file__).parent
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(root.rglob("*.py"))))
    return repr((code.hexdigest(), jax.__version__, np.__version__, jax.default_backend()))
