"""The cookie that names a session."""

import re
from collections.abc import Callable

from pipetest.web.request import ApiRequest

NAME = b"pipetest_session"
BYTES = 16  # 128 bits of chance: not to be guessed
_FORM = re.compile(rb"[0-9a-f]{%d}" % (2 * BYTES))


def presented(visit: ApiRequest) -> str | None:
    """The session id that the visitor brings, None where it is not one of ours by form."""
    value = visit.getCookie(NAME)
    return value.decode() if value is not None and _FORM.fullmatch(value) else None


def new(random_bytes: Callable[[int], bytes]) -> str:
    return random_bytes(BYTES).hex()


def give(visit: ApiRequest, session_id: str, lifetime_s: float) -> None:
    """Set the cookie, so that its life begins anew with each visit."""
    secure = b"; Secure" if visit.isSecure() else b""
    visit.cookies.append(
        b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%b" % (NAME, session_id.encode(), lifetime_s, secure)
    )
