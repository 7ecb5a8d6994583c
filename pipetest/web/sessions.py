"""A visitor's session: the cookie that names it, and its end once nobody comes back."""

import re
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import Unavailable
from pipetest.domain.interfaces import Store, Time
from pipetest.runtime.periodic import Periodic
from pipetest.web.request import ApiRequest

COOKIE = b"pipetest_session"
"""How the cookie's name begins. The database's identity follows: a browser sends cookies to every port of a host, so
two instances there would throw away each other's. Version 1.0.0 used this beginning alone."""

ID_BYTES = 16  # 128 random bits cannot be guessed
_ID = re.compile(rb"[0-9a-f]{%d}" % (2 * ID_BYTES))

EXPIRE_EVERY_S = 3600.0


def cookie_name(identity: str | None) -> bytes:
    return COOKIE if identity is None else b"%b_%b" % (COOKIE, identity.encode())


def session_id_of(request: ApiRequest, name: bytes) -> str | None:
    """The session id in the request's cookie of this name; None where there is none, or it does not look like one of
    ours."""
    value = request.getCookie(name)
    if value is None:
        value = request.getCookie(COOKIE)
    return value.decode() if value is not None and _ID.fullmatch(value) else None


def new_session_id(random_bytes: Callable[[int], bytes]) -> str:
    return random_bytes(ID_BYTES).hex()


def set_cookie(request: ApiRequest, name: bytes, session_id: str, lifetime_s: float) -> None:
    """Done in each answer, so that the cookie's life begins anew."""
    secure = b"; Secure" if request.isSecure() else b""
    request.cookies.append(
        b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%b" % (name, session_id.encode(), lifetime_s, secure)
    )


class SessionExpiry:
    """Removes sessions that nobody used for ``lifetime`` seconds from the store, hourly."""

    _log = Logger()

    def __init__(self, store: Store, time: Time, clock: IReactorTime, lifetime: float) -> None:
        self._store = store
        self._time = time
        self._lifetime = lifetime
        self._periodic = Periodic("removing expired sessions", self._expire, EXPIRE_EVERY_S, clock)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def _expire(self) -> None:
        try:
            removed = await self._store.expire_sessions(self._time.wall() - self._lifetime)
        except Unavailable as e:
            self._log.debug("{reason}: expired sessions stay for {wait_s:g} s", reason=str(e), wait_s=EXPIRE_EVERY_S)
        else:
            self._log.debug("{sessions} expired sessions removed", sessions=removed)
