"""Small values: as JSON carries them, and read back as what they are used as."""

from typing import Any, TypeVar

from msgspec import ValidationError, convert, json
from twisted.logger import Logger

from pipetest.domain.errors import Unstorable

T = TypeVar("T")

_log = Logger()


def as_json(value: object) -> bytes:
    """
    :raises Unstorable: JSON cannot carry this value.
    """
    try:
        return json.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError) as e:
        raise Unstorable(f"a value that JSON cannot carry: {e}") from None


def read_as(kind: type[T], name: str, value: Any) -> T | None:
    """The value that is stored under ``name``. One of another kind, which no version of ours wrote, counts as missing:
    the log tells of it, and what it is used for starts anew."""
    if value is None:
        return None
    try:
        return convert(value, kind)
    except ValidationError as e:
        unreadable = "{name!r} in the database is unreadable, and starts anew: {reason}"
        _log.warn(unreadable, event="value_unreadable", name=name, reason=str(e))
        return None
