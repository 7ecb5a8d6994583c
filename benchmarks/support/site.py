"""``python -m benchmarks.support.site GISTS``: our site with so many gists, and a route that returns a constant.

It prints one line of JSON that says where both serve.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web.server import Request

from benchmarks.support.database import write_invented
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Instance, Status
from pipetest.sandbox.http import QuietSite
from pipetest.sandbox.server import LOOPBACK, IReactor
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.site import make_site

DAY_S = 24 * 3600.0

STATUS = Status(at=0.0, instance=Instance(company="", version="", started_at=0.0, gists_url="", deals_url=""))
"""Visitors do not ask for it."""


class NoControls:
    """Nobody operates it."""

    async def scan(self) -> None: ...

    async def set_paused(self, paused: bool) -> None: ...

    async def retry(self, gist_id: str) -> bool:
        return False

    async def retry_all(self) -> None: ...

    async def audit(self) -> None: ...

    async def backfill(self, user: str) -> bool:
        return False


class BareRoute:
    app = Klein()

    @app.route("/")
    def constant(self, request: Request) -> bytes:
        request.setHeader("Content-Type", "application/json")
        return b"[]"


async def main(reactor: IReactor, gists: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db.json"
        write_invented(path, {}, int(gists))
        store = TinyStore(FolderDisk(str(path)), deferToThread, reactor, roots={})
        store.open()

        async def scanned_users() -> list[str]:
            return ["user0"]

        clocks = Time(time.time, time.monotonic)
        ours = make_site(
            store,
            scanned_users,
            clocks,
            reactor,
            DAY_S,
            status=lambda: STATUS,
            all_users=lambda: STATUS.users,
            controls=NoControls(),
        )
        addresses = {"bare": serve(reactor, QuietSite(BareRoute().app.resource())), "ours": serve(reactor, ours)}
        print(msgspec.json.encode(addresses).decode(), flush=True)
        await Deferred()


def serve(reactor: IReactor, site: Any) -> str:
    port: Any = reactor.listenTCP(0, site, interface=LOOPBACK)
    return f"http://{LOOPBACK}:{port.getHost().port}"


if __name__ == "__main__":
    react(main, sys.argv[1:])
