"""What can go wrong, sorted by what to do next.

An error's text is what a person reads: it names the service or the setting, and never shows a secret, a header or a
body.
"""

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised where bytes are no JSON, or none of the type that was expected."""


class PipetestError(Exception):
    """The root of every error that pipetest raises on purpose."""


class ConfigError(PipetestError):
    """A setting is wrong. The text names it, says what was expected, and never shows a secret's value."""


class DatabaseRefused(PipetestError):
    """The database cannot be opened as it is; nothing was changed. The text says why and what to do."""


class Unstored(PipetestError):
    """A change could not be made durable before the store was closed."""


class Unstorable(PipetestError):
    """The database cannot hold this very value: nothing was changed, and trying again would not help."""


class Unsent(PipetestError):
    """The request was never sent: nothing was made, and nothing will be."""


class Stopping(Unsent):
    """The daemon is stopping."""


class ServiceError(PipetestError):
    """A service did not do what was asked; ``service`` is its name."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason


class Transient(ServiceError):
    """Try again later: after ``wait`` seconds where the service names them, else after a backoff."""

    def __init__(self, service: str, reason: str, wait: float | None = None) -> None:
        super().__init__(service, reason)
        self.wait = wait


class Unanswered(Transient):
    """No usable reply came back: whether the request was carried out is unknown."""


class RateLimited(Transient):
    """The whole client has to wait before its next request to this service."""


class Denied(ServiceError):
    """A person has to act: on a key, a bill or a limit of the account. A ``lasting`` refusal is probed more rarely."""

    def __init__(self, service: str, reason: str, *, lasting: bool = False) -> None:
        super().__init__(service, reason)
        self.lasting = lasting


class Refused(ServiceError):
    """This very request will never succeed; ``status`` is the HTTP status that said so."""

    def __init__(self, service: str, reason: str, status: int) -> None:
        super().__init__(service, reason)
        self.status = status


class Missing(Refused):
    """What was asked for does not exist (404)."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(service, reason, 404)


class Forbidden(Refused):
    """What was asked for is not shown to us (403, 451): as a rule this one thing, and all of them where every answer
    says so."""


class Malformed(ServiceError):
    """The reply is not what the API's documentation says: a defect here, or a change there."""


class Endless(Malformed):
    """The list goes on for longer than any list does, or in a circle."""


class OtherOwner(PipetestError):
    """The account's name belongs to another account than when it was first read."""


class Unavailable(PipetestError):
    """The database cannot be asked just now. The text says why."""


def unexpected(error: Exception) -> str:
    """What people are told of a defect that the log tells more about."""
    return f"an unexpected error ({type(error).__name__}): the log tells more"
