"""The one kind of error that is the user's to mend."""

from __future__ import annotations

from collections.abc import Sequence

from sloth_jax.wording import did_you_mean, one_line, quoted


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: where, what, what to do."""


class TableTooSmall(InputError):
    """A table has too few scores to fit the law to; the message is one line."""


class Diverged(InputError):
    """Every fit of the law to a table diverged; the message is one line."""


def check_choice(what: str, name: str, choices: Sequence[str]) -> None:
    """Raises :class:`InputError` unless the name is among the choices."""
    if name not in choices:
        hint = did_you_mean(name, choices)
        raise InputError(
            one_line(f"no {what} {quoted(name)}{hint} (there are {', '.join(choices)})")
        )
