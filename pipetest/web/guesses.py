"""Who sends wrong tokens: counted, logged, and slowed to one guess in a second."""

from collections import OrderedDict
from ipaddress import ip_network

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from werkzeug.exceptions import TooManyRequests

from pipetest.web.addresses import ip_of

GUESS_EVERY_S = 1.0  # after a wrong one, a token from the same address is compared only so often
LONGEST_WAIT_S = 10.0  # who would have to wait longer is sent away
LOG_EVERY_S = 60.0
MAX_ORIGINS = 1_000  # remembered at most; the one that guessed longest ago is forgotten first


class Guesses:
    """Each address has turns of its own, so that nobody's guessing keeps the admin out. A right token ends the waiting
    of its address."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.refused = 0
        self._clock = clock
        self._next_turn: OrderedDict[str, float] = OrderedDict()
        self._unlogged = 0
        self._next_log = clock.seconds()

    async def wait_for_turn(self, origin: str) -> None:
        """Wait until a token from there may be compared. The turn counts even if its client hangs up meanwhile.

        :raises TooManyRequests: that would be too long.
        """
        now = self._clock.seconds()
        turn = self._next_turn.get(origin, now)
        if turn <= now:
            return
        if turn - now > LONGEST_WAIT_S:
            raise TooManyRequests("too many wrong tokens came from this address", retry_after=int(LONGEST_WAIT_S))
        self._next_turn[origin] = turn + GUESS_EVERY_S
        await deferLater(self._clock, turn - now)

    def was_right(self, origin: str) -> None:
        self._next_turn.pop(origin, None)

    def was_wrong(self, origin: str) -> None:
        """The next one from there waits."""
        earliest = self._clock.seconds() + GUESS_EVERY_S
        self._next_turn[origin] = max(earliest, self._next_turn.pop(origin, earliest))
        if len(self._next_turn) > MAX_ORIGINS:
            self._next_turn.popitem(last=False)

    def count_refusal(self, origin: str) -> None:
        """The log says so at once, and then once a minute how many more there were."""
        self.refused += 1
        self._unlogged += 1
        if self._clock.seconds() < self._next_log:
            return
        self._next_log = self._clock.seconds() + LOG_EVERY_S
        self._log.warn(
            "requests without the right admin token: {requests}, the last one from {origin}",
            event="admin_token_refused",
            requests=self._unlogged,
            origin=origin,
        )
        self._unlogged = 0


def origin_of(address: IAddress) -> str:
    """Whom an address stands for: of IPv6, everybody has a whole network."""
    ip = ip_of(address)
    if ip is None:
        return "a UNIX socket"
    return str(ip if ip.version == 4 else ip_network((ip, 64), strict=False))
