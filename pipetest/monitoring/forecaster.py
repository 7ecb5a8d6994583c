"""Makes the forecast from how outbox and limits stand."""

from pipetest.monitoring.forecast import Forecast, forecast
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.pipedrive.rate_limit import PipedriveRateLimit
from pipetest.ratelimit.limiter import RateLimiter


class Forecaster:
    """Says when everything that waits now will be in Pipedrive."""

    def __init__(self, dispatcher: Dispatcher, limiter: RateLimiter[PipedriveRateLimit], *, dry_run: bool) -> None:
        self._dispatcher = dispatcher
        self._limiter = limiter
        self._dry_run = dry_run

    def forecast(self) -> Forecast:
        deals, organizations = self._dispatcher.to_create()
        now = self._limiter.now()
        budget = self._limiter.rate_limit.budget(now)
        return forecast(deals, organizations, budget, now.wall, self._obstacle())

    def _obstacle(self) -> str | None:
        """Why nothing is created, other than for a quota."""
        creation = self._dispatcher.creation()
        if self._dry_run:
            return "a dry run creates none"
        if creation.paused:
            return "creation is paused by an operator"
        return None if creation.refusal is None else "Pipedrive refuses them"
