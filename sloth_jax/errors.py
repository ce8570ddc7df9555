"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: where, what, what to do."""


class Diverged(InputError):
    """Every fit of the law to a table diverged; the message is one line."""
