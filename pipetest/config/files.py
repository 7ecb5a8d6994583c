"""Files that settings name: read whole, within a bound, with an error that names the setting. All of it blocks."""

import os
from collections.abc import Sequence
from pathlib import Path

from pipetest.config import parsers
from pipetest.config.parsers import Backfill
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import QueriedEntry, UserList

BACKFILL = "PIPETEST_BACKFILL"
USERS_FILE = "PIPETEST_QUERIED_USERS_FILE"

LARGEST = 32 * 1024 * 1024
"""Bytes: a million names fit."""


def file_text(name: str, path: str) -> str:
    """The text of the file that the variable ``name`` names, without blanks around it.

    :raises ConfigError: it cannot be read, or is no text.
    """
    try:
        with open(Path(path).expanduser(), "rb", opener=_opened) as file:  # Path.open has no opener
            data = file.read(LARGEST + 1)
        if len(data) <= LARGEST:
            return data.decode("utf-8-sig").strip()
    except OSError as e:
        raise ConfigError(f"{name}: cannot read {path!r}: {e.strerror}") from None
    except (ValueError, RuntimeError):  # not UTF-8, or a path that cannot be one, or nobody's ~
        pass
    raise ConfigError(f"{name}: expected the path of a text file, got {path!r}")


def _opened(path: str, flags: int) -> int:
    """A named pipe that nobody writes to is empty: opened as usual, it would be waited for without end."""
    file = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(file, True)
    return file


def read_users_file(path: Path, backfill: Backfill) -> tuple[QueriedEntry, ...]:
    """Whom to read, as this file says now.

    :raises ConfigError: it cannot be read, it is empty, or one of its entries is wrong, or needs a backfill that was
        chosen.
    """
    text = file_text(USERS_FILE, str(path))
    try:
        entries = parsers.queried_users_file(text)
    except ValueError as e:
        raise ConfigError(f"{USERS_FILE}: {path}: {e}") from None
    check_backfill(entries, backfill)
    return entries


def check_backfill(entries: Sequence[QueriedEntry], backfill: Backfill) -> None:
    """
    :raises ConfigError: there is a list of users, and nobody has chosen which of their gists become deals.
    """
    for entry in entries:
        if isinstance(entry, UserList) and not backfill.chosen:
            raise ConfigError(
                f"{BACKFILL} is not set: with {entry}, say which gists of before become deals: all, none, or those "
                "written since a date as in 2026-11-27"
            )
