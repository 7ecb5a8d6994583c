"""Drives a rate limit by hand, the way a limiter does."""

from typing import Any

from msgspec import Struct, to_builtins

from pipetest.domain.model import Reply
from pipetest.ratelimit.policy import Cost, Instant, Permit, RateLimit

DAY = 86400.0
MIDNIGHT = 20_000 * DAY
"""Of a day in UTC, in seconds since the epoch."""


COST = Cost()


def reply(status: int = 200, body: bytes = b"{}", **headers: Any) -> Reply:
    return Reply(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, body)


class Client(Struct):
    """``now`` is seconds after the midnight; a request takes a hundredth, and so does the pause after it. The clock on
    the wall is wrong by so many seconds."""

    rate_limit: Any
    cost: Cost = COST
    now: float = 36000.0
    wrong_by: float = 0.0

    @property
    def at(self) -> Instant:
        return Instant(self.now, MIDNIGHT + self.now + self.wrong_by)

    def wait(self, cost: Cost | None = None, ahead: int = 0) -> float:
        rate_limit: RateLimit = self.rate_limit
        return rate_limit.wait(cost or self.cost, ahead, self.at)

    def start(self, cost: Cost | None = None) -> Permit:
        assert self.wait(cost) == 0.0
        permit: Permit
        self.rate_limit, permit = self.rate_limit.started(cost or self.cost, self.at)
        return permit

    def finish(self, permit: Permit, answer: Reply | None) -> None:
        self.now += 0.01
        self.rate_limit = self.rate_limit.finished(permit, answer, self.at, 0.0)

    def ask(self, answer: Reply | None, cost: Cost | None = None) -> None:
        self.finish(self.start(cost), answer)
        self.now += 0.01

    def restarted(self, anew: RateLimit, later: float = 0.0, wrong_by: float = 0.0) -> "Client":
        """The same client with a rate limit that only knows what was stored."""
        again = Client(anew, self.cost, self.now + later, wrong_by)
        again.rate_limit = anew.restored(to_builtins(self.rate_limit.saved(self.at)), again.at)
        return again
