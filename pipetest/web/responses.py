"""The JSON that is answered, where it is more than a list: also what /openapi.json describes."""

from typing import Literal

from msgspec import Struct


class Health(Struct, frozen=True, omit_defaults=True):
    """DOWN comes with its reason: why the database cannot be written."""

    status: Literal["UP", "DOWN"]
    reason: str | None = None


class Readiness(Struct, frozen=True, omit_defaults=True):
    """UNREADY comes with its reason: what has to be mended."""

    status: Literal["READY", "UNREADY"]
    reason: str | None = None


class ScanAsked(Struct, frozen=True):
    """A scan will begin at once; one that is under way does instead."""

    scan: Literal["asked"] = "asked"


class CreationPaused(Struct, frozen=True):
    """Whether the creation of deals is paused; that outlives a restart."""

    paused: bool


class RetryAsked(Struct, frozen=True):
    """The quarantined gist is tried again now."""

    gist: str
