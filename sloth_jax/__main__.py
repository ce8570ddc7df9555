"""The program ``sloth-jax``, which is also ``python -m sloth_jax``."""

from __future__ import annotations

from typing import NoReturn

from sloth_jax.cli.process import run_as_process


def main() -> NoReturn:
    """Run the command line as the whole process."""
    run_as_process(_command)


def _command() -> None:
    from sloth_jax.cli.main import main  # an interrupt of this import ends the process too

    main()


if __name__ == "__main__":
    main()
