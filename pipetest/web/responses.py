"""The JSON objects that are answered; /openapi.json describes them. Errors are problem details by RFC 9457."""

from http import HTTPStatus
from typing import ClassVar, Literal

from msgspec import Struct


class Health(Struct, frozen=True, omit_defaults=True):
    """DOWN comes with its reason: why the database cannot be written."""

    status: Literal["UP", "DOWN"]
    reason: str | None = None


class Readiness(Struct, frozen=True, omit_defaults=True):
    """UNREADY comes with its reason: what has to be fixed."""

    status: Literal["READY", "UNREADY"]
    reason: str | None = None


class Admitted(Struct, frozen=True):
    """The request brought the admin token."""

    admitted: Literal[True] = True


class ScanAsked(Struct, frozen=True):
    """A scan will begin at once; where one is under way already, that one counts."""

    scan: Literal["asked"] = "asked"


class CreationPaused(Struct, frozen=True):
    """Whether the creation of deals is paused; a restart does not change that."""

    paused: bool


class RetryAsked(Struct, frozen=True):
    """What is in quarantine is tried again now: this gist, or the organization of the user of this name."""

    gist: str


class RetryOfAllAsked(Struct, frozen=True):
    """Everything in quarantine is tried again, a few at a time."""

    retry: Literal["asked"] = "asked"


class AuditAsked(Struct, frozen=True):
    """An audit begins; where one is under way already, that one counts. ``GET /audit`` tells how it ends."""

    audit: Literal["asked"] = "asked"


class BackfillAsked(Struct, frozen=True):
    """The user's gists that were skipped become deals."""

    user: str


class Problem(Struct, frozen=True):
    """The body of every error; ``detail`` is for a person."""

    MEDIA_TYPE: ClassVar[str] = "application/problem+json"

    status: int
    title: str
    detail: str

    @classmethod
    def of(cls, status: int, detail: str) -> "Problem":
        return cls(status, HTTPStatus(status).phrase, detail)
