"""Whether the client as a whole waits: it was refused, or nothing answers. Then one request goes first, alone."""

from math import ceil, inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import LONGEST_WAIT_S, backoff
from pipetest.ratelimit.policy import Instant, Permit

OUTAGE_FAILURES = 3
"""After this many failures in a row the service is out: the fault is not one request's."""

OUTAGE_FIRST_S = 1.0
OUTAGE_LONGEST_S = 5.0
"""Between probes of a service that is out: as long as the scan waits at least before it asks again."""


class Cooldown(Struct, frozen=True):
    """Nothing goes before ``until`` (monotonic). While ``probing``, one request goes at a time, until one is answered.

    ``waits`` is how many have begun. How a request ends that was under way when one did is no news, and is not counted.
    """

    until: float = -inf
    probing: bool = False
    refusals: int = 0
    failures: int = 0
    waits: int = 0
    under_way: int = 0

    def wait(self, ahead: int, now: float) -> float:
        if self.probing and self.under_way + ahead:
            return inf
        return max(0.0, self.until - now)

    def attempts(self, permit: Permit) -> int:
        """How many refusals in a row there are if this request is refused."""
        return self.refusals + (permit.waits == self.waits)

    def started(self) -> "Cooldown":
        return replace(self, under_way=self.under_way + 1)

    def answered(self, permit: Permit) -> "Cooldown":
        if permit.waits != self.waits:
            return replace(self, under_way=self.under_way - 1)
        return Cooldown(waits=self.waits, under_way=self.under_way - 1)

    def refused(self, permit: Permit, wait: float, now: float, jitter: float) -> "Cooldown":
        """Nothing may go for ``wait`` seconds, and up to one more, so that not all clients come back at once."""
        finished = replace(self, until=max(self.until, now + wait + jitter), under_way=self.under_way - 1)
        if permit.waits != self.waits:
            return finished
        return replace(finished, probing=True, refusals=self.refusals + 1, failures=0, waits=self.waits + 1)

    def failed(self, permit: Permit, now: float, jitter: float) -> "Cooldown":
        """No usable answer came back, or the service says that it is broken."""
        if permit.waits != self.waits:
            return replace(self, under_way=self.under_way - 1)
        finished = replace(self, failures=self.failures + 1, under_way=self.under_way - 1)
        if not self.probing and finished.failures < OUTAGE_FAILURES:
            return finished
        attempts = max(1, finished.failures - OUTAGE_FAILURES + 1)
        wait = backoff(attempts, first=OUTAGE_FIRST_S, longest=OUTAGE_LONGEST_S) * (1.0 - jitter / 2)
        return replace(finished, until=now + wait, probing=True, waits=self.waits + 1)

    def resumes_at(self, at: Instant) -> float:
        """When the wait is over, in whole seconds since the epoch, so that it is the same whenever it is asked for.
        0 where nothing waits, or not for long, as between the probes of an outage."""
        left = self.until - at.monotonic
        return float(ceil(at.wall + left)) if left > OUTAGE_LONGEST_S else 0.0

    def restored(self, resumes_at: float, at: Instant) -> "Cooldown":
        """Waiting until then, as before a restart. A moment more than a day away does not count: a clock was wrong."""
        if not at.wall < resumes_at <= at.wall + LONGEST_WAIT_S:
            return self
        return replace(self, until=at.monotonic + resumes_at - at.wall, probing=True)
