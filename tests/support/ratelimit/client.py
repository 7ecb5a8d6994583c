"""Drives a quota the way a governor does, by hand."""

from typing import Any

from attrs import define

from pipetest.domain.model import Reply
from pipetest.ratelimit.policy import Cost, Instant, Permit, RateLimit

DAY = 86400.0
MIDNIGHT = 20_000 * DAY
"""Of a day in UTC, in seconds since the epoch."""


KIND = Cost()


def reply(status: int = 200, body: bytes = b"{}", **headers: Any) -> Reply:
    return Reply(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, body)


@define
class Client:
    """``now`` is seconds after the midnight; a request takes a hundredth, and so does the pause after it."""

    quota: Any
    kind: Cost = KIND
    now: float = 36000.0

    @property
    def at(self) -> Instant:
        return Instant(self.now, MIDNIGHT + self.now)

    def wait(self, kind: Cost | None = None, ahead: int = 0) -> float:
        quota: RateLimit = self.quota
        return quota.wait(kind or self.kind, ahead, self.at)

    def begin(self, kind: Cost | None = None) -> Permit:
        assert self.wait(kind) == 0.0
        ticket: Permit
        self.quota, ticket = self.quota.begun(kind or self.kind, self.at)
        return ticket

    def end(self, ticket: Permit, answer: Reply | None) -> None:
        self.now += 0.01
        self.quota = self.quota.ended(ticket, answer, self.at, 0.0)

    def ask(self, answer: Reply | None, kind: Cost | None = None) -> None:
        self.end(self.begin(kind), answer)
        self.now += 0.01

    def restarted(self, anew: RateLimit, later: float = 0.0) -> "Client":
        """The same client with a quota that only knows what was kept."""
        again = Client(anew, self.kind, self.now + later)
        again.quota = anew.restored(self.quota.kept(self.at), again.at)
        return again
