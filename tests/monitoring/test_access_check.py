"""The question at the start, whether the key is right, ends with the pipeline that asks it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.errors import Unanswered
from pipetest.monitoring.access_check import AccessCheck


class HangingPipedrive:
    """Does not answer; a question that is cut off ends as the HTTP client ends it."""

    questions = 0

    async def check_access(self) -> None:
        self.questions += 1
        try:
            await Deferred()
        except Exception:
            raise Unanswered("Pipedrive", "no whole answer in time") from None


def test_it_does_not_ask_again_after_a_stop_that_has_cut_off_its_question() -> None:
    clock, pipedrive = Clock(), HangingPipedrive()
    unchecked: Any = pipedrive
    check = AccessCheck(unchecked, lambda: True, lambda: None, clock)
    check.start()
    check.stop()
    clock.pump([60.0] * 10)
    assert pipedrive.questions == 1
    assert clock.getDelayedCalls() == []
