"""What a check tells."""

from typing import Literal

from msgspec import Struct

Result = Literal["ok", "warning", "fault"]


class CheckLine(Struct, frozen=True):
    """One line. With a ``fault`` pipetest does not start, or some of its work stands still; with a ``warning`` it
    works, but probably not as is meant. These two have a remedy."""

    result: Result
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> CheckLine:
    return CheckLine("ok", subject, text)


def warning(subject: str, text: str, remedy: str) -> CheckLine:
    return CheckLine("warning", subject, text, remedy)


def fault(subject: str, text: str, remedy: str) -> CheckLine:
    return CheckLine("fault", subject, text, remedy)
