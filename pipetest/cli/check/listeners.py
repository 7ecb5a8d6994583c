"""Whether it can listen where it is to. A daemon that listens there already is no fault."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from pipetest.cli.check.line import CheckLine, fault, ok
from pipetest.domain.errors import ConfigError
from pipetest.domain.text import capitalized
from pipetest.web.listen import endpoint, refusal

SUBJECT = "listener"


async def check_listeners(descriptions: Sequence[str], reactor: Any, *, daemon_runs: bool) -> AsyncIterator[CheckLine]:
    """Each is listened on for an instant, its certificates are read."""
    for description in descriptions:
        yield await _check(description, reactor, daemon_runs=daemon_runs)


async def _check(description: str, reactor: Any, *, daemon_runs: bool) -> CheckLine:
    if description.startswith("systemd:"):
        return ok(SUBJECT, f"{description} is systemd's to open")
    try:
        port = await endpoint(description, reactor).listen(Factory())
    except ConfigError as e:
        return fault(SUBJECT, str(e), "Correct PIPETEST_LISTEN")
    except Exception as e:  # each kind of endpoint has errors of its own
        if daemon_runs and isinstance(e, CannotListenError):
            return ok(SUBJECT, f"{description} is in use, as a daemon runs")
        reason, remedy = refusal(description, e)
        return fault(SUBJECT, reason, capitalized(remedy))
    await maybeDeferred(port.stopListening)
    return ok(SUBJECT, f"{description} is free")
