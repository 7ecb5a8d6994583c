"""What a check has found."""

from typing import Literal

from msgspec import Struct

Result = Literal["ok", "warning", "fault"]


class Finding(Struct, frozen=True):
    """One line. With a ``fault`` pipetest does not start, or some of its work stands still; with a ``warning`` it
    works, but probably not as is meant. These two have a remedy."""

    result: Result
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding("ok", subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    return Finding("warning", subject, text, remedy)


def fault(subject: str, text: str, remedy: str) -> Finding:
    return Finding("fault", subject, text, remedy)
