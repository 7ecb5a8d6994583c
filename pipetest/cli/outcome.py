"""How a command ends: its exit status, and the one line where nothing could be told."""

from typing import IO, Any

import click

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.text import printable

GOOD = 0
NOT_GOOD = 1
UNTOLD = 2


class CannotTell(click.ClickException):
    """The text says why, and what to do."""

    exit_code = UNTOLD

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{printable(reason)}. {printable(remedy)}.")

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"pipetest: {self.message}", file, err=True)


def refused(error: DatabaseRefused) -> CannotTell:
    return CannotTell(*parted(error))


def parted(error: DatabaseRefused) -> tuple[str, str]:
    """What is wrong, and what to do, which is the last part of its text."""
    text, _, remedy = str(error).rpartition(": ")
    return (text, remedy[:1].upper() + remedy[1:]) if text else (remedy, "The log of a start says more")
