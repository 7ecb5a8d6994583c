"""Files that settings name: read whole, within a bound, with an error that names the setting. All of it blocks."""

from pathlib import Path

from pipetest.config import parsers
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import QueriedEntry

USERS_FILE = "PIPETEST_QUERIED_USERS_FILE"

LARGEST = 32 * 1024 * 1024
"""Bytes: a million names fit."""


def file_text(name: str, path: str) -> str:
    """The text of the file that the variable ``name`` names, without blanks around it.

    :raises ConfigError: it cannot be read, or is no text.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) <= LARGEST:
            return data.decode("utf-8-sig").strip()
    except OSError as e:
        raise ConfigError(f"{name}: cannot read {path!r}: {e.strerror}") from None
    except (ValueError, RuntimeError):  # not UTF-8, or a path that cannot be one, or nobody's ~
        pass
    raise ConfigError(f"{name}: expected the path of a text file, got {path!r}")


def read_users_file(path: Path) -> tuple[QueriedEntry, ...]:
    """Whom to read, as this file says now.

    :raises ConfigError: it cannot be read, it is empty, or one of its entries is wrong.
    """
    text = file_text(USERS_FILE, str(path))
    try:
        return parsers.queried_users_file(text)
    except ValueError as e:
        raise ConfigError(f"{USERS_FILE}: {path}: {e}") from None
