"""Asks Pipedrive one cheap question at the start, and when the key may be another one, so that a wrong key, a wrong
company or an unreachable host is told within seconds, and not only once a gist comes. Nothing waits for the answer."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import Denied, PipetestError
from pipetest.domain.interfaces import Pipedrive

RETRY_FIRST_S = 2.0
RETRY_LONGEST_S = 60.0


class AccessCheck:
    """Asks until there is a good answer. ``is_open`` until then; ``refusal`` is why the key or the account is refused,
    where that was the answer. While ``may_ask`` says no, as a limit is used up, nothing is asked. ``ended`` is called
    after each question: creates may have waited for what its answer tells of the limits."""

    _log = Logger()

    def __init__(
        self, pipedrive: Pipedrive, may_ask: Callable[[], bool], ended: Callable[[], None], clock: IReactorTime
    ) -> None:
        self.is_open = True
        self.refusal: str | None = None
        self._pipedrive = pipedrive
        self._may_ask = may_ask
        self._ended = ended
        self._clock = clock
        self._stopped = False
        self._asking: Deferred[None] | None = None

    def start(self) -> None:
        self._asking = Deferred.fromCoroutine(self._ask_until_answered())
        self._asking.addErrback(lambda failure: failure.trap(CancelledError))

    def ask_again(self) -> None:
        """The key may be another one since the last good answer. Where a limit is used up, creates will tell."""
        if self._asking is not None and not self.is_open and self._may_ask():
            self.is_open = True
            self.start()

    def stop(self) -> None:
        self._stopped = True  # a question that is cut off ends as one without an answer, after which it would ask again
        if self._asking is not None:
            self._asking.cancel()

    @property
    def _goes_on(self) -> bool:
        return self.is_open and not self._stopped

    async def _ask_until_answered(self) -> None:
        attempts = 0
        while self._goes_on:
            attempts += 1
            if self._may_ask():
                await self._ask()
                self._ended()
            if self._goes_on:
                await deferLater(self._clock, backoff(attempts, first=RETRY_FIRST_S, longest=RETRY_LONGEST_S))

    async def _ask(self) -> None:
        try:
            await self._pipedrive.check_access()
        except Denied as e:
            self.refusal = e.reason
        except PipetestError:
            self.refusal = None  # whoever counts the answers has heard of it
        except Exception:
            self._log.failure("Pipedrive could not be asked whether the key is right", event="access_check_failed")
        else:
            self.is_open, self.refusal = False, None
