"""When everything that waits will be in Pipedrive, and the sentence that says so. Pure; times are since the epoch."""

from datetime import UTC, datetime
from math import ceil, inf

from msgspec import Struct

from pipetest.pipedrive.daily_budget import DAY_S
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import Budget
from pipetest.ratelimit.policy import finite


class Forecast(Struct, frozen=True):
    """``deals`` wait and will cost ``tokens``; ``left`` tokens may still be used today (None: no limit).

    ``obstacle`` is why nothing is created, where that is no rate limit. ``done_at`` is None while there is such an
    obstacle, or where no day's budget pays for a create.
    """

    deals: int
    tokens: int
    left: float | None
    done_at: float | None
    now_at: float
    obstacle: str | None = None

    @property
    def takes_s(self) -> float:
        """Seconds until all is done; 0 where nobody knows."""
        return 0.0 if self.done_at is None else self.done_at - self.now_at

    def __str__(self) -> str:
        if self.deals == 0:
            return "no deal waits"
        waiting = f"{self.deals:,} {'deal waits' if self.deals == 1 else 'deals wait'}, {self.tokens:,} tokens"
        left = "" if self.left is None else f"; {self.left:,.0f} left today after the reserve"
        return f"{waiting}{left}; {self._done()}"

    def _done(self) -> str:
        if self.obstacle is not None:
            return self.obstacle
        if self.done_at is None:
            return "the daily budget allows none"
        done, now = (datetime.fromtimestamp(at, UTC) for at in (self.done_at, self.now_at))
        return f"done about {done:%H:%M} UTC" if done.date() == now.date() else f"done about {done:%Y-%m-%d %H:%M} UTC"


def forecast(deals: int, organizations: int, budget: Budget, now_at: float, obstacle: str | None = None) -> Forecast:
    """When ``deals``, and the ``organizations`` they need first, are created if nothing new comes. Nobody knows how
    long an ``obstacle`` lasts."""
    creates = deals + organizations
    done_at = None if obstacle else _done_at(creates, budget, max(now_at, budget.resumes_at))
    return Forecast(deals, creates * CREATE.price, finite(budget.left), done_at, now_at, obstacle)


def _done_at(creates: int, budget: Budget, start: float) -> float | None:
    today = min(_affordable(budget.left), budget.writes) if start < budget.next_day_at else 0.0
    if creates <= today:
        return start + creates / budget.per_second
    a_day = _affordable(budget.a_day)
    if a_day < 1:
        return None
    rest = creates - today
    full_days = max(0, ceil(rest / a_day) - 1)
    on_the_last = rest - full_days * a_day if full_days else rest
    return max(start, budget.next_day_at) + full_days * DAY_S + on_the_last / budget.per_second


def _affordable(tokens: float) -> float:
    return inf if tokens == inf else tokens // CREATE.price
