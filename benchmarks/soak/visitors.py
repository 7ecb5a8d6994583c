"""People and programs who ask the daemon while it works: a new visitor, one who returns, monitoring, and somebody who
opens the page's event stream and goes away."""

from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from urllib.parse import urlsplit

from tests.support.processes import ask

ADMIN_TOKEN = "token-of-the-soak"  # noqa: S105


class Visitors:
    """``url``: where the daemon answers. ``failed``: visits without an answer, or with one that tells of an error of
    its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookie = ""
        shown = ("/", "/status", "/metrics", "/health", "/ready", "/getAllScannedUsers", "/audit", "/?sort=most+gists")
        each: Sequence[Callable[[], int]] = [self._new, self._returning, self._leaving, *map(self._asking, shown)]
        self._turns = cycle(each)
        self.visits = 0
        self.failed = 0

    def visit(self) -> None:
        """The next one asks."""
        self._ask(next(self._turns))

    def retry_quarantine(self) -> None:
        """As an operator does who has seen to what was refused."""
        self._ask(self._retrying)

    def _ask(self, question: Callable[[], int]) -> None:
        self.visits += 1
        try:
            status = question()
        except (OSError, HTTPException):
            status = 0
        self.failed += status not in (200, 202, 204)

    def _retrying(self) -> int:
        url = f"{self._url}/quarantine/retry"
        return ask(url, "POST", b"", Authorization=f"Bearer {ADMIN_TOKEN}").status

    def _new(self) -> int:
        return ask(f"{self._url}/getGists").status

    def _returning(self) -> int:
        response = ask(f"{self._url}/getGists", Cookie=self._cookie)
        self._cookie = response.headers.get("set-cookie", self._cookie).partition(";")[0]
        return response.status

    def _leaving(self) -> int:
        connection = HTTPConnection(urlsplit(self._url).netloc, timeout=10.0)
        try:
            connection.request("GET", "/events")
            response = connection.getresponse()
            response.read1(1)
            return response.status
        finally:
            connection.close()

    def _asking(self, path: str) -> Callable[[], int]:
        def answer() -> int:
            status = ask(self._url + path).status
            return 200 if path == "/ready" and status == 503 else status  # it says what the faults have done

        return answer
