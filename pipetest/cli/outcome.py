"""How a command ends: its exit status, and the one line where nothing could be told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from pipetest.domain.errors import ConfigError, DatabaseRefused, PipetestError
from pipetest.domain.text import capitalized, printable

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


@contextmanager
def cannot_tell(remedy: str, *, of_setting: str = "Set it as for the daemon") -> Iterator[None]:
    """Errors end the command. One of the database brings its remedy along; that of a wrong setting is ``of_setting``,
    that of all others ``remedy``."""
    try:
        yield
    except ConfigError as e:
        raise CannotTell(str(e), of_setting) from None
    except DatabaseRefused as e:
        raise CannotTell(*parted(e)) from None
    except PipetestError as e:
        raise CannotTell(str(e), remedy) from None


def parted(error: DatabaseRefused) -> tuple[str, str]:
    """What is wrong, and what to do, which is the last part of its text."""
    text, _, remedy = str(error).rpartition(": ")
    return (text, capitalized(remedy)) if text else (remedy, "The log of a start says more")
