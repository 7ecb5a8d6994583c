"""Makes the forecast from how outbox and limits stand."""

from math import ceil

from msgspec.structs import replace

from pipetest.monitoring.access_check import AccessCheck
from pipetest.monitoring.answers import Answers
from pipetest.monitoring.forecast import Forecast, forecast
from pipetest.monitoring.problems import UNANSWERED_S
from pipetest.outbox.outbox import Outbox
from pipetest.pipedrive.rate_limit import PipedriveRateLimit
from pipetest.ratelimit.limiter import RateLimiter


class Forecaster:
    """Says when everything that waits now will be in Pipedrive, while that can be kept."""

    def __init__(
        self,
        outbox: Outbox,
        limiter: RateLimiter[PipedriveRateLimit],
        answers: Answers,
        access_check: AccessCheck,
        *,
        dry_run: bool,
    ) -> None:
        self._outbox = outbox
        self._limiter = limiter
        self._answers = answers
        self._access_check = access_check
        self._dry_run = dry_run

    def forecast(self) -> Forecast:
        deals, organizations = self._outbox.status.to_create()
        now = self._limiter.now()
        budget = self._limiter.rate_limit.budget(now)
        hold = self._outbox.breaker.not_before - now.monotonic  # as in the settle time of a new database
        if hold > 0:
            budget = replace(budget, resumes_at=max(budget.resumes_at, float(ceil(now.wall + hold))))
        return forecast(deals, organizations, budget, now.wall, self._obstacle())

    def _obstacle(self) -> str | None:
        """Why nothing is created, or nobody knows when, other than for a quota."""
        outbox = self._outbox
        if self._dry_run:
            return "a dry run creates none"
        if outbox.paused:
            return "creation is paused by an operator"
        if outbox.breaker.refusal is not None or outbox.status.refusals() or self._access_check.refusal is not None:
            return "Pipedrive refuses them"
        if (obstacle := self._template_obstacle()) is not None:
            return obstacle
        if self._answers.failures or self._access_check.is_open:
            return "Pipedrive gives no usable answer yet"
        if self._answers.limited_for >= UNANSWERED_S:
            return "Pipedrive refuses each request as one too many"
        if outbox.reconciling is not None:
            return outbox.reconciling
        return "creation goes one at a time after failures" if outbox.breaker.half_open else None

    def _template_obstacle(self) -> str | None:
        if self._outbox.breaker.misfit is not None or self._outbox.status.hidden():
            return "people have to correct something in Pipedrive first"
        if self._outbox.template_in_doubt:
            return "what the template names is looked up again first"
        return None
