"""What an operator has to know: a problem, for as long as it lasts."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning"]


PAUSED = "creation-paused"
"""The id of the problem that an operator's pause is."""


class OperatorProblem(Struct, frozen=True, kw_only=True):
    """Reading or creation as a whole stands still with an ``error``, and goes on with a ``warning``.

    ``id`` names its kind, for programs; ``since`` is in seconds since the epoch; ``text`` says what is wrong and
    ``remedy`` what to do, in a sentence each. ``about`` names the users whom it concerns, up to a hundred.
    """

    id: str
    severity: Severity
    since: float
    text: str
    remedy: str
    about: tuple[str, ...] = ()


def errors(problems: Iterable[OperatorProblem]) -> list[OperatorProblem]:
    return [problem for problem in problems if problem.severity == "error"]


def sentences(problems: Iterable[OperatorProblem]) -> str | None:
    """All of them in words, None where there are none."""
    return " ".join(f"{problem.text}. {problem.remedy}." for problem in problems) or None
