"""Whether the client as a whole waits: it was told to, or nothing answers. Then one request goes first, alone."""

from math import ceil, inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.ratelimit.policy import LONGEST_TOLD_S, Instant, Permit

IN_A_ROW = 3
"""So many requests in a row without a usable answer are an outage, no accident of one of them."""

OUTAGE_FIRST_S = 1.0
OUTAGE_LONGEST_S = 5.0
"""Between probes of a service that is out: as long as the scan waits at least before it asks again."""


class Cooldown(Struct, frozen=True):
    """``until`` is monotonic. While ``probing``, one request goes at a time, until one is answered.

    ``turn`` tells what was under way when a hold began: its end says nothing new and is not counted.
    """

    until: float = -inf
    probing: bool = False
    refusals: int = 0
    failures: int = 0
    turn: int = 0
    under_way: int = 0

    @property
    def out(self) -> bool:
        """The service does not answer, or says that it is broken; one that has us wait answers."""
        return self.failures >= IN_A_ROW

    def wait(self, ahead: int, now: float) -> float:
        if self.probing and self.under_way + ahead:
            return inf
        return max(0.0, self.until - now)

    def attempts(self, ticket: Permit) -> int:
        """How many refusals in a row one of this request makes."""
        return self.refusals + (ticket.turn == self.turn)

    def begun(self) -> "Cooldown":
        return replace(self, under_way=self.under_way + 1)

    def answered(self, ticket: Permit) -> "Cooldown":
        if ticket.turn != self.turn:
            return replace(self, under_way=self.under_way - 1)
        return Cooldown(turn=self.turn, under_way=self.under_way - 1)

    def refused(self, ticket: Permit, wait: float, now: float, chance: float) -> "Cooldown":
        """Told to wait, or known to have to. Up to a second more, so that not everybody comes back at once."""
        ended = replace(self, until=max(self.until, now + wait + chance), under_way=self.under_way - 1)
        if ticket.turn != self.turn:
            return ended
        return replace(ended, probing=True, refusals=self.refusals + 1, failures=0, turn=self.turn + 1)

    def failed(self, ticket: Permit, now: float, chance: float) -> "Cooldown":
        """No usable answer came back, or the service says that it is broken."""
        if ticket.turn != self.turn:
            return replace(self, under_way=self.under_way - 1)
        ended = replace(self, failures=self.failures + 1, under_way=self.under_way - 1)
        if not self.probing and ended.failures < IN_A_ROW:
            return ended
        attempts = max(1, ended.failures - IN_A_ROW + 1)
        wait = backoff(attempts, first=OUTAGE_FIRST_S, longest=OUTAGE_LONGEST_S) * (1.0 - chance / 2)
        return replace(ended, until=now + wait, probing=True, turn=self.turn + 1)

    def resumes_at(self, at: Instant) -> float:
        """When it ends, in seconds since the epoch, whole ones so that it stays the same whenever it is asked; 0 where
        nothing is held, or not for long, as between the probes of an outage."""
        left = self.until - at.monotonic
        return float(ceil(at.wall + left)) if left > OUTAGE_LONGEST_S else 0.0

    def resumed(self, resumes_at: float, at: Instant) -> "Cooldown":
        """As an earlier life has left it. More than a day from now tells of a clock that was, or is, wrong."""
        if not at.wall < resumes_at <= at.wall + LONGEST_TOLD_S:
            return self
        return replace(self, until=at.monotonic + resumes_at - at.wall, probing=True)
