"""How errors are told: RFC 9457, problem details as JSON."""

from http import HTTPStatus
from typing import ClassVar

from msgspec import Struct


class Problem(Struct, frozen=True):
    """The body of every error; ``detail`` is for a person."""

    MEDIA_TYPE: ClassVar[str] = "application/problem+json"

    status: int
    title: str
    detail: str

    @classmethod
    def of(cls, status: int, detail: str) -> "Problem":
        return cls(status, HTTPStatus(status).phrase, detail)
