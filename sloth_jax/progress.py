"""How a fit reports progress, without knowing whether a terminal or a notebook shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """What a fit calls at each stage; :func:`sloth_jax.cli.console.show_progress` shows it."""

    def __call__(
        self, what: str, total: int | None = None
    ) -> AbstractContextManager[Callable[[int], Any]]:
        """Enter a stage.

        Args:
            what: what is done, for the user.
            total: of how many steps; None where it is one compiled program, which cannot say.

        Returns:
            A context in which the work is done; it gives a function to call with every number of
            steps that is done.
        """
        ...


@contextmanager
def silent(what: str, total: int | None = None) -> Iterator[Callable[[int], Any]]:
    """Report nothing."""
    yield lambda count: None
